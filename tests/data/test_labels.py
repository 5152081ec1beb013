"""The one rule of labels: what is missing, what is a name, what is a code, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import equirgz
from equirgz.data.catalogues.labels import check_labels, encode_labels
from equirgz.errors import DataError, InputError

MISSING = [None, np.nan, pd.NA, pd.NaT, "", "  ", np.ma.masked]


@pytest.mark.parametrize("gone", MISSING, ids=repr)
def test_every_missing_value_is_no_label(gone):
    for values in (["FRI", gone, "FRII"], [0, gone, 1]):
        values = np.array([*values, None], dtype=object)[:3]
        label_N, names = encode_labels(values)
        assert label_N.tolist() == [0, -1, 1] and len(names) == 2
        with pytest.raises(InputError, match=r"1 of 3 without one .*, at 1; leave these images out"):
            check_labels(values)


@pytest.mark.parametrize(
    ("values", "expected", "names"),
    [
        (np.array([0, 1, np.nan]), [0, 1, -1], ("0", "1")),
        (pd.Series([0, 1, pd.NA], dtype="Int64"), [0, 1, -1], ("0", "1")),
        (np.ma.masked_array([7, 8, 9], [0, 0, 1]), [0, 1, -1], ("7", "8")),
        (np.ma.masked_array(["a", "b", "a"], [0, 0, 1]), [0, 1, -1], ("a", "b")),
        (pd.Series(["a", None, "b"], dtype="category"), [0, -1, 1], ("a", "b")),
        (pd.Series(["a", pd.NA, "b"], dtype="string"), [0, -1, 1], ("a", "b")),
        (np.array([2, 0, -1], dtype=">i2"), [1, 0, -1], ("0", "2")),
        ([True, False, True], [1, 0, 1], ("0", "1")),
        ([b"FRI", "FRI", "FRII "], [0, 0, 1], ("FRI", "FRII")),
        (["NA", "FRI", "None", "null", "n/a"], [1, 0, 2, 4, 3], ("FRI", "NA", "None", "n/a", "null")),
        (["Ko\u0308ln", "K\u00f6ln", "\ta "], [0, 0, 1], ("K\u00f6ln", "a")),
        (["1.0", "2.0", ""], [0, 1, -1], ("1", "2")),
        (["1.0", "nan", "3.0"], [0, -1, 1], ("1", "3")),
        (["10", "2", "-1"], [1, 0, -1], ("2", "10")),
        (["01", "1", "1e5"], [0, 1, 2], ("01", "1", "1e5")),
        ([1.0, np.nan, 1e3], [0, -1, 1], ("1", "1000")),
        ([], [], ()),
        ([None, ""], [-1, -1], ()),
    ],
)
def test_values_become_classes(values, expected, names):
    label_N, found = encode_labels(values)
    assert label_N.tolist() == expected and found == names and label_N.dtype == np.int64


def test_words_that_the_user_lists_are_missing():
    values = ["FRI", "?", "unknown", "FRII", "-99"]
    assert encode_labels(values, missing=["?", "unknown", -99])[0].tolist() == [0, -1, -1, 1, -1]
    assert encode_labels([0, 1, -99.0], missing=[-99])[0].tolist() == [0, 1, -1]
    assert encode_labels(["a", "?"], missing="?")[0].tolist() == [0, -1]
    with pytest.raises(InputError, match="2 of 3 without one"):
        check_labels(["a", "?", "?"], missing=["?"])
    encoder = equirgz.create_backbone("lenet", in_channels=1, image_size=25)
    images = np.zeros((3, 25, 25), np.float32)
    with pytest.raises(InputError, match="1 of 3 without one"):
        equirgz.finetune(encoder, images, ["a", "?", "b"], missing=["?"])
    with pytest.raises(InputError, match="1 of 3 without one"):
        equirgz.EquirgzClassifier(missing=["?"]).fit(images, ["a", "?", "b"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0.25, 0.5]), "t: expected names of classes or whole numbers, got continuous numbers such as 0.25"),
        (["0.91", "FRI"], "continuous numbers such as 0.91"),
        (["FRI", "-1", "-1"], r"names alone, got '-1' in 2 rows among them; list it as missing \(missing: \['-1"),
        (["1", "2", "NA"], "expected numbers alone, got 'NA' in 1 rows"),
        (["1", "2", "nan"], "expected numbers alone, got 'nan'"),
        (np.array(["FRI", np.nan]), r"expected names alone, got 'nan' in 1 rows among them; list it as missing"),
        (["FRI", "<NA>"], "got '<NA>' in 1 rows"),
        (np.array([1.0, np.inf]), "expected numbers alone, got 'inf'"),
        (["FRI", "fri", "FRI"], "differ in more than case, got 'FRI' in 2 rows and 'fri' in 1"),
        ([0, -2], "labels of 0 or more, or -1 for none, got -2"),
        (np.zeros((2, 2)), r"one value per image, \(N,\), got shape \(2, 2\)"),
    ],
)
def test_what_reads_in_two_ways_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        encode_labels(values, source="t")


def test_labels_to_train_on_keep_their_values():
    for values in ([3, 5], ["b", "a"], [True, False], [1.0, 2.0], [-1, 1], [[1], [2]]):
        checked = check_labels(np.array(values))
        assert checked.tolist() == np.array(values).ravel().tolist()
    assert check_labels(["FRI ", "FRI"]).tolist() == ["FRI", "FRI"]
    assert check_labels(pd.Series([1, 2], dtype="Int64")).dtype == np.int64
    for values, message in (
        (np.array([0.1, 0.2]), "Unknown label type: continuous"),
        ([0, 1, -1], "at 2"),
        (np.arange(20) % 2 - 0.0 + np.where(np.arange(20) > 9, np.nan, 0), "10 of 20 .* at 10, 11, 12, 13, 14, ..."),
        ([0, "a"], "names or whole numbers, got both"),
        ([1.0, np.inf], "inf"),
        (np.eye(3), r"one label per image, \(N,\), got shape \(3, 3\); .*argmax"),
    ):
        with pytest.raises(InputError, match=message):
            check_labels(values)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=6) | st.sampled_from(
    ["NA", "None", "null", "nan", "n/a", "1", "01", "1.0", "0.5", "-1", "FRI", "fri", " FRI", "", "ﬁ", "é", "e\u0301"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(NAMES, max_size=8))
@example(["NA", "1"])
@example(["nan", "2.0"])
def test_equal_labels_are_those_equal_after_tidying_or_a_line_says_why_not(values):
    from equirgz.data.catalogues.labels import tidy_text

    try:
        label_N, names = encode_labels(values)
    except DataError as error:
        assert "\n" not in str(error) and "expected" in str(error)
        return
    for value, label in zip(values, label_N, strict=True):
        if label >= 0:
            tidy = tidy_text(value)
            assert names[label] == tidy or float(tidy) == int(names[label])
        else:
            assert tidy_text(value) in ("", "-1") or tidy_text(value).lower() == "nan"
