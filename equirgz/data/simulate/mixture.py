"""Which families a stream draws, how often, and what label each bears.

Legend: F families.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from equirgz.data.simulate.priors import CLASS_NAMES, Priors
from equirgz.errors import InputError, check_choice

Mixture = Mapping[str, float]
Labels = Mapping[str, Sequence[str]] | Sequence[str]


def family_shares(priors: Priors, name: str) -> np.ndarray:
    """Return the shares (F,) of the families that a name means, summing to 1: a family, or a class with its shares."""
    if name in priors.families:
        return (np.array(priors.families) == name).astype(float)
    check_choice("simulator mixture", name, (*CLASS_NAMES, *priors.families))
    of_class = priors.class_F == CLASS_NAMES.index(name)
    return np.where(of_class, priors.share_F, 0) / priors.share_F[of_class].sum()


def make_weights(priors: Priors, mixture: Mixture) -> np.ndarray:
    """Return the chance of every family (F,) from weights of classes and families; InputError for bad ones."""
    weight_F = np.zeros(len(priors.families))
    for name, weight in mixture.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 <= weight < np.inf:
            raise InputError(f"simulator mixture {name}", expected="a weight of zero or more", got=weight)
        weight_F += weight * family_shares(priors, name)
    if not weight_F.sum() > 0:
        raise InputError("simulator mixture", expected="a class or family of positive weight", got=dict(mixture))
    return weight_F / weight_F.sum()


def make_mixture(
    priors: Priors, mixture: Mixture | None = None, labels: Labels | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return the chance (F,) and the label (F,) of every family (-1: none), and the names of the labels.

    ``labels`` names classes, or maps a label to the classes and families that bear it:
    ``{"FRI": ["FRI", "bent"], "FRII": ["FRII"]}``. None: the classes of the mixture. ``mixture`` weighs classes and
    families; None: all labels alike, and all that bear one alike. Raises InputError for unknown names, a family with
    two labels, and a label that the mixture never draws.
    """
    if labels is None:
        drawn_F = make_weights(priors, dict.fromkeys(CLASS_NAMES, 1.0) if mixture is None else mixture) > 0
        labels = [name for k, name in enumerate(CLASS_NAMES) if drawn_F[priors.class_F == k].any()]
    if isinstance(labels, str):
        raise InputError("simulator labels", expected="a list of classes, or a mapping of labels to lists", got=labels)
    table = dict(labels) if isinstance(labels, Mapping) else {name: [name] for name in labels}
    if not table or len(table) < len(labels):
        raise InputError("simulator labels", expected="at least one label, each once", got=list(labels))
    label_F = np.full(len(priors.families), -1)
    equal: dict[str, float] = {}
    for label, (name, members) in enumerate(table.items()):
        if isinstance(members, str) or not members:
            raise InputError(f"simulator label {name}", expected="a list of classes and families", got=members)
        for member in members:
            has_F = family_shares(priors, member) > 0
            if (label_F[has_F] >= 0).any() or member in equal:
                raise InputError(f"simulator label {name}", expected="families with one label each", got=member)
            label_F[has_F] = label
            equal[member] = 1 / len(members)
    weight_F = make_weights(priors, equal if mixture is None else mixture)
    for label, name in enumerate(table):
        if not weight_F[label_F == label].sum() > 0:
            got = "a weight of 0"
            raise InputError(f"simulator label {name}", expected="a class that the mixture draws", got=got)
    return weight_F, label_F, tuple(table)
