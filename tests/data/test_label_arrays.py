"""Labels inside containers: arrays and columns of every usual name, one rule for none, two names refused."""

import h5py
import numpy as np
import pandas as pd
import pytest

from equirgz.data import load_data
from equirgz.data.own.folder_or_file import load_images
from equirgz.errors import DataError, EquirgzError, InputError
from tests.data.writers import make_pixels

NAMES = ["label", "labels", "target", "targets", "class", "classes", "y", "Label", "label_N"]
PIXELS = make_pixels(4)


def write(folder, form, **columns):
    path = folder / f"a.{form}"
    path.unlink(missing_ok=True)
    if form == "parquet":
        rows = {key: list(value) for key, value in columns.items() if len(value) == 4}
        pd.DataFrame({"image": [pixels.tolist() for pixels in PIXELS], **rows}).to_parquet(path)
    elif form == "npz":
        np.savez(path, X=PIXELS, **columns)
    else:
        with h5py.File(path, "w") as file:
            file["X"] = PIXELS
            for key, value in columns.items():
                value = np.asarray(value)
                file[key] = value.astype("S") if value.dtype.kind == "U" else value
    return path


@pytest.mark.parametrize("form", ["npz", "h5", "parquet"])
@pytest.mark.parametrize("name", NAMES)
def test_labels_of_every_usual_name_are_found(tmp_path, form, name):
    images = load_images(write(tmp_path, form, **{name: ["FRII", " FRI", "", "NA"]}))
    assert images.class_names == ("FRI", "FRII", "NA") and images.label_N.tolist() == [1, 0, -1, 2]
    images = load_images(write(tmp_path, form, **{name: [1.0, np.nan, -1.0, 3.0]}))
    assert images.class_names == ("1", "3") and images.label_N.tolist() == [0, -1, -1, 1]


@pytest.mark.parametrize("form", ["npz", "h5", "parquet"])
def test_labels_that_are_doubtful_are_refused_until_told(tmp_path, form):
    path = write(tmp_path, form, y=[0, 1, 0, 1], target=["a", "?", "a", "b"], kind=["u", "v", "v", "u"])
    with pytest.raises(InputError, match="expected one column of labels, got .*; name the one that counts"):
        load_images(path)
    assert load_images(path, label_column="y").label_N.tolist() == [0, 1, 0, 1]
    assert load_images(path, label_column="target", missing=["?"]).label_N.tolist() == [0, -1, 0, 1]
    assert load_images(path, label_column="kind").class_names == ("u", "v")
    assert load_images(path, label_column="").class_names == ()
    for wrong, values in (("continuous", [0.1, 0.2, 0.3, 0.4]), ("'-1' in 1 rows", ["a", "-1", "b", "a"])):
        with pytest.raises(DataError, match=wrong):
            load_images(write(tmp_path, form, y=values))
    params = {"path": str(path), "label_column": "kind"}
    write(tmp_path, form, y=[0, 1, 0, 1], kind=["u", "v", "v", "u"], part=["train", "train", "test", "train"])
    data = load_data("folder", tmp_path, params={**params, "split_column": "part"}, image_size=6)
    assert data.train.class_names == ("u", "v") and data.tests["test"].label_N.tolist() == [1]
    votes = write(tmp_path, form, a=[0.9, 0.2, 0.5, np.nan], b=[0.1, 0.8, 0.5, np.nan])
    params = {"path": str(votes), "votes": {"FRI": "a", "FRII": "b"}}
    assert load_data("folder", tmp_path, params=params, image_size=6).train.label_N.tolist() == [0, 1, -1, -1]


@pytest.mark.parametrize("form", ["npz", "h5"])
def test_names_of_classes_lie_beside_their_labels(tmp_path, form):
    images = load_images(write(tmp_path, form, y=[1, 0, -1, 1], class_names=["FRII", "FRI"]))
    assert images.class_names == ("FRII", "FRI") and images.label_N.tolist() == [1, 0, -1, 1]
    images = load_images(write(tmp_path, form, y=[1, 0, -1, 1], classes=["FRII", "FRI"]))
    assert images.label_N.tolist() == [1, 0, -1, 1]  # an array of another length holds no labels
    assert load_images(write(tmp_path, form, y=[[1], [0], [1], [1]])).label_N.tolist() == [1, 0, 1, 1]
    with pytest.raises(EquirgzError, match=r"y: expected one per image \(4\), got \(4, 2\)"):
        load_images(write(tmp_path, form, y=np.eye(4)[:, :2]))
