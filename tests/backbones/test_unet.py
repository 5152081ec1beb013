"""The U-Nets: maps as fine as the image, exact where they claim it, with noise levels, heads and deployed."""

from __future__ import annotations

import pytest
import torch

from equirgz import create_backbone
from equirgz.backbones import measure_cost
from equirgz.errors import InputError
from equirgz.evaluate.audit import audit
from equirgz.geometry.action import warp
from equirgz.objectives.heads.maps import MapLayers, ScoreNetwork
from tests.backbones.test_contract import build, images, shake

LIMITS = {torch.float32: 1e-5, torch.float64: 1e-12}
SIGMA = torch.tensor([0.1, 3.0])


def net(group="D4", **options):
    name = "unet" if group == "C1" else "steerable_unet"
    return shake(build(name, group, **options)).eval()


def turned_error(network, x_BCHW, *others):
    """Largest |f(g x) - g f(x)| / |f(x)| over quarter turns and flips of D4."""
    with torch.no_grad():
        y_BCHW, errors = network(x_BCHW, *others), []
        for turn in (0, 90, 180, 270):
            for flip in (False, True):
                error = network(warp(x_BCHW, turn, flip), *others) - warp(y_BCHW, turn, flip)
                errors.append(float(error.norm() / y_BCHW.norm()))
    return max(errors)


@pytest.mark.parametrize("size", [9, 13, 33])
def test_maps_have_every_pixel_of_the_image(size):
    backbone = net(image_size=size)
    assert backbone.forward_maps(images(backbone)).shape == (2, 2, 8, size, size)
    assert size in backbone.image_sizes


def test_other_sizes_name_the_nearest():
    with pytest.raises(InputError, match="1 mod 4 .*got 32; use 29 or 33"):
        build("steerable_unet", image_size=32)


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("kind", ["masks", "score", "batch norm"])
def test_answers_per_pixel_turn_with_the_image(dtype, kind):
    torch.manual_seed(0)
    if kind == "score":
        network = ScoreNetwork(net(conditioned=True)).to(dtype)
        assert turned_error(network, images(network.backbone, dtype=dtype), SIGMA.to(dtype)) < LIMITS[dtype]
        return
    backbone = net(norm="batch" if kind == "batch norm" else "group").to(dtype)
    layers = MapLayers(backbone, 2).to(dtype)
    x_BCHW = images(backbone, dtype=dtype)
    assert turned_error(lambda x: layers(backbone.forward_maps(x)), x_BCHW) < LIMITS[dtype]


def test_the_plain_twin_turns_nothing():
    torch.manual_seed(0)
    backbone = net("C1")
    assert turned_error(lambda x: MapLayers(backbone, 1)(backbone.forward_maps(x)), images(backbone)) > 0.1


def test_a_conditioned_network_learns_every_weight_and_answers_without_a_level():
    backbone = net(conditioned=True).train()
    y = backbone(images(backbone), SIGMA)
    (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert [key for key, p in backbone.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    covered = {id(p) for block in backbone.blocks() for p in block.parameters()}
    assert covered == {id(p) for p in backbone.parameters()}
    unconditioned = net(norm="group")
    unconditioned.load_state_dict(backbone.state_dict(), strict=False)
    assert torch.equal(backbone.eval()(images(backbone)), unconditioned(images(backbone)))


def test_each_image_is_conditioned_by_its_own_level():
    backbone = net(conditioned=True)
    x_BCHW = images(backbone)
    both, alone = backbone(x_BCHW, SIGMA), [backbone(x[None], s[None]) for x, s in zip(x_BCHW, SIGMA, strict=True)]
    torch.testing.assert_close(both, torch.cat(alone), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(both, backbone(x_BCHW, SIGMA.flip(0)))


def test_noise_levels_are_for_conditioned_networks():
    backbone = net()
    with pytest.raises(InputError, match="none for this network, got one; build the backbone with conditioned=True"):
        backbone(images(backbone), SIGMA)
    with pytest.raises(InputError, match="score: expected a backbone of noise levels.*conditioned=True"):
        ScoreNetwork(backbone)


def test_deployed_it_gives_the_same_features_and_maps_at_every_level():
    backbone = net(conditioned=True)
    plain, x_BCHW = backbone.to_plain(), images(backbone)
    torch.testing.assert_close(plain(x_BCHW, SIGMA), backbone(x_BCHW, SIGMA), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        plain.forward_maps(x_BCHW, SIGMA), backbone.forward_maps(x_BCHW, SIGMA), rtol=1e-4, atol=1e-5
    )
    program = torch.export.export(plain, (x_BCHW, SIGMA))
    torch.testing.assert_close(program.module()(x_BCHW, SIGMA), plain(x_BCHW, SIGMA), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("quantity", ["params", "flops"])
def test_the_twin_is_matched(quantity):
    key = {"params": "parameters", "flops": "multiply_adds"}[quantity]
    goal = measure_cost(create_backbone("steerable_unet", image_size=33))[key]
    twin = measure_cost(create_backbone("unet", match=f"{quantity}:{goal}", image_size=33))[key]
    assert abs(twin - goal) < 0.1 * goal


def test_the_audit_holds_maps_to_their_claim_also_deployed():
    report = audit(net(image_size=13), angles_deg=(), states=("initial",), layers=False)
    held = {(row.precision, row.what) for row in report.rows if row.limit is not None}
    assert report.passed and {(p, "maps") for p in ("float32", "float64", "deployed")} <= held
    assert report.worst(what="maps", precision="float64", kind="lattice") < 1e-12
