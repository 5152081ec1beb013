"""Tags from descriptions: readers, merged terms, thresholds, folds, and controls that can fail."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from equirgz.errors import DataError, InputError
from equirgz.tags.annotations import make_annotations, plain_phrase, read_annotations
from equirgz.tags.forest import TagForest, best_thresholds, f1_of_classes, macro_f1, weighted_f1
from equirgz.tags.study import Settings, check_apart, make_folds, study_tags
from equirgz.tags.terms import CharacterLikeness, Terms, WordLikeness

QUICK = Settings(terms=12, tags=3, sizes=(2,), similarities=(0.7,), n_trees=50, n_shuffles=19, n_folds=2)
WORDS = {"bent": ("bent tail", "bent tails"), "double": ("two lobes", "two lobe"), "core": ("bright core",)}


def made_tables(n: int = 80, noise: float = 0.1, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return subjects whose classes (Bent, Double) are described by words of their own, and words that say nothing."""
    draw = np.random.default_rng(seed)
    described, classified = [], []
    for subject in range(n):
        kinds = [kind for kind in ("bent", "double") if draw.random() < 0.4]
        for annotator in range(4):
            phrases = [draw.choice(WORDS[kind]) for kind in kinds if draw.random() > noise]
            phrases += [str(draw.choice(("bright core", "faint", "noisy", "clear host")))]
            name = f"d{subject}-{annotator}"
            described += [(str(subject), str(annotator), name, phrase) for phrase in phrases]
        for expert in range(3):
            classes = ",".join(kind.title() for kind in kinds) or "Single"
            classified.append((str(subject), f"e{expert}", f"c{subject}-{expert}", classes))
    columns = ["subject", "annotator", "classification"]
    return pd.DataFrame(described, columns=[*columns, "phrase"]), pd.DataFrame(
        classified, columns=[*columns, "expert_class"]
    )


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_f1_is_that_of_scikit_learn(seed, n_classes):
    said, true = np.random.default_rng(seed).integers(0, 2, (2, 9, n_classes))
    expected = f1_score(true, said, average=None, zero_division=0, labels=range(n_classes) if n_classes > 1 else [1])
    np.testing.assert_allclose(f1_of_classes(said, true), expected, atol=1e-12)
    if n_classes > 1:
        for ours, average in ((weighted_f1, "weighted"), (macro_f1, "macro")):
            assert ours(said, true) == pytest.approx(f1_score(true, said, average=average, zero_division=0), abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=12))
@settings(max_examples=40, deadline=None)
def test_no_threshold_is_better_than_the_chosen_one(pairs):
    p, is_ = np.array([x / 5 for x, _ in pairs]), np.array([[y] for _, y in pairs], int)
    chosen = f1_of_classes(p[:, None] >= best_thresholds(p[:, None], is_), is_)[0]
    every = [f1_of_classes(p[:, None] >= t, is_)[0] for t in (*np.unique(p), 2.0)]
    assert chosen == pytest.approx(max(every) if is_.any() else 0)


def test_spellings_merge_and_words_of_their_own_do_not():
    phrases = ["bent tail", "bent tails", "bent tail", "faint", "faint", "hourglass"]
    words = pd.DataFrame({"subject": list("aabbcc"), "annotator": list("121212"), "phrase": phrases})
    terms = Terms(words, CharacterLikeness(words["phrase"].unique()), 0.7, most=3)
    assert terms.names == ["bent tail", "faint", "hourglass"]
    assert terms.phrases_of("bent tail") == ["bent tail", "bent tails"]
    assert terms.assign(["bent taill", "zzzz"]) == {"bent taill": "bent tail", "zzzz": None}
    counts = terms.count(words, np.array(["a", "b", "c", "unseen"]))
    np.testing.assert_array_equal(counts, [[2, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0]])


