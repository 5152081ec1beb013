"""The audit: real backbones pass, broken claims fail with the reason, states and precisions are real."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from equirgz.backbones import list_backbones
from equirgz.errors import InputError
from equirgz.evaluate.audit import audit
from equirgz.report.panels.audit_panel import plot_audit
from tests.evaluate.networks import PlainConv, ToyD4

ANGLES = (30.0, 90.0)


def test_an_equivariant_network_passes_in_every_state_and_precision_and_is_left_alone() -> None:
    torch.manual_seed(0)
    net = ToyD4()
    before = copy.deepcopy(net.state_dict())
    report = audit(net, angles_deg=ANGLES)
    assert report.passed and report.reasons == [] and report.lines()[0] == "passed"
    assert {(r.state, r.precision) for r in report.rows} == {
        (s, p) for s in ("initial", "trained") for p in ("float32", "float64")
    }
    lattice = [r for r in report.rows if r.kind == "lattice"]
    assert len(lattice) == 2 * 2 * 2 * 7  # states, precisions, (features, maps), elements but the identity
    assert report.worst(kind="lattice", precision="float64") < 1e-13 < report.worst(kind="lattice", precision="float32")
    assert 1e-4 < report.worst(kind="angle") < 0.5
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert net.training and any("to_plain" in note for note in report.notes)


def test_training_moves_weights_and_statistics() -> None:
    torch.manual_seed(0)
    report = audit(ToyD4(), angles_deg=(30.0,), precisions=("float32",))
    initial, trained = (report.worst(state=s, kind="angle") for s in ("initial", "trained"))
    assert initial != trained


def test_a_broken_claim_fails_with_the_reason() -> None:
    torch.manual_seed(0)
    report = audit(PlainConv(), angles_deg=ANGLES)
    assert not report.passed
    assert "limit 1e-05" in " ".join(report.reasons) and "degrees" in report.reasons[0]
    lines = report.lines()
    assert lines[0].startswith("FAILED: ") and any(line.endswith("BROKEN") for line in lines)
    assert sum("BROKEN" in line for line in report.lines(full=True)) == len(report.reasons)


def test_progress_is_shown_where_it_is_asked_for(capsys) -> None:
    torch.manual_seed(0)
    few = {"angles_deg": (), "states": ("initial",), "precisions": ("float32",), "n_images": 1}
    for shown, expected in ((True, "audit ToyD4: 100%"), (None, ""), (False, "")):
        audit(ToyD4(), progress=shown, **few)
        err = capsys.readouterr().err
        assert expected in err and bool(err) == bool(expected)


def test_what_claims_nothing_cannot_break() -> None:
    torch.manual_seed(0)
    report = audit(PlainConv(), angles_deg=ANGLES, claimed=False)
    assert report.passed and report.worst(kind="lattice", what="features") > 1e-2
    assert "no exact symmetry claimed" in report.lines()[1]


def test_a_flattening_head_fails_and_says_why() -> None:
    few = {"states": ("initial",), "precisions": ("float32",), "angles_deg": (45.0,)}
    report = audit("steerable_resnet18", "D4", 33, width=0.1, head="flatten", **few)
    assert not report.passed and "features change" in report.reasons[0]
    assert any("head='invariant'" in note for note in report.notes)
    assert audit("steerable_resnet18", "D4", 33, width=0.1, **few).passed


def test_a_symmetry_that_holds_at_initialisation_alone_is_caught() -> None:
    class BreaksWhenTrained(ToyD4):
        """Adds a bias image that starts at zero."""

        def __init__(self) -> None:
            super().__init__()
            self.image = nn.Parameter(torch.zeros(17, 17))

        def forward_maps(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward_maps(x) + (self.image * torch.arange(17.0)).to(x)

    torch.manual_seed(0)
    report = audit(BreaksWhenTrained(), angles_deg=())
    assert {r.state for r in report.rows if not r.passed} == {"trained"}


def test_nan_is_never_a_pass() -> None:
    class Nan(ToyD4):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * float("nan")

    report = audit(Nan(), angles_deg=(), states=("initial",))
    assert not report.passed and "nan" in report.reasons[0]


def test_features_that_are_zero_everywhere_are_not_measured_and_so_not_passed() -> None:
    torch.manual_seed(0)
    dead = ToyD4()
    dead.norm.bias.data.fill_(-100.0)
    report = audit(dead, angles_deg=ANGLES, precisions=("float32",))
    assert not report.passed and "features were not measured" in " ".join(report.reasons)
    assert "not measured (trained, float32): features, maps, zero everywhere or not finite" in report.notes
    assert report.lines()[0].startswith("FAILED: ") and plot_audit(report) is not None


@pytest.mark.parametrize("seed", range(3))
def test_short_training_keeps_features_alive(seed: int) -> None:
    few = {"states": ("trained",), "precisions": ("float32",), "angles_deg": (), "layers": False, "seed": seed}
    report = audit("steerable_lenet", "C4", 17, head="flatten", **few)
    assert not report.passed and report.worst(what="features") > 1e-2 > 1e-5 > report.worst(what="maps") > 0
    assert not any("not measured" in note for note in report.notes)


@pytest.mark.parametrize("name", list_backbones("steerable_*"))
def test_no_registered_backbone_dies_in_the_short_training(name: str) -> None:
    few = {"states": ("trained",), "precisions": ("float32",), "angles_deg": (30.0,), "layers": False}
    report = audit(name, "C4", 33, width=0.25, **few)
    assert 1e-4 < report.worst(what="features", kind="angle") < 2.0


def test_an_audit_that_measures_nothing_does_not_pass() -> None:
    report = audit(ToyD4(), angles_deg=(), precisions=("deployed",))  # it has no to_plain
    assert not report.passed and report.lines()[0] == "FAILED: nothing was measured"
    for nothing, message in (
        ({"states": ()}, "audit state: expected at least one of initial, trained, got none"),
        ({"precisions": ()}, "audit precision: expected at least one of float32, float64, deployed, got none"),
        ({"n_images": 0}, "n_images: expected a whole number, at least 1, got 0"),
        ({"train_steps": 0}, "train_steps: expected a whole number, at least 1, got 0"),
    ):
        with pytest.raises(InputError, match=message):
            audit(ToyD4(), **nothing)


def test_the_deployed_network_is_measured_and_compared() -> None:
    class Deployable(ToyD4):
        wrong = 0.0

        def to_plain(self) -> nn.Module:
            plain = copy.deepcopy(self)
            plain.norm.bias.data += self.wrong
            del plain.group
            return plain

    torch.manual_seed(0)
    net = Deployable()
    report = audit(net, angles_deg=(), states=("initial",))
    assert report.passed and report.worst(precision="deployed", what="features against native") < 1e-6
    net.wrong = 0.01
    report = audit(net, angles_deg=(), states=("initial",))
    assert not report.passed and "features against native" in report.reasons[0]


@pytest.mark.parametrize(
    ("name", "group", "size"), [("steerable_lenet", "C4", 33), ("steerable_attention", "D1", 33), ("lenet", "C1", 33)]
)
def test_registered_backbones_pass(name: str, group: str, size: int) -> None:
    report = audit(name, group, size, width=0.5, angles_deg=(), train_steps=2)
    assert report.passed, report.lines()
    assert {r.precision for r in report.rows} >= ({"deployed"} if group == "C1" else {"float32", "float64", "deployed"})
    assert any(row.what.startswith("block") for row in report.rows) or group == "C1"


def test_figure_shows_every_state_and_layer() -> None:
    torch.manual_seed(0)
    figure = plot_audit(audit(ToyD4(), angles_deg=ANGLES))
    left, right = figure.axes
    assert left.get_yscale() == right.get_yscale() == "log"
    assert [t.get_text() for t in right.get_xticklabels()] == ["maps", "features"]
    assert {t.get_text() for t in figure.legends[0].get_texts()} == {"initial", "trained", "float32", "float64"}
    figure.canvas.draw()


def test_bad_input() -> None:
    with pytest.raises(InputError, match="audit state"):
        audit(ToyD4(), states=("finished",))
    with pytest.raises(InputError, match="audit precision"):
        audit(ToyD4(), precisions=("float16",))
    with pytest.raises(InputError, match="given by name"):
        audit(ToyD4(), width=3)
    with pytest.raises(InputError, match="image_size"):
        audit(nn.Conv2d(1, 1, 3))
    with pytest.raises(InputError, match="did you mean"):
        audit("steerable_lenett", "C4", 33)
