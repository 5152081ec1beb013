"""``equirgz data check``: archives, one's own images, the ``data`` section of a YAML, or two sets side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from equirgz.cli.network import report_untrained
from equirgz.cli.options import DataDir, Device, Overrides, choose_device, path_option, show_loading
from equirgz.paths import as_path

YAML_ENDINGS = (".yaml", ".yml")


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="None: the whole data root; one dataset, published set, folder, file of images or YAML; "
            "or two sets, for their overlaps."
        ),
    ] = None,
    data_dir: DataDir = None,
    overrides: Overrides = None,
    encoder: Annotated[
        Path | None,
        path_option("--encoder", help="With two names: a saved encoder, to compare features too."),
    ] = None,
    cosine: Annotated[
        float, typer.Option("--cosine", help="With --encoder: features at least this alike are one source's.")
    ] = 0.999,
    device: Device = "auto",
) -> None:
    """Verify archives, counts, faults and leaks; exit 1 where an archive is damaged, an image bad, or a pool leaks.

    Without a name: every set in the data root. A dataset: its parts (--set takes the keys of a grid's `data`
    section). A folder, an image or a file of images: what lies in it and what is wrong (--set takes the `params` of
    the dataset `folder`: catalogue, label_column, recipe, hdu, ...). A YAML: its `data` section. Two sets: the sources
    that both hold, by position, by image at any orientation, and with --encoder by features (--set params.KEY=VALUE for
    each set that knows KEY, NAME.params.KEY=VALUE for one).
    """
    from equirgz.errors import InputError

    names = names or []
    if encoder is not None and len(names) != 2:
        raise InputError(f"data check --encoder: expected two datasets to compare, got {len(names)}")
    if len(names) > 2:
        raise InputError(f"data check: expected at most two datasets, got {len(names)}")
    if len(names) == 2:
        _check_two(names, data_dir, overrides, encoder, cosine, device)
        return
    ok = _check_root(data_dir, overrides) if not names else _check_one(names[0], data_dir, overrides)
    if not ok:
        raise typer.Exit(1)


def _check_root(data_dir: Path | None, overrides: list[str] | None) -> bool:
    from equirgz.data.check.data_root import check_data
    from equirgz.errors import InputError

    if overrides:
        raise InputError("--set: expected the name of a dataset to set it for, got none; see `equirgz data list`")
    return _show(check_data(data_dir))


def _show(report: Any) -> bool:
    for line in report.lines():
        typer.echo(line)
    return report.ok


def _check_one(name: str, data_dir: Path | None, overrides: list[str] | None) -> bool:
    from equirgz.config import parse_setting
    from equirgz.data import DATASETS
    from equirgz.data.check.data_root import is_own_path, load_published
    from equirgz.data.check.own_images import check_own
    from equirgz.errors import InputError

    if is_own_path(name):
        path = as_path(name)
        if path.is_file() and path.suffix.lower() in YAML_ENDINGS:
            return _check_yaml(path, data_dir, overrides)
        settings = dict(map(parse_setting, overrides or ()))
        params = {key.removeprefix("data.").removeprefix("params."): value for key, value in settings.items()}
        return _show(check_own(path, data_dir, progress=show_loading, **params))
    if name not in DATASETS.names():  # a published set, which has no options
        if overrides:
            raise InputError(f"--set: expected a registered dataset, got the set {name!r}; see `equirgz data list`")
        _show_parts(load_published(name, data_dir))
        return True
    from equirgz.grid.plan.grid import make_grid

    settings = [f"data.{override}" for override in overrides or ()]
    planned = make_grid({"name": "check", "base": {"data": {"name": name}}}, settings)
    _show_loaded(planned.runs[0].data, data_dir)
    return True


def _check_yaml(path: Path, data_dir: Path | None, overrides: list[str] | None) -> bool:
    """Check every own folder that the ``data`` sections of a grid or a run name, then load each section."""
    from equirgz.config import load_yaml
    from equirgz.data.check.own_images import check_own
    from equirgz.data.root import find_own
    from equirgz.errors import EquirgzError
    from equirgz.grid.plan.grid import make_grid

    document = load_yaml(path)
    if "base" not in document:
        document = {"name": "check", "base": document}
    planned = make_grid(document, overrides or (), source=path.name)
    sections = {run.data.model_dump_json(): run.data for run in planned.runs}
    ok, seen = True, set()
    for section in sections.values():
        for name, params in [(section.name, section.params), *section.extra_tests.items()]:
            params = dict(params)
            if params.pop("name", name) == "folder" and params.get("path") and repr((name, params)) not in seen:
                seen.add(repr((name, params)))
                own = find_own(str(params.pop("path")), data_dir)
                ok &= _show(check_own(own, data_dir, progress=show_loading, **params))
        try:
            _show_loaded(section, data_dir)
        except EquirgzError as error:
            typer.echo(f"{path.name}: cannot be loaded: {error}")
            ok = False
    return ok


def _show_loaded(config: Any, data_dir: Path | None) -> None:
    from equirgz.data import load_data

    loaded = load_data(config, data_dir)
    parts = {"train": loaded.train, **loaded.tests}
    if loaded.unlabelled is not None:
        parts["unlabelled"] = loaded.unlabelled
    _show_parts(parts)


def _show_parts(parts: dict[str, Any]) -> None:
    for part, images in parts.items():
        counts = ", ".join(f"{count} {label}" for label, count in images.class_counts().items())
        typer.echo(f"{part:16s} {len(images):6d} images  {counts}  checksum {images.checksum}")


def _check_two(
    names: list[str],
    data_dir: Path | None,
    overrides: list[str] | None,
    encoder: Path | None,
    cosine: float,
    device: str,
) -> None:
    from equirgz.config import parse_setting
    from equirgz.data.check.data_root import check_pair, share_params

    params = share_params(names, dict(map(parse_setting, overrides or ())))
    if encoder is None:
        overlaps = check_pair(*names, data_dir, **params)
    else:
        overlaps = _check_embedded(names, data_dir, encoder, cosine, choose_device(device), params)
    for overlap in overlaps:
        for line in overlap.lines():
            typer.echo(line)


def _check_embedded(
    names: list[str],
    data_dir: Path | None,
    encoder: Path,
    cosine: float,
    device: str,
    params: dict[str, dict[str, Any]],
) -> list[Any]:
    """Return the overlaps of every part of A with every part of B, by the features of an encoder too."""
    from equirgz.backbones.storage import find_encoder
    from equirgz.data.check.data_root import load_side
    from equirgz.data.overlap.compare import check_overlap
    from equirgz.errors import InputError
    from equirgz.grid.embedding import embed_parts

    if not -1 <= cosine <= 1:
        raise InputError(f"--cosine: expected a number from -1 to 1, got {cosine:g}")
    report_untrained(encoder)
    sides = []
    for name in names:
        parts = load_side(name, data_dir, **params[name])
        _, features, _ = embed_parts(find_encoder(encoder), name, data_dir, device=device, options=params[name])
        features = features if set(features) >= set(parts) else dict(zip(parts, features.values(), strict=False))
        sides.append([(part, features[key]) for key, part in parts.items() if len(part)])
    return [
        check_overlap(part_a, part_b, embedding_a=feature_a, embedding_b=feature_b, cosine=cosine)
        for part_a, feature_a in sides[0]
        for part_b, feature_b in sides[1]
    ]
