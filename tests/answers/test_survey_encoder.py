"""An encoder for a survey, from its header or its name, and surveys that resolve too little."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from own_maps import double_map, write_map
from typer.testing import CliRunner

import equirgz
from equirgz.answers.source_model import SourceModel
from equirgz.answers.survey_encoder import make_config, read_survey, resolved_share, say_resolved
from equirgz.cli import app
from equirgz.config import load_yaml
from equirgz.errors import InputError
from equirgz.grid.plan.packaged import find_recipe

LABELS = {"FRI": ["FRI", "bent"], "FRII": ["FRII"]}
RECIPE = load_yaml(find_recipe("radio"))["data"]["params"]["labels"]


def test_a_header_makes_a_model_that_classifies_its_images(tmp_path):
    """The whole way in four updates: survey, training, read-outs, card, and answers about maps of that survey."""
    field = write_map(tmp_path / "field.fits", double_map(beam=8.0, scale=2.5, noise=2e-4), beam=8.0, scale=2.5)
    out = tmp_path / "mine"
    done = CliRunner().invoke(app, ["pretrain", "--survey", str(field), "-o", str(out), "--steps", "4"])
    assert done.exit_code == 0, done.output
    model = SourceModel.load(out)
    assert (model.sky.survey, model.sky.beam_arcsec) == ("field", pytest.approx(8.0))
    assert model.sky.pixel_scale_arcsec == pytest.approx(2.5)
    assert model.facts["survey"]["noise_mjy_per_beam"] == pytest.approx(0.2, rel=0.1) and model.real is None
    card = (tmp_path / "mine.md").read_text()
    assert "beam 8 arcsec, pixels of 2.5 arcsec" in card and "error/rate" in card and "4 updates" in card
    table = equirgz.classify(field, out)
    assert table["class"][0] in ("FRI", "FRII") and table["flags"][0].count("rescaled") == 0
    assert equirgz.load_encoder(tmp_path / "mine_training" / "encoder").facts["preprocessing"]["crop"] == 59


def test_options_come_before_headers_and_names_are_known(tmp_path):
    field = write_map(tmp_path / "field.fits", double_map(), beam=None)
    with pytest.raises(equirgz.errors.DataError, match="a beam in the header"):
        read_survey(field)
    assert read_survey(field, beam_arcsec=7.0, noise_mjy_per_beam=None).beam_arcsec == 7.0
    assert read_survey("mgcls").name == "MGCLS" and read_survey("NVSS", beam_arcsec=40.0).beam_arcsec == 40.0


def test_a_beam_that_resolves_few_sources_is_said_and_one_that_resolves_none_refused():
    first, wide = read_survey("FIRST"), read_survey("NVSS", size_scale=1.0)
    shares = [resolved_share(survey, LABELS) for survey in (first, wide)]
    assert shares[0] > 0.8 > 0.5 > shares[1] > 0.05
    assert make_config(first)[1] == ""
    config, line = make_config(wide, steps=10)
    said = re.fullmatch(r"(\d+) % of the simulated sources are larger than 2 beams of 45 arcsec", line)
    assert abs(int(said[1]) - 100 * shares[1]) < 5  # of the plainer sources that teach, not of all families
    assert config.train.steps == 10 and config.data.params["survey"]["beam_arcsec"] == 45
    with pytest.raises(InputError, match=r"survey NVSS: expected 5 % of the sources or more larger than 2 beams, got"):
        make_config(read_survey("NVSS", size_scale=0.3))


def test_nvss_is_warned_of_with_the_share_that_its_beam_resolves_of_ordinary_sources():
    """Its own sources are taken four times as large as MiraBest's: what its beam does to those of MiraBest is said."""
    nvss = read_survey("NVSS")
    plain, own = (resolved_share(survey, RECIPE) for survey in (replace(nvss, size_scale=1.0), nvss))
    assert own > 0.5 > plain
    said = make_config(nvss, steps=10)[1]
    assert re.fullmatch(
        rf"{100 * plain:.0f} % of sources with the sizes of MiraBest's are larger than 2 beams of 45 arcsec; those "
        rf"that train are 4 times as large, and {100 * own:.0f} % are",
        said,
    )
    assert say_resolved(replace(read_survey("FIRST"), size_scale=0.9), RECIPE)[1] == ""


def test_the_window_is_as_large_on_the_sky_as_that_of_first():
    assert make_config(read_survey("FIRST"))[0].data.crop == 81
    assert make_config(read_survey("MGCLS"))[0].data.crop == 117
