"""From a training to the two files of a shipped encoder."""

from __future__ import annotations

from pathlib import Path

from equirgz.backbones import load_encoder, measure_cost
from equirgz.backbones.storage import FORMAT, write_files
from equirgz.config import RunConfig
from equirgz.grid.single import train_one
from equirgz.pretrained import WEIGHTS
from equirgz.provenance import package_versions
from equirgz.records import read_json


def publish(name: str, config: RunConfig, out: Path | None) -> Path:
    """Train the run in ``runs/encoders/NAME-KEY``, write NAME.safetensors and NAME.json; return their folder.

    Parameters are kept in half precision; the few buffers of batch norm stay float32, and so does what loads them.
    """
    work, folder = Path("runs") / "encoders" / f"{name}-{config.run_key()}", out or WEIGHTS
    if not (work / "run.json").exists():
        for line in train_one(config, work):
            print(line)
    encoder, run = load_encoder(work), read_json(work / "run.json")
    kept = ("metric", "value", "unit", "n")
    facts = {
        **encoder.facts,
        "summary": f"simulated {config.data.params['survey']} sources: classes and physical parameters",
        "parameters": measure_cost(encoder)["parameters"],
        "run_key": run["run_key"],
        "version": run["rows"][0]["version"],
        "packages": package_versions(),
        "simulated": [
            {key: row[key] for key in kept}
            for row in run["rows"]
            if row["split"] == "test" and row["readout"] == "network" and row["angle_deg"] is None
        ],
    }
    parameters = {key for key, _ in encoder.named_parameters()}
    weights = {key: t.half() if key in parameters else t for key, t in encoder.state_dict().items()}
    write_files(folder / name, FORMAT, {"backbone": encoder.config, "facts": facts}, weights, what=name)
    return folder
