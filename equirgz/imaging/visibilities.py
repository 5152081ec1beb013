"""Measured visibilities from files: .npz, and UVFITS as measurement sets are exported to. Legend: M visibilities.

From a measurement set: ``exportuvfits`` of CASA, of one field and spectral window, or any program that writes the four
arrays of the .npz.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from equirgz.errors import DataError, InputError, require
from equirgz.imaging.antennas import Coverage
from equirgz.imaging.gridded import GriddedMeasurement, sum_on_grid
from equirgz.paths import as_path

NPZ_NAMES = ("u", "v", "visibility", "weight")
HANDS = ((-1, -2), (-5, -6))  # codes on the STOKES axis whose mean is I: RR and LL, XX and YY
STOKES_I = 1


@dataclass(frozen=True)
class Visibilities:
    """``coverage`` in wavelengths with weights in Jy^-2, and ``y_M``, complex, Jy.

    Raises InputError for what :class:`~equirgz.imaging.antennas.Coverage` refuses, values that are not finite or not
    one per (u, v), and coverage that is not Hermitian: a (-u, -v) beside a (u, v) whose value is no complex conjugate.
    """

    coverage: Coverage
    y_M: np.ndarray

    def __post_init__(self) -> None:
        y_M = np.asarray(self.y_M, np.complex128)
        require(y_M.shape == self.coverage.u_M.shape, "visibilities", expected=f"{len(self.coverage)}, one per (u, v)",
                got=y_M.shape)  # fmt: skip
        bad = int((~np.isfinite(y_M)).sum())
        require(bad == 0, "visibilities", expected="finite numbers", got=f"{bad} NaN or infinite")
        object.__setattr__(self, "y_M", y_M)
        keep_M = self._first_of_pairs()
        if not keep_M.all():
            of = self.coverage
            object.__setattr__(self, "coverage", Coverage(of.u_M[keep_M], of.v_M[keep_M], of.weight_M[keep_M]))
            object.__setattr__(self, "y_M", y_M[keep_M])

    def __len__(self) -> int:
        return len(self.y_M)

    def _first_of_pairs(self) -> np.ndarray:
        """Return which visibilities are no conjugate of an earlier one."""
        seen: dict[tuple[float, float], int] = {}
        keep_M = np.ones(len(self.y_M), bool)
        for i, (u, v) in enumerate(zip(self.coverage.u_M.tolist(), self.coverage.v_M.tolist(), strict=True)):
            j = seen.get((-u, -v)) if (u, v) != (0.0, 0.0) else None
            if j is None:
                seen[u, v] = i
                continue
            if not np.isclose(self.y_M[i], self.y_M[j].conj(), rtol=1e-5, atol=1e-12):
                mend = "the value at (-u, -v) is that at (u, v), conjugated: give each baseline once"
                got = f"{self.y_M[i]:.4g} and {self.y_M[j]:.4g} at (u, v) = ({u:g}, {v:g}) and its mirror"
                raise InputError("uv coverage", expected="Hermitian visibilities", got=got, mend=mend)
            keep_M[i] = False
        return keep_M

    def grid(self, n_pixels: int, pixel_scale_arcsec: float) -> tuple[GriddedMeasurement, Tensor]:
        """Return the measurement on an image's own cells, and the weighted mean in each of them.

        Raises InputError for uv beyond Nyquist.
        """
        model = GriddedMeasurement.from_coverage(self.coverage, n_pixels, pixel_scale_arcsec)
        sum_HW = sum_on_grid(self.coverage, self.coverage.weight_M * self.y_M, n_pixels, pixel_scale_arcsec)
        y_M = torch.as_tensor(sum_HW[tuple(model.cell_M2.T.numpy())]) / model.weight_M.double()
        return model, y_M.to(torch.complex64)


def read_visibilities(path: Path | str, *, drop_flagged: bool = False, conjugate: bool = False) -> Visibilities:
    """Return the visibilities of a file, Stokes I.

    Parameters
    ----------
    path : ``.npz`` with arrays u, v (wavelengths), visibility (complex, Jy) and weight (1 / variance of each part,
        Jy^-2), all (M,); else UVFITS: random groups with u, v in seconds, axes COMPLEX (real, imaginary, weight),
        STOKES and FREQ. Its channels become visibilities of their own; of the STOKES, told by their codes, I is taken,
        or the weighted mean of both parallel hands (RR and LL, XX and YY), and all others are left out.
    drop_flagged : leave out weights of zero or below, which UVFITS uses for flags; else they are refused.
    conjugate : for files of the other sign of u and v, whose images come out turned by 180 degrees.

    Raises DataError for a file that is none of these, InputError as :class:`Visibilities`.
    """
    path = as_path(path)
    if not path.is_file():
        raise DataError(str(path), expected="a file of visibilities", got="none")
    u_M, v_M, y_M, weight_M = _read_npz(path) if path.suffix.lower() == ".npz" else _read_uvfits(path)
    if drop_flagged:
        kept_M = weight_M > 0
        u_M, v_M, y_M, weight_M = (array[kept_M] for array in (u_M, v_M, y_M, weight_M))
    flagged = int((weight_M <= 0).sum())
    if flagged:
        got, mend = (
            f"{flagged} of {len(weight_M)} of zero or below",
            "they are flags: drop_flagged=True leaves them out",
        )
        raise InputError(f"{path.name}: weights", expected="positive numbers", got=got, mend=mend)
    return Visibilities(Coverage(u_M, v_M, weight_M), y_M.conj() if conjugate else y_M)


def _read_npz(path: Path) -> tuple[np.ndarray, ...]:
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in NPZ_NAMES if name not in file]
            if missing:
                raise DataError(str(path), expected=f"arrays {', '.join(NPZ_NAMES)}", got=f"no {', '.join(missing)}")
            return tuple(file[name] for name in NPZ_NAMES)
    except (OSError, ValueError) as error:
        raise DataError(str(path), expected="an .npz of plain arrays", got=str(error).splitlines()[0]) from error


def _read_uvfits(path: Path) -> tuple[np.ndarray, ...]:
    from astropy.io import fits

    try:
        with fits.open(path) as file:
            return _unpack_groups(path, file[0])
    except OSError as error:
        raise DataError(str(path), expected=".npz or UVFITS", got="neither", mend="see read_visibilities") from error


def _unpack_groups(path: Path, hdu: object) -> tuple[np.ndarray, ...]:
    """Return u, v, complex values and weights, flat over groups and channels."""
    header, names = hdu.header, [str(name) for name in getattr(hdu, "parnames", None) or ()]
    places = [next((k for k, name in enumerate(names) if name.startswith(letter * 2)), None) for letter in "UV"]
    if not header.get("GROUPS") or None in places:
        mend = "export the measurement set by CASA's exportuvfits"
        raise DataError(str(path), expected="UVFITS: random groups with UU and VV", got="other FITS", mend=mend)
    axis = {str(header.get(f"CTYPE{k}", "")).strip(): k for k in range(2, header["NAXIS"] + 1)}
    if not {"COMPLEX", "STOKES", "FREQ"} <= set(axis) or header[f"NAXIS{axis['COMPLEX']}"] != 3:
        raise DataError(str(path), expected="axes COMPLEX of 3, STOKES and FREQ", got=sorted(axis))
    others = {name: header[f"NAXIS{k}"] for name, k in axis.items() if name not in ("COMPLEX", "STOKES", "FREQ")}
    if max(others.values(), default=1) > 1:
        mend = "export one spectral window"
        raise DataError(str(path), expected="one value on every other axis", got=others, mend=mend)
    value = np.asarray(hdu.data["DATA"], np.float64)
    order = [value.ndim + 1 - axis[name] for name in ("FREQ", "STOKES", "COMPLEX")]
    value_GFS3 = np.moveaxis(value, order, (-3, -2, -1)).reshape(len(value), -1, value.shape[order[1]], 3)
    value_GFS3 = value_GFS3[:, :, _find_total(path, _axis_values(header, axis["STOKES"], value_GFS3.shape[2]))]
    frequency_F = _axis_values(header, axis["FREQ"], value_GFS3.shape[1])
    weight_GFS = np.maximum(value_GFS3[..., 2], 0)
    weight_GF = weight_GFS.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        y_GF = (weight_GFS * (value_GFS3[..., 0] + 1j * value_GFS3[..., 1])).sum(-1) / weight_GF
    u_GF, v_GF = (np.outer(np.asarray(hdu.data.par(place), np.float64), frequency_F) for place in places)
    return tuple(array.ravel() for array in (u_GF, v_GF, np.where(weight_GF > 0, y_GF, 0), weight_GF))


def _axis_values(header: object, k: int, n: int) -> np.ndarray:
    """Return the ``n`` values along axis ``k`` of a FITS header."""
    step = header.get(f"CDELT{k}", 0)
    return header[f"CRVAL{k}"] + (np.arange(n) + 1 - header.get(f"CRPIX{k}", 1)) * step


def _find_total(path: Path, code_S: np.ndarray) -> list[int]:
    """Return the places on the STOKES axis whose weighted mean is I; DataError where there are none."""
    codes = np.rint(code_S).astype(int).tolist()
    for wanted in ((STOKES_I,), *HANDS):
        if set(wanted) <= set(codes):
            return [codes.index(code) for code in wanted]
    expected = "Stokes I (code 1), or both parallel hands (-1 and -2, or -5 and -6)"
    raise DataError(str(path), expected=expected, got=f"codes {codes}", mend="export I, or both parallel hands")
