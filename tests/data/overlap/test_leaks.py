"""What one set must not hold of another: same pixels, same image, same training source later held out."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from equirgz.config import DataConfig, RunConfig, SplitConfig
from equirgz.data import load_data, split_data
from equirgz.data.imageset import ImageSet
from equirgz.data.notes import note
from equirgz.data.overlap import objects
from equirgz.data.overlap.describe import count_groups
from equirgz.data.overlap.exact import match_pixels
from equirgz.data.overlap.leaks import SHOWS, mark_shown, refuse_leaks, refuse_unchecked
from equirgz.data.overlap.objects import OBJECT, ObjectImages
from equirgz.data.simulate.synthetic import Observation, simulate
from equirgz.errors import DataError, InputError


@pytest.fixture(scope="module")
def sky():
    """Return 12 images as a survey without positions holds them."""
    images = simulate(12, ("FRI", "bent"), Observation(field_sources=0, sidelobe_level=0), 5, "base")
    return replace(images, name="sky", recipe="", of_sky=True)


def make_set(pixels, name="b", scale=1.8, position=None):
    n = len(pixels)
    ids = np.array([f"{name}{i}" for i in range(n)])
    return ImageSet(name, np.asarray(pixels), np.full(n, -1), ids, (), scale, position)


def turns(image):
    return [np.rot90(x, k) for x in (image, image[:, ::-1]) for k in range(4)]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_match_as_by_comparing_every_pair_in_every_orientation(dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2, (n, 3, 3)).astype(dtype) for n in (60, 80))
    pairs = match_pixels(make_set(a), make_set(b))
    orbits = [{x.tobytes() for x in turns(y)} for y in b]
    expected = {
        (i, j) for i, x in enumerate(a) for j, orbit in enumerate(orbits) if x.min() != x.max() and x.tobytes() in orbit
    }
    assert 20 < len(expected) < 200 and set(zip(pairs.i.tolist(), pairs.j.tolist(), strict=True)) == expected


def test_blank_images_and_other_shapes_have_no_pixels_in_common():
    blank = make_set([np.zeros((4, 4), np.uint8), np.full((4, 4), 7, np.uint8)])
    assert len(match_pixels(blank, blank)) == 0
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    assert len(match_pixels(make_set(image), make_set(image[:, :, :3]))) == 0
    assert len(match_pixels(make_set(image), make_set(np.stack([image] * 3, 1)))) == 0
    wide = image[:, :, :3]  # turned by 90 degrees it would have another shape
    assert len(match_pixels(make_set(wide), make_set(wide[:, ::-1, ::-1]))) == 1
    assert len(match_pixels(make_set(image), make_set(image.astype(np.float32) / 255))) == 1
    assert len(match_pixels(make_set(image), make_set(image[:0]))) == 0


def test_identical_pixels_under_other_ids_and_positions_are_refused_or_dropped(sky):
    position = np.stack([np.linspace(10, 20, 12), np.zeros(12)], 1)
    test = make_set(sky.image_NHW[:2], "t", position=position[:2])
    pixels = np.concatenate([np.rot90(sky.image_NHW[1:2], 1, (1, 2)), sky.image_NHW[4:]])
    pool = make_set(pixels, "p", position=position[:9] + 40)
    message = r"p: expected no source with the pixels of a test source, got 1 \(e\.g\. p0\); set data\.drop_leaks"
    with pytest.raises(InputError, match=message):
        refuse_leaks(pool, {"test": test})
    kept = refuse_leaks(pool, {"test": test}, drop=True)
    assert kept.source_id_N.tolist() == [f"p{i}" for i in range(1, 9)]
    with pytest.raises(DataError, match="outside the test set, got none"):
        refuse_leaks(pool.subset([0]), {"test": test}, drop=True)


def test_sets_without_positions_at_one_scale_are_compared_by_image(sky):
    turned = np.stack([ndimage.rotate(x, 33.0, reshape=False, order=1) for x in sky.image_NHW[:3]])
    bright = (0.7 * turned).astype(np.uint8)
    test = make_set(sky.image_NHW[:3], "t", position=[[10, 0], [11, 0], [12, 0]])
    pool = make_set(np.concatenate([sky.image_NHW[8:], bright]), "p")
    with pytest.raises(InputError, match=r"with the image of a test source at some orientation, got [1-3] \(e"):
        refuse_leaks(pool, {"test": test})
    kept = refuse_leaks(pool, {"test": test}, drop=True)
    assert kept.source_id_N.tolist()[:4] == ["p0", "p1", "p2", "p3"] and len(kept) < 7
    known = replace(pool, position_deg_N2=np.stack([np.arange(7) + 50.0, np.zeros(7)], 1))
    assert refuse_leaks(known, {"test": test}) is known  # positions tell that they are others
    known.position_deg_N2[:4] = np.nan  # those without leak nothing, those with are elsewhere
    assert refuse_leaks(known, {"test": test}) is known
    known.position_deg_N2[4:] = np.nan
    assert len(refuse_leaks(known, {"test": test}, drop=True)) == len(kept)
    made = replace(pool, of_sky=False)
    assert refuse_leaks(made, {"test": test}) is made


def test_sources_that_nothing_can_compare_are_refused_dropped_or_kept_with_a_note(sky, caplog):
    note.cache_clear()
    turned = np.stack([ndimage.rotate(x, 33.0, reshape=False, order=1) for x in sky.image_NHW[:3]])
    pool, test = make_set(turned, "other survey", scale=15.0), make_set(sky.image_NHW[:3], "first/test")
    held = {"test": test, "again": replace(test, name="first/uncertain")}
    assert refuse_leaks(pool, {"test": test}) is pool
    for drop in (False, True):  # to drop all would leave nothing
        with pytest.raises(
            InputError,
            match=(
                "other survey: expected sources whose overlap with other sets can be checked, got 3 of 3 sources that "
                "neither positions nor images can compare with first/test, first/uncertain; give both sets positions "
                "or one pixel scale, or set data.allow_unchecked: true"
            ),
        ):
            refuse_unchecked(pool, held, drop=drop)
    for _ in range(2):
        assert refuse_unchecked(pool, held, allow=True) is pool
    assert [(r.name, r.levelno) for r in caplog.records] == [("equirgz", logging.WARNING)]
    assert caplog.messages[0].startswith("other survey: kept 3 of 3 sources that neither positions nor images")

    same = make_set(turned, "same scale")
    assert refuse_unchecked(same, {"test": test}) is same
    for made, other in ((replace(pool, of_sky=False), test), (pool, replace(test, of_sky=False))):
        assert refuse_unchecked(made, {"test": other}) is made
    where = np.stack([np.arange(3.0), np.zeros(3)], 1)
    known = make_set(turned, "p", 15.0, where)
    placed = {"test": replace(test, position_deg_N2=where.copy())}
    assert refuse_unchecked(known, placed) is known and len(caplog.records) == 1
    known.position_deg_N2[1] = np.nan
    with pytest.raises(InputError, match="got 1 of 3 .*set data.drop_leaks: true to drop them, or set"):
        refuse_unchecked(known, placed)
    assert refuse_unchecked(known, placed, drop=True).source_id_N.tolist() == ["p0", "p2"]
    assert caplog.messages[1].startswith("p: left out 1 of 3 sources")


def test_objects_are_compared_by_their_images_in_first(sky, monkeypatch):
    monkeypatch.setitem(objects._CATALOGUES, "TOY", ObjectImages("toy_first", 1.8, "toy.tar.gz"))
    names = [f"TOY FRI {k}" for k in range(7)]
    first = replace(make_set(sky.image_NHW[:7], "first"), table=pd.DataFrame({OBJECT: names}))
    first.image_NHW[5] = 0  # shows nothing
    other = np.random.default_rng(0).integers(0, 256, (5, 20, 20), dtype=np.uint8)
    held = ["TOY FRI 1", "TOY FRI 4", "TOY FRI 5", "TOY FRI 2", "TOY FRI 9"]  # FIRST has no image of the last
    pool = replace(make_set(other, "nvss", 15.0), table=pd.DataFrame({OBJECT: held}))
    position = np.stack([np.arange(3.0), np.zeros(3)], 1)
    test = make_set(np.rot90(sky.image_NHW[[1, 8, 2]], 1, (1, 2)), "t", position=position)
    with pytest.raises(InputError, match=r"got 5 of 5 .*put toy.tar.gz \(toy_first\) into the data root"):
        refuse_unchecked(pool, {"test": test})
    with pytest.raises(InputError, match="got 2 of 5 "):
        refuse_unchecked(pool, {"test": test}, first=first)
    clean = refuse_unchecked(pool, {"test": test}, drop=True, first=first)
    assert clean.table[OBJECT].tolist() == ["TOY FRI 1", "TOY FRI 4", "TOY FRI 2"]
    with pytest.raises(InputError, match="with the image of a test source at some orientation, got 2"):
        refuse_leaks(clean, {"test": test}, first=first)
    kept = refuse_leaks(clean, {"test": test}, drop=True, first=first)
    assert kept.table[OBJECT].tolist() == ["TOY FRI 4"]
    assert mark_shown(clean, test, first).table[SHOWS].tolist() == ["t0", "", "t2"]

    # the other way about, and an object that both surveys name
    assert len(refuse_unchecked(test, {"pool": clean}, first=first)) == 3
    assert refuse_leaks(test, {"pool": clean}, drop=True, first=first).source_id_N.tolist() == ["t1"]
    assert refuse_unchecked(pool, {"test": first}) is pool
    with pytest.raises(InputError, match="that is the object of a test source, got 1"):
        refuse_leaks(pool, {"test": first.subset([4])})


def test_training_sources_shown_in_a_pool_are_known_after_preprocessing(sky):
    train = make_set(sky.image_NHW[:4], "t")
    pool = make_set(np.concatenate([sky.image_NHW[4:6], sky.image_NHW[2:3, ::-1]]), "p")
    marked = mark_shown(pool, train)
    assert marked.table[SHOWS].tolist() == ["", "", "t2"] and marked.checksum == pool.checksum
    small = replace(marked, image_NHW=marked.image_NHW[:, ::30, ::30], recipe="small")
    held = replace(train.subset([2]), image_NHW=train.image_NHW[2:3, ::29, ::29], recipe="small")
    with pytest.raises(InputError, match=r"with the image of a test source at some orientation, got 1 \(e\.g\. p2"):
        refuse_leaks(small, {"test": held})
    others = replace(held, source_id_N=np.array(["t1"]))
    assert refuse_leaks(small, {"test": others}) is small
    assert mark_shown(replace(pool, of_sky=False), train).table.columns.tolist() == []


def test_test_sources_of_mirabest_in_frdeep_are_refused_or_dropped(data_root):
    config = DataConfig(name="mirabest_confident", image_size=15, unlabelled="frdeep_first")
    with pytest.raises(InputError, match=r"frdeep_first/train: expected no source with .* test source.*, got \d+ "):
        load_data(config, data_root)
    whole = load_data("frdeep_first", data_root, image_size=15).train
    data = load_data(config, data_root, drop_leaks=True)
    left_out = set(whole.source_id_N) - set(data.unlabelled.source_id_N)
    assert left_out == {  # two more lie in FR-DEEP's own test part, which is not used
        "FRI_123_FRICAT_FR1_example",
        "FRI_124_FRICAT_FR1_example",
        "FRI_181_FRICAT_FR1_example",
        "FRI_200_FRICAT_FR1_example",
        "FRII_299_example",
        "FRI_50_example",
    }
    assert len(data.unlabelled) == 544 and (data.unlabelled.label_N == -1).all()
    assert {name: len(part) for name, part in data.tests.items()} == {
        "test": 104,
        "test_uncertain": 49,
        "test_hybrid": 4,
    }

    held, _ = split_data(data, config.model_copy(update={"drop_leaks": True}), SplitConfig(hold_out=146))
    shown = [text.split("\n") for text in held.unlabelled.table[SHOWS]]
    assert len(held.unlabelled) < len(data.unlabelled)
    assert not set(sum(shown, [])) & set(held.tests["test"].source_id_N)


def test_test_sources_of_mirabest_are_found_in_another_survey_by_their_objects(data_root):
    config = DataConfig(name="mirabest_confident", image_size=15, unlabelled="frdeep_nvss")
    with pytest.raises(InputError, match="frdeep_nvss/train: expected sources whose .* got 51 of 550 sources"):
        load_data(config, data_root)
    with pytest.raises(InputError, match=r"frdeep_nvss/train: expected no source with the image .*, got 6 "):
        load_data(config, data_root, allow_unchecked=True)
    whole = load_data("frdeep_nvss", data_root, image_size=15).train
    data = load_data(config, data_root, drop_leaks=True, allow_unchecked=True)
    left_out = set(whole.table[OBJECT]) - set(data.unlabelled.table[OBJECT])
    fricat = {f"FR-DEEP FRI {k} FRICAT" for k in (53, 124, 181, 200, 213)}
    assert left_out == fricat | {"FR-DEEP FRII 299"} and len(data.unlabelled) == 544
    assert len(load_data(config, data_root, drop_leaks=True).unlabelled) == 493


def test_another_survey_is_refused_without_the_archive_that_shows_its_objects(data_root, tmp_path):
    for name in ("MiraBest_F_batches.tar.gz", "NVSS_PNG_dataset.tar.gz"):
        (tmp_path / name).symlink_to(data_root / name)
    fields = {"image_size": 15, "unlabelled": "frdeep_nvss", "drop_leaks": True}
    with pytest.raises(InputError, match=r"got 550 of 550 .*put FIRST_PNG_dataset.tar.gz \(frdeep_first\)"):
        load_data("mirabest_confident", tmp_path, **fields)
    assert len(load_data("mirabest_confident", tmp_path, **fields, allow_unchecked=True).unlabelled) == 550


def test_allow_unchecked_is_no_part_of_a_runs_identity_unless_set():
    assert "allow_unchecked" not in RunConfig().model_dump()["data"]
    run = RunConfig(data=DataConfig(allow_unchecked=True))
    assert run.model_dump()["data"]["allow_unchecked"] is True and run.run_key() != RunConfig().run_key()


def write_pictures(folder, image_N, first=0):
    folder.mkdir(parents=True)
    for k, image in enumerate(image_N, first):
        Image.fromarray(image).save(folder / f"{k:04d}.png")
    rows = "".join(f"{k:04d}.png,{k % 2}\n" for k in range(first, first + len(image_N)))
    (folder.parent / f"{folder.name}.csv").write_text("file,label\n" + rows)
    return {
        "path": str(folder),
        "catalogue": str(folder.parent / f"{folder.name}.csv"),
        "label_column": "label",
        "pixel_scale_arcsec": 1.8,
    }


def test_a_folder_that_tests_shares_names_with_the_folder_that_trains_but_no_image(tmp_path):
    image_N = np.random.default_rng(0).integers(0, 256, (16, 12, 12), dtype=np.uint8)
    train = write_pictures(tmp_path / "train", image_N[:8])
    test = write_pictures(tmp_path / "test", image_N[8:])
    fields = {"name": "folder", "image_size": 9, "params": train, "extra_tests": {"folder": test}}
    data = load_data(DataConfig(**fields))
    assert len(data.train) == len(data.tests["test"]) == 8  # the one folder that tests is the test set
    assert set(data.train.source_id_N) == set(data.tests["test"].source_id_N)
    assert count_groups(data)["groups"] == 16
    folded, _ = split_data(data, DataConfig(**{**fields, "extra_tests": {}}), SplitConfig(fold=0, n_folds=2))
    assert len(set(folded.train.source_id_N) | set(folded.tests["test"].source_id_N)) == 16
    copy = write_pictures(tmp_path / "copies", [*image_N[8:], np.rot90(image_N[2])])
    fields["extra_tests"] = {"folder": copy}
    with pytest.raises(InputError, match="with the pixels of a training source, got 1"):
        load_data(DataConfig(**fields))
    assert len(load_data(DataConfig(**fields, drop_leaks=True)).tests["test"]) == 8


@pytest.mark.parametrize("role", ["unlabelled", "extra_tests"])
def test_grey_and_coloured_images_are_refused_before_training(tmp_path, role):
    rng = np.random.default_rng(0)
    grey = write_pictures(tmp_path / "grey", rng.integers(0, 256, (8, 12, 12), dtype=np.uint8))
    colour = write_pictures(tmp_path / "colour", rng.integers(0, 256, (8, 12, 12, 3), dtype=np.uint8))
    other = {"extra_tests": {"folder": colour}}
    if role == "unlabelled":
        other = {"unlabelled": "folder", "unlabelled_params": colour}
    fields = {"name": "folder", "image_size": 9, "params": {**grey, "test_fraction": 0.25}}
    with pytest.raises(InputError, match=r"expected images of 1 channel\(s\) as those of grey/train, got 3"):
        load_data(DataConfig(**fields, **other))
    colour["colour"] = False
    assert load_data(DataConfig(**fields, **other)).train.n_channels == 1
