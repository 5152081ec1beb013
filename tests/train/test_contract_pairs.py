"""What every pair of an objective and a backbone owes; each registered pair gets it by being registered.

Every pair: gradients reach all parameters, the same seed gives the same training, which goes on after an interruption
and knows no hidden label, and a step down the gradient lowers the loss by what the gradient says. Of every backbone
the trainer's own updates lower the loss, each of them.
All share one task of 17 pixels, the smallest size that is valid for every backbone, and networks of a few fields.
"""

from __future__ import annotations

import copy
import functools

import pytest
import torch

from equirgz.backbones import create_backbone, list_backbones
from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.objectives import Objective
from equirgz.objectives.base import Batch
from equirgz.train import TrainImages, TrainLog, train
from tests.train.test_contract import NAMES, UNTRAINED, make, watch_gradients
from tests.train.test_trainer import Stop, stop_after
from tests.train.toy import OF_ROWS, make_blobs

SIZE = 17
WIDTH = {
    "resnet18": 0.04,
    "steerable_resnet18": 0.05,
    "steerable_attention": 0.2,
    "steerable_attention_published": 0.2,
    "steerable_lenet": 0.5,
    "steerable_lenet_published": 0.34,
}
LR = {"ivon": 0.1, "variational": 0.01, "fixmatch": 0.01}
BACKBONES = [name for name in list_backbones() if name not in OF_ROWS]
PAIRS = [(objective, backbone) for objective in NAMES for backbone in BACKBONES]


@functools.cache
def network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    group = "D2" if name.startswith("steerable_") else "C1"
    return create_backbone(name, group=group, image_size=SIZE, width=WIDTH.get(name, 0.34))


def make_pair(objective: str, backbone: str) -> Objective:
    return make(objective, copy.deepcopy(network(backbone)))


def make_images(shuffled: bool = False) -> TrainImages:
    x_NCHW, y_N = make_blobs(8)
    u_MCHW, hidden_M = make_blobs(8, seed=5)
    return TrainImages(x_NCHW, y_N, u_MCHW, hidden_M.flip(0) if shuffled else hidden_M)


def settings(objective: str, steps: int, batch_size: int = 4, augmentation: str = "flips") -> TrainConfig:
    optimizer = OptimizerConfig(lr=LR.get(objective, 0.003))
    return TrainConfig(steps=steps, batch_size=batch_size, augmentation=augmentation, optimizer=optimizer)


def without_hidden(log: TrainLog) -> list[dict[str, float]]:
    """Return the rows but for the one number that known labels of unlabelled sources are there for."""
    return [{key: value for key, value in row.items() if key != "impurity"} for row in log.rows]


@pytest.mark.parametrize("objective, backbone", PAIRS)
def test_gradients_seeds_resume_and_hidden_labels(objective, backbone, tmp_path, monkeypatch):
    """A training is compared with one from the same seed that is interrupted and whose hidden labels are others."""
    keywords = {"seed": 3, "log_every": 1, "checkpoint_every": 1}
    whole = make_pair(objective, backbone)
    before = {key: value.detach().clone() for key, value in whole.named_parameters()}
    with monkeypatch.context() as patch:
        reached = watch_gradients(patch)
        log = train(whole, make_images(), settings(objective, 2), **keywords)
    apart = UNTRAINED.get(objective, ("nothing",))
    assert reached == {key for key in before if not key.startswith(apart)}
    assert [key for key in reached if torch.equal(before[key], whole.get_parameter(key))] == []
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(Stop):
            train(
                make_pair(objective, backbone),
                make_images(shuffled=True),
                settings(objective, 2),
                work_dir=tmp_path,
                **keywords,
            )
    resumed = make_pair(objective, backbone)
    log2 = train(resumed, make_images(shuffled=True), settings(objective, 2), work_dir=tmp_path, **keywords)
    assert log2.resumed_from == 1 and without_hidden(log2) == without_hidden(log)
    other = resumed.state_dict()
    assert [key for key, value in whole.state_dict().items() if not torch.equal(value, other[key])] == []


def make_batch(objective: Objective) -> Batch:
    """Return eight sources in float64, each view with noise of its own (equal views are no task for some)."""
    pools = {"labelled": make_blobs(8), "unlabelled": make_blobs(8, seed=5)}
    views = {}
    for i, (role, view) in enumerate(objective.views.items()):
        x_BCHW = pools[view.pool][0].double()
        noise = torch.randn(x_BCHW.shape, generator=torch.Generator().manual_seed(i), dtype=torch.float64)
        views[role] = x_BCHW + 0.1 * noise
    return Batch(views, pools["labelled"][1])


def shake(module: torch.nn.Module) -> torch.nn.Module:
    """Move every parameter a little: maxima over equal values, where a loss has no gradient, come apart."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return module


@pytest.mark.rounding
@pytest.mark.parametrize("objective, backbone", PAIRS)
def test_a_step_down_the_gradient_lowers_the_loss_by_its_length(objective, backbone):
    """``L(w) - L(w - h g / |g|) = h |g|`` to first order in h, on one batch with the same draws: no trajectory decides.

    In float64, so that h is small enough for curvature and large enough for rounding, by powers of ten.
    """
    module = shake(make_pair(objective, backbone).double()).train()
    batch, h = make_batch(module), 1e-8
    module.prepare(batch.label_B, 8)

    def loss() -> torch.Tensor:
        torch.manual_seed(5)  # dropout and sampled weights
        return module.training_step(batch, 5, 12)[0]

    with torch.random.fork_rng(devices=()):
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        before = loss()
        gradients = torch.autograd.grad(before, trained, allow_unused=True, materialize_grads=True)
        length = torch.stack([gradient.norm() for gradient in gradients]).norm()
        with torch.no_grad():
            for parameter, gradient in zip(trained, gradients, strict=True):
                parameter -= h * gradient / length
            fall = before - loss()
    assert float(fall / (h * length)) == pytest.approx(1, abs=0.01)


@pytest.mark.rounding
@pytest.mark.parametrize("backbone", BACKBONES)
def test_gradient_descent_lowers_the_loss_of_every_backbone_at_each_update(backbone):
    """On the whole set, in float64, by steps far below the inverse of any curvature: then it must."""
    optimizer = OptimizerConfig(name="sgd", lr=1e-6, momentum=0, weight_decay=0, schedule="constant")
    config = TrainConfig(steps=4, batch_size=8, augmentation="none", optimizer=optimizer, precision="64-true")
    module = shake(make_pair("supervised", backbone))
    for layer in module.modules():
        if "Dropout" in type(layer).__name__:
            layer.p = 0.0
    losses = [row["loss"] for row in train(module, make_images(), config, seed=0, log_every=1).rows]
    assert losses == sorted(set(losses), reverse=True) and len(losses) == 4
