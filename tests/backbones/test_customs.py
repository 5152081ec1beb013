"""The customs of timm, for every registered backbone: levels, feature maps, classifiers, words."""

import copy

import pytest
import torch
from torch import nn

from equirgz import create_backbone, list_backbones, load_encoder, save_encoder
from equirgz.backbones import measure_cost
from equirgz.errors import InputError
from equirgz.geometry.action import apply_element_to_fields
from equirgz.geometry.field_type import FieldType
from tests.backbones.test_contract import SMALL, build, images, is_steerable, shake


@pytest.fixture(params=list_backbones())
def name(request):
    return request.param


def options(name):
    group = {"group": "D4"} if is_steerable(name) else {}
    return {"image_size": 33, **group, **SMALL.get(name, {})}


def test_feature_info_tells_what_every_level_holds(name):
    torch.manual_seed(0)
    in_chans = 3 if name == "spectral_transformer" else 2
    network = create_backbone(name, features_only=True, in_chans=in_chans, **options(name)).eval()
    info, backbone = network.feature_info, network.backbone
    x_BCHW = images(backbone)
    maps = network(x_BCHW)
    assert len(maps) == len(info) == len(backbone.levels) >= 2
    assert [m.shape[1] for m in maps] == info.channels() == [info.channels(i) for i in range(len(info))]
    assert [t.size for t in info.field_type()] == info.channels()
    up = name.endswith("unet")  # it ends where it began, so the coarsest level is the first
    assert info.reduction() == sorted(info.reduction(), reverse=up) and all(r & (r - 1) == 0 for r in info.reduction())
    modules = dict(backbone.named_modules())
    assert all(module in modules for module in info.module_name())
    if backbone.is_invariant:
        assert [(m.shape[-1] - 1) * r + 1 for m, r in zip(maps, info.reduction(), strict=True)] == [33] * len(maps)
    assert torch.equal(maps[-1], backbone.forward_features(x_BCHW))
    assert torch.equal(maps[-1].flatten(1), backbone.forward_maps(x_BCHW).flatten(1))
    assert info.get_dicts(["num_chs"]) == [{"num_chs": c} for c in info.channels()]


def test_every_level_turns_with_the_image(name):
    if not is_steerable(name):
        return
    backbone = shake(build(name)).double().eval().requires_grad_(False)
    if not backbone.is_invariant:
        return
    x_BCHW, group = images(backbone, dtype=torch.float64), backbone.group
    maps = backbone.stage_maps(x_BCHW)
    for g in (1, group.n_rotations):
        turned = backbone.stage_maps(apply_element_to_fields(x_BCHW, FieldType.trivial(group, 1), g))
        for level, before, after in zip(backbone.levels, maps, turned, strict=True):
            expected = apply_element_to_fields(before, level.field_type, g)
            torch.testing.assert_close(after, expected, rtol=0, atol=1e-9 * float(expected.abs().max()))


def test_chosen_levels_and_ordinary_layers(name):
    torch.manual_seed(0)
    network = shake(create_backbone(name, features_only=True, out_indices=(0, -1), **options(name))).eval()
    x_BCHW = images(network.backbone)
    every = network.backbone.stage_maps(x_BCHW)
    first, last = network(x_BCHW)
    assert torch.equal(first, every[0]) and torch.equal(last, every[-1])
    for plain, expected in zip(network.to_plain()(x_BCHW), (first, last), strict=True):
        torch.testing.assert_close(plain, expected, rtol=0, atol=1e-5 * float(expected.detach().abs().max()))


