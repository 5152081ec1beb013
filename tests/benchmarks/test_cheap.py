"""The speed of networks that are cheap by design: what is compared is comparable."""

import argparse

from torch import nn

from benchmarks.speed import cheap
from equirgz.backbones import create_backbone


def test_every_pair_has_equal_parameters_or_equal_channels():
    for name, (first, second) in cheap.pairs(33).items():
        counts = [sum(p.numel() for p in network.parameters()) for network in (first, second)]
        if "equal parameters" in name:
            assert abs(counts[0] - counts[1]) < 0.25 * counts[0], name
        else:
            assert [t.size for t in first.feature_info.field_type()] == second.feature_info.channels(), name


def test_one_row_per_pair(monkeypatch, capsys):
    tiny = create_backbone("steerable_lenet", "C4", image_size=33, width=0.2)
    monkeypatch.setattr(
        cheap, "pairs", lambda size: {"a / b": (tiny, nn.Sequential(nn.Flatten(), nn.Linear(33**2, 1)))}
    )
    options = argparse.Namespace(size=33, batch=2, threads=1, seconds=0.0)
    (row,) = cheap.measure(options)
    assert row["rounds"] == 5 and row["ratio_q25"] <= row["ratio"] <= row["ratio_q75"]
    assert capsys.readouterr().out.startswith("a / b: ")
