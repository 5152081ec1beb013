"""Masked reconstruction of spectra: what is hidden is told from what is seen (after arXiv 2510.17959, 2111.06377).

Legend: B batch, C channels, L pixels, Q queries, F features, D width, K numbers of a wavelength.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from equirgz.errors import InputError, require
from equirgz.nn.attention.wavelength import embed_wavelength
from equirgz.objectives.base import OBJECTIVES, Batch, Objective, View
from equirgz.objectives.selfsupervised.collapse import compute_collapse_meters
from equirgz.objectives.selfsupervised.row_views import coarsen, fit_scale, hide_spans, keep_window, pixel_steps
from equirgz.tasks import Task

FINEST = -4.5  # log10 of the finest step in log10 wavelength that is meant


class SpectralDecoder(nn.Module):
    """The flux of a source at any wavelength, told from its features alone: ``1 + b(query) . c(features)``.

    b are learnt functions of a query, log wavelength as waves and the width of the pixel that asks, so that a coarse
    spectrograph is answered with broad lines; c says how much of each (branch and trunk of arXiv 1910.03193).

    Parameters
    ----------
    n_features, width : F, and number of functions and of hidden numbers.
    log_range, n_waves : of the embedding (:func:`~equirgz.nn.attention.wavelength.embed_wavelength`).
    """

    def __init__(self, n_features: int, width: int, log_range: tuple[float, float], n_waves: int) -> None:
        super().__init__()
        self.log_range, self.n_waves = log_range, n_waves
        self.trunk = nn.Sequential(
            nn.Linear(2 * n_waves + 1, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)
        )
        self.branch = nn.Sequential(
            nn.Linear(n_features, 2 * width), nn.GELU(), nn.Linear(2 * width, 2 * width), nn.GELU(),
            nn.Linear(2 * width, width),
        )  # fmt: skip

    def forward(self, h_BF: Tensor, log_BQ: Tensor, step_BQ: Tensor) -> Tensor:
        """Return flux_BQ, of any scale, at log10 wavelengths, of pixels ``step`` wide in log10 wavelength."""
        fineness_BQ = torch.log10(step_BQ.clamp_min(10**FINEST)) + 3
        wave_BQK = embed_wavelength(log_BQ, self.log_range, self.n_waves)
        basis_BQD = self.trunk(torch.cat([wave_BQK, fineness_BQ[..., None]], -1))
        return 1 + torch.einsum("bqd,bd->bq", basis_BQD, self.branch(h_BF)) / basis_BQD.shape[-1] ** 0.5


@OBJECTIVES.register("masked_reconstruction")
class MaskedReconstruction(Objective):
    """``log mean w (f - a m)^2`` at random pixels of a spectrum, hidden and shown ones, f flux and w inverse variance.

    m is what :class:`SpectralDecoder` tells from the features of what is shown: the spectrum without random spans, in a
    share of the cases a window of it, or at half the resolution, as another spectrograph would have it. a is the factor
    that brings m nearest to the shown pixels, so that features need not know how bright a source is. A perfect answer
    has a mean of 1, the noise of a pixel; the logarithm keeps spectra of little noise from drowning others. Features
    alone pass from encoder to decoder: they must hold the whole spectrum, and nothing of the grid, for the decoder is
    told the pixels that ask.

    Parameters
    ----------
    share, span : of the pixels that are hidden, and pixels in a row of each hidden span.
    window : share of the spectra that are shown in a random window of half to all of their pixels.
    coarse : share of the spectra that are shown at half their resolution.
    queries : pixels asked for per spectrum.
    width : of the decoder.
    """

    views = {"spectra": View("unlabelled", "none")}
    tasks = None
    needs_labels = False
    uses_unlabelled = True
    watches_rank = True

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int = 2,
        share: float = 0.3,
        span: int = 16,
        window: float = 0.5,
        coarse: float = 0.3,
        queries: int = 64,
        width: int = 128,
    ) -> None:
        super().__init__(backbone, task)
        for name, value in {"share": share, "window": window, "coarse": coarse}.items():
            require(0 <= value < 1, name, expected="a share in [0, 1)", got=value)
        for name, value in {"span": span, "queries": queries, "width": width}.items():
            require(value >= 1, name, expected="at least 1", got=value)
        if not getattr(backbone, "takes_rows", False):
            mend = "use spectral_transformer"
            got = type(backbone).__name__
            raise InputError("masked_reconstruction", expected="a backbone of spectra", got=got, mend=mend)
        self.share, self.span, self.window, self.coarse, self.queries = share, span, window, coarse, queries
        self.decoder = SpectralDecoder(backbone.num_features, width, backbone.log_range, backbone.n_waves)

    def show(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the encoder is shown of a batch, and which of its pixels, (B, L); never nothing of a spectrum."""
        seen_BL = x_BCHW[:, 1, 0] > 0
        in_window_B1 = torch.rand(len(x_BCHW), 1, device=x_BCHW.device) < self.window
        shown_BL = torch.where(in_window_B1, keep_window(seen_BL, 0.5), seen_BL)
        shown_BL = shown_BL & ~hide_spans(seen_BL, self.share, self.span)
        shown_BL = torch.where(shown_BL.any(1, keepdim=True), shown_BL, seen_BL)
        view_BCHW = cover(x_BCHW, shown_BL)
        coarse_B111 = torch.rand(len(x_BCHW), 1, 1, 1, device=x_BCHW.device) < self.coarse
        return torch.where(coarse_B111, coarsen(view_BCHW), view_BCHW), shown_BL

    def compare(self, x_BCHW: Tensor, h_BF: Tensor, shown_BL: Tensor, index_BQ: Tensor) -> Tensor:
        """Return ``w (f - a m)^2`` of the pixels ``index_BQ``, (B, Q): 1 on average for a perfect answer."""
        flux_BL, ivar_BL, log_BL = x_BCHW[:, :, 0].unbind(1)
        parts = (flux_BL, ivar_BL, log_BL, pixel_steps(log_BL), shown_BL.to(flux_BL))
        flux_BQ, ivar_BQ, log_BQ, step_BQ, shown_BQ = (part_BL.gather(1, index_BQ) for part_BL in parts)
        model_BQ = self.decoder(h_BF, log_BQ, step_BQ)
        enough_B1 = shown_BQ.sum(1, keepdim=True) >= 4
        factor_B1 = fit_scale(model_BQ, flux_BQ, ivar_BQ * torch.where(enough_B1, shown_BQ, 1))
        return ivar_BQ * (flux_BQ - factor_B1 * model_BQ).square()

    def reconstruct(self, x_BCHW: Tensor, shown_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Return the model's flux at all pixels of spectra of which ``shown_BL`` is shown, and ``w (f - model)^2``."""
        flux_BL, ivar_BL, log_BL = x_BCHW[:, :, 0].unbind(1)
        model_BL = self.decoder(self.backbone(cover(x_BCHW, shown_BL)), log_BL, pixel_steps(log_BL))
        model_BL = model_BL * fit_scale(model_BL, flux_BL, ivar_BL * shown_BL)
        return model_BL, ivar_BL * (flux_BL - model_BL).square()

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss of a batch; now and then the meters of collapse."""
        x_BCHW = batch.view["spectra"]
        view_BCHW, shown_BL = self.show(x_BCHW)
        h_BF = self.backbone(view_BCHW)
        index_BQ = torch.multinomial((x_BCHW[:, 1, 0] > 0).float(), self.queries, replacement=True)
        loss = self.compare(x_BCHW, h_BF, shown_BL, index_BQ).mean(1).clamp_min(1e-6).log().mean()
        logs = compute_collapse_meters(h_BF.detach(), h_BF.detach()) if self.log_now(step, n_steps) else {}
        return loss, logs


def cover(x_BCHW: Tensor, shown_BL: Tensor) -> Tensor:
    """Return spectra in which only ``shown_BL`` is there: flux and inverse variance are 0 elsewhere."""
    kept_BL = shown_BL.to(x_BCHW)
    there_BL = torch.ones_like(kept_BL)
    return x_BCHW * torch.stack([kept_BL, kept_BL, there_BL], 1)[:, :, None]
