"""The Fourier transform of regular fields: orthogonal, and every element acts on one irrep at a time."""

import numpy as np
import pytest

from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import get_group
from equirgz.geometry.transform import irreps_of, regular_transform

GROUPS = ["C1", "C2", "C3", "C4", "C5", "C8", "D1", "D2", "D3", "D4", "D5", "D8"]


@pytest.mark.parametrize("name", GROUPS)
def test_orthogonal_and_block_diagonal(name):
    group = get_group(name)
    transform = regular_transform(group)
    q_IG, row_I = transform.matrix_IG, transform.irrep_of_row_I
    np.testing.assert_allclose(q_IG @ q_IG.T, np.eye(group.order), atol=1e-15 * group.order)
    np.testing.assert_allclose(q_IG[0], group.order**-0.5)
    apart_II = row_I[:, None] != row_I[None]
    for g in range(group.order):
        acted_II = q_IG @ FieldType.regular(group, 1).matrix_CC(g) @ q_IG.T
        assert np.abs(acted_II[apart_II]).max(initial=0.0) < 1e-14


@pytest.mark.parametrize("name", GROUPS)
def test_counts_are_those_of_the_theory(name):
    """Squares of dimensions of complex irreps sum to |G|: a plane of C_N is two complex lines."""
    group = get_group(name)
    transform = regular_transform(group)
    assert len(irreps_of(group)) == transform.lines + transform.planes
    assert transform.lines + 2 * transform.copies * transform.planes == group.order


@pytest.mark.parametrize(("name", "products"), [("C1", 1), ("D4", 12), ("C8", 14), ("D8", 28)])
def test_products(name, products):
    assert regular_transform(get_group(name)).products == products
