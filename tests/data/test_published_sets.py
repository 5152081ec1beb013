import io
import zipfile

import h5py
import numpy as np
import pytest

from equirgz.config import DataConfig, SplitConfig
from equirgz.data import list_datasets, load_data, split_data
from equirgz.data.catalogues.classes import keep_classes
from equirgz.data.facts import SETS, get_set
from equirgz.data.formats.pickled_batches import load_batch_set
from equirgz.data.sets.mingo_lotss import MINGO_CLASSES
from equirgz.data.sets.radio_galaxy_dataset import load_radio_galaxy_dataset
from equirgz.data.simulate.synthetic import Observation, simulate
from equirgz.errors import DataError, InputError
from tests.data.writers import write_batches

RNG = np.random.default_rng(0)


def write_rgd(path, n=8, **changes):
    buffer = io.BytesIO()
    pixels = RNG.integers(0, 256, (n, 30, 30), dtype=np.uint8)
    with h5py.File(buffer, "w") as file:
        for i in range(n):
            group = file.create_group(f"data_{i}")
            image = group.create_dataset("Img", data=pixels[i])
            image.attrs["RA"], image.attrs["DEC"], image.attrs["Source"] = 10.0 + i, -1.0 * i, "Gendre"
            for key, value in {
                "Label_literature": float(i % 4),
                "Split_literature": ("train", "valid", "test")[i % 3],
                **changes,
            }.items():
                if value is not None:
                    group[key] = value
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("galaxy_data_h5.h5", buffer.getvalue())
    return pixels


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))


def test_radio_galaxy_dataset_round_trip(tmp_path):
    pixels = write_rgd(tmp_path / "a.zip")
    for _ in range(2):  # the second time from the cache
        parts = load_radio_galaxy_dataset(tmp_path / "a.zip")
        assert [len(parts[name]) for name in ("train", "valid", "test")] == [3, 3, 2]
        assert (parts["train"].image_NHW == pixels[[0, 3, 6]]).all()
        assert parts["train"].label_N.tolist() == [0, 3, 2]
        assert parts["valid"].position_deg_N2.tolist() == [[11, -1], [14, -4], [17, -7]]
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 1


def test_radio_galaxy_dataset_as_published(data_root):
    data = load_data("radio_galaxy_dataset", data_root, image_size=15, crop=150)
    assert data.train.class_counts() == {"FRI": 395, "FRII": 824, "Compact": 291, "Bent": 248}
    assert {name: len(part) for name, part in data.tests.items()} == {"valid": 200, "test": 200}
    assert data.train.pixel_scale_arcsec == pytest.approx(18.0)
    some = load_data(
        "radio_galaxy_dataset",
        data_root,
        image_size=15,
        params={"classes": ["Bent", "FRI"], "catalogues": ["Proctor_Tab1", "MiraBest"]},
    )
    assert some.train.class_names == ("Bent", "FRI")
    assert set(some.train.table["catalogue"]) == {"Proctor_Tab1", "MiraBest"}


def test_kept_classes_are_labelled_in_the_order_given():
    images = simulate(12, ("FRI", "FRII", "bent"), Observation(), 0)
    kept = keep_classes(images, ("bent", "FRI"))
    assert kept.class_counts() == {"bent": 4, "FRI": 4}
    names = np.array(images.class_names)[images.label_N]
    assert (np.array(kept.class_names)[kept.label_N] == names[names != "FRII"]).all()
    with pytest.raises(InputError, match="some of"):
        keep_classes(images, ("FR0",))


