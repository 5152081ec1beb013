"""Catalogue rows for files by name: the folder counts, and what fits twice is refused."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equirgz.data.formats.image_folder import load_folder
from equirgz.errors import DataError


@pytest.fixture
def nested(tmp_path):
    """Pictures of one name in two folders, and a third."""
    folder = tmp_path / "nested"
    for i, name in enumerate(("u/a", "u/src", "v/src")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.eye(6, dtype=np.uint8) * 20 * (i + 1)).save(folder / f"{name}.png")
    return folder


def labels_by_name(folder, rows):
    """Return the class of every file, None where it has none."""
    pd.DataFrame(rows).to_csv(folder.parent / "rows.csv", index=False)
    images = load_folder(folder, catalogue=folder.parent / "rows.csv", label_column="kind")
    assert len(set(images.source_id_N)) == len(images)
    return [images.class_names[k] if k >= 0 else None for k in images.label_N]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["v/src", "u/src.png", "a.png"], ["a", "b", "c"]),  # the folder tells files of one name apart
        (["/old/v/src.png", "/old/u/src.png", "./u/a"], ["a", "b", "c"]),
        (["w/src", "u/src", "w/a"], [None, "b", None]),  # an id in another folder is another file
        (["src", "u/src", None], [None, "b", "c"]),
    ],
)
def test_folders_in_names_are_obeyed(nested, names, expected):
    assert labels_by_name(nested, {"name": names, "kind": ["c", "b", "a"]}) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "a"], r"column 'name': expected one row that matches u/a, got rows 0, 1 for u/a\.png; keep one"),
        (["src", "a"], r"expected one file for the row 0, got u/src\.png and v/src\.png; name the folders"),
    ],
)
def test_names_that_fit_twice_are_refused(nested, names, message):
    with pytest.raises(DataError, match=message):
        labels_by_name(nested, {"name": names, "kind": ["x", "y"]})


def test_the_id_column_that_matches_most_files_is_taken(nested):
    rows = {"source_id": [1, 2], "name": ["a", "J0012"], "filename": ["a.png", "u/src.png"], "kind": ["x", "y"]}
    assert labels_by_name(nested, rows) == ["x", "y", None]


def test_files_that_differ_in_their_ending_alone_have_ids_of_their_own(nested):
    Image.fromarray(np.eye(6, dtype=np.uint8) * 200).save(nested / "u" / "a.jpg")
    assert load_folder(nested).source_id_N.tolist() == ["u/a.jpg", "u/a.png", "u/src.png", "v/src.png"]
    with pytest.raises(DataError, match=r"one file for the row 0, got u/a\.jpg and u/a\.png"):
        labels_by_name(nested, {"name": ["u/a"], "kind": ["x"]})
