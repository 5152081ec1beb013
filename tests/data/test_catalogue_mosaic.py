import warnings

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table

from equirgz.data import DATASETS, load_data
from equirgz.data.catalogues.catalogue import get_ids, get_positions, read_catalogue
from equirgz.data.formats.fits import load_fits
from equirgz.data.notes import note
from equirgz.data.own.cut_sources import load_mosaic
from equirgz.data.sets.mightee import votes_to_labels
from equirgz.data.sky.mosaic import cut_mosaic, resample_image
from equirgz.errors import DataError, InputError
from tests.data.formats.test_fits import make_header

TABLE = pd.DataFrame(
    {
        "NAME": ["a", "b", "0012"],
        "RA": [150.0, 150.01, 210.0],
        "DEC": [-2.5, -2.49, 5.0],
        "flux": [1.5, np.nan, 3.0],
    }
)


def write_table(path):
    if path.suffix == ".csv":
        TABLE.to_csv(path, index=False)
    elif path.suffix == ".tsv":
        TABLE.to_csv(path, index=False, sep="\t")
    elif path.suffix == ".parquet":
        TABLE.to_parquet(path)
    else:
        formats = {".fits": "fits", ".vot": "votable", ".ecsv": "ascii.ecsv"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Table.from_pandas(TABLE).write(path, format=formats[path.suffix])


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "fits", "vot", "ecsv"])
def test_catalogues_of_every_form_are_the_same(tmp_path, ending):
    path = tmp_path / f"c.{ending}"
    write_table(path)
    table = read_catalogue(path)
    assert get_ids(table).tolist() == ["a", "b", "0012"]
    np.testing.assert_allclose(get_positions(table), TABLE[["RA", "DEC"]])
    assert table["flux"].isna().tolist() == [False, True, False]


def test_position_columns_are_guessed_named_or_missed(tmp_path):
    renamed = TABLE.rename(columns={"RA": "_RAJ2000", "DEC": "_DEJ2000"})
    np.testing.assert_allclose(get_positions(renamed), TABLE[["RA", "DEC"]])
    odd = TABLE.rename(columns={"RA": "east", "DEC": "north"})
    np.testing.assert_allclose(get_positions(odd, ra="east", dec="north"), TABLE[["RA", "DEC"]])
    with pytest.raises(DataError, match=r"cat: expected position columns such as ra and dec, got NAME, east, north"):
        get_positions(odd, source="cat")
    with pytest.raises(InputError, match="'west'"):
        get_positions(odd, ra="west")
    with pytest.raises(DataError, match=r"row 2: expected degrees, got \(210.0, 500.0\)"):
        get_positions(TABLE.assign(DEC=[0, 0, 500]))
    np.testing.assert_allclose(get_positions(TABLE.assign(RA="10:00:00"))[:, 0], 150.0)
    with pytest.raises(DataError, match="RA: expected angles in degrees or sexagesimal, got 'noon'"):
        get_positions(TABLE.assign(RA="noon"))


@pytest.mark.parametrize("ending", ["csv", "fits", "vot", "parquet"])
def test_damaged_missing_and_empty_catalogues_are_named(tmp_path, ending):
    path = tmp_path / f"bad.{ending}"
    with pytest.raises(DataError, match="bad"):
        read_catalogue(path)
    path.write_bytes(b"\x00\x01nonsense")
    with pytest.raises(DataError, match="bad"):
        read_catalogue(path)
    if ending == "csv":
        TABLE.iloc[:0].to_csv(path, index=False)
        with pytest.raises(DataError, match="with sources, got none"):
            read_catalogue(path)
    with pytest.raises(InputError, match=r"got '\.doc'"):
        read_catalogue(tmp_path / "c.doc")


def make_mosaic(path, size=200, scale=1.1):
    header = make_header(scale, size)
    pixels = np.random.default_rng(0).normal(0, 1e-5, (size, size)).astype(np.float32)
    fits.PrimaryHDU(pixels[None, None], header).writeto(path)
    image = load_fits(path)
    return image


def add_sources(image, position, flux=0.01, fwhm_arcsec=8.0):
    x, y = image.wcs.wcs_world2pix(np.asarray(position), 0).T
    rows, columns = np.mgrid[: image.image_HW.shape[0], : image.image_HW.shape[1]]
    sigma = fwhm_arcsec / image.pixel_scale_arcsec / 2.3548
    for x0, y0 in zip(x, y, strict=True):
        image.image_HW[:] += flux * np.exp(-((rows - y0) ** 2 + (columns - x0) ** 2) / (2 * sigma**2))
    return x, y