def test_damaged_radio_galaxy_dataset_is_named(tmp_path):
    write_rgd(tmp_path / "a.zip", Label_literature=None)
    with pytest.raises(DataError, match="Label_literature"):
        load_radio_galaxy_dataset(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(DataError, match=r"one \.h5 file inside, got 0"):
        load_radio_galaxy_dataset(tmp_path / "b.zip")
    (tmp_path / "c.h5").write_bytes(b"not hdf5")
    with pytest.raises(DataError, match="expected groups data_N"):
        load_radio_galaxy_dataset(tmp_path / "c.h5")
    assert not list((tmp_path / "cache").glob("*"))


@pytest.mark.parametrize("flat", [False, True])
def test_labelled_batches_round_trip(tmp_path, flat):
    parts = write_batches(tmp_path / "set.tar.gz", {"data_batch_1": 5, "data_batch_2": 5, "test_batch": 4}, flat=flat)
    keywords = {"name": "toy", "class_names": ("FRI", "FRII"), "pixel_scale_arcsec": 1.8}
    train, test = load_batch_set(tmp_path / "set.tar.gz", **keywords)
    assert (train.image_NHW == np.concatenate([parts["data_batch_1"], parts["data_batch_2"]])).all()
    assert (test.image_NHW == parts["test_batch"]).all() and test.label_N.tolist() == [0, 1, 0, 1]
    assert len(set(train.source_id_N)) == 10 and train.table["batch"].iloc[-1] == "data_batch_2"


@pytest.mark.parametrize("name", ["frdeep_first", "frdeep_nvss"])
def test_frdeep_as_published(data_root, name):
    data = load_data(name, data_root, image_size=15)
    assert data.train.class_counts() == {"FRI": 242, "FRII": 308}
    assert data.tests["test"].class_counts() == {"FRI": 22, "FRII": 28}
    assert data.train.pixel_scale_arcsec == pytest.approx({"frdeep_first": 18.0, "frdeep_nvss": 150.0}[name])
    ids = np.concatenate([data.train.source_id_N, data.tests["test"].source_id_N])
    labels = np.concatenate([data.train.label_N, data.tests["test"].label_N])
    assert len(set(ids)) == 600  # FRI and FRII were numbered separately
    assert [source.split("_")[0] for source in ids] == [("FRI", "FRII")[k] for k in labels]
    config = DataConfig(name=name, image_size=15)
    folded, _ = split_data(data, config, SplitConfig(fold=0, n_folds=5))  # pools train and test
    assert len(folded.train) == 480 and len(folded.tests["test"]) == 120


def test_mingo_keeps_resolved_sources_as_two_classes(tmp_path, monkeypatch):
    info = SETS["mingo_lotss"]
    path = tmp_path / info.filename
    write_batches(path, {"data_batch_1": 20, "test_batch": 10}, labels=lambda n: [k % 10 for k in range(n)])
    with pytest.raises(DataError, match="md5"):
        load_data("mingo_lotss", tmp_path)
    monkeypatch.setitem(SETS, "mingo_lotss", type(info)(**{**vars(info), "md5": None}))
    data = load_data("mingo_lotss", tmp_path, image_size=5)
    assert data.train.class_counts() == {"FRI": 6, "FRII": 2} and len(data.tests["test"]) == 4
    everything = load_data("mingo_lotss", tmp_path, image_size=5, params={"classes": "all"})
    assert everything.train.class_names == MINGO_CLASSES and len(everything.train) == 20
    with pytest.raises(InputError, match="Valid: all, fr"):
        load_data("mingo_lotss", tmp_path, params={"classes": "some"})


def test_published_sets_are_complete_and_names_are_suggested():
    for info in SETS.values():
        assert info.title and info.citation and set(info.datasets) <= set(list_datasets())
        assert info.url is None or info.url.startswith(("http://", "https://"))
        if not (info.filename and info.licence):  # what is not known has its reason
            assert "md5" in info.notes and "licence" in info.notes
    named = {name for info in SETS.values() for name in info.datasets}
    made_of_others = {"frdeep_first_to_nvss", "digits_noisy", "digits_coloured", "synthetic_fr", "synthetic_radio",
                      "synthetic_votes", "synthetic_tags", "synthetic_spirals", "synthetic_spectra"}  # fmt: skip
    assert set(list_datasets()) - named == made_of_others | {"folder", "mosaic", "npz", "own_spectra"}
    with pytest.raises(InputError, match="did you mean 'mirabest_f'"):
        get_set("mirabest_ff")
