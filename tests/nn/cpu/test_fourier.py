"""The factored group convolution against the expanded one, and the choice between them."""

import copy
import pickle

import pytest
import torch

from equirgz.errors import InputError
from equirgz.geometry.action import apply_element_to_maps
from equirgz.geometry.group import get_group
from equirgz.kernels import load_kernels
from equirgz.nn import GroupConv2d
from equirgz.nn.cpu.fourier import fourier_conv2d
from equirgz.nn.cpu.fourier_plan import make_plan
from equirgz.nn.cpu.path_choice import dense_ns, fourier_ns, prefers_fourier
from equirgz.nn.filters.basis import FilterBasis
from tests.field_types import regular, trivial

LIMIT = {torch.float64: 1e-10, torch.float32: 1e-5}


def noise(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def relative(value, expected):
    return float((value - expected).detach().norm() / expected.detach().norm())


def both_ways(conv, x_BCHW):
    """Outputs, input and weight gradients of one random projection, factored and expanded."""
    found = []
    for path in ("fourier", "dense"):
        conv.path = path
        x = x_BCHW.clone().requires_grad_()
        y = conv(x)
        probe = noise(*y.shape, dtype=y.dtype, seed=1)
        found.append((y, *torch.autograd.grad((y * probe).sum(), [x, *conv.parameters()])))
    return zip(*found, strict=True)


@pytest.mark.parametrize("name", ["C4", "C6", "C8", "C16", "D4", "D6", "D8", "D16"])
@pytest.mark.parametrize(
    ("kernel", "padding", "stride", "size"),
    [(3, 0, 1, 9), (3, 1, 2, 9), (5, 1, 1, 10), (5, 2, 2, 11), (5, 0, 1, 6), (7, 2, 1, 9), (7, 3, 2, 8)],
)
def test_equal_to_the_expanded_convolution(name, kernel, padding, stride, size):
    conv = GroupConv2d(regular(name, 2), regular(name, 3), kernel, padding=padding, stride=stride, bias=True)
    conv.double()
    torch.nn.init.normal_(conv.bias)
    for value, expected in both_ways(conv, noise(3, 2 * conv.group.order, size, size + 1)):
        assert relative(value, expected) < LIMIT[torch.float64]


@pytest.mark.parametrize("dtype", LIMIT, ids=str)
def test_equal_for_d32_in_both_precisions(dtype):
    conv = GroupConv2d(regular("D32", 1), regular("D32", 2), 5).to(dtype)
    for value, expected in both_ways(conv, noise(2, 64, 9, 9, dtype=dtype)):
        assert relative(value, expected) < LIMIT[dtype]


def test_slabs_of_rows_and_chunks_of_images_add_up(monkeypatch):
    conv = GroupConv2d(regular("D4", 2), regular("D4", 2), 5).double()
    x = noise(5, 16, 12, 9)
    whole = [value for value, _ in both_ways(conv, x)]
    n_bytes_per_row = 16 * 25 * 8 * (9 + 4)
    for rows in (1, 5, 30):  # rows of one image, rows that do not divide it, several images
        monkeypatch.setattr("equirgz.nn.cpu.slabs._SLAB_BYTES", rows * n_bytes_per_row)
        for (value, expected), before in zip(both_ways(conv, x), whole, strict=True):
            assert relative(value, expected) < 1e-10 and relative(value, before) < 1e-10


@pytest.mark.parametrize("name", ["C8", "D8", "D16"])
@pytest.mark.parametrize("stride", [1, 2])
def test_commutes_with_the_group(name, stride):
    group = get_group(name)
    conv = GroupConv2d(regular(group, 2), regular(group, 2), 5, stride=stride).double()
    conv.path = "fourier"
    x_BFGHW = noise(1, 2, group.order, 9, 9)
    y = conv(x_BFGHW.flatten(1, 2)).unflatten(1, (-1, group.order))
    for g in (g for g in range(group.order) if group.is_lattice(g)):
        turned = conv(apply_element_to_maps(x_BFGHW, group, g).flatten(1, 2)).unflatten(1, (-1, group.order))
        torch.testing.assert_close(turned, apply_element_to_maps(y, group, g), rtol=0, atol=1e-12)


def test_gradients_against_finite_differences():
    group, basis = get_group("D4"), FilterBasis(3)
    x, weight = noise(1, 8, 4, 4).requires_grad_(), noise(1, 1, 8, 6, seed=2).requires_grad_()
    torch.autograd.gradcheck(lambda x, w: fourier_conv2d(x, w, group, basis, 1, 1), (x, weight), fast_mode=True)


def test_only_what_needs_a_gradient_gets_one():
    conv = GroupConv2d(regular("C8", 1), regular("C8", 1), 3).double()
    conv.path = "fourier"
    conv(noise(1, 8, 5, 5)).sum().backward()
    alone = conv.weight.grad.clone()
    x = noise(1, 8, 5, 5).requires_grad_()
    conv.weight.grad = None
    conv(x).sum().backward()
    torch.testing.assert_close(conv.weight.grad, alone)
    with_weight, x.grad = x.grad.clone(), None
    conv.weight.requires_grad_(False)
    for _ in range(2):  # two passes through a frozen layer, into one buffer
        conv(x).sum().backward()
    torch.testing.assert_close(x.grad, 2 * with_weight)


def test_copies_and_weights_are_never_stale():
    conv = GroupConv2d(regular("D8", 1), regular("D8", 2), 5).double().eval()
    conv.path = "fourier"
    x = noise(1, 16, 7, 7)
    before = conv(x)
    twin, loaded = copy.deepcopy(conv), pickle.loads(pickle.dumps(conv))
    with torch.no_grad():
        conv.weight.mul_(2.0)
    torch.testing.assert_close(conv(x), 2 * before)
    assert torch.equal(twin(x), before) and torch.equal(loaded(x), before)
    assert set(conv.state_dict()) == {"weight"}


def test_a_batch_is_its_images_and_calls_repeat_exactly():
    conv = GroupConv2d(regular("D8", 2), regular("D8", 2), 5)
    conv.path = "fourier"
    x = noise(4, 32, 9, 9, dtype=torch.float32)
    together = conv(x)
    assert torch.equal(together, conv(x))
    torch.testing.assert_close(together, torch.cat([conv(image[None]) for image in x]), rtol=0, atol=1e-5)


def test_nan_spreads_over_its_window_only():
    conv = GroupConv2d(regular("D8", 1), regular("D8", 1), 5)
    x = torch.zeros(2, 16, 11, 11)
    x[0, 3, 5, 5] = torch.nan
    for conv.path in ("dense", "fourier"):
        y = conv(x)
        assert y[0, :, 3:8, 3:8].isnan().all() and y.isnan().sum() == 16 * 25


def test_the_choice_depends_on_layer_and_map_alone():
    conv = GroupConv2d(regular("D16", 6), regular("D16", 16), 5)
    small = GroupConv2d(regular("C4", 2), regular("C4", 2), 3)
    x = torch.zeros(1, 192, 72, 72)
    assert conv.uses_fourier(x) and conv.uses_fourier(x.expand(3, -1, -1, -1))
    assert not small.uses_fourier(torch.zeros(1, 8, 72, 72))
    assert not GroupConv2d(trivial("D16", 1), regular("D16", 6), 5).uses_fourier(torch.zeros(1, 1, 72, 72))
    assert not conv.uses_fourier(x.bfloat16()) and not conv.uses_fourier(torch.zeros(0, 192, 9, 9))
    middle, x_middle = GroupConv2d(regular("D4", 6), regular("D4", 16), 5), torch.zeros(1, 48, 72, 72)
    if load_kernels() is not None:
        assert middle.uses_fourier(x_middle)
    with torch.autocast("cpu"):  # sooner than the expanded way in float32, not than that in bfloat16
        assert conv.uses_fourier(x) and conv.uses_fourier(x.bfloat16()) and not middle.uses_fourier(x_middle)
        assert not conv.to(torch.bfloat16).uses_fourier(x.bfloat16())
    conv.float().path = "dense"
    assert not conv.uses_fourier(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_autocast_rounds_nothing_of_the_factored_way(dtype):
    conv = GroupConv2d(regular("D8", 1), regular("D8", 2), 3, bias=True).to(dtype)
    conv.path, x, found = "fourier", noise(1, 16, 7, 7, dtype=dtype), []
    for forwards, backwards in ((False, False), (True, False), (True, True)):
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=forwards):
            y = conv(leaf)
        with torch.autocast("cpu", torch.bfloat16, enabled=backwards):
            found.append((y, *torch.autograd.grad(y.square().sum(), leaf)))
    for y, grad in found[1:]:
        assert torch.equal(y, found[0][0]) and torch.equal(grad, found[0][1])
    with torch.autocast("cpu", torch.bfloat16):
        y_half = conv(x.bfloat16()) if dtype == torch.float32 else y
        conv.path = "dense"
        y_dense = conv(x)
    assert y_half.dtype == dtype and relative(y_half, found[0][0]) < 2**-7
    assert (y_dense.dtype == torch.bfloat16) == (dtype == torch.float32)  # what autocast rounds where it can


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_exports_hold_ordinary_operators_only():
    conv = GroupConv2d(regular("D8", 1), regular("D8", 1), 3)
    conv.path = "fourier"
    x = noise(1, 16, 5, 5, dtype=torch.float32)
    traced = torch.jit.trace(conv, x)
    assert "PythonOp" not in str(traced.graph) and "_convolution" in str(traced.inlined_graph)
    program = torch.export.export(conv, (x,))
    names = {str(node.target) for node in program.graph.nodes}
    assert any("conv2d" in name for name in names)
    torch.testing.assert_close(program.module()(x), conv(x), rtol=1e-5, atol=1e-5)
    per_sample = torch.func.vmap(torch.func.grad(lambda x: conv(x[None]).sum()))(x.expand(2, -1, -1, -1))
    assert per_sample.shape == (2, 16, 5, 5)


def test_impossible_paths_are_refused():
    for conv in (
        GroupConv2d(regular("C3", 1), regular("C3", 1), 3),
        GroupConv2d(regular("C4", 1), regular("C4", 1), 3, basis="pixel"),
    ):
        x = torch.zeros(1, conv.group.order, 5, 5)
        conv(x)
        conv.path = "fourier"
        with pytest.raises(InputError, match="even number of rotations"):
            conv(x)
    conv.path = "fast"
    with pytest.raises(InputError, match="path"):
        conv(x)


@pytest.mark.parametrize("prefix", ["C", "D"])
def test_harmonics_couple_only_near_components(prefix):
    """The plan's multiplications per pixel grow with |G|, the expanded ones with |G|^2; reflections halve them."""
    counts = {}
    for n in (8, 16, 32):
        plan = make_plan(get_group(f"{prefix}{n}"), FilterBasis(3))
        counts[n] = plan.weights[..., 0].size * (2 if prefix == "D" else 1)
        made = {(c.out + i, c.part, k) for c in plan.combinations if not c.edge for i in range(c.count)
                for k in range(c.first, c.last)}  # fmt: skip
        assert len(made) == (n // 2 - 1) * 2 * plan.weights.shape[3]
    assert counts[32] - counts[16] == 2 * (counts[16] - counts[8])
    expanded = 32 * 32 * (4 if prefix == "D" else 1)
    assert counts[32] < expanded


def test_cost_model_follows_its_formula():
    group = get_group("D16")
    quadratic = dense_ns(get_group("D32"), 6, 16, 5, 5184) / dense_ns(group, 6, 16, 5, 5184)
    assert 3.8 < quadratic < 4.0
    linear = fourier_ns(get_group("D32"), 6, 16, 5, 11, 5184) / fourier_ns(group, 6, 16, 5, 11, 5184)
    assert 1.9 < linear <= 2.0
    sizes = (6, 16, 5, 11, 5184)
    assert fourier_ns(group, *sizes, compiled=True) < fourier_ns(group, *sizes)
    assert prefers_fourier(get_group("D4"), *sizes, compiled=True) and not prefers_fourier(get_group("D4"), *sizes)
    assert prefers_fourier(group, *sizes, half=True) and prefers_fourier(
        get_group("D8"), *sizes, compiled=True, half=True
    )
    assert not prefers_fourier(get_group("D4"), *sizes, compiled=True, half=True)
    assert prefers_fourier(group, 6, 16, 5, 11, 5184) and not prefers_fourier(get_group("C4"), 6, 16, 5, 11, 5184)
