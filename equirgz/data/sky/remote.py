"""Cutouts from SkyView by position (extra ``astro``): rate-limited, resumable, one FITS file per source."""

from __future__ import annotations

import time
import urllib.request
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.data.formats.fits import load_fits
from equirgz.errors import DataError, InputError, check_choice, require_package
from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic

_TIMEOUT_S = 120.0
#: short name -> (survey as SkyView calls it, pixel scale in arcsec)
SURVEYS = {"first": ("VLA FIRST (1.4 GHz)", 1.8), "nvss": ("NVSS", 15.0)}


@dataclass
class FetchReport:
    """What became of a list of positions."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the report."""
        out = [f"{len(self.done)} fetched, {len(self.skipped)} there already, {len(self.failed)} failed"]
        return out + [f"  {name}: {reason}" for name, reason in self.failed.items()]


def make_client(url: str | None = None) -> Any:
    """Return astroquery's SkyView client; ``url`` replaces the address of its form.

    Raises MissingPackageError when astroquery is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the package are not the user's
        client = require_package("astroquery.skyview", "remote cutouts").SkyViewClass()
    if url is not None:
        client.URL = url
    return client


def fetch_cutouts(
    position_deg_N2: np.ndarray,
    folder: Path | str,
    *,
    names: Sequence[str] | None = None,
    survey: str = "first",
    size: int = 300,
    pixel_scale_arcsec: float | None = None,
    requests_per_s: float = 1.0,
    retries: int = 2,
    client: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> FetchReport:
    """Fetch one ``size`` x ``size`` cutout per position into ``folder`` as ``<name>.fits``.

    Files that are there already and can be read are kept, so an interrupted call is taken up again
    by calling it once more. At most ``requests_per_s`` requests are made; a failed one is repeated
    ``retries`` times with doubled waiting, then listed in the report and in ``failed.txt``. Every
    file is written by rename and only when it holds an image. Raises InputError for bad arguments.
    """
    survey_name, scale = SURVEYS[check_choice("survey", survey, SURVEYS)]
    scale = pixel_scale_arcsec or scale
    position_deg_N2 = np.asarray(position_deg_N2, float).reshape(-1, 2)
    if requests_per_s <= 0 or size < 1:
        raise InputError(
            "fetch_cutouts", expected="requests_per_s > 0 and size >= 1", got=f"{requests_per_s} and {size}"
        )
    names = [position_name(ra, dec) for ra, dec in position_deg_N2] if names is None else [str(name) for name in names]
    if len(names) != len(position_deg_N2) or len(set(names)) < len(names):
        raise InputError("names", expected=f"{len(position_deg_N2)} different ones", got=len(set(names)))
    folder = as_path(folder)
    client = client or make_client()
    report = FetchReport()
    last = -np.inf
    for k, (name, (ra, dec)) in enumerate(zip(names, position_deg_N2, strict=True), 1):
        path = folder / f"{name}.fits"
        if _usable(path):
            report.skipped.append(name)
        else:
            for attempt in range(retries + 1):
                wait = last + 2.0**attempt / requests_per_s - time.monotonic()
                if np.isfinite(wait) and wait > 0:
                    time.sleep(wait)
                last = time.monotonic()
                reason = _fetch_one(client, path, ra, dec, survey_name, size, scale)
                if reason is None:
                    report.done.append(name)
                    break
            else:
                report.failed[name] = reason
        if progress is not None:
            progress(k, len(names))
    failed = folder / "failed.txt"
    if report.failed:
        write_bytes_atomic(failed, "".join(f"{n}\t{r}\n" for n, r in report.failed.items()).encode())
    else:
        failed.unlink(missing_ok=True)
    return report


def position_name(ra_deg: float, dec_deg: float) -> str:
    """Return ``RRR.RRRR+DD.DDDD``, the name of a cutout without a better one."""
    return f"{ra_deg:08.4f}{dec_deg:+08.4f}"


def _usable(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        load_fits(path)
    except DataError:
        return False
    return True


def _fetch_one(client: Any, path: Path, ra: float, dec: float, survey: str, size: int, scale: float) -> str | None:
    """Write one cutout; return None, or why it could not be had."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    side = size * scale * units.arcsec
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            addresses = client.get_image_list(
                position=SkyCoord(ra, dec, unit="deg"),
                survey=[survey],
                pixels=f"{size},{size}",
                width=side,
                height=side,
                cache=False,
            )
        if not addresses:
            return "the survey has no image there"
        with urllib.request.urlopen(addresses[0], timeout=_TIMEOUT_S) as response:
            content = response.read()
    except Exception as error:  # the client raises whatever requests, its parser or the network raise
        return " ".join(str(error).split())[:200] or type(error).__name__
    write_bytes_atomic(path, content)
    try:
        load_fits(path)
    except DataError as error:
        path.unlink()
        return str(error)
    return None
