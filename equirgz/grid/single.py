"""One network outside a grid: train one run and keep its encoder; embed images with a saved one."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.config import DataConfig, RunConfig
from equirgz.errors import InputError
from equirgz.records import write_bytes_atomic, write_json_atomic


def train_one(config: RunConfig, out: Path, data_dir: Path | None = None, *, device: str = "cpu") -> list[str]:
    """Train and evaluate one run; return lines that say what came out and where it is.

    Writes ``OUT/run.json`` (configuration, rows, predictions), ``OUT/work`` (log and checkpoints; the
    same call after an interruption goes on from them) and ``OUT/encoder`` (weights and configuration).
    """
    from equirgz.backbones import save_encoder
    from equirgz.grid.cell import finish_run, prepare_run
    from equirgz.provenance import collect_provenance

    out = Path(out)
    write_json_atomic(out / "config.json", config.model_dump(mode="json"))
    run = prepare_run(config, data_dir, out / "work", device=device, progress=True)
    result = finish_run(run, grid="train")
    save_encoder(run.backbone.cpu(), out / "encoder")
    write_json_atomic(
        out / "run.json",
        {"run_key": config.run_key(), "config": config.model_dump(mode="json"), "status": "done",
         "provenance": collect_provenance(device), **result},
    )
    shown = ("error/rate", "nll/mean", "calibration/ece", "calibration/ece_perfect", "equivariance/relative_l2")
    lines = [_format(row) for row in result["rows"] if row["metric"] in shown]
    return [*lines, f"run {out / 'run.json'}", f"encoder {out / 'encoder'}"]


def _format(row: dict[str, Any]) -> str:
    value = "not defined" if row["value"] is None else f"{row['value']:.4g} {row['unit']}"
    angle = "" if row["angle_deg"] is None else f" at {row['angle_deg']:g} degrees"
    return f"{row['split']:16s} {row['readout']:13s} {row['metric']}{angle}: {value} (n={row['n']})"


def embed_images(
    encoder: Path, images: str, output: Path, data_dir: Path | None = None, *, device: str = "cpu"
) -> tuple[int, int]:
    """Write source id, split, label and features of every image; return (sources, features).

    ``images`` is a registered dataset or the path of an .npz. ``output`` ends in .csv or .npz. The
    images pass through the preprocessing of ``DataConfig`` at the encoder's image size.
    """
    from equirgz.backbones import load_encoder
    from equirgz.data import load_data
    from equirgz.evaluate import embed

    output = Path(output)
    if output.suffix not in (".csv", ".npz"):
        raise InputError(f"--output: expected a name that ends in .csv or .npz, got {output.name!r}")
    backbone = load_encoder(encoder).to(device)
    npz = images.endswith(".npz")
    config = DataConfig(
        name="npz" if npz else images, image_size=backbone.image_size, params={"path": images} if npz else {}
    )
    data = load_data(config, data_dir)
    parts = {"train": data.train, **data.tests, "unlabelled": data.unlabelled}
    parts = {name: part for name, part in parts.items() if part is not None and len(part)}
    feature_NF = np.concatenate([embed(backbone, part.x_NCHW) for part in parts.values()])
    columns = {
        "source_id": np.concatenate([part.source_id_N for part in parts.values()]),
        "split": np.concatenate([[name] * len(part) for name, part in parts.items()]),
        "label": np.concatenate([part.label_N for part in parts.values()]),
    }
    encode = _to_npz if output.suffix == ".npz" else _to_csv
    write_bytes_atomic(output, encode(columns, feature_NF))
    return feature_NF.shape


def _to_npz(columns: dict[str, np.ndarray], feature_NF: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, feature_NF=feature_NF, **{key: np.asarray(v) for key, v in columns.items()})
    return buffer.getvalue()


def _to_csv(columns: dict[str, np.ndarray], feature_NF: np.ndarray) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *(f"f{i}" for i in range(feature_NF.shape[1]))])
    for *known, feature_F in zip(*columns.values(), feature_NF, strict=True):
        writer.writerow([*known, *(f"{value:.7g}" for value in feature_F)])
    return text.getvalue().encode()
