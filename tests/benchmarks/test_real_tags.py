"""Tags of real sources: which bear one by the catalogue, and what is counted."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from benchmarks.answers import real_tags
from equirgz.answers.tagging import TagReadOut
from equirgz.data import ImageSet


def test_catalogue_and_counts(monkeypatch):
    """Six sources, two of them tails: one is said to be bent, and so is one that is none."""
    las = [100.0, 20.0, np.nan, 50.0, 95.0, 10.0]
    rows = pd.DataFrame({"code": [102, 104, 100, 200, 200, 210], "las_arcsec": las})
    images = ImageSet("six", np.zeros((6, 9, 9), np.uint8), np.full(6, -1), np.arange(6).astype(str), table=rows)
    found = real_tags.real_tags(images)
    assert found["bent"].tolist() == [1, 1, 0, 0, 0, 0]
    np.testing.assert_array_equal(found["large"], [1, 0, np.nan, 0, 1, 0])
    np.testing.assert_array_equal(found["small"], [0, 1, np.nan, 0, 0, 1])
    score_N1 = np.array([[2.0], [-1.0], [1.0], [-2.0], [-2.0], [-3.0]])
    monkeypatch.setattr(real_tags, "regressors", lambda *given: score_N1)
    own = TagReadOut(np.zeros(1), np.ones((1, 1)), np.zeros(1), 1, *[np.zeros(1)] * 4)
    lines = real_tags.table(SimpleNamespace(tags=own, tag_names=("bent",)), images)
    assert len(lines) == 3
    assert lines[2].startswith("| bent | 2 of 6 | 0.50 (0.09 to 0.91) | 0.50 (0.09 to 0.91) | 0.88 ")
