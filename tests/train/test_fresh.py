"""Sources that come once each: numbered, drawn ahead, mixed with stored ones in their share, resumed exactly."""

import threading

import numpy as np
import pytest
import torch

from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import InputError
from equirgz.objectives import create_objective
from equirgz.train import TrainImages, train
from equirgz.train.run import TrainingRun
from equirgz.train.sources.batches import BatchMaker
from equirgz.train.sources.fresh import Drawn, FreshSources
from equirgz.train.sources.streams import CountingStream, MixedStream
from tests.train.ddp_worker import make_fresh
from tests.train.toy import make_backbone, make_task

PLAIN = {"augmentation": "none", "augmentation_params": {"mask": False}}
CONFIG = TrainConfig(steps=7, batch_size=8, optimizer=OptimizerConfig(lr=0.02), **PLAIN)


def make(name="supervised"):
    return create_objective(name, make_backbone(), 2, init_seed=1)


def images(share=None, **changes):
    x_NCHW, y_N = make_task(10)
    parts = [] if share is None else [(6, 1 - share), (4, share)]
    fresh = {"labelled": FreshSources(make_fresh, "toy")}
    return TrainImages(x_NCHW, y_N, parts_of_labelled=parts, fresh=fresh, **changes)


def test_a_stream_without_end_counts_on_from_its_set():
    stream = CountingStream(10, 4)
    assert [stream.next().tolist() for _ in range(2)] == [[10, 11, 12, 13], [14, 15, 16, 17]]
    again = CountingStream(10, 4)
    again.load_state_dict(stream.state_dict())
    assert again.next().tolist() == stream.next().tolist() == [18, 19, 20, 21]


def test_a_mixed_batch_has_stored_sources_in_their_share_and_then_new_ones():
    stream = MixedStream([(6, 3.0), (4, 1.0)], 8, seed=0, fresh=True)
    batches = [stream.next().tolist() for _ in range(3)]
    assert all(max(batch[:6]) < 6 for batch in batches)
    assert [batch[6:] for batch in batches] == [[10, 11], [12, 13], [14, 15]]


@pytest.mark.parametrize("share", [None, 0.25])
def test_a_batch_holds_the_sources_of_its_numbers(share):
    maker = BatchMaker(make(), images(share), CONFIG, 0)
    new = 8 if share is None else 2
    for k in range(3):
        batch = maker.next()
        drawn = make_fresh(k * new, new)
        assert np.array_equal(batch.view["labelled"][8 - new :], drawn.x_NCHW)
        assert np.array_equal(batch.label_B[8 - new :], drawn.y_N)
        stored_B = batch.index["labelled"][: 8 - new]
        assert torch.equal(batch.view["labelled"][: 8 - new], make_task(10)[0][stored_B])
    maker.images.close()


def test_the_next_batch_is_drawn_ahead_by_a_thread_that_ends():
    asked, here = [], threading.current_thread()

    def draw(start, n):
        asked.append((start, threading.current_thread() is here))
        return make_fresh(start, n)

    sources = FreshSources(draw, "toy")
    sources.take(torch.arange(4))
    sources.take(torch.arange(4, 8))
    sources.close()
    sources.take(torch.arange(20, 24))  # not the next ones: drawn at once
    sources.close()
    assert asked[0] == (0, True) and (4, False) in asked and (20, True) in asked and (4, True) not in asked
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fresh-sources")]


@pytest.mark.parametrize("share", [None, 0.5])
def test_resume_draws_what_would_have_come(share, tmp_path, monkeypatch):
    keywords = {"seed": 3, "checkpoint_every": 2, "log_every": 1}
    whole = make()
    log = train(whole, images(share), CONFIG, **keywords)
    update = TrainingRun.update

    def limited(self):
        if self.step == 5:
            raise KeyboardInterrupt
        return update(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingRun, "update", limited)
        train(make(), images(share), CONFIG, work_dir=tmp_path, **keywords)
    resumed = make()
    assert train(resumed, images(share), CONFIG, work_dir=tmp_path, **keywords).rows == log.rows
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_another_stream_is_another_training():
    plain = TrainImages(*make_task(10))
    other = TrainImages(*make_task(10), fresh={"labelled": FreshSources(make_fresh, "other")})
    assert len({one.checksum() for one in (plain, images(), images(0.5), images(0.25), other)}) == 5


def test_sources_without_labels_may_be_new_too():
    x_NCHW, _ = make_task(10)
    fresh = {"unlabelled": FreshSources(lambda start, n: Drawn(make_fresh(start, n).x_NCHW), "toy")}
    log = train(make("simclr"), TrainImages(u_MCHW=x_NCHW, fresh=fresh), CONFIG, seed=0)
    assert log.rows[-1]["step"] == 7


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"weight_N": torch.ones(10)}, "weight_N: expected labelled sources in one set"),
        ({"parts_of_labelled": [(3, 1.0)]}, "parts_of_labelled: expected parts of 10 labelled sources"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, line):
    x_NCHW, y_N = make_task(10)
    with pytest.raises(InputError, match=line):
        TrainImages(x_NCHW, y_N, **{"fresh": {"labelled": FreshSources(make_fresh, "toy")}} | changes)


def test_an_objective_that_looks_at_all_images_in_the_end_takes_no_stream():
    with pytest.raises(InputError, match="stream: expected an objective that learns from batches alone"):
        train(make("laplace"), images(), CONFIG, seed=0)
