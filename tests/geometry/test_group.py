"""Groups: the tables against matrices, and refusals."""

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.geometry.group import get_group


@pytest.mark.parametrize("name", ["C1", "C3", "C4", "D1", "D3", "D8", "D16"])
def test_tables_agree_with_matrices(name):
    group = get_group(name)
    matrices = group.matrix_G22
    products = np.einsum("gij,hjk->ghik", matrices, matrices)
    np.testing.assert_allclose(products, matrices[group.product_GG], atol=1e-12)
    np.testing.assert_allclose(np.swapaxes(matrices, 1, 2), matrices[group.inverse_G], atol=1e-12)
    assert len(np.unique(np.round(matrices, 6), axis=0)) == group.order


@pytest.mark.parametrize("name", ["C1", "C2", "C4", "D1", "D2", "D4", "C8", "D8", "C6"])
def test_lattice_elements_have_whole_matrices(name):
    group = get_group(name)
    for g in range(group.order):
        whole = np.allclose(group.matrix_G22[g], np.round(group.matrix_G22[g]), atol=1e-9)
        assert group.is_lattice(g) == whole


@pytest.mark.parametrize("bad", ["D0", "E4", "4", "C", "c4", "C-1", "D 4", ""])
def test_refuses_what_is_no_group(bad):
    with pytest.raises(InputError, match="expected C or D and an order N >= 1"):
        get_group(bad)
