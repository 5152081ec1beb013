"""A transformer on spectra as they were observed, whatever their wavelengths (after arXiv 2510.17959).

Legend: B batch, C channels, L pixels, P patches, D numbers of a token, K frequencies, F features.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.backbones.arguments import check_positive, check_whole, scaled_fields
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.errors import ImageError, require
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import get_group
from equirgz.images import is_row
from equirgz.nn.attention.tokens import TokenAttention
from equirgz.nn.attention.wavelength import embed_wavelength
from equirgz.registry import explained_by

CHANNELS = 3  # flux, inverse variance, log10 of the wavelength in angstrom: equirgz.data.spectra.rows


class TokenBlock(nn.Module):
    """x + attention(norm x), then x + mlp(norm x), among the known tokens. Shape: (B, P, D) -> the same."""

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dimension), nn.LayerNorm(dimension)
        self.attention = TokenAttention(dimension, heads)
        self.mlp = nn.Sequential(nn.Linear(dimension, 4 * dimension), nn.GELU(), nn.Linear(4 * dimension, dimension))

    def forward(self, token_BPD: Tensor, known_BP: Tensor) -> Tensor:
        token_BPD = token_BPD + self.attention(self.norm1(token_BPD), known_BP)
        return token_BPD + self.mlp(self.norm2(token_BPD))


class SpectralTransformer(Backbone):
    """Patches of pixels that know their wavelength, transformer blocks, and a mean that the network weighs.

    A pixel is seen as its contrast, flux over the spectrum's mean flux less 1, its ratio of signal to noise, its log
    wavelength as waves (:func:`~equirgz.nn.attention.wavelength.embed_wavelength`), and contrast times waves, whose
    sums over pixels are a Fourier transform that no grid changes. What has no inverse variance is not seen, and a
    patch of such pixels is no token. So any grid inside ``wavelength_range`` will do, of any length, and nothing is
    resampled; the features do not depend on the unit of flux. There is no symmetry under turns here, and none is
    claimed: the group is C1, and a redshift, a shift in log wavelength, is learnt.

    Parameters
    ----------
    in_channels : 3, flux, inverse variance and log10 wavelength (:mod:`equirgz.data.spectra.rows`).
    image_size : pixels of the longest spectrum; shorter ones end in zeros, and others are taken too.
    dimension : numbers of a token, a multiple of ``heads``, and of features; ``width`` scales it.
    heads, depth : of attention, and number of blocks.
    patch_size : pixels of a token.
    n_waves : frequencies with which a wavelength is embedded.
    wavelength_range : angstrom, vacuum; spectra with pixels outside are refused.
    """

    takes_rows = True

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        *,
        dimension: int,
        heads: int,
        depth: int,
        patch_size: int,
        n_waves: int,
        wavelength_range: tuple[float, float],
    ) -> None:
        super().__init__(get_group("C1"), in_channels, image_size)
        name = "spectral_transformer"
        mend = "flux, inverse variance and log10 wavelength: equirgz.data.spectra.rows"
        require(self.in_channels == CHANNELS, f"{name} in_channels", expected=CHANNELS, got=in_channels, mend=mend)
        self.patch_size = check_whole(f"{name} patch_size", patch_size)
        self.check_size(name, 0, self.patch_size)
        low, high = (check_positive(f"{name} wavelength_range", end, "angstrom") for end in wavelength_range)
        require(low < high, f"{name} wavelength_range", expected="the shorter wavelength first", got=(low, high))
        self.wavelength_range = (low, high)
        self.log_range = (math.log10(low), math.log10(high))
        self.n_waves, self.num_features = check_whole(f"{name} n_waves", n_waves, 2), dimension
        self.embed = nn.Sequential(
            nn.Linear(self.patch_size * (2 + 4 * self.n_waves), 2 * dimension), nn.GELU(),
            nn.Linear(2 * dimension, dimension),
        )  # fmt: skip
        self.add_level("embed", FieldType.trivial("C1", dimension), self.patch_size)
        self.transformer = nn.ModuleList(
            TokenBlock(dimension, heads) for _ in range(check_whole(f"{name} depth", depth))
        )
        self.norm = nn.LayerNorm(dimension)
        self.add_level("norm", FieldType.trivial("C1", dimension), self.patch_size)
        self.weigh, self.project = nn.Linear(dimension, heads, bias=False), nn.Linear(dimension, dimension)

    def make_example(self, n: int = 2, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return ``n`` spectra of random flux, fixed by the seed, even in log wavelength over the range, on the CPU."""
        generator, size = torch.Generator().manual_seed(seed), (n, self.image_size)
        flux_BL = 1 + 0.3 * torch.randn(size, generator=generator, dtype=dtype, device="cpu")
        ivar_BL = 4 * torch.rand(size, generator=generator, dtype=dtype, device="cpu") + 1
        log_L = torch.linspace(*self.log_range, self.image_size, dtype=dtype, device="cpu")
        return torch.stack([flux_BL, ivar_BL, log_L.expand(size)], 1)[:, :, None]

    def check_input(self, x_BCHW: Tensor) -> None:
        """Raise ImageError unless these are spectra (B, 3, 1, L) with pixels that are there, inside the range."""
        expected = f"(B, {CHANNELS}, 1, L) of {self.patch_size} pixels or more"
        if not torch.is_tensor(x_BCHW) or not is_row(tuple(x_BCHW.shape)) or x_BCHW.shape[1] != CHANNELS:
            got = tuple(x_BCHW.shape) if torch.is_tensor(x_BCHW) else type(x_BCHW).__name__
            mend = "equirgz.data.spectra.rows.to_rows makes them"
            raise ImageError("spectra", expected=f"a tensor {expected}", got=got, mend=mend)
        require(x_BCHW.shape[-1] >= self.patch_size, "spectra", expected=expected, got=f"{x_BCHW.shape[-1]} pixels",
                error=ImageError)  # fmt: skip
        if torch.compiler.is_compiling():
            return
        self._check_type(x_BCHW)
        if not x_BCHW.is_meta:
            self._check_values(x_BCHW)

    @torch.no_grad()
    def _check_values(self, x_BCHW: Tensor) -> None:
        ivar_BL, log_BL = x_BCHW[:, 1, 0], x_BCHW[:, 2, 0]
        seen_BL, there_BL = ivar_BL > 0, log_BL > 0
        bad_B = ~x_BCHW.isfinite().flatten(1).all(1)
        self._refuse(
            bad_B, "finite numbers", "NaN or infinity", "set the inverse variance and flux of such pixels to 0"
        )
        self._refuse(~seen_BL.any(1), "a pixel of inverse variance above 0", "0 everywhere", "leave it out")
        falls_BL = (log_BL.diff(dim=1) <= 0) & there_BL[:, 1:] & there_BL[:, :-1]
        self._refuse(falls_BL.any(1), "wavelengths that rise", "unsorted or repeated ones", "sort its pixels")
        low, high = self.log_range
        outside_BL = seen_BL & ((log_BL < low - 1e-6) | (log_BL > high + 1e-6))
        if bool(outside_BL.any()):
            at = 10.0 ** float(log_BL[outside_BL][0])
            expected = "wavelengths of {:g} to {:g} angstrom, the range of this network".format(*self.wavelength_range)
            mend = "cut the spectrum there, or build and train one with another wavelength_range"
            self._refuse(outside_BL.any(1), expected, f"{at:.6g}", mend)

    def _refuse(self, bad_B: Tensor, expected: str, got: str, mend: str) -> None:
        if bool(bad_B.any()):
            where = f"spectra, index {int(bad_B.nonzero()[0])}"
            raise ImageError(where, expected=expected, got=got, mend=mend)

    def tokens(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return token_BPD of the patches, and which are known, (B, P)."""
        x_BCHW = F.pad(x_BCHW, (0, -x_BCHW.shape[-1] % self.patch_size))
        flux_BL, ivar_BL, log_BL = x_BCHW[:, :, 0].unbind(1)
        seen_BL = (ivar_BL > 0).to(flux_BL)
        scale_B1 = mean_flux(flux_BL, ivar_BL)
        power_BL = ivar_BL * scale_B1.square()  # of signal over noise
        contrast_BL1 = ((flux_BL / scale_B1 - 1) * (power_BL / (1 + power_BL)))[..., None]
        wave_BLK = embed_wavelength(log_BL, self.log_range, self.n_waves) * seen_BL[..., None]
        noise_BL1 = 0.2 * torch.log1p(power_BL)[..., None]
        pixel_BLK = torch.cat([contrast_BL1, noise_BL1, wave_BLK, contrast_BL1 * wave_BLK], -1)
        patch_BPK = pixel_BLK.unflatten(1, (-1, self.patch_size)).flatten(2)
        return self.embed(patch_BPK), seen_BL.unflatten(1, (-1, self.patch_size)).amax(-1) > 0

    def maps(self, x_BCHW: Tensor) -> Tensor:
        """Return the last tokens as maps (B, D, 1, P); those that are not there are 0 in all channels."""
        return self.stage_maps(x_BCHW)[-1]

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        first_BPD, known_BP = self.tokens(x_BCHW)
        token_BPD = first_BPD
        for block in self.transformer:
            token_BPD = block(token_BPD, known_BP)
        parts = (first_BPD, self.norm(token_BPD))
        return [(part_BPD * known_BP[..., None]).transpose(1, 2)[:, :, None] for part_BPD in parts]

    def attention_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return one row (B, 1, 1, L) per block: the attention that a pixel's patch receives; 1 is an even share."""
        self.check_input(x_BCHW)
        (token_BPD, known_BP), rows = self.tokens(x_BCHW), []
        for block in self.transformer:
            share_BP = block.attention.received(block.norm1(token_BPD), known_BP) * known_BP.sum(1, keepdim=True)
            rows.append(share_BP.repeat_interleave(self.patch_size, 1)[:, None, None, : x_BCHW.shape[-1]])
            token_BPD = block(token_BPD, known_BP)
        return rows

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        token_BPD = maps_BCHW[:, :, 0].transpose(1, 2)
        known_BP1 = token_BPD.abs().amax(-1, keepdim=True) > 0
        share_BPH = self.weigh(token_BPD).masked_fill(~known_BP1, -torch.inf).softmax(1)
        mean_BHd = torch.einsum("bph,bphd->bhd", share_BPH, token_BPD.unflatten(-1, (share_BPH.shape[-1], -1)))
        return self.project(mean_BHd.flatten(1))

    def blocks(self) -> list[nn.Module]:
        return [self.embed, *self.transformer, self.norm, self.weigh, self.project]


def mean_flux(flux_BL: Tensor, ivar_BL: Tensor) -> Tensor:
    """Return the mean of |flux| over the pixels that are there, (B, 1), above 0."""
    seen_BL = (ivar_BL > 0).to(flux_BL)
    total_B1 = (flux_BL.abs() * seen_BL).sum(1, keepdim=True)
    return (total_B1 / seen_BL.sum(1, keepdim=True).clamp_min(1)).clamp_min(torch.finfo(flux_BL.dtype).tiny * 1e8)


@BACKBONES.register("spectral_transformer")
@explained_by(SpectralTransformer)
def spectral_transformer(
    in_channels: int = CHANNELS,
    image_size: int = 384,
    width: float = 1.0,
    dimension: int = 64,
    heads: int = 4,
    depth: int = 2,
    patch_size: int = 16,
    n_waves: int = 16,
    wavelength_range: tuple[float, float] = (3500.0, 10000.0),
) -> Backbone:
    """Transformer on spectra of any wavelength grids (after arXiv 2510.17959, much smaller).

    Spectra of 384 pixels make 24 tokens of 64 numbers.
    """
    heads = check_whole("spectral_transformer heads", heads)
    return SpectralTransformer(
        in_channels,
        image_size,
        dimension=heads * scaled_fields((check_whole("spectral_transformer dimension", dimension) // heads,), width)[0],
        heads=heads,
        depth=depth,
        patch_size=patch_size,
        n_waves=n_waves,
        wavelength_range=tuple(wavelength_range),
    )
