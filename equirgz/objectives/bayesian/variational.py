"""Bayes by Backprop over every weight of any backbone (arXiv 1505.05424; radio galaxies: 2201.01203)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError, check_choice, require
from equirgz.objectives.base import OBJECTIVES, Batch
from equirgz.objectives.bayesian.posterior import WeightPosterior, list_weights
from equirgz.objectives.bayesian.priors import PRIOR_KL, PRIORS
from equirgz.tasks import Task


@OBJECTIVES.register("variational")
class Variational(WeightPosterior):
    """``L = E_q CE + (T / N) KL(q || prior)`` in nat per source, one draw of the weights per update.

    CE is the cross entropy, or the loss of another task.

    q is ``N(m, s^2)`` per weight, with m the network's own parameter and ``s = exp(rho)``; norm
    layers carry no noise. ``logits`` are those of the mean weights.

    Parameters
    ----------
    prior : "gaussian", "laplace" or "scale_mixture" (:mod:`equirgz.objectives.bayesian.priors`).
    prior_std : its standard deviation (of a scale mixture: of its wide part); None takes that of each
        tensor's initial weights (0.1 for tensors that start constant), so that every layer's prior has
        the scale of its fan-in.
    temperature : T; 1 is the posterior, less a cold one. The published recipe has 0.01.
    initial_std : posterior std at the start, as a share of the prior's.
    local_reparametrisation : draw the outputs of linear layers instead of their weights, which has
        less variance (arXiv 1506.02557).
    dropout : before the head.
    """

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int,
        prior: str = "gaussian",
        prior_std: float | None = None,
        temperature: float = 0.01,
        initial_std: float = 0.1,
        local_reparametrisation: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(backbone, task, dropout)
        for name, value in (("prior_std", prior_std), ("initial_std", initial_std)):
            if value is not None and value <= 0:
                raise InputError(name, expected="a positive number", got=value)
        require(temperature >= 0, "temperature", expected="0 or more", got=temperature)
        self.prior, self.temperature = check_choice("prior", prior, PRIORS), temperature
        self.local_reparametrisation = local_reparametrisation
        self.noisy = list_weights(self, norms=False)
        self.n_sources = 0
        self.rho = nn.ParameterDict()
        for name, mean in self.means().items():
            spread = float(mean.detach().std()) if mean.numel() > 1 else 0.0
            width = prior_std if prior_std is not None else (spread or 0.1)
            self.register_buffer(f"prior_std_{_key(name)}", torch.tensor(width))
            self.rho[_key(name)] = nn.Parameter(torch.full_like(mean, initial_std * width).log())
        self.no_weight_decay = frozenset(self.noisy) | {f"rho.{_key(name)}" for name in self.noisy}

    def prepare(self, label_N: Tensor | None, n_unlabelled: int) -> None:
        """Take N, the number of labelled sources, and what the head needs of their targets."""
        super().prepare(label_N, n_unlabelled)
        self.n_sources = len(label_N)

    def std(self) -> dict[str, Tensor]:
        """Return name -> posterior standard deviation exp(rho)."""
        return {name: self.rho[_key(name)].exp() for name in self.noisy}

    @torch.no_grad()
    def silence(self, name: str, where: Tensor) -> None:
        self.rho[_key(name)].masked_fill_(where, float("-inf"))

    def compute_kl(self) -> Tensor:
        """Return KL(q || prior) over all noisy weights, nat (one-sample estimate for the mixture)."""
        std = self.std()
        return sum(
            PRIOR_KL[self.prior](mean, std[name], getattr(self, f"prior_std_{_key(name)}"))
            for name, mean in self.means().items()
        )

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss of one draw; cross entropy and KL / N are logged apart."""
        if self.n_sources < 1:
            raise InputError("variational: expected prepare(labels, n) before the first step, got none")
        x_BCHW = batch.view["labelled"]
        if self.local_reparametrisation:
            linear = self._linear_names()
            with self._noisy_outputs():
                logits_BK = self.logits_at(self.draw_weights(skip=linear), x_BCHW)
        else:
            logits_BK = self.logits_at(self.draw_weights(), x_BCHW)
        fit = self.head.loss(logits_BK, batch.label_B)
        kl = self.compute_kl() / self.n_sources
        logs = {"fit": fit.detach(), "kl": kl.detach()} | self.head.measure(logits_BK, batch.label_B)
        return fit + self.temperature * kl, logs

    def _linears(self) -> dict[str, nn.Linear]:
        return {n: m for n, m in self.named_modules() if type(m) is nn.Linear and f"{n}.weight" in self.noisy}

    def _linear_names(self) -> frozenset[str]:
        return frozenset(f"{name}.{part}" for name in self._linears() for part in ("weight", "bias"))

    @contextmanager
    def _noisy_outputs(self) -> Iterator[None]:
        """Add ``sqrt(x^2 s_W^2 + s_b^2)`` times noise to the outputs of all linear layers inside."""
        std, handles = self.std(), []
        for name, module in self._linears().items():
            variance_W, bias = std[f"{name}.weight"] ** 2, std.get(f"{name}.bias")
            variance_b = None if bias is None else bias**2

            def add_noise(_module, args, output, variance_W=variance_W, variance_b=variance_b):
                variance = F.linear(args[0] ** 2, variance_W, variance_b)
                return output + variance.clamp_min(1e-16).sqrt() * torch.randn_like(output)

            handles.append(module.register_forward_hook(add_noise))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _key(name: str) -> str:
    return name.replace(".", "_")
