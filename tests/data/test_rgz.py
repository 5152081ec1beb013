import numpy as np
import pytest

from equirgz.data import load_data
from equirgz.data.facts import SETS
from equirgz.data.sets.rgz import load_rgz
from equirgz.errors import DataError, InputError
from tests.data.writers import write_batches


def extras(n, k):
    return {
        "src_ids": [f"RGZ{k}{i:03d}" for i in range(n)],
        "filenames": [f"./RGZ/{150 + k}.{i:03d}-0{k}.250.png" for i in range(n)],
        "mb_flag": [int(i == 2) for i in range(n)],
        "LAS": [20.0 + i for i in range(n)],
    }


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "rgz.tar.gz"
    sizes = {"data_batch_1": 10, "data_batch_2": 10, "test_batch": 4}
    return path, write_batches(path, sizes, labels=None, extras=extras)


def test_all_images_without_cuts(archive):
    path, pixels = archive
    images = load_rgz(path, las_min_arcsec=None, drop_duplicates=False, drop_mirabest=False)
    assert (images.image_NHW == np.concatenate(list(pixels.values()))).all() and images.image_NHW.dtype == np.uint8
    assert (images.label_N == -1).all() and images.source_id_N[10] == "RGZ1000"
    assert images.position_deg_N2[11].tolist() == [151.001, -1.25]
    assert images.table["in_mirabest"].sum() == 3 and images.table["batch"].iloc[-1] == "test_batch"


def test_the_published_cuts(archive):
    path, _ = archive
    images = load_rgz(path, las_min_arcsec=25.0)
    assert (images.table["las_arcsec"] > 25.0).all() and len(images) == 8  # 26..29 of both train batches; test: 20..23
    assert len(load_rgz(path, las_min_arcsec=None)) == 24 - 3
    assert len(load_rgz(path, las_min_arcsec=20.0, drop_mirabest=False)) == 24 - 3


def test_exact_duplicates_go_before_the_other_cuts(tmp_path):
    def twice(n, k):
        fields = extras(n, k)
        return {**fields, "data": [np.full((6, 6), 1 + i // 2, np.uint8) for i in range(n)]}

    path = tmp_path / "rgz.tar.gz"
    write_batches(path, {"data_batch_1": 10, "test_batch": 10}, labels=None, extras=twice)
    images = load_rgz(path, las_min_arcsec=None, drop_mirabest=False)
    assert len(images) == 5 and images.table["las_arcsec"].tolist() == [20, 22, 24, 26, 28]
    # image 2 is flagged; its duplicate 3 is not, but was removed already
    assert len(load_rgz(path, las_min_arcsec=None)) == 4


def test_20k_format_has_no_sizes_and_says_so(tmp_path):
    path = tmp_path / "rgz.tar.gz"
    write_batches(path, {"data_batch_1": 4, "test_batch": 2}, labels=lambda n: [0] * n)
    with pytest.raises(DataError, match="expected the column 'LAS' for this cut, .*set las_min_arcsec: null"):
        load_rgz(path)
    with pytest.raises(DataError, match="'mb_flag'.*set drop_mirabest: false"):
        load_rgz(path, las_min_arcsec=None)
    images = load_rgz(path, las_min_arcsec=None, drop_mirabest=False)
    assert len(images) == 6 and np.isnan(images.position_deg_N2).all() and len(set(images.source_id_N)) == 6


def test_registered_dataset_checks_md5_and_version(archive, monkeypatch):
    path, _ = archive
    info = SETS["rgz_108k"]
    path.rename(path.parent / info.filename)
    with pytest.raises(DataError, match="expected 3fef587aa2aa3ece3b01b125977ae19d"):
        load_data("rgz_dr1", path.parent)
    with pytest.raises(InputError, match="unknown '109k'"):
        load_data("rgz_dr1", path.parent, params={"version": "109k"})
    monkeypatch.setitem(SETS, "rgz_108k", type(info)(**{**vars(info), "md5": None}))
    data = load_data("rgz_dr1", path.parent, image_size=5, params={"las_min_arcsec": 22})
    assert data.tests == {} and data.train.n_classes == 0 and len(data.train) == 15


def test_cuts_that_leave_nothing_are_an_error(archive):
    with pytest.raises(DataError, match="got none of 24; loosen the cuts"):
        load_rgz(archive[0], las_min_arcsec=100.0)
