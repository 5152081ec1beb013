"""Networks made invariant from outside: exact whatever is inside, and a probe that refuses what cannot be."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from equirgz import create_backbone
from equirgz.backbones import canonicalise
from equirgz.errors import InputError
from equirgz.geometry.action import apply_element, apply_element_to_fields
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import get_group
from equirgz.nn import TurnedCopies
from tests.equivariance import assert_equivariant

EXACT = {torch.float64: 1e-12}


class UserNetwork(nn.Module):
    """A network of somebody else: convolutions, batch norm, a flattened head; nothing in it is symmetric."""

    def __init__(self, size: int, channels: int = 1, maps: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(channels, 4, 4, 2), nn.BatchNorm2d(4), nn.GELU(), nn.Conv2d(4, 3, 3))
        side = ((size - 4) // 2 + 1) - 2
        self.head = nn.Identity() if maps else nn.Sequential(nn.Flatten(), nn.Linear(3 * side**2, 5))

    def forward(self, x):
        return self.head(self.body(x))


@settings(max_examples=8, deadline=None)
@given(
    group=st.sampled_from(["C2", "C3", "C4", "C8", "D1", "D2", "D4", "D6", "D8"]),
    size=st.integers(10, 21),
    channels=st.integers(1, 2),
    how=st.sampled_from(["learned", "average"]),
)
def test_any_network_is_made_invariant_at_any_size(group, size, channels, how):
    wrapped = canonicalise(UserNetwork(size, channels), group, size, channels, how)
    assert_equivariant(wrapped, in_channels=channels, dtypes=(torch.float64,), tolerance=EXACT)


@pytest.mark.parametrize("how", ["learned", "average"])
@pytest.mark.parametrize("group", ["C4", "D4", "D8"])
def test_maps_turn_with_the_image(group, how):
    wrapped = canonicalise(UserNetwork(17, maps=True), group, 17, how=how, outputs="maps").double().eval()
    x_BCHW = torch.randn(2, 1, 17, 17, dtype=torch.float64)
    y_BCHW = wrapped(x_BCHW).detach()
    trivial = FieldType.trivial(group, 3)
    for g in (g for g in range(trivial.group.order) if trivial.group.is_lattice(g)):
        expected = apply_element_to_fields(y_BCHW, trivial, g)
        torch.testing.assert_close(
            wrapped(apply_element(x_BCHW, trivial.group, g)).detach(), expected, atol=1e-12, rtol=0
        )


def test_the_average_is_the_mean_over_all_turned_images():
    network, group = UserNetwork(16).double().eval(), get_group("D4")
    x_BCHW = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    expected = torch.stack([network(apply_element(x_BCHW, group, g)) for g in range(8)]).mean(0)
    wrapped = canonicalise(network, group, 16, how="average").eval()
    torch.testing.assert_close(wrapped(x_BCHW), expected, rtol=0, atol=1e-12)


def test_the_chosen_copy_is_a_turned_image_and_the_network_inside_is_the_users():
    network, group = UserNetwork(16).double().eval(), get_group("C4")
    wrapped = canonicalise(network, group, 16)
    assert wrapped.module is network and not wrapped.training
    x_BCHW = torch.randn(1, 1, 16, 16, dtype=torch.float64)
    chosen, element_B = wrapped.canonicaliser(x_BCHW)
    assert torch.equal(wrapped.log_probabilities(x_BCHW).argmax(1), element_B)
    assert torch.equal(chosen, apply_element(x_BCHW, group, int(group.inverse_G[int(element_B)])))
    assert torch.equal(wrapped(x_BCHW), network(chosen))


@settings(max_examples=6, deadline=None)
@given(group=st.sampled_from(["C3", "C4", "C8", "D1", "D3", "D4", "D8"]), size=st.integers(5, 12))
def test_copies_are_those_of_the_one_definition_of_turning(group, size):
    group = get_group(group)
    x_BCHW = torch.randn(2, 1, size, size, dtype=torch.float64)
    copies = TurnedCopies(group, size).double()(x_BCHW)
    for g in range(group.order):
        expected = apply_element(x_BCHW, group, int(group.inverse_G[g]))
        torch.testing.assert_close(copies[:, g], expected, rtol=0, atol=1e-12)


def test_the_scorer_learns_through_the_choice():
    """The gradient of the scores is that of a softmax over all copies; the output is that of the chosen copy."""
    wrapped = canonicalise(UserNetwork(17).eval(), "D4", 17)
    x_BCHW = torch.randn(3, 1, 17, 17)
    expected = wrapped.eval()(x_BCHW).detach()
    wrapped.canonicaliser.train()
    y = wrapped(x_BCHW)
    assert torch.equal(y.detach(), expected)
    y.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in wrapped.canonicaliser.parameters())


def test_the_prior_that_keeps_images_as_they_are_reaches_the_scorer_alone():
    wrapped = canonicalise(UserNetwork(17), "C4", 17)
    x_BCHW = torch.randn(4, 1, 17, 17)
    wrapped.log_probabilities(x_BCHW)[:, 0].mean().neg().backward()
    assert all(p.grad is not None for p in wrapped.canonicaliser.parameters())
    assert all(p.grad is None for p in wrapped.module.parameters())
    with pytest.raises(InputError, match="log_probabilities: expected how='learned', got how='average'"):
        canonicalise(UserNetwork(17), "C4", 17, how="average").log_probabilities(x_BCHW)


class Reordering(UserNetwork):
    def forward(self, x):
        return super().forward(x).flip(0)


class Mixing(UserNetwork):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class Remembering(UserNetwork):
    last = 0.0

    def forward(self, x):
        y = super().forward(x) + self.last
        self.last = y.detach().mean()
        return y


class Counting(UserNetwork):
    def __init__(self, size):
        super().__init__(size)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += len(x)
        return super().forward(x)


class Drawing(UserNetwork):
    def forward(self, x):
        return nn.functional.dropout(super().forward(x), 0.5, training=True)


class Listing(UserNetwork):
    def forward(self, x):
        return [super().forward(x)]


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Reordering, r"module: expected outputs in the order of the images, got those of images \[3, 2, 1, 0\]"),
        (Mixing, "module: expected outputs that depend on one image each, got others for images alone"),
        (Remembering, "module: expected no state that is held across samples, got other outputs when the same"),
        (Counting, "module: expected no state that is held across samples, got a change of 'seen' in eval mode"),
        (Drawing, "module: expected no state that is held across samples, got other outputs"),
        (Listing, r"output for 4 images: expected one tensor \(B, F\), got a list; wrap what gives features"),
    ],
)
def test_what_does_not_treat_images_one_by_one_is_refused(network, message):
    torch.manual_seed(5)
    given = network(16)
    before, random = copy.deepcopy(given.state_dict()), torch.get_rng_state()
    with pytest.raises(InputError, match=message) as refused:
        canonicalise(given, "D4", 16)
    assert "\n" not in str(refused.value)
    assert all(torch.equal(v, before[k]) for k, v in given.state_dict().items())
    assert given.training and getattr(given, "last", 0.0) == 0.0
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: canonicalise(UserNetwork(16), "D4", 24),
            "module: expected a network of images .*; give the image_size",
        ),
        (lambda: canonicalise(UserNetwork(16, 3), "D4", 16), "module: expected a network of images"),
        (lambda: canonicalise(UserNetwork(16), "E4", 16), "group: expected C or D"),
        (lambda: canonicalise(UserNetwork(16), "D4", 16, how="frame"), "how: unknown 'frame'; .*average, learned"),
        (lambda: canonicalise(UserNetwork(16), "D4", 16, outputs="maps"), r"one tensor \(B, C, H, W\), got \(4, 5\)"),
        (lambda: canonicalise(torch.sin, "D4", 16), "canonicalise: expected a torch.nn.Module, got a builtin"),
        (lambda: canonicalise(UserNetwork(16), "C128", 16), "group C128 with 5x5 filters: expected .*"),
        (lambda: create_backbone("steerable_canonical", inner="steerable_cnn"), "inner: expected a plain backbone"),
        (lambda: create_backbone("steerable_canonical", inner="resnet8"), "did you mean 'resnet18'"),
        (lambda: create_backbone("steerable_canonical", how="both"), "how: unknown 'both'"),
    ],
)
def test_bad_input_gets_one_line(call, message):
    with pytest.raises(InputError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("how", ["learned", "average"])
@pytest.mark.parametrize("inner", ["lenet", "resnet18"])
def test_plain_backbones_are_exact_at_odd_and_even_sizes(inner, how):
    for size in (24, 33):
        torch.manual_seed(0)
        options = {"inner": inner, "how": how, "width": 0.1, "image_size": size}
        backbone = create_backbone("steerable_canonical", group="D4", **options).eval()
        assert_equivariant(backbone, dtypes=(torch.float64,), batch=1, tolerance=EXACT)
        x_BCHW = torch.randn(2, 1, size, size)
        torch.testing.assert_close(backbone.to_plain()(x_BCHW), backbone(x_BCHW), rtol=1e-5, atol=1e-5)
