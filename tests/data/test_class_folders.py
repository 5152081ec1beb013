"""Folders whose names are classes: links, hidden folders, stray pictures, parts."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from equirgz.data import load_data
from equirgz.data.formats.folders import label_by_folder, walk_files
from equirgz.data.formats.image_folder import load_folder
from equirgz.data.notes import note
from equirgz.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    note.cache_clear()
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(map(ord, str(path)))
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (7, 7), dtype=np.uint8)).save(path)


def labels_of(folder, **options):
    images = load_folder(folder, **options)
    names = [images.class_names[k] if k >= 0 else None for k in images.label_N]
    return dict(zip(images.table["file"], names, strict=True))


def test_links_are_followed_once_and_cycles_end(tmp_path, caplog):
    store, root = tmp_path / "store", tmp_path / "root"
    for name in ("FRI/a.png", "FRI/b.png"):
        picture(store / name)
    picture(root / "FRII" / "c.png")
    (root / "FRI").symlink_to(store / "FRI")
    assert labels_of(root) == {"FRI/a.png": "FRI", "FRI/b.png": "FRI", "FRII/c.png": "FRII"}
    (root / "FRI_again").symlink_to(store / "FRI")
    (root / "FRII" / "up").symlink_to(root)
    (root / "FRII" / "over").symlink_to(tmp_path)
    (root / "FRII" / "nowhere").symlink_to(tmp_path / "gone")
    note.cache_clear()
    assert labels_of(root) == {"FRI/a.png": "FRI", "FRI/b.png": "FRI", "FRII/c.png": "FRII"}
    assert "left out 3 links to folders that are read already, e.g." in caplog.text
    (root / "FRII" / "d.png").symlink_to(tmp_path / "gone.png")
    assert "FRII/d.png" not in labels_of(root) and "left out 1 files, e.g. FRII/d.png" in caplog.text


def test_hidden_folders_and_stray_pictures_are_no_classes(tmp_path, caplog):
    for name in ("FRI/a.png", "FRII/b.png", "FRI/.ipynb_checkpoints/a.png", ".cache/x.png", "FRI/.hidden.png"):
        picture(tmp_path / "root" / name)
    assert labels_of(tmp_path / "root") == {"FRI/a.png": "FRI", "FRII/b.png": "FRII"} and not caplog.messages
    picture(tmp_path / "root" / "overview.png")
    assert labels_of(tmp_path / "root")["overview.png"] is None
    assert "1 images lie beside the class folders and have no label, e.g. overview.png" in caplog.text
    picture(tmp_path / "root" / "?" / "c.png")
    assert labels_of(tmp_path / "root", missing=["?"])["?/c.png"] is None


def test_a_folder_of_lost_labels_is_no_class(tmp_path):
    for name in ("FRI/a.png", "FRII/b.png", "nan/c.png"):
        picture(tmp_path / name)
    with pytest.raises(DataError, match=r"class folders: expected names alone, got 'nan' among them; list it as miss"):
        load_folder(tmp_path)
    assert labels_of(tmp_path, missing=("nan",)) == {"FRI/a.png": "FRI", "FRII/b.png": "FRII", "nan/c.png": None}


def test_parts_are_no_classes(tmp_path, caplog):
    for name in ("train/FRI/a.png", "train/FRII/b.png", "test/FRI/c.png", "test/FRII/d.png", "val/FRI/e.png"):
        picture(tmp_path / "root" / name)
    data = load_data("folder", tmp_path, params={"path": "root", "split_column": "part"}, image_size=7)
    assert data.train.class_counts() == {"FRI": 1, "FRII": 1}
    assert {name: len(part) for name, part in data.tests.items()} == {"valid": 1, "test": 2}
    for name in ("train/0.png", "test/1.png"):
        picture(tmp_path / "parts" / name)
    assert set(labels_of(tmp_path / "parts").values()) == {None} and "no class folders" in caplog.text
    for name in ("FRI/2019/0.png", "FRII/2020/1.png"):
        picture(tmp_path / "deep" / name)
    assert set(labels_of(tmp_path / "deep").values()) == {"2019", "2020"}
    assert "classes are the folders that hold the images (2019, 2020), not those above (FRI, FRII)" in caplog.text


NAMES = st.sampled_from(["FRI", "FRII", "NA", "1", "-1", "None", "K\u00f6ln", "Ko\u0308ln", ".x", "train", "a b"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(NAMES, max_size=2), min_size=1, max_size=6))
def test_files_of_one_class_lie_in_folders_of_one_name(tmp_path_factory, trees):
    root = tmp_path_factory.mktemp("tree")
    for k, folders in enumerate(trees):
        path = root.joinpath(*folders, f"{k}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = [path.relative_to(root) for path in walk_files(root)]
    assert len(found) == sum(not any(name.startswith(".") for name in folders) for folders in trees)
    label_N, names = label_by_folder(found, root)
    assert not set(names) & {"", "train", ".x"} and len(names) != 1
    for path, label in zip(found, label_N, strict=True):
        inner = [name for name in path.parent.parts if name != "train"]
        if label >= 0:
            assert names[label] == inner[-1].replace("o\u0308", "\u00f6")
        else:
            assert not names or not inner
