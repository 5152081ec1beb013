"""``equirgz selftest``: the path from simulated sources to an exported network, once, small, in a temporary folder.

The last step asks what comes with the package: every encoder and every model of ``equirgz classify``, with its card.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from equirgz.errors import EquirgzError, NumericalError, require
from equirgz.machine.requirements import find_version

SIZE, N_TRAIN, N_TEST, STEPS = 33, 48, 24, 10
TOLERANCE = 1e-4  # relative, of features that a saved or exported network gives


def run_selftest(device: str = "cpu") -> Iterator[tuple[str, str, str]]:
    """Yield (state, step, what came out) as each step ends; state is ok, none (not installed) or FAIL.

    After a FAIL no further step runs, since each needs the ones before it.
    """
    with tempfile.TemporaryDirectory(prefix="equirgz_selftest_") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the advice of libraries; what is wrong is raised
        steps = _Steps(Path(folder), device)
        for step in (
            steps.simulator,
            steps.training,
            steps.encoder,
            steps.audit,
            steps.export,
            steps.onnx,
            steps.shipped,
        ):
            try:
                state, text = step()
            except Exception as error:  # whatever a broken install raises is the answer asked for
                kind = "" if isinstance(error, EquirgzError) else f"{type(error).__name__}: "
                yield "FAIL", step.__name__, kind + " ".join(str(error).split())
                return
            yield state, step.__name__, text


class _Steps:
    def __init__(self, folder: Path, device: str) -> None:
        from equirgz.config import parse_run

        self.out, self.device = folder / "run", device
        self.config = parse_run(
            {
                "data": {
                    "name": "synthetic_fr",
                    "image_size": SIZE,
                    "params": {"n_train": N_TRAIN, "n_test": N_TEST},
                },
                "backbone": {"name": "steerable_lenet", "group": "D4", "width": 0.25},
                "train": {"steps": STEPS, "batch_size": 8},
                "evaluation": {"rotation_angles": 4},
            },
            "selftest",
        )

    def simulator(self) -> tuple[str, str]:
        from equirgz.data import load_data

        data = load_data(self.config.data)
        parts = [data.train, *data.tests.values()]
        counts = [len(part) for part in parts]
        require(counts == [N_TRAIN, N_TEST], "simulator", expected=[N_TRAIN, N_TEST], got=counts)
        return "ok", f"{counts[0]} + {counts[1]} sources of {len(data.train.class_names)} classes"

    def training(self) -> tuple[str, str]:
        from equirgz.grid.single import train_one
        from equirgz.records import read_json
        from equirgz.tasks import Classification

        train_one(self.config, self.out, device=self.device)
        rows = read_json(self.out / "run.json")["rows"]
        headline = Classification(("FRI", "FRII")).headline.metric
        error = [row["value"] for row in rows if row["metric"] == headline and row["split"] == "test"]
        require(bool(error) and error[0] is not None, "training", expected="an error rate", got=error)
        return "ok", f"{STEPS} steps on {self.device}, {len(rows)} rows"

    def encoder(self) -> tuple[str, str]:
        from equirgz.backbones import load_encoder

        self.network = load_encoder(self.out / "encoder").eval()
        return "ok", f"saved and loaded, {self.network.num_features} features"

    def audit(self) -> tuple[str, str]:
        from equirgz.evaluate.audit import audit

        report = audit(self.network, states=("initial",), precisions=("float32",), angles_deg=(), layers=False)
        require(report.passed, "audit", expected="an invariant network", got=report.lines()[-1], error=NumericalError)
        return "ok", f"invariant under {self.network.group}"

    def export(self) -> tuple[str, str]:
        from equirgz.backbones import to_plain

        self.plain = to_plain(self.network)
        difference = _compare(self.plain(self._images()), self.network(self._images()))
        return "ok", f"ordinary layers give the features, relative difference {difference:.0e}"

    def onnx(self) -> tuple[str, str]:
        missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_version(name) is None]
        if missing:
            return "none", f"without {', '.join(missing)}; pip install 'equirgz[onnx]'"
        import onnxruntime
        import torch

        from equirgz.backbones import export_onnx

        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which nothing here needs
        file = self.out / "encoder.onnx"
        export_onnx(self.plain, file)
        images = self._images()
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        features = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
        return "ok", f"onnxruntime gives the features, relative difference {_compare(features, self.plain(images)):.0e}"

    def shipped(self) -> tuple[str, str]:
        import numpy as np

        from equirgz.answers.classify_images import classify
        from equirgz.answers.source_model import SourceModel
        from equirgz.backbones import load_pretrained
        from equirgz.pretrained import find_classifier, list_classifiers, list_pretrained, read_card

        encoders, models = list_pretrained(), list_classifiers()
        require(bool(encoders and models), "weights", expected="encoders and models in the package", got="none")
        for name in encoders:
            load_pretrained(name)
            read_card(name)
        noise = np.random.default_rng(0).normal(size=(1, 150, 150))
        noise[:, 70:80, 72:78] += 100
        for name in models:
            require(find_classifier(name).with_suffix(".md").is_file(), name, expected="a card", got="none")
            sky = SourceModel.load(name).sky
            table = classify(noise, name, pixel_scale_arcsec=sky.pixel_scale_arcsec, beam_arcsec=sky.beam_arcsec)
            total = table.filter(regex="^p_").to_numpy(float).sum()
            require(abs(total - 1) < TOLERANCE, name, expected="probabilities", got=total, error=NumericalError)
        return "ok", f"{len(encoders)} encoders and {len(models)} models of `equirgz classify` answer"

    def _images(self) -> Any:
        import torch

        return torch.rand(3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def _compare(got: Any, expected: Any) -> float:
    """Return the relative L2 difference of two tensors; raise NumericalError where it is not small."""
    difference = float((got - expected).detach().norm() / expected.detach().norm())
    require(
        difference < TOLERANCE, "features", expected=f"a relative difference below {TOLERANCE:g}", got=difference,
        error=NumericalError,
    )  # fmt: skip
    return difference
