"""One network outside a grid: train one run and keep its encoder; embed images with a saved one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equirgz.config import RunConfig
from equirgz.errors import InputError, ResultsError
from equirgz.metrics import format_value
from equirgz.paths import as_path
from equirgz.records import read_json, write_json_atomic


def train_one(
    config: RunConfig,
    out: Path,
    data_dir: Path | None = None,
    *,
    device: str = "cpu",
    processes: int = 1,
    accumulate: int = 1,
    loggers: Sequence[str] = (),
) -> list[str]:
    """Train and evaluate one run; return lines that say what came out and where it is.

    With several ``processes`` (DDP: one per GPU, or on one CPU) the running script is started once more for
    each of the others, which help to train and return no lines. ``accumulate`` cuts each batch into so many
    parts to save memory. ``loggers``: programs that the log goes to as well (``tensorboard``, ``wandb``).

    Writes ``OUT/run.json`` (configuration, rows, predictions), ``OUT/work`` (log and checkpoints; the
    same call after an interruption goes on from them) and ``OUT/encoder`` (weights and configuration).
    """
    from equirgz.backbones import save_encoder
    from equirgz.grid.embedding import preprocessing_facts
    from equirgz.grid.run.cell import finish_run
    from equirgz.grid.run.prepare import prepare_run
    from equirgz.grid.run.training import TrainOptions
    from equirgz.provenance import collect_provenance
    from equirgz.train.loggers import make_loggers

    out = as_path(out)
    make_loggers(loggers, out)  # says what is not installed before anything is written
    _claim(out, config)
    how = TrainOptions(
        out / "work", device, progress=True, processes=processes, accumulate=accumulate, loggers=tuple(loggers)
    )
    run = prepare_run(config, data_dir, device=device)
    result = finish_run(run, how, grid="train")
    if result is None:
        return []
    preprocessing = preprocessing_facts(config.data, data_dir)
    save_encoder(run.backbone.cpu(), out / "encoder", preprocessing=preprocessing, trained=config.train.steps > 0)
    write_json_atomic(
        out / "run.json",
        {
            "run_key": config.run_key(),
            "config": config.model_dump(mode="json"),
            "status": "done",
            "provenance": collect_provenance(device),
            **result,
        },
    )
    shown = (*run.task.shown, "calibration/ece_perfect", "equivariance/relative_l2")
    lines = [_format(row) for row in result["rows"] if row["metric"] in shown]
    return [*lines, f"run {out / 'run.json'}", f"encoder {out / 'encoder'}"]


def _claim(out: Path, config: RunConfig) -> None:
    """Write ``OUT/config.json``; raise ResultsError where it holds the configuration of another run."""
    file, fields = out / "config.json", config.model_dump(mode="json")
    if file.exists() and read_json(file) != fields:
        expected, mend = f"a new folder, or one of run {config.run_key()}", "choose another --out, or delete it"
        raise ResultsError(str(out), expected=expected, got="one of another configuration", mend=mend)
    write_json_atomic(file, fields)


def _format(row: dict[str, Any]) -> str:
    angle = "" if row["angle_deg"] is None else f" at {row['angle_deg']:g} degrees"
    return f"{row['split']:16s} {row['readout']:13s} {row['metric']}{angle}: {format_value(row, 4)} (n={row['n']})"


def embed_images(
    encoder: Path,
    images: str,
    output: Path,
    data_dir: Path | None = None,
    *,
    device: str = "cpu",
    options: dict[str, Any] | None = None,
) -> tuple[int, int, dict[str, str]]:
    """Write source id, label, split and features of every image; return (sources, features, bad files).

    ``images`` is a folder, a container or a registered dataset (see :func:`equirgz.grid.embedding.embed_input`).
    ``options`` are of the reader, or of the dataset. ``output`` ends in .csv or .npz; bad files of a folder are listed
    beside it, in ``NAME_bad.txt``.
    """
    from equirgz.grid.embedding import embed_input

    output = as_path(output)
    if output.suffix.lower() not in (".csv", ".npz"):
        raise InputError(f"--output: expected a name that ends in .csv or .npz, got {output.name!r}")
    bad_list = output.with_name(f"{output.stem}_bad.txt")
    found = embed_input(encoder, images, data_dir, device=device, bad_list=bad_list, options=options)
    found.table.save(output)
    return (*found.table.feature_NF.shape, found.bad_files)
