"""``group=None`` is D4 for a steerable backbone and C1 for a plain one, wherever a backbone is named."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from equirgz.backbones import BACKBONES, create_backbone, list_backbones
from equirgz.backbones.base import count_parameters
from equirgz.backbones.create import takes_group
from equirgz.cli import app
from equirgz.config import BackboneConfig, RunConfig, parse_run
from equirgz.errors import InputError
from equirgz.evaluate.audit import audit
from equirgz.grid.plan.grid import make_grid
from equirgz.registry import default_group
from equirgz.train.estimators.classifier import EquirgzClassifier

FACTORIES = {"lenet": "C1", "steerable_lenet": "D4", "steerable_cnn": "D4"}


@pytest.mark.parametrize("name", list_backbones())
def test_the_name_tells_who_takes_a_group(name):
    assert default_group(name) == ("D4" if takes_group(name) else "C1")


def test_a_name_that_misleads_is_refused():
    def steerable(group="C1", in_channels=1, image_size=9):
        raise NotImplementedError

    def plain(in_channels=1, image_size=9):
        raise NotImplementedError

    for name, factory in (("mine", steerable), ("steerable_mine", plain)):
        with pytest.raises(InputError, match=f"'{name}'.*register it under another name"):
            BACKBONES.register(name)(factory)
        assert name not in list_backbones()


@pytest.mark.parametrize(("name", "group"), FACTORIES.items())
def test_every_door_means_the_same_group(name, group):
    backbone = create_backbone(name, image_size=17, width=0.1)
    assert backbone.group.name == group == create_backbone(name, None, image_size=17, width=0.1).group.name
    assert BackboneConfig(name=name).group == BackboneConfig(name=name, group=None).group == group
    assert parse_run(yaml.safe_load(f"backbone: {{name: {name}, group: }}")).backbone.group == group
    grid = make_grid({"name": "g", "base": {"backbone": {"name": "resnet18"}}, "axes": {"backbone": [name]}})
    assert grid.runs[0].backbone.group == group
    images = np.random.default_rng(0).random((6, 17, 17), dtype=np.float32)
    model = EquirgzClassifier(name, width=0.1, steps=1, batch_size=6).fit(images, [0, 1] * 3)
    assert model.objective_.backbone.group.name == group
    few = {"states": ["initial"], "precisions": ["float32"], "angles_deg": [], "n_images": 1, "width": 0.1}
    assert audit(name, image_size=17, **few).group == group


def test_the_command_line_means_the_same_group():
    out = CliRunner().invoke(app, ["models", "*lenet", "--image-size", "17"]).output
    rows = dict(line.split()[:2] for line in out.splitlines()[1:])
    assert rows == {"attention_lenet": "C1", "lenet": "C1", "steerable_lenet": "D4"}


def test_a_run_key_holds_the_resolved_group():
    """So that a run without a group is the run with that group, and a committed one keeps its key."""
    for name, group in FACTORIES.items():
        unset, told = ({"backbone": {"name": name} | more} for more in ({}, {"group": group}))
        assert parse_run(unset).run_key() == parse_run(told).run_key()
    assert RunConfig().backbone == BackboneConfig(name="steerable_lenet", group="D4")
    other = BackboneConfig(name="steerable_lenet", group="C1")
    assert BackboneConfig.model_validate(other.model_dump()) == other != BackboneConfig()


def test_a_matched_width_takes_the_same_default():
    parameters = count_parameters(create_backbone("steerable_lenet", image_size=33))
    matched, told = (
        create_backbone("steerable_cnn", "C4", image_size=33, match=f"params:{target}").config["width"]
        for target in ("steerable_lenet", parameters)
    )
    assert matched == told
