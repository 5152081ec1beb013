"""The card of a shipped encoder, generated from its facts and measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from equirgz.config import RunConfig
from equirgz.records import read_json

CARD = """# {name}

{summary}. {network}, group {group}, {parameters} parameters, images of {size} px.

```python
import equirgz

encoder = equirgz.load_pretrained("{name}")
encoder.facts["preprocessing"]  # how its images were cut, stretched and scaled
```

- **Trained on** {n_train} simulated sources as {survey} would show them (`synthetic_radio`), {steps} updates of
  {batch} sources. No pixel of a survey is in it. Whether the held-out curve was flat by then was not checked.
- **Made by** `python -m benchmarks.encoders {name}`, which is
  `equirgz train benchmarks/encoders/radio.yaml{settings}` with weights in half precision. The same command
  on the same version and processor type gives the same weights.
- **Version** {version}; {packages}.
- **Licence** BSD-3-Clause, as the package.

## On simulated sources that it has not seen

{simulated}

## On real sources

A logistic regression on its features, penalty chosen by cross-validation among the labelled sources; mean and
half-width of Student's 95 % interval over label sets. With 0 labels the regression has seen simulated sources alone.
The test set chose nothing here; it has been read for other
networks before.

{real}

## Where it fails

Sources larger than the crop of {crop} px, sources that its survey barely resolves, and other telescopes: features of
images with another beam or pixel scale mean little. Simulated classes are FRI (with bent sources) and FRII alone.
"""


SHOWN = ("error/rate", "nll/mean", "calibration/ece", "regression/mae", "regression/scatter", "regression/spearman")


def write_card(path: Path, name: str, settings: tuple[str, ...], config: RunConfig, rows: list[dict[str, Any]]) -> None:
    """Write ``path``.md."""
    described = read_json(path.with_suffix(".json"))
    facts, backbone, params = described["facts"], described["backbone"], config.data.params
    text = CARD.format(
        name=name, summary=facts["summary"][0].upper() + facts["summary"][1:],
        network=backbone["name"], group=backbone.get("group", "C1"),
        parameters=facts["parameters"], size=backbone["image_size"], n_train=params["n_train"],
        survey=params["survey"], steps=config.train.steps, batch=config.train.batch_size,
        settings="".join(f" --set {setting}" for setting in settings), version=facts["version"],
        packages=", ".join(f"{key} {value}" for key, value in facts["packages"].items()), crop=config.data.crop,
        simulated=make_table(("number", "value", "n"), [
            (row["metric"], f"{row['value']:.4g} {row['unit']}".removesuffix(" 1"), str(row["n"]))
            for row in facts["simulated"] if row["value"] is not None and row["metric"].startswith(SHOWN)
        ]),
        real=make_table(("set", "labels", "number", "value", "label sets"), [
            (row["set"], "-" if row["set"].startswith("turned") else str(row["labels"]), row["metric"], _value(row),
             str(row["n"])) for row in rows
        ]),
    )  # fmt: skip
    path.with_suffix(".md").write_text(text, encoding="utf-8")


def _value(row: dict[str, Any]) -> str:
    text = f"{row['value']:.3g}"
    return text if row["half_width"] is None else f"{text} ± {row['half_width']:.2g}"


def make_table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    rows = [head, tuple(":--" for _ in head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
