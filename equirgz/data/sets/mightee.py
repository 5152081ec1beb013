"""MIGHTEE: radio galaxies labelled by votes, cut from mosaics at the positions of a catalogue.

Votes are noisy/unsure (-1), point (0), FRI (1) or FRII (2). The label of a source is the option with
most votes; sources voted noise or point are dropped. With f the winner's fraction of the votes
(arXiv 2305.16127): certain f > 0.65, uncertain 0.5 < f <= 0.65, all f >= 0.5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.data.catalogues.catalogue import find_column, get_positions, read_catalogue
from equirgz.data.datasets import DATASETS
from equirgz.data.facts import SetInfo, publish
from equirgz.data.formats.fits import load_fits
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.notes import list_bad
from equirgz.data.recipes import cut_recipe
from equirgz.data.root import find_file
from equirgz.data.sky.mosaic import cut_mosaics
from equirgz.errors import DataError, InputError, check_choice
from equirgz.paths import as_path

publish(
    SetInfo(
        "mightee",
        "MIGHTEE Early Science, COSMOS and XMM-LSS: 117 radio galaxies voted FRI or FRII",
        "",
        None,
        "https://zenodo.org/records/8188867",
        None,
        "Heywood et al. 2022, MNRAS 509, 2150; votes: Slijepcevic et al. 2024, arXiv 2305.16127",
        ("mightee",),
        notes="Several files, named by params.votes, params.catalogue and params.mosaics. The address is the record of "
        "the labelled objects; catalogue and mosaics are the survey's. No md5 or licence was found with the votes.",
    )
)
VOTE_CODES = {
    "-1": -1,
    "noisy": -1,
    "noise": -1,
    "unsure": -1,
    "noisy/unsure": -1,
    "0": 0,
    "point": 0,
    "1": 1,
    "fri": 1,
    "fr i": 1,
    "2": 2,
    "frii": 2,
    "fr ii": 2,
}
CONFIDENCES = ("certain", "uncertain", "all")
_NAMES = ("name", "filename", "source", "source_id", "subject")
_VOTES = ("vote", "classification", "label", "annotation", "answer")
_USERS = ("user", "user_name", "username", "voter")


def votes_to_labels(
    votes: pd.DataFrame,
    *,
    confidence: str = "all",
    name: str | None = None,
    vote: str | None = None,
    user: str | None = None,
    exclude_users: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Return one row per source that is voted FRI or FRII: name, label (0, 1), vote_fraction, n_votes.

    ``votes`` has one row per vote; column names are given or guessed. Votes of ``exclude_users``
    (tests by the authors) are left out. A tie goes to the earlier option in the order noise, point,
    FRI, FRII, so that ties never become FR labels by chance. Raises DataError for an unknown option.
    """
    check_choice("vote confidence", confidence, CONFIDENCES)
    name_column, vote_column = find_column(votes, _NAMES, name), find_column(votes, _VOTES, vote)
    if name_column is None or vote_column is None:
        raise DataError(f"votes: expected columns such as name and vote, got {', '.join(map(str, votes.columns))}")
    if exclude_users:
        user_column = find_column(votes, _USERS, user)
        if user_column is None:
            raise DataError(f"votes: expected a column of users, got {', '.join(map(str, votes.columns))}")
        votes = votes[~votes[user_column].isin(exclude_users)]
    text = votes[vote_column].map(lambda value: str(value).strip().lower().removesuffix(".0"))
    unknown = sorted(set(text) - set(VOTE_CODES))
    if unknown:
        raise DataError("votes", expected=f"options {sorted(set(VOTE_CODES))}", got=repr(unknown[0]))
    counts = pd.crosstab(votes[name_column], text.map(VOTE_CODES)).reindex(columns=[-1, 0, 1, 2], fill_value=0)
    values = counts.to_numpy()
    fraction = values.max(1) / values.sum(1)
    winner = np.array([-1, 0, 1, 2])[values.argmax(1)]
    lowest = {"certain": 0.65, "uncertain": 0.5, "all": 0.5}[confidence]
    keep = fraction >= lowest if confidence == "all" else fraction > lowest
    if confidence == "uncertain":
        keep &= fraction <= 0.65
    keep &= winner >= 1
    return pd.DataFrame(
        {
            "name": counts.index.astype(str)[keep],
            "label": winner[keep] - 1,
            "vote_fraction": fraction[keep],
            "n_votes": values.sum(1)[keep],
        }
    ).reset_index(drop=True)


