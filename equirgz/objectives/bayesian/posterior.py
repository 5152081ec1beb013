"""A Gaussian over the weights of any backbone: the network evaluated at drawn weights.

Weights are drawn where the backbone keeps them, so a steerable layer is equivariant for every draw:
noise on its base weights turns into noise on the filters by its own law.
Legend: B batch, C channel, H W pixels, K classes, S samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call

from equirgz.objectives.base import Objective
from equirgz.tasks import Task


@contextmanager
def seeded(generator: torch.Generator | None) -> Iterator[None]:
    """Let torch's global generators follow ``generator`` inside, and be as before afterwards."""
    if generator is None:
        yield
        return
    seed = int(torch.randint(0, 2**62, (), generator=generator, device=generator.device))
    devices = [torch.cuda.current_device()] if generator.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def list_weights(module: nn.Module, norms: bool) -> list[str]:
    """Return the names of trainable parameters, with or without those of normalisation layers."""
    of_norms = {id(p) for part in module.modules() if "Norm" in type(part).__name__ for p in part.parameters()}
    return [n for n, p in module.named_parameters() if p.requires_grad and (norms or id(p) not in of_norms)]


class WeightPosterior(Objective):
    """Abstract: weights are ``N(parameter, std()^2)``, independent of each other.

    The module's own parameters are the means, so the backbone can be read out, saved and fine-tuned
    as any other. Subclasses define :meth:`std` and set ``noisy``, the names that carry noise.
    """

    tasks = None
    noisy: list[str]
    n_predictive_samples = 32

    def __init__(self, backbone: nn.Module, task: Task | int, dropout: float = 0.0) -> None:
        super().__init__(backbone, task)
        self.classifier = self.head.make_layers(backbone, dropout)

    def std(self) -> dict[str, Tensor]:
        """Return name -> standard deviation of each weight."""
        raise NotImplementedError

    def silence(self, name: str, where: Tensor) -> None:
        """Take the noise from the elements of weight ``name`` where ``where`` is true, for good."""
        raise NotImplementedError

    def means(self) -> dict[str, Tensor]:
        """Return name -> mean of each weight."""
        parameters = dict(self.named_parameters())
        return {name: parameters[name] for name in self.noisy}

    def logits_at(self, weights: dict[str, Tensor], x_BCHW: Tensor) -> Tensor:
        """Return raw outputs, logits_BK, of the network whose named weights are replaced by ``weights``."""
        encoder = _Encoder(self.backbone, self.head)
        encoded_B = functional_call(encoder, _below(weights, "backbone.", "backbone."), (x_BCHW,))
        return functional_call(self.classifier, _below(weights, "classifier."), (encoded_B,))

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return raw outputs, logits_BK, at the mean weights."""
        return self.classifier(self.head.encode(self.backbone, x_BCHW))

    def draw_weights(self, skip: frozenset[str] = frozenset()) -> dict[str, Tensor]:
        """Return one draw of all noisy weights but those to ``skip``."""
        std = self.std()
        return {n: m + std[n] * torch.randn_like(m) for n, m in self.means().items() if n not in skip}

    def sample_logits(self, x_BCHW: Tensor, n_samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Return logits_SBK of ``n_samples`` networks, each drawn once for the whole batch."""
        with seeded(generator):
            return torch.stack([self.logits_at(self.draw_weights(), x_BCHW) for _ in range(n_samples)])


class _Encoder(nn.Module):
    """What the layers of a head read, as a forward pass, in which ``functional_call`` replaces weights."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head.encode(self.backbone, x_BCHW)


def _below(weights: dict[str, Tensor], prefix: str, under: str = "") -> dict[str, Tensor]:
    return {under + name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
