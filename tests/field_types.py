"""Hypothesis strategies for groups and field types."""

from __future__ import annotations

from hypothesis import strategies as st

from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group

regular, trivial = FieldType.regular, FieldType.trivial

GROUPS = ("C1", "C2", "C3", "C4", "C6", "C8", "D1", "D2", "D3", "D4", "D6")


def kinds_of(group: Group) -> list[str]:
    """Return every kind of field of ``group``, quotients by each subgroup of a divisor among them."""
    n = group.n_rotations
    kinds = ["trivial", "regular", "vector", *(f"irrep({k})" for k in range(n // 2 + 1))]
    divisors = [m for m in range(1, n + 1) if n % m == 0]
    kinds += [f"quotient(C{m})" for m in divisors]
    if group.reflects:
        kinds += [f"quotient(D{m})" for m in divisors]
        kinds += [f"irrep({k}-)" for k in range(n // 2 + 1) if 2 * k % n == 0]
    return kinds


def field_types(group: Group | str, permuting: bool = False, parts: int = 3) -> st.SearchStrategy[FieldType]:
    """Draw types of one to ``parts`` kinds; ``permuting``: only those that let ReLU through."""
    group = get_group(group)
    kinds = [k for k in kinds_of(group) if not permuting or FieldType(group, k).permutes]
    part = st.builds("{} {}".format, st.integers(1, 2), st.sampled_from(kinds))
    return st.lists(part, min_size=1, max_size=parts).map(lambda words: FieldType(group, " + ".join(words)))