INSIDE = [[150.0, -2.5], [150.012, -2.49], [150.03, -2.5], [150.0, -2.47]]
POSITIONS = np.array([*INSIDE, [151.0, -2.5], [np.nan, 0.0], [12.0, 40.0]])


def test_cutouts_are_centred_and_edges_are_nan(tmp_path):
    image = make_mosaic(tmp_path / "m.fits")
    add_sources(image, POSITIONS[:2])
    cuts = cut_mosaic(image, POSITIONS, size=41)
    assert cuts.unit == "Jy / beam" and cuts.beam_arcsec == pytest.approx((6.0, 5.4, 12.0))
    for cut in cuts.image_NSS[:2]:
        assert np.hypot(*(np.array(np.unravel_index(np.nanargmax(cut), cut.shape)) - 20)) <= 1
        assert np.nanmax(cut) == pytest.approx(0.01, rel=0.05)
    edge = cuts.image_NSS[list(cuts.index_N).index(2)]
    assert 0 < np.isnan(edge).mean() < 0.5
    assert set(cuts.missing) - {3} == {4, 5, 6}
    assert "outside" in cuts.missing[4] and "no position" in cuts.missing[5] and "projection" in cuts.missing[6]


def test_cutouts_equal_the_pixels_of_the_mosaic(tmp_path):
    image = make_mosaic(tmp_path / "m.fits")
    cut = cut_mosaic(image, POSITIONS[:1], size=21).image_NSS[0]
    x, y = np.round(image.wcs.wcs_world2pix(POSITIONS[:1], 0)[0] + 1e-6).astype(int)
    windows = [image.image_HW[y - 10 + dy : y + 11 + dy, x - 10 + dx : x + 11 + dx] for dy in (-1, 0) for dx in (-1, 0)]
    assert any((cut == window).all() for window in windows)


@pytest.mark.parametrize("scale", [0.7, 1.8, 3.0])
def test_resampled_cutouts_keep_flux_density_and_place(tmp_path, scale):
    image = make_mosaic(tmp_path / "m.fits")
    add_sources(image, POSITIONS[:1], fwhm_arcsec=12.0)
    cuts = cut_mosaic(image, POSITIONS[:1], size=31, pixel_scale_arcsec=scale)
    cut = cuts.image_NSS[0].astype(float)
    assert cuts.pixel_scale_arcsec == scale
    axis = np.arange(31) - 15
    centroid = (cut * axis).sum() / cut.sum(), (cut * axis[:, None]).sum() / cut.sum()
    np.testing.assert_allclose(centroid, 0, atol=0.15)
    if scale > 1:  # the whole source lies inside: its flux is the sum over pixels times the pixel's area
        sky = cut.sum() * scale**2
        assert sky == pytest.approx(0.01 * 2 * np.pi * (12.0 / 2.3548) ** 2, rel=0.05)


def test_a_whole_image_is_resampled_about_its_centre():
    rows, columns = np.mgrid[:61, :61] - 30.0
    image = np.exp(-(rows**2 + columns**2) / (2 * 8.0**2)).astype(np.float32)
    half = resample_image(image, 2.0)
    assert half.shape == (30, 30) and half.sum() * 4 == pytest.approx(image.sum(), rel=0.02)
    np.testing.assert_allclose(half, half[::-1, ::-1], atol=1e-6)


def test_nan_of_the_mosaic_do_not_spread_when_resampled(tmp_path):
    image = make_mosaic(tmp_path / "m.fits")
    add_sources(image, POSITIONS[:1])
    image.image_HW[90:95, 90:95] = np.nan
    cut = cut_mosaic(image, POSITIONS[:1], size=31, pixel_scale_arcsec=1.8).image_NSS[0]
    assert 0 < np.isnan(cut).sum() < 25


def test_mosaic_without_coordinates_is_refused(tmp_path):
    fits.PrimaryHDU(np.ones((9, 9))).writeto(tmp_path / "m.fits")
    with pytest.raises(DataError, match="sky coordinates"):
        cut_mosaic(tmp_path / "m.fits", POSITIONS[:1], size=3)


