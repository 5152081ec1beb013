import csv

import numpy as np
import pytest

from equirgz.data import load_data, make_split
from equirgz.data.sets.mirabest import load_mirabest, parse_name, select
from equirgz.errors import DataError, InputError


@pytest.fixture(scope="module")
def versions(data_root):
    return {version: load_mirabest(data_root, version=version) for version in ("F", "v1")}


def test_names_are_parsed_with_the_sign_of_the_declination():
    parsed = parse_name("./PNG/200_003.198-000.788_0.5307_0010.38.png")
    assert parsed == {
        "code": "200",
        "ra_deg": 3.198,
        "dec_deg": -0.788,
        "redshift": 0.5307,
        "las_arcsec": 10.38,
    }
    with pytest.raises(DataError, match="got '17_example.png'"):
        parse_name("17_example.png")


@pytest.mark.parametrize("version", ["F", "v1"])
def test_class_counts_are_the_published_ones(versions, version):
    train, test = versions[version]
    assert list(train.class_counts().values()) == [297, 43, 8, 167, 2, 378, 3, 171, 17, 13]
    assert list(test.class_counts().values()) == [42, 6, 1, 24, 1, 54, 1, 24, 2, 2]
    assert train.image_NHW.shape == (1099, 150, 150) and train.image_NHW.dtype == np.uint8
    assert (np.concatenate([train.image_NHW, test.image_NHW]).reshape(1256, -1).max(1) == 255).all()


def test_the_two_versions_split_differently(versions):
    (train_f, test_f), (train_v1, test_v1) = versions["F"], versions["v1"]
    assert len(np.intersect1d(test_f.source_id_N, test_v1.source_id_N)) == 25
    assert len(np.intersect1d(test_f.source_id_N, train_v1.source_id_N)) == 132
    corner = np.hypot(*np.mgrid[-75:75, -75:75]) > 75
    assert train_f.image_NHW[:, corner].max() == 0 < train_v1.image_NHW[:, corner].max()


def test_positions_and_redshifts_agree_with_the_manifest(versions, data_root):
    with open(data_root / "mirabest_F_manifest.csv") as file:
        rows = {row["file"].removesuffix(".png"): row for row in csv.DictReader(file)}
    for split, images in zip(("train", "test"), versions["F"], strict=True):
        for source, (ra, dec), extra in zip(
            images.source_id_N, images.position_deg_N2, images.table.itertuples(), strict=True
        ):
            row = rows[str(source)]
            assert (ra, dec, extra.redshift, extra.las_arcsec) == pytest.approx(
                [float(row[key]) for key in ("ra", "dec", "z", "las")]
            )
            assert row["split"] == split
    assert (versions["F"][0].position_deg_N2[:, 1] < 0).sum() > 5


@pytest.mark.parametrize(
    ("name", "train_counts", "test_counts"),
    [
        ("mirabest_confident", {"FRI": 348, "FRII": 381}, {"FRI": 49, "FRII": 55}),
        ("mirabest_uncertain", {"FRI": 169, "FRII": 171}, {"FRI": 25, "FRII": 24}),
        (
            "mirabest_hybrid",
            {"hybrid_confident": 17, "hybrid_uncertain": 13},
            {"hybrid_confident": 2, "hybrid_uncertain": 2},
        ),
        ("mirabest_all", {"FRI": 517, "FRII": 552}, {"FRI": 74, "FRII": 79}),
    ],
)
def test_selections_hold_the_published_numbers(data_root, name, train_counts, test_counts):
    data = load_data(name, data_root, image_size=15)
    assert data.train.class_counts() == train_counts
    assert data.tests["test"].class_counts() == test_counts
    assert data.train.image_NHW.dtype == np.float32 and data.train.image_NHW.shape[1:] == (15, 15)
    assert data.train.pixel_scale_arcsec == pytest.approx(18.0)


def test_confident_task_comes_with_uncertain_and_hybrid_test_sets(data_root):
    tests = load_data("mirabest_confident", data_root, image_size=15).tests
    assert {name: len(images) for name, images in tests.items()} == {
        "test": 104,
        "test_uncertain": 49,
        "test_hybrid": 4,
    }
    assert (tests["test_hybrid"].label_N == -1).all()


def test_pool_is_clean_of_test_sources_and_a_leaking_set_is_refused(data_root, versions):
    data = load_data("mirabest_confident", data_root, image_size=15, unlabelled="pool_first150")
    assert len(data.unlabelled) == 2324 and (data.unlabelled.label_N == -1).all()
    # v1's test sources are mostly in F's train set, which the pool may hold
    with pytest.raises(InputError, match="within 270 arcsec of a test source, got .*drop_leaks"):
        load_data(
            "mirabest_confident",
            data_root,
            params={"version": "v1"},
            image_size=15,
            unlabelled="pool_first150",
        )
    cleaned = load_data(
        "mirabest_confident",
        data_root,
        params={"version": "v1"},
        image_size=15,
        unlabelled="pool_first150",
        drop_leaks=True,
    )
    assert 1000 < len(cleaned.unlabelled) < 2324
    without = load_data(
        "mirabest_confident",
        data_root,
        image_size=15,
        unlabelled="pool_first150",
        unlabelled_params={"drop_mirabest_train": True},
    )
    assert len(without.unlabelled) == 2324 - 712


def test_label_splits_of_real_labels_are_nested(versions):
    labels = select(versions["F"][0], "confident").label_N
    small, large = (make_split(labels, n_labels=n, n_val=145, split_seed=1) for n in (50, 145))
    assert set(small.train_index) < set(large.train_index)
    assert abs(np.mean(labels[small.train_index]) - np.mean(labels)) < 0.02


def test_missing_or_unknown_archives_say_what_to_do(tmp_path):
    with pytest.raises(DataError, match="MiraBest_F_batches.tar.gz: expected in the data root .*EQUIRGZ_DATA"):
        load_mirabest(tmp_path)
    (tmp_path / "MiraBest_F_batches.tar.gz").write_bytes(b"short")
    with pytest.raises(DataError, match="expected 7d4e3a623d29db7204bce81676ee8ce2, got"):
        load_mirabest(tmp_path)
    with pytest.raises(InputError, match="unknown 'f'.*F, v1"):
        load_mirabest(tmp_path, version="f")
    with pytest.raises(InputError, match="unknown keyword 'versoin'; did you mean 'version'"):
        load_data("mirabest_confident", tmp_path, params={"versoin": "F"})
