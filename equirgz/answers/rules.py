"""When nothing can be told of a source: one rule, stated in numbers, stored with the model and shown on its card.

Legend: N sources.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

#: the numbers of the rule, fixed before any test source was seen
RULE: dict[str, float] = {"min_beams": 1.0, "min_snr": 10.0, "max_unlike": 1.0, "min_probability": 0.65}
#: flag -> meaning; those of ``TELLING`` make an answer "cannot tell"
FLAGS = {
    "noise_only": "no pixel of the central half above 5 times the noise",
    "off_centre": "nothing above 5 times the noise within 27 arcsec of the centre",
    "missing_pixels": "NaN or exact zeros in more than 0.1 % of the field",
    "at_edge": "the source touches the edge of the image",
    "larger_than_window": "the source is larger than what the encoder sees of the field",
    "unresolved": "no larger than a point source as bright, but for less than the rule's number of beams",
    "faint": "the peak is below the rule's multiple of the noise",
    "unlike_anything_seen": "farther from all sources seen than 99 % of them are from each other",
    "undecided": "no class has the rule's probability",
    "rescaled": "resampled from another pixel scale",
    "smoothed": "smoothed to the beam of the encoder's survey",
}
TELLING = ("noise_only", "off_centre", "at_edge", "unresolved", "faint", "unlike_anything_seen", "undecided")


def apply_rule(
    rule: Mapping[str, float],
    *,
    beams_N: np.ndarray,
    snr_N: np.ndarray,
    unlike_N: np.ndarray,
    probability_N: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return which sources are ``unresolved``, ``faint``, ``unlike_anything_seen`` and ``undecided``, booleans (N,).

    ``beams_N`` is the size beyond that of a point source as bright, over the beam; ``snr_N`` the peak over the noise;
    ``unlike_N`` the distance from what was seen over its limit; ``probability_N`` that of the likeliest class. What is
    NaN is unknown and flags nothing.
    """
    return {
        "unresolved": beams_N < rule["min_beams"],
        "faint": snr_N < rule["min_snr"],
        "unlike_anything_seen": unlike_N > rule["max_unlike"],
        "undecided": probability_N < rule["min_probability"],
    }


def words_of(rule: Mapping[str, float]) -> str:
    """Return the rule as one sentence."""
    return (
        f"Nothing is told of a source that is less than {rule['min_beams']:g} beam larger than a point source as "
        f"bright, whose peak is below {rule['min_snr']:g} times the noise, that is farther from all sources seen than "
        f"{rule['max_unlike']:g} times what 99 % of them are from each other, that touches the edge of its image, that "
        "does not lie at its centre, or none of whose classes has a probability of "
        f"{rule['min_probability']:g}."
    )