def write_field(tmp_path):
    image = make_mosaic(tmp_path / "m.fits", 300)
    position = np.stack([150 + np.array([-0.02, 0.0, 0.02, 0.3]), np.full(4, -2.5)], 1)
    add_sources(image, position[:3])
    fits.PrimaryHDU(image.image_HW, image.header).writeto(tmp_path / "m.fits", overwrite=True)
    catalogue = pd.DataFrame(
        {
            "NAME": [f"J{i}" for i in range(4)],
            "ra": position[:, 0],
            "dec": position[:, 1],
            "kind": list("xyxx"),
        }
    )
    catalogue.to_csv(tmp_path / "c.csv", index=False)
    return catalogue


def test_mosaic_and_catalogue_make_a_dataset(tmp_path):
    write_field(tmp_path)
    images = load_mosaic([tmp_path / "m.fits"], tmp_path / "c.csv", size=40, label_column="kind")
    assert images.source_id_N.tolist() == ["J0", "J1", "J2"] and images.label_N.tolist() == [0, 1, 0]
    assert images.class_names == ("x", "y") and images.pixel_scale_arcsec == pytest.approx(1.1)
    assert images.image_NHW.shape == (3, 40, 40) and (images.image_NHW.max((1, 2)) == 255).all()
    data = load_data(
        "mosaic",
        tmp_path,
        image_size=15,
        params={"mosaics": ["m.fits"], "catalogue": "c.csv", "size": 40, "pixel_scale_arcsec": 1.8},
    )
    assert len(data.train) == 3 and data.train.pixel_scale_arcsec == pytest.approx(1.8 * 40 / 15)
    with pytest.raises(InputError, match="mosaics and catalogue"):
        load_data("mosaic", tmp_path)


def test_sources_outside_every_mosaic_are_an_error_only_when_none_is_left(tmp_path):
    catalogue = write_field(tmp_path)
    catalogue.iloc[3:].to_csv(tmp_path / "far.csv", index=False)
    with pytest.raises(DataError, match=r"got none of 1; e.g. m\.fits: outside the mosaic"):
        load_mosaic([tmp_path / "m.fits"], tmp_path / "far.csv", size=40)
    with pytest.raises(DataError, match=r"expected mosaics to cut its sources from"):
        load_mosaic([], tmp_path / "far.csv", size=40)


def test_sources_outside_a_mosaic_are_listed_with_the_reason(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))
    note.cache_clear()
    catalogue = write_field(tmp_path)
    rows = pd.DataFrame({"NAME": ["J5", "J5"], "ra": [149.0, np.nan], "dec": [-2.5, -2.5]})
    pd.concat([catalogue, rows]).to_csv(tmp_path / "c.csv", index=False)
    images = load_mosaic([tmp_path / "m.fits"], tmp_path / "c.csv", size=40, label_column="")
    assert images.source_id_N.tolist() == ["J0", "J1", "J2"]
    listed = next((tmp_path / "cache").glob("bad_sources_*.txt"))
    assert listed.read_text().splitlines() == [
        "J3\tm.fits: outside the mosaic",
        "J5 (row 4)\tm.fits: outside the mosaic",
        "J5 (row 5)\tm.fits: no position, or behind the projection",
    ]
    assert caplog.messages == [
        f"{tmp_path / 'c.csv'}: left out 3 sources, e.g. J3: m.fits: outside the mosaic; listed in {listed}"
    ]
    second = make_mosaic(tmp_path / "n.fits", 40)
    assert second.image_HW.shape == (40, 40)
    both = [tmp_path / "n.fits", tmp_path / "m.fits"]
    again = load_mosaic(both, tmp_path / "c.csv", size=40, label_column="", bad_list=tmp_path / "bad.txt")
    assert sorted(again.source_id_N) == ["J0", "J1", "J2"] and len(caplog.messages) == 1
    assert (tmp_path / "bad.txt").read_text().splitlines()[0] == (
        "J3\tn.fits: outside the mosaic; m.fits: outside the mosaic"
    )


