"""What of a spectrum is shown and what is asked: hidden spans, windows, half the resolution, widths of pixels.

Rows are (B, 3, 1, L) of flux, inverse variance and log10 wavelength (:mod:`equirgz.data.spectra.rows`). All chance is
of torch's own generator, which the trainer seeds and its checkpoints hold. Legend: B batch, L pixels, Q queries.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def pixel_steps(log_BL: Tensor) -> Tensor:
    """Return the width of each pixel in log10 wavelength, (B, L): the smaller distance to a neighbour."""
    apart_Bl = log_BL.diff(dim=1)
    apart_Bl = torch.where((log_BL[:, 1:] > 0) & (log_BL[:, :-1] > 0), apart_Bl, torch.inf)
    edge_B1 = torch.full_like(log_BL[:, :1], torch.inf)
    step_BL = torch.minimum(torch.cat([apart_Bl, edge_B1], 1), torch.cat([edge_B1, apart_Bl], 1))
    return torch.where(step_BL.isfinite(), step_BL, 1e-3)


def hide_spans(seen_BL: Tensor, share: float, span: int) -> Tensor:
    """Return which pixels are hidden, (B, L): about ``share`` of them, in spans of ``span`` pixels at random places."""
    n_spans = -(-seen_BL.shape[1] // span)
    start_B1 = torch.randint(span, (len(seen_BL), 1), device=seen_BL.device)
    chosen_BS = torch.rand(len(seen_BL), n_spans + 1, device=seen_BL.device) < share
    place_BL = (torch.arange(seen_BL.shape[1], device=seen_BL.device) + start_B1) // span
    return chosen_BS.gather(1, place_BL) & seen_BL


def keep_window(seen_BL: Tensor, least: float) -> Tensor:
    """Return the pixels inside a random window of each row, (B, L), of ``least`` to all of its pixels."""
    count_B1 = seen_BL.sum(1, keepdim=True)
    place_BL = seen_BL.cumsum(1)
    size_B1 = count_B1 * (least + (1 - least) * torch.rand(len(seen_BL), 1, device=seen_BL.device))
    start_B1 = (count_B1 - size_B1) * torch.rand(len(seen_BL), 1, device=seen_BL.device)
    return seen_BL & (place_BL > start_B1) & (place_BL <= start_B1 + size_B1)


def coarsen(x_BCHW: Tensor) -> Tensor:
    """Return rows whose pixels are joined two by two, as at half the resolution; zeros follow."""
    even_BCHW = pad(x_BCHW, (0, x_BCHW.shape[-1] % 2))
    flux_BL2, ivar_BL2, log_BL2 = even_BCHW[:, :, 0].unflatten(2, (-1, 2)).unbind(1)
    ivar_BL = ivar_BL2.sum(-1)
    flux_BL = (ivar_BL2 * flux_BL2).sum(-1) / torch.where(ivar_BL > 0, ivar_BL, 1)
    there_BL2 = log_BL2 > 0
    log_BL = (log_BL2 * there_BL2).sum(-1) / there_BL2.sum(-1).clamp_min(1)
    row_B3L = torch.stack([flux_BL, ivar_BL, log_BL], 1)[:, :, None]
    return pad(row_B3L, (0, x_BCHW.shape[-1] - row_B3L.shape[-1]))


def fit_scale(model_BQ: Tensor, flux_BQ: Tensor, weight_BQ: Tensor) -> Tensor:
    """Return the factor (B, 1) that brings a model nearest to the flux: ``sum w f m / sum w m^2``."""
    top_B1 = (weight_BQ * flux_BQ * model_BQ).sum(1, keepdim=True)
    return top_B1 / (weight_BQ * model_BQ.square()).sum(1, keepdim=True).clamp_min(1e-12)
