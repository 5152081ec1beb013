"""Filters between irreps, vectors, regular and trivial fields: those of escnn, neither more nor fewer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz.backbones.reference import load_engine
from equirgz.geometry.field_type import FieldType
from equirgz.nn import FieldConv2d


def fibre_change(library_GDD: np.ndarray, ours_GDD: np.ndarray) -> np.ndarray:
    """Return the orthogonal Q with library(g) = Q ours(g) Q^T."""
    draw_DD = np.random.default_rng(0).standard_normal(ours_GDD.shape[1:])
    mean_DD = np.mean([a @ draw_DD @ b.T for a, b in zip(library_GDD, ours_GDD, strict=True)], 0)
    left_DD, _, right_DD = np.linalg.svd(mean_DD)
    change_DD = left_DD @ right_DD
    np.testing.assert_allclose(change_DD @ ours_GDD @ change_DD.T, library_GDD, atol=1e-6)
    return change_DD


def library_kind(space, kind: str):
    """Return escnn's representation for one kind of ours, by its own numbering of irreps."""
    if kind in ("regular", "trivial"):
        return space.regular_repr if kind == "regular" else space.trivial_repr
    flips = "flip" in space.name.lower() or space.fibergroup.name.startswith("D")
    name = "irrep(1)" if kind == "vector" else kind
    k, odd = int(name.strip("irep()-")), "-" in name
    if not flips:
        return space.irrep(k)
    return space.irrep(0 if (k == 0 and not odd) else 1, k) if k == 0 or k * 2 < space.fibergroup.order() // 2 else None


@pytest.mark.parametrize(
    ("group", "in_kinds", "out_kinds"),
    [
        ("C4", ["vector", "regular"], ["vector", "trivial"]),
        ("C8", ["vector", "irrep(2)"], ["irrep(3)", "regular"]),
        ("D4", ["vector", "trivial"], ["regular", "vector"]),
        ("D6", ["irrep(2)", "irrep(0-)"], ["vector", "irrep(2)"]),
    ],
)
def test_mixed_filters_span_those_of_escnn(group, in_kinds, out_kinds) -> None:
    engine = load_engine("escnn")
    in_type, out_type = (FieldType(group, " + ".join(kinds)) for kinds in (in_kinds, out_kinds))
    space = engine.gspace(in_type.group)
    elements = list(space.fibergroup.elements)
    theirs = [[library_kind(space, kind) for kind in kinds] for kinds in (in_kinds, out_kinds)]
    conv = engine.nn.R2Conv(*(engine.nn.FieldType(space, kinds) for kinds in theirs), kernel_size=5, bias=False)
    changes = []
    for ours, kinds in ((in_type, theirs[0]), (out_type, theirs[1])):
        blocks = [
            fibre_change(np.stack([kind(g) for g in elements]), part.representation.matrix_GDD)
            for part, kind in zip(ours.parts, kinds, strict=True)
        ]
        change_CC = np.zeros((ours.size, ours.size))
        for part, block_DD in zip(ours.parts, blocks, strict=True):
            change_CC[part.channels, part.channels] = block_DD
        changes.append(torch.from_numpy(change_CC))
    native = FieldConv2d(in_type, out_type, 5).double()
    assert sum(block.weight.numel() for row in native.rows for block in row) == conv.weights.numel()
    bank, _ = conv.double().expand_parameters()  # equal layers of a process share one basis, of any dtype
    in_CC, out_CC = changes
    ours = torch.einsum("dc,dehw,ef->cfhw", out_CC, bank.detach(), in_CC)
    columns = []
    for weight in native.parameters():
        flat = weight.data.view(-1)
        for i in range(len(flat)):
            for other in native.parameters():
                other.data.zero_()
            flat[i] = 1.0
            columns.append(native.expand().detach().flatten())
    span = torch.stack(columns, 1)
    solution = torch.linalg.lstsq(span, ours.flatten()[:, None]).solution
    residual = (span @ solution)[:, 0] - ours.flatten()
    assert float(residual.norm() / ours.norm()) < 1e-5
