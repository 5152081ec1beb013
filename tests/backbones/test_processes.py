"""Copies in another process: spawned workers, and encoders loaded from their two files."""

import pickle
import subprocess
import sys

import torch

from equirgz import create_backbone, list_backbones, save_encoder
from tests.backbones.test_contract import build, images, shake

READ = """
import pickle, sys, torch
from pathlib import Path
import equirgz
folder = Path(sys.argv[1])
torch.set_grad_enabled(False)  # as h_BF was computed: attention has another kernel for gradients
for case in sorted(folder.glob("*.pickle")):
    backbone, mode, x_BCHW, h_BF = pickle.loads(case.read_bytes())
    assert backbone.training == mode, case
    assert torch.equal(backbone.eval()(x_BCHW), h_BF), case
    assert torch.equal(equirgz.load_encoder(folder / case.stem)(x_BCHW), h_BF), case
print(len(list(folder.glob("*.pickle"))), "equal")
"""


def test_pickles_and_saved_encoders_give_the_same_features_in_another_process(tmp_path):
    n_cases = 0
    for name in list_backbones():
        for mode in (True, False):
            backbone = shake(build(name)).eval()
            x_BCHW = images(backbone)
            with torch.no_grad():
                h_BF = backbone(x_BCHW)
            stem = f"{name}_{mode}"
            save_encoder(backbone, tmp_path / stem)
            (tmp_path / f"{stem}.pickle").write_bytes(pickle.dumps((backbone.train(mode), mode, x_BCHW, h_BF)))
            n_cases += 1
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(n_cases), "equal"]


def test_a_d16_checkpoint_is_at_most_twice_its_parameters(tmp_path):
    backbone = create_backbone("steerable_cnn", group="D16", image_size=33)
    n_bytes = sum(p.numel() * p.element_size() for p in backbone.parameters())
    assert save_encoder(backbone, tmp_path / "d16").stat().st_size <= 2 * n_bytes
