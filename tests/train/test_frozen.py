"""What a user froze stays frozen, bit for bit, in every training: weights, batch-norm statistics, dropout."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from equirgz.backbones import create_backbone
from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import InputError
from equirgz.objectives import create_objective, list_objectives
from equirgz.train import TrainImages, train
from equirgz.train.estimators.classifier import finetune
from tests.train.toy import OF_ROWS, ToyBackbone, make_backbone, make_task

SMALL = {name: {"hidden": 16, "projection": 8} for name in ("byol", "simclr", "vicreg", "hybrid")}
NAMES = [name for name in list_objectives() if name not in OF_ROWS]
PRETRAINING = ("byol", "simclr", "vicreg")


class LowRank(nn.Module):
    """W + A B: an adapter of rank 1 on a weight whose last axes count as one."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        rows, columns = len(weight), weight[0].numel()
        self.a, self.b = nn.Parameter(torch.randn(rows, 1) / 10), nn.Parameter(torch.randn(1, columns) / 10)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (self.a @ self.b).view_as(weight)


def with_adapters(backbone: nn.Module, kinds: tuple[type, ...] = (nn.Conv2d,)) -> nn.Module:
    backbone.requires_grad_(False)
    for layer in [m for m in backbone.modules() if isinstance(m, kinds)]:
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight))
    return backbone


def run(name: str, backbone: nn.Module, steps: int = 6, **changes):
    objective = create_objective(name, backbone, 2, init_seed=1, **SMALL.get(name, {}))
    lr = {"ivon": 0.1, "sidda": 0.002, "sinkhorn": 0.002}.get(name, 0.01)
    config = TrainConfig(
        steps=steps,
        batch_size=8,
        augmentation="flips",
        optimizer=OptimizerConfig(lr=lr, weight_decay=0.1, **changes),
    )
    x_NCHW, y_N = make_task(16)
    train(objective, TrainImages(x_NCHW, y_N, make_task(24, seed=5)[0]), config, seed=0)
    return objective


