"""What is left of features at several guidances, beside the features themselves and a flow told a shuffled class.

Legend: N held-out sources, F features, P latents.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from equirgz.evaluate.anomaly import compute_anomaly
from equirgz.metrics.uncertainty.out_of_distribution import auroc
from equirgz.residual.flow import ResidualFlow
from equirgz.residual.readings import PROBES, read_off

GUIDANCES = (0.0, 0.5, 1.0)
HOWS = ("latents", *(f"told_{w:g}" for w in GUIDANCES), "shuffled_1")
BATCH, EPOCHS = 256, 340  # of the flow: how often it sees each source it is fitted on
ODE_STEPS = 25  # of the midpoint rule; round trips say whether they are enough
Sources = tuple[np.ndarray, np.ndarray]  # features (N, F) and the class (N,)


@dataclass(frozen=True)
class Left:
    """Held-out sources as ``z_NP``, one of ``HOWS``; ``round_trip`` as of ResidualFlow, NaN of the latents."""

    how: str
    z_NP: np.ndarray
    round_trip: float = math.nan


def leave_class_out(fitted: Sources, held: Sources, n_components: int = 16, seed: int = 0) -> Iterator[Left]:
    """Yield the held-out sources once for each of ``HOWS``.

    ``latents`` are the ``n_components`` leading principal components (or as many as there are), of variance 1;
    ``told_W`` their residuals under guidance W, of a flow told the class; ``shuffled_1`` those of one told another
    order of the classes: the control, which may take nothing away. Flow and components are fitted on ``fitted`` alone.
    Features that do not vary are left out. Raises InputError as :class:`~equirgz.residual.flow.ResidualFlow`.
    """
    varies_F = fitted[0].std(0) > 1e-6
    fitted, held = ((feature_NF[:, varies_F], class_N) for feature_NF, class_N in (fitted, held))
    n, n_features = fitted[0].shape
    components = min(n_components, n_features, n - 1)
    for told in (True, False):
        classes = [class_N if told else shuffle(class_N, seed + 1 + i) for i, (_, class_N) in enumerate((fitted, held))]
        steps = math.ceil(EPOCHS * n / BATCH)
        flow = ResidualFlow(components, steps=steps, batch_size=BATCH, ode_steps=ODE_STEPS, random_state=seed)
        flow.fit(fitted[0], {"class": classes[0]})
        if told:
            yield Left("latents", flow.pca_.transform(held[0]) / flow.scale_P)
        for w in GUIDANCES if told else (1.0,):
            known = held[0], {"class": classes[1]}, w
            yield Left(f"{'told' if told else 'shuffled'}_{w:g}", flow.transform(*known), flow.round_trip(*known))


def shuffle(value_N: np.ndarray, seed: int) -> np.ndarray:
    """Return the values in another order."""
    return np.random.default_rng(seed).permutation(value_N)


def measure_left(left: Left, columns: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return what probes read off, ``KIND_PROBE/COLUMN/HOW``, beside ``chance/COLUMN``, and ``round_trip/HOW``.

    Texts and integers are classes, ``accuracy``; numbers ``r2``, both out of fold (:func:`read_off`). Booleans say who
    is strange: ``anomaly_auroc`` is how well an isolation forest finds them, chance 1/2; left out where all are alike.
    """
    found = {} if left.how == "latents" else {f"round_trip/{left.how}": left.round_trip}
    for name, value_N in columns.items():
        if value_N.dtype.kind != "b":
            reading = read_off(left.z_NP, value_N)
            found |= {f"{reading.kind}_{probe}/{name}/{left.how}": getattr(reading, probe) for probe in PROBES}
            found[f"chance/{name}"] = reading.chance
        elif 0 < value_N.sum() < len(value_N):
            score_N = compute_anomaly(left.z_NP)
            found[f"anomaly_auroc/{name}/{left.how}"] = auroc(score_N[~value_N], score_N[value_N]).value
            found[f"chance/{name}"] = 0.5
    return found