def test_mosaics_of_several_scales_or_units_are_not_merged(tmp_path):
    write_field(tmp_path)
    make_mosaic(tmp_path / "coarse.fits", 300, scale=1.5)
    make_mosaic(tmp_path / "near.fits", 300, scale=1.11)
    options = {"catalogue": "c.csv", "size": 20}

    def load(*mosaics, **more):
        return DATASETS.create("mosaic", tmp_path, mosaics=mosaics, **options, **more).train

    assert load("m.fits", "near.fits").pixel_scale_arcsec == pytest.approx(1.1, rel=0.02)
    one = DATASETS.create("mosaic", tmp_path, mosaics="m.fits", **options).train  # a path, not its letters
    assert one.checksum == load("m.fits").checksum
    with pytest.raises(
        InputError,
        match=(
            r"expected the same pixel scale in all, got 1\.1 arcsec \(m\.fits\) and 1\.5 arcsec \(coarse\.fits\); "
            "set pixel_scale_arcsec"
        ),
    ):
        load("m.fits", "coarse.fits")
    images = load("m.fits", "coarse.fits", pixel_scale_arcsec=1.5)
    assert len(images) == 3 and images.pixel_scale_arcsec == 1.5
    with fits.open(tmp_path / "near.fits", mode="update") as file:
        file[0].header["BUNIT"] = "K"
    with pytest.raises(InputError, match=r"expected the same unit in all, got Jy / beam \(m\.fits\) and K"):
        load("m.fits", "near.fits", pixel_scale_arcsec=1.5)


def make_votes(counts):
    rows = [
        {"filename": f"{name}.png", "user": f"u{i}", "vote": option}
        for name, options in counts.items()
        for i, option in enumerate(options)
    ]
    return pd.DataFrame(rows)


VOTES = {
    "sure1": [1, 1, 1, 2],
    "sure2": ["FRII"] * 5,
    "half": [1, 1, 2, 2],
    "weak": [2, 2, 2, 1, 1],
    "point": [0, 0, 1],
    "noise": [-1, -1, -1, 2],
    "split": [1, 2, 0],
    "tie0": [0, 0, 1, 1],
}


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        ("certain", {"sure1.png": 0, "sure2.png": 1}),
        ("uncertain", {"weak.png": 1}),
        ("all", {"sure1.png": 0, "sure2.png": 1, "half.png": 0, "weak.png": 1}),
    ],
)
def test_votes_become_labels_by_majority_and_fraction(confidence, expected):
    labels = votes_to_labels(make_votes(VOTES), confidence=confidence)
    assert dict(zip(labels["name"], labels["label"], strict=True)) == expected
    fractions = dict(zip(labels["name"], labels["vote_fraction"], strict=True))
    assert fractions.get("sure1.png", 0.75) == 0.75 and fractions.get("weak.png", 0.6) == 0.6


def test_votes_of_excluded_users_are_left_out_and_unknown_options_named():
    labels = votes_to_labels(make_votes(VOTES), exclude_users=("u0", "u1"))
    assert "sure1.png" not in set(labels["name"][labels["vote_fraction"] > 0.5])
    with pytest.raises(DataError, match="got 'spiral'"):
        votes_to_labels(make_votes({"a": ["spiral"]}))
    with pytest.raises(DataError, match="columns such as name and vote"):
        votes_to_labels(pd.DataFrame({"x": [1]}))


def test_mightee_from_votes_catalogue_and_mosaic(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))
    note.cache_clear()
    write_field(tmp_path)
    make_votes({"J0": [1] * 4, "J1": [2] * 4, "J2": [0] * 4, "J3": [1] * 4, "J9": [1] * 4}).to_csv(
        tmp_path / "v.csv", index=False
    )
    params = {"votes": "v.csv", "catalogue": "c.csv", "mosaics": "m.fits", "confidence": "certain"}
    data = load_data("mightee", tmp_path, params=params, image_size=57)
    assert data.train.source_id_N.tolist() == ["J0", "J1"] and data.train.label_N.tolist() == [0, 1]
    assert data.train.pixel_scale_arcsec == pytest.approx(2.2) and data.train.table["n_votes"].tolist() == [
        4,
        4,
    ]
    assert (data.train.image_NHW[:, 20:37, 20:37].max((1, 2)) > 0.8).all()
    listed = next((tmp_path / "cache").glob("bad_sources_*.txt"))
    assert listed.read_text() == "J3\tm.fits: outside the mosaic\nJ9\tnot in the catalogue\n"
    assert [m.split(": ", 1)[1] for m in caplog.messages] == [
        f"left out 2 sources, e.g. J3: m.fits: outside the mosaic; listed in {listed}"
    ]
    with pytest.raises(InputError, match="votes, catalogue and mosaics"):
        load_data("mightee", tmp_path)