def frozen_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """All that must stay: parameters without gradient, and buffers of layers that have no other parameter."""
    kept = {name: p for name, p in module.named_parameters() if not p.requires_grad}
    for path, part in module.named_modules():
        parameters = list(part.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            kept |= {f"{path}.{name}": buffer for name, buffer in part.named_buffers()}
    return {name: tensor.detach().clone() for name, tensor in kept.items()}


def changed(module: nn.Module, before: dict[str, torch.Tensor]) -> list[str]:
    now = dict(module.named_parameters()) | dict(module.named_buffers())
    return [name for name, tensor in before.items() if not torch.equal(tensor, now[name])]


@pytest.mark.parametrize("decay", [1.0, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_a_frozen_stem_stays_and_the_rest_learns(name, decay):
    backbone = make_backbone(dropout=0.1)
    backbone.stem.requires_grad_(False)
    before, stage = frozen_state(backbone), backbone.stage[0].weight.detach().clone()
    assert any("running_mean" in key for key in before)
    objective = run(name, backbone, layer_decay=decay)
    assert not changed(objective.backbone, before)
    assert not torch.equal(objective.backbone.stage[0].weight, stage)


@pytest.mark.parametrize("name", NAMES)
def test_adapters_learn_on_weights_that_stay(name):
    backbone = with_adapters(make_backbone())
    before = frozen_state(backbone)
    adapter = backbone.stage[0].parametrizations.weight[0].a.detach().clone()
    objective = run(name, backbone)
    assert not changed(objective.backbone, before)
    assert not torch.equal(objective.backbone.stage[0].parametrizations.weight[0].a, adapter)


def test_averaged_copies_of_frozen_layers_stay_too():
    backbone = make_backbone()
    backbone.stem.requires_grad_(False)
    before = {k: v.clone() for k, v in backbone.stem.state_dict().items()}
    for name, copied in (("byol", "target_backbone"), ("hybrid", "target_backbone"), ("fixmatch", "ema_backbone")):
        average = getattr(run(name, copy.deepcopy(backbone)), copied)
        assert all(torch.equal(value, before[key]) for key, value in average.stem.state_dict().items())


@pytest.mark.parametrize("name", ["byol", "hybrid", "fixmatch", "supervised"])
def test_pruned_weights_stay_zero_in_training_and_in_averaged_copies(name):
    backbone = make_backbone()
    prune.l1_unstructured(backbone.stage[0], "weight", 0.5)
    zero = backbone.stage[0].weight_mask == 0
    objective = run(name, backbone)
    objective(torch.zeros(2, 1, 9, 9))
    assert not objective.backbone.stage[0].weight[zero].any()
    average = getattr(objective, "target_backbone", getattr(objective, "ema_backbone", objective.backbone))
    average(torch.zeros(2, 1, 9, 9))
    assert not average.stage[0].weight[zero].any() and average.stage[0].weight[~zero].all()


def test_frozen_layers_rest_and_wake_with_their_weights():
    backbone = make_backbone(dropout=0.5)
    objective = create_objective("supervised", backbone, 2)
    backbone.stage.requires_grad_(False)
    objective.train()
    assert not backbone.stage[1].training and backbone.stem[1].training and objective.classifier.training
    backbone.stage.requires_grad_(True)
    objective.train()
    assert backbone.stage[1].training
    objective.eval()
    assert not any(part.training for part in objective.modules())


def test_batch_norm_alone_may_be_frozen_or_alone_learn():
    backbone = make_backbone()
    backbone.stem[1].requires_grad_(False)
    before = frozen_state(backbone)
    assert set(before) >= {"stem.1.weight", "stem.1.running_var"}
    assert not changed(run("supervised", backbone).backbone, before)
    backbone.requires_grad_(False)
    backbone.stem[1].requires_grad_(True)
    mean = backbone.stem[1].running_mean.clone()
    assert not torch.equal(run("supervised", backbone).backbone.stem[1].running_mean, mean)


def test_a_wholly_frozen_encoder_trains_the_classifier_alone_and_cannot_be_pretrained():
    backbone = make_backbone().requires_grad_(False)
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    objective = run("supervised", backbone)
    assert all(torch.equal(v, before[k]) for k, v in objective.backbone.state_dict().items())
    for name in PRETRAINING:
        with pytest.raises(InputError, match=r"expected trainable parameters in the backbone, got a frozen one") as e:
            run(name, backbone)
        assert "\n" not in str(e.value)
    objective.requires_grad_(False)
    x_NCHW, y_N = make_task(16)
    with pytest.raises(InputError, match="expected trainable parameters, got none; unfreeze"):
        train(objective, TrainImages(x_NCHW, y_N), TrainConfig(steps=2, batch_size=8), seed=0)


def test_a_checkpoint_with_other_frozen_layers_is_of_another_training(tmp_path):
    x_NCHW, y_N = make_task(16)
    config = TrainConfig(steps=2, batch_size=8, augmentation="none")
    backbone = make_backbone()
    train(create_objective("supervised", backbone, 2), TrainImages(x_NCHW, y_N), config, seed=0, work_dir=tmp_path)
    backbone.stem.requires_grad_(False)
    with pytest.raises(Exception, match="another configuration, seed, network or data"):
        train(create_objective("supervised", backbone, 2), TrainImages(x_NCHW, y_N), config, seed=0, work_dir=tmp_path)


@pytest.mark.parametrize("how", ["blocks", "adapters", "normed"])
def test_finetune_keeps_what_is_frozen_in_a_steerable_encoder(how):
    encoder = create_backbone("steerable_cnn", group="C4", image_size=17, width=0.1)
    if how == "blocks":
        encoder.requires_grad_(False)
        encoder.blocks()[-1].requires_grad_(True)
    elif how == "adapters":
        from equirgz.nn import GroupConv2d

        with_adapters(encoder, (GroupConv2d,))
    else:
        for block in encoder.blocks():
            parametrizations.weight_norm(block[0], "weight")
            block[0].parametrizations.weight.original0.requires_grad_(False)
    before, flags = frozen_state(encoder), [p.requires_grad for p in encoder.parameters()]
    x_NCHW, y_N = make_task(24, size=17)
    model = finetune(encoder, x_NCHW, y_N, steps=3)
    trained = model.objective_.backbone
    assert before and not changed(trained, before) and not changed(encoder, before)
    assert [p.requires_grad for p in trained.parameters()] == flags
    pairs = zip(encoder.parameters(), trained.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_every_precision_of_the_weights_is_brought_to_that_of_the_training(dtype, precision):
    x_NCHW, y_N = make_task(16)
    config = TrainConfig(steps=2, batch_size=8, augmentation="none", precision=precision)
    objective = create_objective("supervised", make_backbone().to(dtype), 2)
    log = train(objective, TrainImages(x_NCHW, y_N), config, seed=0)
    wanted = {"32-true": "float32", "64-true": "float64"}[precision]
    assert {str(p.dtype) for p in objective.parameters()} == {f"torch.{wanted}"}
    assert [line for line in log.warnings if line.endswith(f"brought to {wanted}, the precision of the training")]


@pytest.mark.parametrize("name", NAMES)
def test_a_default_dtype_of_float64_trains_every_objective(name):
    torch.set_default_dtype(torch.float64)
    try:
        objective = run(name, ToyBackbone(), steps=2)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(p.dtype == torch.float32 for p in objective.parameters())