def test_a_classifier_comes_and_goes(name, tmp_path):
    backbone = shake(build(name)).eval()
    x_BCHW = images(backbone)
    h_BF, keys = backbone(x_BCHW), set(backbone.state_dict())
    assert backbone.num_classes == 0 and isinstance(backbone.get_classifier(), nn.Identity)
    assert backbone.in_chans == backbone.in_channels
    backbone.reset_classifier(3)
    assert backbone.num_classes == 3 and set(backbone.state_dict()) - keys == {"classifier.weight", "classifier.bias"}
    logits_BK = backbone(x_BCHW)
    assert logits_BK.shape == (2, 3)
    torch.testing.assert_close(logits_BK, backbone.get_classifier()(h_BF))
    torch.testing.assert_close(backbone.to_plain()(x_BCHW), logits_BK, rtol=1e-5, atol=1e-5)
    assert measure_cost(backbone)["parameters"] == sum(p.numel() for p in backbone.parameters())
    if "attention" not in name and "canonical" not in name:  # these read more than their last maps
        maps = backbone.forward_features(x_BCHW)
        torch.testing.assert_close(backbone.forward_head(maps), logits_BK)
        torch.testing.assert_close(backbone.forward_head(maps, pre_logits=True), h_BF)
    loaded = load_encoder(save_encoder(backbone, tmp_path / "encoder"))
    assert torch.equal(loaded(x_BCHW), logits_BK) and loaded.num_classes == 3
    backbone.reset_classifier(0)
    assert torch.equal(backbone(x_BCHW), h_BF) and set(backbone.state_dict()) == keys
    assert "num_classes" not in backbone.config


def test_the_words_of_timm_are_understood():
    torch.manual_seed(0)
    one = create_backbone("steerable_lenet", in_chans=3, img_size=(33, 33), num_classes=2, pretrained=False)
    torch.manual_seed(0)
    other = create_backbone("steerable_lenet", in_channels=3, image_size=33, num_classes=2)
    assert one.config == other.config and one.config["num_classes"] == 2
    x_BCHW = torch.randn(2, 3, 33, 33)
    assert one(x_BCHW).shape == (2, 2) and torch.equal(one(x_BCHW), other(x_BCHW))
    again = create_backbone(**one.config)
    assert again.state_dict().keys() == one.state_dict().keys()
    copied = copy.deepcopy(one)
    copied.reset_classifier(5)
    assert one.num_classes == 2 and one.config["num_classes"] == 2
    assert one.double().get_classifier().weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"in_chans": 3, "in_channels": 2}, "in_channels and in_chans: expected one of them, got 2 and 3"),
        ({"img_size": (33, 65)}, r"image_size: expected the side of a square, .* got \(33, 65\)"),
        ({"pretrained": True}, "pretrained: expected a name: .*, got True"),
        ({"pretrained": "radio_d44"}, "pretrained encoder: unknown 'radio_d44'"),
        ({"num_classes": -1}, "num_classes: expected a whole number, at least 0, got -1"),
        ({"num_classes": "2"}, "num_classes: expected a whole number"),
        ({"features_only": True, "out_indices": (7,)}, "out_indices: expected levels 0 to 1, got 7"),
        ({"out_indices": (0,)}, "out_indices: expected features_only=True"),
    ],
)
def test_words_that_cannot_be_kept_get_one_line(given, message):
    with pytest.raises(InputError, match=message):
        create_backbone("steerable_lenet", **given)


def test_other_refusals():
    backbone = build("steerable_attention")
    with pytest.raises(InputError, match="forward_head: expected a network that reads its last maps alone"):
        backbone.forward_head(torch.zeros(1))
    with pytest.raises(InputError, match="global_pool: expected None, got 'avg'; build the backbone with readout"):
        backbone.reset_classifier(2, "avg")


def test_a_backbone_that_declares_no_levels_has_its_last_maps():
    from tests.nn.test_no_type_lists import DoublingBackbone

    backbone = DoublingBackbone()
    assert (backbone.feature_info.channels(), backbone.feature_info.reduction()) == ([1], [1])
    assert torch.equal(backbone.stage_maps(torch.ones(1, 1, 5, 5))[0], backbone.maps(torch.ones(1, 1, 5, 5)))


def test_objectives_take_encoders_and_no_classifiers():
    from equirgz.objectives import create_objective

    backbone = build("lenet", num_classes=3)
    with pytest.raises(InputError, match=r"without a classifier, got num_classes=3; .*reset_classifier\(0\)"):
        create_objective("supervised", backbone, 2)
    backbone.reset_classifier(0)
    create_objective("supervised", backbone, 2)