def load_mightee(
    votes_path: Path,
    catalogue_path: Path,
    mosaic_paths: list[Path],
    *,
    confidence: str = "all",
    recipe: str = "mightee",
    exclude_users: tuple[str, ...] = (),
    pixel_scale_arcsec: float | None = None,
    crop_arcsec: float | None = None,
    bad_list: Path | str | None = None,
) -> ImageSet:
    """Return the voted sources cut from the first mosaic that covers each, made by a named recipe.

    Mosaics of several pixel scales take ``pixel_scale_arcsec``, to which they are resampled; cuts of ``crop_arcsec``
    are made before they are scaled. Sources of the
    votes that the catalogue does not name, or that no mosaic covers, are left out and listed with the reason in
    ``bad_list``; by default in the cache, in a file that the logger ``equirgz`` names in one line. ``table``
    holds those kept. Raises DataError when none is left.
    """
    labels = votes_to_labels(read_catalogue(votes_path), confidence=confidence, exclude_users=exclude_users)
    catalogue = read_catalogue(catalogue_path)
    name_column = find_column(catalogue, ("name", "source_id", "id"))
    if name_column is None:
        raise DataError(f"{catalogue_path}: expected a column NAME, got {', '.join(map(str, catalogue.columns))}")
    position = get_positions(catalogue, source=str(catalogue_path))
    known = pd.DataFrame(
        {
            "name": catalogue[name_column].astype(str).str.strip(),
            "ra_deg": position[:, 0],
            "dec_deg": position[:, 1],
        }
    ).drop_duplicates("name")
    labels["name"] = labels["name"].map(lambda text: Path(text).stem if text.endswith((".png", ".fits")) else text)
    merged = labels.merge(known, on="name", how="inner")
    scale = pixel_scale_arcsec
    if crop_arcsec is not None and scale is None and mosaic_paths:
        scale = load_fits(mosaic_paths[0]).pixel_scale_arcsec
    scale = np.nan if scale is None else scale
    chosen = cut_recipe(recipe, crop_arcsec=crop_arcsec, pixel_scale_arcsec=scale)
    size = chosen.size or 114
    position_deg_N2 = merged[["ra_deg", "dec_deg"]].to_numpy()
    cuts = cut_mosaics(mosaic_paths, position_deg_N2, size=size, pixel_scale_arcsec=pixel_scale_arcsec)
    chosen.check_unit(cuts.unit, str(mosaic_paths[0]) if mosaic_paths else "mosaic")
    outside = dict(zip(merged["name"].to_numpy(str)[list(cuts.missing)], cuts.missing.values(), strict=True))
    unnamed = np.setdiff1d(labels["name"].to_numpy(str), merged["name"].to_numpy(str))
    bad = {**dict.fromkeys(unnamed.tolist(), "not in the catalogue"), **outside}
    if bad:
        list_bad(bad, votes_path, bad_list, what="sources")
    if not len(cuts.index_N):
        raise DataError(
            f"MIGHTEE: expected voted sources inside the mosaics, got none of {len(labels)} "
            f"({len(merged)} named in the catalogue); check that votes, catalogue and mosaics belong together"
        )
    table = merged.iloc[cuts.index_N].reset_index(drop=True)
    return ImageSet(
        f"mightee/{confidence}",
        chosen(cuts.image_NSS),
        table["label"].to_numpy(),
        table["name"].to_numpy(str),
        ("FRI", "FRII"),
        cuts.pixel_scale_arcsec,
        table[["ra_deg", "dec_deg"]].to_numpy(),
        table,
        cut_arcsec=None if np.isnan(scale) else crop_arcsec,
    )


@DATASETS.register("mightee")
def mightee(
    data_dir: Path | None = None,
    /,
    votes: str = "",
    catalogue: str = "",
    mosaics: str | tuple[str, ...] = (),
    confidence: str = "all",
    recipe: str = "mightee",
    exclude_users: tuple[str, ...] = (),
    pixel_scale_arcsec: float | None = None,
    crop_arcsec: float | None = None,
) -> Data:
    """MIGHTEE sources voted FRI or FRII, cut from the survey's mosaics.

    Parameters
    ----------
    votes : path of the table of votes, one a row, as it stands or inside the data root.
    catalogue : path of the table of names and positions.
    mosaics : paths of FITS files (or one); the first that covers a source.
    confidence : by the winner's fraction f of the votes: certain (f > 0.65), uncertain (0.5 < f <= 0.65) or all
        (f >= 0.5).
    recipe : named recipe that makes images of the cuts (:data:`equirgz.data.recipes.RECIPES`).
    exclude_users : whose votes do not count.
    pixel_scale_arcsec : to which the mosaics are resampled, arcsec per pixel; None: the mosaics' own.
    crop_arcsec : side of the cut on the sky, arcsec, made before the recipe scales; None: what the recipe gives.
    """
    if not (votes and catalogue and mosaics):
        raise InputError("dataset 'mightee': expected params votes, catalogue and mosaics, got none; name the files")

    def find(filename: str) -> Path:
        own = as_path(filename)
        return own if own.is_file() else find_file(filename, data_dir)

    images = load_mightee(
        find(votes),
        find(catalogue),
        [find(path) for path in ([mosaics] if isinstance(mosaics, str) else mosaics)],
        confidence=confidence,
        recipe=recipe,
        exclude_users=tuple(exclude_users),
        pixel_scale_arcsec=pixel_scale_arcsec,
        crop_arcsec=crop_arcsec,
    )
    return Data(images, {})
