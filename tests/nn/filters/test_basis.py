"""Filter bases: sizes, turning law, refusals."""

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.geometry.group import get_group
from equirgz.nn.filters.basis import FilterBasis


@pytest.mark.parametrize(("kernel", "count"), [(1, 1), (3, 6), (5, 11), (7, 18), (9, 31)])
def test_number_of_functions(kernel, count):
    basis = FilterBasis(kernel)
    assert len(basis) == count == np.linalg.matrix_rank(basis.values_KP)
    assert len(FilterBasis(kernel, "pixel")) == kernel**2


@pytest.mark.parametrize("kind", ["harmonic", "pixel"])
@pytest.mark.parametrize("name", ["C4", "D4", "D1", "D2"])
def test_turning_the_functions_turns_the_pixels(kind, name):
    """On lattice elements the action on coefficients is the action on pixels, exactly."""
    group, basis = get_group(name), FilterBasis(5, kind)
    turned_GKP = basis.turned_GKP(group)
    images_KHW = basis.values_KP.reshape(-1, 5, 5)
    for g in range(group.order):
        moved = images_KHW[:, :, ::-1] if group.is_reflection(g) else images_KHW
        moved = np.rot90(moved, round(group.angle_deg(g) / 90), (1, 2))
        np.testing.assert_allclose(turned_GKP[g], moved.reshape(len(basis), -1), atol=1e-12)


@pytest.mark.parametrize("name", ["C3", "C8", "D5", "D16"])
def test_action_is_a_representation(name):
    group = get_group(name)
    action = FilterBasis(7).action_GKK(group)
    products = np.einsum("gij,hjk->ghik", action, action)
    np.testing.assert_allclose(products, action[group.product_GG], atol=1e-12)


def test_no_angular_harmonic_at_the_centre():
    basis = FilterBasis(5)
    frequency_K = [m for _, m in basis.harmonics for _ in range(1 if m == 0 else 2)]
    centre_K = basis.values_KP[:, 12]
    assert all(centre_K[k] == 0 for k, m in enumerate(frequency_K) if m > 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4,), "odd number.*use 3 or 5"),
        ((0,), "odd number"),
        ((5, "wavelet"), "'harmonic' or 'pixel'"),
        ((5, "harmonic", (0, 2)), "3 rings"),
        ((5, "harmonic", (0, 3, 2)), "ring 1.*at most 2.*alias"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(InputError, match=message):
        FilterBasis(*arguments)


def test_pixel_basis_needs_a_lattice_group():
    with pytest.raises(InputError, match="N = 1, 2, 4.*harmonic"):
        FilterBasis(3, "pixel").action_GKK(get_group("C8"))
