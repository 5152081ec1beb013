"""The panel of masks: a column per source, and one line for maps that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.report.panels.mask_panel import plot_masks


def test_a_panel_shows_every_map_and_what_was_not_asked():
    rng = np.random.default_rng(0)
    image_NHW, maps = rng.random((3, 9, 9)), rng.random((3, 2, 9, 9))
    share_NKHW = maps.copy()
    share_NKHW[1, 0] = np.nan
    figure = plot_masks(image_NHW, share_NKHW, maps, maps / 2, ("bar", "arms"), truth_NKHW=(maps > 0.7) * 1.0)
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 3 * (1 + 2 * 3)
    assert [text.get_text() for axes in panels for text in axes.texts] == ["not asked"]
    np.testing.assert_array_equal(panels[0].images[0].get_array(), image_NHW[0])
    with pytest.raises(InputError, match=r"plot_masks: prediction: expected \(3, 2, 9, 9\), got \(3, 2, 9, 8\)"):
        plot_masks(image_NHW, share_NKHW, maps[..., :8], maps, ("bar", "arms"))
