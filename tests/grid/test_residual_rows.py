"""What the rows of residuals are read off: hidden columns of a set, and digits whose hue is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from equirgz.data import DATASETS
from equirgz.data.imageset import ImageSet
from equirgz.errors import InputError
from equirgz.grid.further.residual_rows import flatten, hidden_columns


def test_hidden_columns_are_those_of_the_table_in_the_units_that_are_probed():
    table = pd.DataFrame({"las_arcsec": [np.e, 1.0], "bending_deg": [50.0, 10.0], "hue_deg": [90.0, 180.0]})
    images = ImageSet(
        "two", np.zeros((2, 3, 3), np.float32), np.arange(2), np.array(["a", "b"]), ("x", "y"), table=table
    )
    found = hidden_columns(images)
    assert set(found) == {"log_size", "bending", "bent", "hue_cos", "hue_sin"}
    assert found["log_size"] == pytest.approx([1, 0]) and found["bent"].tolist() == [True, False]
    assert found["hue_cos"] == pytest.approx([0, -1]) and found["hue_sin"] == pytest.approx([1, 0])
    assert flatten(images).shape == (2, 9)


def test_digits_in_colours_keep_their_shape_and_say_their_hue():
    grey, colour = (DATASETS.create(name, None, test_fraction=0.5) for name in ("digits", "digits_coloured"))
    train, test = colour.train, colour.tests["test"]
    assert len(train) == 4 * len(grey.train) and len(test) == len(grey.tests["test"])
    assert len(set(train.source_id_N)) == len(train)
    assert (train.label_N[::4] == grey.train.label_N).all()
    brightest_N = test.image_NHW.max(1)  # full saturation: one channel is as bright as the grey digit
    assert (brightest_N == grey.tests["test"].image_NHW).all() and (test.image_NHW.min(1) == 0).all()
    hue_N = test.table["hue_deg"].to_numpy()
    reddest_N = test.image_NHW.sum((2, 3)).argmax(1) == 0
    assert (reddest_N == ((hue_N < 60) | (hue_N > 300))).mean() > 0.99
    other = DATASETS.create("digits_coloured", None, test_fraction=0.5, seed=1).tests["test"]
    assert not np.array_equal(hue_N, other.table["hue_deg"])
    with pytest.raises(InputError, match="colours: expected 1 or more, got 0"):
        DATASETS.create("digits_coloured", None, colours=0)