def test_word_vectors_merge_what_means_alike(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("4 2\nbent 1 0\ncurved 0.95 0.1\nfaint 0 1\nodd 0.3 0.3\n")
    words = pd.DataFrame({"subject": list("abc"), "annotator": list("111"), "phrase": ["bent", "curved", "faint"]})
    terms = Terms(words, WordLikeness(path, {"bent", "curved", "faint"}), 0.9)
    assert terms.term_of["curved"] == terms.term_of["bent"] != terms.term_of["faint"]
    assert Terms(words, CharacterLikeness(words["phrase"]), 0.9).n_merged == 3
    assert not WordLikeness(path).vectors(["unknown"]).any()
    path.write_text("bent 1 0\nfaint 1\n")
    with pytest.raises(DataError, match="word vectors"):
        WordLikeness(path)


def test_tags_tell_classes_and_shuffled_ones_do_not():
    study = study_tags(make_annotations(*made_tables()), QUICK)
    assert set(study.ranked["tag"][:2]) <= {phrase for kind in ("bent", "double") for phrase in WORDS[kind]}
    assert weighted_f1(study.said[3], study.target_NK.to_numpy()) > study.shuffled.max() + 0.2
    assert study.p_value == pytest.approx(1 / 20)
    rows = study.rows().set_index(["metric", "tags"])
    assert rows.loc[("tags/weighted_f1", 12), "low"] <= rows.loc[("tags/weighted_f1", 12), "value"]
    assert list(study.counts.columns) == list(study.ranked["tag"][:3])


def test_words_that_say_nothing_tell_nothing():
    described, classified = made_tables()
    dealt = dict(zip(range(80), np.random.default_rng(1).permutation(80), strict=True))
    classified["subject"] = classified["subject"].map(lambda s: str(dealt[int(s)]))
    assert study_tags(make_annotations(described, classified), QUICK).p_value > 0.05


def test_a_fold_knows_nothing_of_the_subjects_it_tests():
    """Phrases and classes of a tested subject may become anything: the fold's terms, ranking and thresholds stay."""
    described, classified = made_tables()
    before = next(make_folds(make_annotations(described, classified), QUICK, None))
    tested = {str(s) for s in make_annotations(described, classified).subject_N[before.test_N]}
    described.loc[described["subject"].isin(tested), "phrase"] = "words of a new kind"
    after = next(make_folds(make_annotations(described, classified), QUICK, None))
    assert after.counts[0][0].names == before.counts[0][0].names
    np.testing.assert_array_equal(after.counts[0][1], before.counts[0][1])
    assert not after.counts[0][2].any() and before.counts[0][2].any()


def test_new_annotators_are_new():
    chosen = Settings(terms=12, tags=3, similarities=(0.7,), n_trees=50, annotators="new")
    annotations = make_annotations(*made_tables(noise=0))
    for fold in make_folds(annotations, chosen, None):
        assert fold.counts[0][1].sum(1).max() <= 2 * 3  # two of four annotators, up to three terms each
    words = annotations.words
    with pytest.raises(InputError, match="annotators: expected none on both sides"):
        check_apart(words[words["subject"] == "1"], words[words["subject"] == "2"])


def test_a_class_that_no_training_subject_has_is_never_said():
    count = np.random.default_rng(0).random((30, 3))
    target = np.stack([count[:, 0] > 0.5, np.zeros(30)], 1).astype(int)
    forest = TagForest(count, target, n_trees=50)
    assert not forest.predict(count)[:, 1].any() and forest.predict(count)[:, 0].any()


def test_left_out_is_said_and_faults_are_named():
    described, classified = made_tables(20)
    described.loc[0, "phrase"] = " "
    described.loc[len(described)] = ["alone", "1", "x1", "faint"]
    classified.loc[0, "expert_class"] = "nan"
    found = make_annotations(described, classified)
    assert any("1 of" in line and "blank" in line for line in found.left_out)
    assert any("without an expert: alone" in line for line in found.left_out)
    with pytest.raises(DataError, match="descriptions and experts, got none; descriptions: .* are blank"):
        make_annotations(described.assign(phrase="?!"), classified)
    target, few = found.classes(0.5)
    assert all(target.sum() >= 5) and all("under 5" in line for line in few)
    with pytest.raises(InputError, match="agreement"):
        found.classes(1.0)
    with pytest.raises(InputError, match="classes"):
        found.classes(0.5, least=100)
    with pytest.raises(DataError, match="one subject and one annotator per classification"):
        make_annotations(described.assign(classification="same"), classified)
    with pytest.raises(DataError, match="one row per classification"):
        make_annotations(described, pd.concat([classified, classified.tail(1)]))
    with pytest.raises(DataError, match="subjects"):
        make_annotations(described.assign(subject="other"), classified)


def test_published_names_of_columns_are_read(tmp_path):
    described, classified = made_tables(20)
    names = {"subject": "subject_ids", "annotator": "user_id", "classification": "classification_id"}
    described.rename(columns={**names, "phrase": "annotations"}).to_csv(tmp_path / "english_annotations_cleaned.csv")
    with pytest.raises(DataError, match="experts' classes: expected a file"):
        read_annotations(tmp_path)
    classified.rename(columns={**names, "expert_class": "annotations"}).to_csv(tmp_path / "expert_classifications.csv")
    pd.testing.assert_frame_equal(read_annotations(tmp_path).share_NK, make_annotations(described, classified).share_NK)
    classified.rename(columns={"subject": "thing"}).to_csv(tmp_path / "expert_classes.csv")
    with pytest.raises(DataError, match="column subject"):
        read_annotations(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"tags": 200}, {"n_folds": 1}, {"similarities": ()}, {"n_shuffles": 5}, {"tags": 0}, {"annotators": "other"}],
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(InputError):
        Settings(**wrong)


def test_phrases_are_plain():
    assert plain_phrase(" X-Shaped;  two\tjets!") == "x shaped two jets"


def test_the_published_tables_are_read(data_root):
    found = read_annotations(data_root / "text2tag")
    assert len(found.subject_N) == 299 and len(found.words) > 8300
    assert found.left_out == ("descriptions: 130 of 8486 rows are blank", "experts: 8 of 1257 rows are blank")
    target, few = found.classes(0.5)
    assert target["Single"].sum() == 112 and len(few) == 7
