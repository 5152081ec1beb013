"""A saved encoder as the first stage of a pre-training: its weights, where network and pixels are the run's."""

from __future__ import annotations

import math
from typing import Any

from equirgz.backbones.storage import find_encoder, load_encoder
from equirgz.config import DataConfig
from equirgz.errors import DataError, InputError
from equirgz.grid.run.prepare import PreparedRun
from equirgz.pretrained import list_pretrained
from equirgz.records import canonical_json

#: steps of preprocessing that change what an encoder sees, beside the pixel scale
SEEN = ("stretch", "softening", "mask")


def start_from_encoder(run: PreparedRun, name: str, stage: str = "pretrain") -> dict[str, Any]:
    """Put the weights of the shipped encoder ``name``, or of the saved one at that path, into the run's network.

    Returns the log of a stage without a training. Raises InputError where there is no such encoder, or it is another
    network (architecture, group, width, channels, size of the images) or was trained on other pixels (scale to 2 per
    cent, stretch, mask, in units of their root mean square or not) than the run has.
    """
    if not find_encoder(name).is_file():
        known = ", ".join(list_pretrained()) or "none in this version"
        mend = "name a shipped one, or give the path of a saved one"
        raise InputError("pretrain.encoder", expected=f"a shipped encoder ({known}) or a file", got=name, mend=mend)
    try:
        encoder = load_encoder(name)
    except DataError as error:
        raise InputError(f"pretrain.encoder: {error}") from error
    where = f"pretrain.encoder {name}"
    for key in sorted(encoder.config.keys() | run.backbone.config.keys()):
        own, asked = encoder.config.get(key), run.backbone.config.get(key)
        if canonical_json(own) != canonical_json(asked):
            raise InputError(f"{where}: {key}", expected=own, got=asked, mend=f"give the run {key} {own}")
    check_pixels(where, encoder.facts.get("preprocessing") or {}, run.config.data, run.data.train.pixel_scale_arcsec)
    run.backbone.load_state_dict(encoder.float().state_dict())
    return {"stage": stage, "last": {}, "warnings": [], "best_step": None, "meters": {}}


def check_pixels(where: str, facts: dict[str, Any], data: DataConfig, pixel_scale_arcsec: float) -> None:
    """Raise InputError where an encoder's ``facts`` of its preprocessing are not those of a run's ``data``."""
    scale = facts.get("pixel_scale_arcsec")
    known = scale is not None and math.isfinite(pixel_scale_arcsec)
    if known and not math.isclose(scale, pixel_scale_arcsec, rel_tol=0.02):
        expected, got = f"{scale:.4g} arcsec, on which it was trained", f"{pixel_scale_arcsec:.4g} arcsec"
        mend = "set data.crop_arcsec or data.crop so that both agree"
        raise InputError(f"{where}: size of a pixel", expected=expected, got=got, mend=mend)
    for key in SEEN:
        own = getattr(data, key)
        if key in facts and facts[key] != own and (key != "softening" or data.stretch == "asinh"):
            raise InputError(f"{where}: data.{key}", expected=facts[key], got=own, mend="it was trained on such images")
    in_rms = facts.get("rms", 1.0) != 1.0  # 1: its images were not divided
    if "rms" in facts and in_rms != data.normalise:
        mend = "it was trained on images of that scale"
        raise InputError(f"{where}: data.normalise", expected=in_rms, got=data.normalise, mend=mend)
