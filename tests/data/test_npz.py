import numpy as np
import pandas as pd
import pytest

from equirgz.data import load_data
from equirgz.data.formats.npz import load_npz
from equirgz.data.overlap.leaks import refuse_leaks
from equirgz.data.own.folder_or_file import load_images
from equirgz.data.sets.pool_first150 import load_pool
from equirgz.errors import DataError, InputError


def test_npz_round_trip(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    np.savez(
        tmp_path / "a.npz",
        X=pixels,
        y=[0, 1, 2, -1, 0],
        ra=np.arange(5.0),
        dec=-np.arange(5.0),
        flux=np.ones(5),
    )
    images = load_npz(tmp_path / "a.npz", pixel_scale_arcsec=1.5)
    assert (images.image_NHW == pixels).all() and images.label_N.tolist() == [0, 1, 2, -1, 0]
    assert images.class_names == ("0", "1", "2") and images.position_deg_N2[3].tolist() == [3, -3]
    assert images.table.columns.tolist() == ["flux"] and len(set(images.source_id_N)) == 5
    data = load_data("npz", tmp_path, params={"path": "a.npz", "class_names": ["x", "y", "z"]}, image_size=7)
    assert data.train.class_names == ("x", "y", "z") and data.train.image_NHW.shape == (5, 7, 7)


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_files_of_one_name_without_ids_share_sources_only_where_they_share_pixels(tmp_path, ending):
    sets = []
    for seed in (0, 1, 0):
        pixels = np.random.default_rng(seed).integers(0, 256, (3, 8, 8), dtype=np.uint8)
        path = tmp_path / str(len(sets)) / f"images.{ending}"
        path.parent.mkdir()
        if ending == "npz":
            np.savez(path, X=pixels)
        else:
            pd.DataFrame({"image": [image.tolist() for image in pixels]}).to_parquet(path)
        sets.append(load_images(path))
    first, other, again = sets
    assert refuse_leaks(other, {"test": first}) is other
    assert (again.source_id_N == first.source_id_N).all() and len(set(first.source_id_N)) == 3
    assert first.joined(other, "both").source_id_N[-1].endswith("_000002")
    with pytest.raises(InputError, match="with the id of a test source"):
        refuse_leaks(again, {"test": first})


def test_pool_holds_what_its_readme_says(data_root):
    pool = load_pool(data_root)
    assert len(pool) == 2324 and pool.table["in_mirabest_train"].sum() == 712
    assert (pool.label_N == -1).all() and pool.pixel_scale_arcsec == 1.8


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"pixels": np.zeros((2, 4, 4))}, "an array named X"),
        ({"X": np.zeros((2, 4))}, r"got \(2, 4\)"),
        ({"X": np.full((2, 4, 4), np.nan)}, "finite pixels"),
        ({"X": np.array([{}, {}], dtype=object)}, "plain arrays"),
    ],
)
def test_bad_npz_files_are_named(tmp_path, arrays, expected):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=expected):
        load_npz(tmp_path / "bad.npz")


def test_truncated_and_missing_files(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", X=np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(content[: len(content) // 2])
    for name in ("b.npz", "none.npz"):
        with pytest.raises(DataError, match=name):
            load_npz(tmp_path / name)
    with pytest.raises(InputError, match=r"params\.path"):
        load_data("npz", tmp_path)
