"""Field types: representations against the group law, texts that read back, the action on tensors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.errors import InputError
from equirgz.geometry.action import apply_element, apply_element_to_fields, apply_element_to_maps
from equirgz.geometry.field_type import FieldType, check_field_type
from equirgz.geometry.group import get_group
from equirgz.geometry.representation import Representation
from tests.field_types import GROUPS, field_types, kinds_of

few = settings(max_examples=25, deadline=None)
any_type = st.sampled_from(GROUPS).flatmap(field_types)


@pytest.mark.parametrize("name", GROUPS)
def test_every_representation_keeps_products_and_lengths(name):
    """rho(g h) = rho(g) rho(h), rho(g) orthogonal; permuting ones are permutations."""
    group = get_group(name)
    for kind in kinds_of(group):
        representation = Representation(group, kind)
        rho_GDD = representation.matrix_GDD
        assert rho_GDD.shape == (group.order, representation.size, representation.size)
        product_GGDD = np.einsum("gij,hjk->ghik", rho_GDD, rho_GDD)
        np.testing.assert_allclose(product_GGDD, rho_GDD[group.product_GG], atol=1e-12)
        square_GDD = rho_GDD @ rho_GDD.transpose(0, 2, 1)
        identity_GDD = np.broadcast_to(np.eye(representation.size), square_GDD.shape)
        np.testing.assert_allclose(square_GDD, identity_GDD, atol=1e-12)
        if representation.permutes:
            assert set(np.unique(rho_GDD)) <= {0.0, 1.0}
            assert np.array_equal(rho_GDD[0], np.eye(representation.size))


@pytest.mark.parametrize("name", GROUPS)
def test_irreducible_fields_are_irreducible_different_and_complete(name):
    """Characters: <chi, chi> is 1 (2 for a pair of conjugate ones of C_N), different ones are orthogonal,
    and the regular field holds each as often as its size over that number."""
    group = get_group(name)
    irreps = {r.name: r for r in (Representation(group, k) for k in kinds_of(group) if "irrep" in k)}
    chi = {name: np.trace(r.matrix_GDD, axis1=1, axis2=2) for name, r in irreps.items()}
    norm = {name: np.mean(chi[name] ** 2) for name in chi}
    for one in chi:
        assert norm[one] == pytest.approx(2.0 if irreps[one].size == 2 and not group.reflects else 1.0)
        for other in chi:
            assert one == other or np.mean(chi[one] * chi[other]) == pytest.approx(0.0, abs=1e-12)
    assert sum(r.size**2 / norm[n] for n, r in irreps.items()) == pytest.approx(group.order)


def test_known_matrices():
    d4 = get_group("D4")
    np.testing.assert_array_equal(Representation(d4, "vector").matrix_GDD, np.round(d4.matrix_G22))
    assert Representation(d4, "irrep(0-)").matrix_GDD.ravel().tolist() == [1] * 4 + [-1] * 4
    assert Representation(d4, "irrep(2)").matrix_GDD.ravel().tolist() == [1, -1, 1, -1] * 2
    assert Representation(d4, "irrep(2-)").matrix_GDD.ravel().tolist() == [1, -1, 1, -1, -1, 1, -1, 1]
    assert Representation(d4, "quotient(C2)").cosets == ((0, 2), (1, 3), (4, 6), (5, 7))
    assert Representation(d4, "quotient(D1)").size == 4


@few
@given(any_type)
def test_texts_read_back_and_values_are_values(a):
    assert FieldType.parse(str(a)) == a == eval(repr(a))
    assert hash(FieldType.parse(str(a))) == hash(a) and {a: 1}[FieldType(a.group.name, a.fields)] == 1
    assert copy.deepcopy(a) is a and pickle.loads(pickle.dumps(a)) == a
    assert a.size == len(a.field_of_channel_C) == sum(part.size for part in a.parts)
    assert a.count == a.field_of_channel_C[-1] + 1


@few
@given(st.data())
def test_direct_sums(data):
    group = data.draw(st.sampled_from(GROUPS))
    a, b = data.draw(field_types(group)), data.draw(field_types(group))
    assert (a + b).size == a.size + b.size and (a + b).count == a.count + b.count
    assert a + a == 2 * a == a * 2
    g = data.draw(st.integers(0, a.group.order - 1))
    matrix_CC = (a + b).matrix_CC(g)
    np.testing.assert_array_equal(matrix_CC[: a.size, : a.size], a.matrix_CC(g))
    np.testing.assert_array_equal(matrix_CC[a.size :, a.size :], b.matrix_CC(g))
    assert not matrix_CC[: a.size, a.size :].any()


@few
@given(st.data())
def test_the_action_on_tensors_is_turning_and_mixing_and_a_group_law(data):
    a = data.draw(any_type)
    lattice = [g for g in range(a.group.order) if a.group.is_lattice(g)]
    g, h = data.draw(st.sampled_from(lattice)), data.draw(st.sampled_from(lattice))
    x_BCHW = torch.randn(1, a.size, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    acted = apply_element_to_fields(x_BCHW, a, g)
    mixed = torch.einsum("cd,bdhw->bchw", torch.from_numpy(a.matrix_CC(g)), apply_element(x_BCHW, a.group, g))
    torch.testing.assert_close(acted, mixed, rtol=0, atol=1e-13)
    twice = apply_element_to_fields(apply_element_to_fields(x_BCHW, a, h), a, g)
    both = apply_element_to_fields(x_BCHW, a, int(a.group.product_GG[g, h]))
    torch.testing.assert_close(twice, both, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", GROUPS)
def test_regular_fields_act_as_regular_maps(name):
    group = get_group(name)
    x_BFGHW = torch.randn(1, 2, group.order, 5, 5)
    for g in range(group.order):
        acted = apply_element_to_fields(x_BFGHW.flatten(1, 2), FieldType.regular(group, 2), g)
        assert torch.equal(acted, apply_element_to_maps(x_BFGHW, group, g).flatten(1, 2))


def test_a_gradient_is_a_vector_field():
    """Central differences (column, row up) of a turned image are the turned differences."""
    group, vector = get_group("D4"), FieldType("D4", "vector")
    x_BCHW = torch.randn(1, 1, 9, 9, dtype=torch.float64)

    def gradient(image):
        padded = torch.nn.functional.pad(image, (1, 1, 1, 1))
        right = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
        up = padded[..., :-2, 1:-1] - padded[..., 2:, 1:-1]
        return torch.cat([right, up], 1)

    for g in range(group.order):
        turned = gradient(apply_element(x_BCHW, group, g))
        torch.testing.assert_close(turned, apply_element_to_fields(gradient(x_BCHW), vector, g), rtol=0, atol=1e-13)


def test_equal_types_are_written_in_one_way():
    assert FieldType("D4", "2 regular+regular +  irrep(0)") == FieldType("D4", "3 regular + 1 trivial")
    assert str(FieldType("D4", "irrep(1) + quotient(C1) + quotient(D4)")) == "D4: 1 vector + 1 regular + 1 trivial"
    assert FieldType("C1", "3 regular") == FieldType("C1", "3 trivial")
    assert FieldType("C1", "3 regular").is_regular and FieldType("C1", "3 regular").is_trivial
    assert not FieldType("D4", "regular + trivial").is_regular


@pytest.mark.parametrize(
    ("group", "fields", "message"),
    [
        ("D4", "8 regulr", "unknown 'regulr'; did you mean 'regular'"),
        ("D4", "0 regular", "expected counts and kinds, such as '8 regular .* got '0 regular'"),
        ("D4", "", "expected counts and kinds"),
        ("D4", "8 regular 2 trivial", "D4: unknown|expected counts and kinds"),
        ("D4", "irrep(3)", "expected a frequency of 0 to 2, got 3; use irrep"),
        ("C4", "irrep(0-)", "'-' only where cos and sin do not mix"),
        ("D4", "irrep(1-)", "'-' only where cos and sin do not mix"),
        ("D4", "quotient(C3)", "a subgroup of D4: C_M or D_M with M a divisor of 4, got C3"),
        ("C4", "quotient(D2)", "a subgroup of C4: C_M with M a divisor"),
        ("Q4", "regular", "group: expected C or D"),
    ],
)
def test_bad_types_get_one_line(group, fields, message):
    with pytest.raises(InputError, match=message) as caught:
        FieldType(group, fields)
    assert "\n" not in str(caught.value)


def test_mismatches_name_both_types():
    a, b = FieldType("D4", "2 regular"), FieldType("C4", "2 regular")
    with pytest.raises(InputError, match=r"expected D4: 2 regular, got C4: 2 regular"):
        check_field_type("layer", b, a)
    with pytest.raises(InputError, match=r"fields of D4 \(D4: 2 regular\), got C4: 2 regular"):
        a + b
    with pytest.raises(InputError, match=r"expected \(B, 16, H, W\) for D4: 2 regular"):
        apply_element_to_fields(torch.zeros(1, 8, 5, 5), a, 0)
    with pytest.raises(InputError, match="GROUP: FIELDS"):
        FieldType.parse("8 regular")
