"""``own_spectra``: one's own spectra in FITS tables, on their native wavelengths, as a registered data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.data.catalogues.match_names import FITS_ENDINGS
from equirgz.data.datasets import DATASETS
from equirgz.data.formats.folders import label_by_folder, walk_files
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.notes import list_bad
from equirgz.data.root import find_file
from equirgz.data.spectra.fits_spectra import read_spectra
from equirgz.data.spectra.rows import to_rows
from equirgz.data.splits.test_part import split_off_test
from equirgz.errors import DataError, require
from equirgz.paths import as_path


def load_spectra(path: Path | str, *, medium: str | None = None, unit: str | None = None) -> ImageSet:
    """Return the spectra of a FITS file, or of all those under a folder, as rows (:mod:`equirgz.data.spectra.rows`).

    The class of a spectrum is what its file says (``CLASS`` of SDSS), else, where there are several, the name of the
    folder that holds the file. A file of a folder that cannot be used is listed with its reason and left out; with none
    that can, and for a single file, the reason is raised. ``medium`` and ``unit`` as for
    :func:`~equirgz.data.spectra.fits_spectra.read_spectra`.

    Raises DataError where there is nothing to read, for spectra that cannot be used, and for a name that comes twice.
    """
    path = as_path(path)
    single = path.is_file()
    files = [path] if single else sorted(p for p in walk_files(path) if p.name.lower().endswith(FITS_ENDINGS)) if (
        path.is_dir()) else []  # fmt: skip
    require(bool(files), str(path), expected="a FITS file, or a folder of them", got="none there", error=DataError)
    spectra, facts, bad = [], [], {}
    for file in files:
        try:
            found = read_spectra(file, medium=medium, unit=unit)
        except DataError as error:
            if single:
                raise
            bad[str(file.relative_to(path))] = str(error)
            continue
        spectra += found.spectra
        facts += [{"file": file if single else file.relative_to(path), **fact} for fact in found.facts]
    if not spectra:
        raise DataError(f"{path}: {min(bad.items())[1]} ({len(bad)} files, none of which can be used)")
    if bad:
        list_bad(bad, path)
    table = pd.DataFrame(facts)
    label_N, class_names = _classes(table, path)
    names = pd.Series([str(fact["file"]) + (f" {fact['target']}" if "target" in fact else "") for fact in facts])
    table["file"] = table["file"].astype(str)
    return ImageSet(path.name, to_rows(spectra), label_N, names.to_numpy(str), class_names, table=table, of_sky=False)


def _classes(table: pd.DataFrame, path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    if "class" not in table:
        return label_by_folder(table["file"].tolist(), path)
    told = table["class"].fillna("").astype(str)
    class_names = tuple(sorted(set(told) - {""}))
    return np.array([class_names.index(name) if name else -1 for name in told]), class_names


@DATASETS.register("own_spectra")
def own_spectra(
    data_dir: Path | None = None,
    /,
    path: str = "",
    medium: str | None = None,
    unit: str | None = None,
    test_fraction: float = 0.2,
) -> Data:
    """Any folder of spectra in FITS tables, of the layouts of SDSS and DESI.

    Give ``image_size``, the pixels of the longest spectrum or more, ``stretch: linear``, ``mask: false`` and
    ``normalise: false``. Spectra are not compared with other sets: two of one object lie where their names put them.

    Parameters
    ----------
    path : of a folder or file, as it stands or inside the data root.
    medium : of all wavelengths, vacuum or air; null: as each file says.
    unit : of all wavelengths, such as angstrom or nm; null: as each file says.
    test_fraction : share of the spectra that tests, the last of one stratified order; 0 <= share < 1.
    """
    require(bool(path), "dataset 'own_spectra'", expected="params.path", got="none", mend="set data.params.path")
    own = as_path(path)
    images = load_spectra(own if own.exists() else find_file(path, data_dir), medium=medium, unit=unit)
    return split_off_test(images, test_fraction, seed=0)
