"""A model that answers, on disk and back, and what it may be turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import equirgz
from equirgz.answers.fit import fit_source_model, out_of_fold
from equirgz.answers.source_model import SourceModel
from equirgz.errors import DataError, InputError


def test_it_is_saved_and_loaded_with_the_same_answers(model, sources, tmp_path):
    again = SourceModel.load(model.save(tmp_path / "tiny"))
    few = sources.subset(np.arange(0, 320, 20))
    np.testing.assert_allclose(out_of_fold(again, few), out_of_fold(model, few), atol=1e-5)
    h_NF = model.features(few)
    for part in ("real", "simulated"):
        own, other = (getattr(m, part).score(h_NF) for m in (model, again))
        np.testing.assert_allclose(other, own, rtol=1e-2, atol=1e-3)
    regressor_NE = np.concatenate([h_NF, model.measure(few)], 1)
    for name, value_N in model.numbers.answers(regressor_NE, model.number_names).items():
        np.testing.assert_allclose(again.numbers.answers(regressor_NE, again.number_names)[name], value_N, rtol=1e-3)
    assert (again.sky, again.seen, again.rule) == (model.sky, model.seen, model.rule)
    assert repr(again) == "SourceModel('tiny': FRI, FRII on images of FIRST)"


def test_quarter_turns_change_nothing(model, sources):
    few = sources.subset(np.arange(8))
    few = replace(few, image_NHW=few.image_NHW[:, :149, :149])  # an odd side is cut about its centre
    turned = replace(few, image_NHW=np.rot90(few.image_NHW, axes=(1, 2)).copy())
    np.testing.assert_allclose(model.features(turned, 1), model.features(few, 1), atol=1e-4)
    with pytest.raises(InputError, match="turns: expected 1 or more, got 0"):
        model.features(few, 0)


def test_real_sources_are_remembered_by_name_and_fold(model, sources):
    assert model.seen["name"] == sources.source_id_N[:160].tolist() and set(model.seen["fold"]) == set(range(5))
    p_NK = out_of_fold(model, sources)  # the last 160 have no fold: the whole read-out answers
    h_NF = model.features(sources)
    np.testing.assert_allclose(p_NK[160:], model.classes.probability(h_NF)[160:])
    assert np.abs(p_NK[:160] - model.classes.probability(h_NF)[:160]).max() > 1e-3


def test_without_real_sources_the_simulated_ones_teach_the_classes(model, sources):
    own = fit_source_model(model.encoder, model.sky, model.preprocessing, sources.subset(np.arange(120)))
    assert own.real is None and own.seen is None and own.class_names == ("FRI", "FRII")
    assert own.facts["labelled"] == sources.name


def test_another_file_is_no_model(model, tmp_path):
    equirgz.save_encoder(model.encoder, tmp_path / "encoder")
    with pytest.raises(DataError, match="expected format 'equirgz-source-model', got format 'equirgz-encoder'"):
        SourceModel.load(tmp_path / "encoder")
    with pytest.raises(DataError, match="no such file; give what `equirgz finetune`"):
        SourceModel.load(tmp_path / "nowhere")
