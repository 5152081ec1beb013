"""``python -m benchmarks.encoders [NAME ...]``: train the shipped encoders, measure them, write weights and cards.

Training goes on where it was interrupted (``runs/encoders/NAME``). The test set of MiraBest is read once per card, for
numbers that choose nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.encoders.card import write_card
from benchmarks.encoders.measure import measure_encoder
from benchmarks.encoders.publish import publish
from equirgz.config import load_yaml, parse_run, parse_setting, set_dotted
from equirgz.errors import check_choice

HERE = Path(__file__).parent
#: name -> what differs from radio.yaml
ENCODERS: dict[str, tuple[str, ...]] = {
    "radio_d4_small": (),
    "radio_d8_small": ("backbone.group=D8",),
    "radio_d4_small_81px": ("data.image_size=81",),
    "radio_d4_base": ("backbone.match=params:300000",),
    "radio_d8_base": ("backbone.group=D8", "backbone.match=params:300000"),
    "radio_d4_small_meerkat": ("data.params.survey=MGCLS",),
    "radio_d4_small_lotss": ("data.params.survey=LoTSS-DR2",),
    "radio_d4_base_meerkat": ("backbone.match=params:300000", "data.params.survey=MGCLS"),
    "radio_d4_base_lotss": ("backbone.match=params:300000", "data.params.survey=LoTSS-DR2"),
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Encoders; default: all.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="For the numbers on real sources.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Fewer updates, to try it.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where the files go; default: into the package.")] = None,
) -> None:
    """Train, measure and describe encoders."""
    for name in names or ENCODERS:
        settings = ENCODERS[check_choice("encoder", name, ENCODERS)]
        fields = load_yaml(HERE / "radio.yaml")
        for setting in (*settings, *([f"train.steps={steps}"] if steps else [])):
            set_dotted(fields, *parse_setting(setting))
        config = parse_run(fields, name)
        folder = publish(name, config, out)
        measured = measure_encoder(folder / name, config, data_dir)
        write_card(folder / name, name, settings, config, measured)
        print(f"{name}: {folder / name}.md")


if __name__ == "__main__":
    typer.run(main)
