"""The audit: how far a backbone is from the symmetry it claims, element by element, layer by layer.

Each backbone is measured in several states (as given; after a short training, which moves its
weights and its normalisation statistics) and precisions (float32, float64, and as deployed through
``to_plain``). Two kinds of images:

* noise under the disk mask, acted on by the lattice elements (quarter turns, flips): there a
  claimed symmetry must hold to rounding, because only pixels move;
* smooth sources turned WITHOUT interpolation (see make_smooth_images), at the other elements of the
  group and at arbitrary angles: there errors of about 1e-2 are the price of pixels, not a defect.

Off the lattice the precision of arithmetic does not matter, so that is measured in float32 alone.
Errors are ``|h(g x) - h(x)| / |h(x)|`` for features and ``|m(g x) - g m(x)| / |m(x)|`` for maps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from equirgz.backbones.arguments import check_whole
from equirgz.backbones.reference import native_twin
from equirgz.backbones.wrapped import copy_network
from equirgz.errors import InputError, check_choice
from equirgz.evaluate.audit_report import LIMITS, STATES, AuditReport, AuditRow, describe_unmeasured
from equirgz.evaluate.equivariance import make_smooth_images, measure_turned, network_group, relative_l2
from equirgz.geometry.action import disk_mask, warp
from equirgz.geometry.group import Group, get_group
from equirgz.progress import bar_options


def audit(
    backbone: nn.Module | str,
    group: str | None = None,
    image_size: int | None = None,
    *,
    states: Sequence[str] = STATES,
    precisions: Sequence[str] = ("float32", "float64", "deployed"),
    angles_deg: Sequence[float] = (10.0, 22.5, 30.0, 45.0, 60.0, 75.0),
    layers: bool = True,
    n_images: int = 2,
    train_steps: int = 8,
    seed: int = 0,
    claimed: bool | None = None,
    progress: bool | None = False,
    **params: Any,
) -> AuditReport:
    """Measure ``backbone`` (a module, or a registered name built with ``group`` and ``image_size``).

    Parameters
    ----------
    backbone : a module is copied, never changed; its ``group``, ``image_size``, ``in_channels`` and
        ``is_invariant`` are read where it has them. Of a reference engine its native twin is measured.
    group, image_size, params : for a name, what ``create_backbone`` is told. For a module, ``group``
        overrides the group to test and ``image_size`` the size.
    states : "initial" (as given), "trained" (``train_steps`` of Adam on random targets, in train
        mode, so that weights and normalisation statistics are no longer special).
    n_images : images of each kind, at least 1.
    precisions : "float32", "float64", "deployed" (``to_plain()`` of the float32 network).
    angles_deg : arbitrary angles at which the features are compared on smooth sources.
    layers : also measure the outputs of ``backbone.blocks()``; reported, never a claim.
    claimed : whether exactness is held against the network; None: a network with a group other than
        C1 is held to it, whatever its read-out (so that a flattening head fails, with the reason).

    progress : show on stderr how far it is; None: where that is a terminal.

    Returns a report; ``report.passed`` is false when a claimed exact symmetry is broken, and when it
    could not be measured because an output is zero everywhere.
    Raises InputError for unknown states, precisions, names or keywords, and where nothing is to be measured.
    """
    _check_choices("state", states, STATES)
    _check_choices("precision", precisions, LIMITS)
    n_images, train_steps = check_whole("n_images", n_images), check_whole("train_steps", train_steps)
    given, name = _resolve(backbone, group, image_size, params, seed)
    backbone = native_twin(given)
    symmetry = network_group(backbone) if group is None else get_group(group)
    size = image_size if image_size is not None else int(backbone.image_size)
    channels = int(getattr(backbone, "in_channels", 1))
    claims = symmetry.order > 1 if claimed is None else claimed
    notes = [] if backbone is given else ["measured on the native twin, which has equal weights"]
    if claims and not getattr(backbone, "is_invariant", True):
        notes.append(
            "this network flattens its maps, or pads and pools off the lattice, so its features cannot be "
            "invariant; use head='invariant' and a network that is not a published variant"
        )
    if not any(symmetry.is_lattice(g) for g in range(1, symmetry.order)):
        notes.append(f"{symmetry} has no quarter turn or flip, so nothing is claimed to be exact")
    rows: list[AuditRow] = []
    bar = tqdm(total=len(states) * len(precisions), desc=f"audit {name}", unit="state", **bar_options(progress))
    for state in states:
        network = copy_network(backbone).float()
        if group is not None:
            network.group = symmetry
        if state == "trained":
            _train_shortly(network, size, channels, train_steps, seed)
        for precision in precisions:
            bar.set_postfix_str(f"{state}, {precision}")
            bar.update()
            deployed = _deploy(network, precision)
            if deployed is None:
                notes += ["no to_plain, so nothing is measured as deployed"] if state == states[0] else []
                continue
            found = _measure(
                deployed,
                symmetry,
                size,
                angles_deg,
                channels=channels,
                n_images=n_images,
                seed=seed,
                layers=layers and precision != "deployed",
                off_lattice=precision == "float32" or "float32" not in precisions,
            )
            for row in found:
                held = claims and row["kind"] == "lattice" and row["what"] in ("features", "maps")
                rows.append(AuditRow(state, precision, **row, limit=LIMITS[precision] if held else None))
            if precision == "deployed":
                rows.append(_parity(network, deployed, state, size, channels, n_images, seed))
    bar.close()
    claim = f"features and maps exact under the quarter turns and flips of {symmetry}"
    claim = claim if claims else "no exact symmetry claimed"
    return AuditReport(name, str(symmetry), size, claim, tuple(rows), (*notes, *describe_unmeasured(rows)))


def _check_choices(what: str, chosen: Sequence[str], valid: Iterable[str]) -> None:
    if not chosen:
        raise InputError(f"audit {what}", expected=f"at least one of {', '.join(valid)}", got="none")
    for name in chosen:
        check_choice(f"audit {what}", name, valid)


def _resolve(
    backbone: nn.Module | str, group: str | None, image_size: int | None, params: dict[str, Any], seed: int
) -> tuple[nn.Module, str]:
    if isinstance(backbone, str):
        from equirgz.backbones import create_backbone

        sizes = {} if image_size is None else {"image_size": image_size}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return create_backbone(backbone, group=group, **sizes, **params), backbone
    if params:
        raise InputError(f"audit: keywords {', '.join(params)} are for a backbone given by name; drop them")
    if image_size is None and not hasattr(backbone, "image_size"):
        raise InputError("audit", expected="image_size", got="a module without one", mend="pass image_size=")
    return backbone, type(backbone).__name__


def _deploy(network: nn.Module, precision: str) -> nn.Module | None:
    if precision == "float64":
        return copy_network(network).double()
    if precision == "float32":
        return network
    to_plain = getattr(network, "to_plain", None)
    return None if to_plain is None else to_plain()


def _measure(
    network: nn.Module,
    group: Group,
    size: int,
    angles_deg: Sequence[float],
    *,
    channels: int,
    n_images: int,
    seed: int,
    layers: bool,
    off_lattice: bool,
) -> list[dict[str, Any]]:
    if not hasattr(network, "group"):
        network = _Grouped(network, group)
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n_images, channels, size, size, generator=generator, dtype=torch.float64).to(dtype)
    noise = noise * disk_mask(size, like=noise)
    elements = [(group.angle_deg(g), group.is_reflection(g)) for g in range(group.order)]
    lattice = [e for g, e in enumerate(elements) if group.is_lattice(g) and g > 0]
    others = [e for g, e in enumerate(elements) if not group.is_lattice(g)]
    angles = [(float(a), False) for a in angles_deg if (float(a), False) not in elements]

    def smooth(angle_deg: float = 0.0, reflect: bool = False) -> torch.Tensor:
        return make_smooth_images(
            n_images, size, seed, angle_deg=angle_deg, reflect=reflect, channels=channels, dtype=dtype
        ) * disk_mask(size, like=noise)

    plan = {"lattice": (noise, lattice, lambda a, f: warp(noise, a, f))}
    if off_lattice:
        plan |= {"element": (smooth(), others, smooth), "angle": (smooth(), angles, smooth)}
    rows = []
    for kind, (x, actions, act) in plan.items():
        if actions:
            turned = ((a, f, act(a, f)) for a, f in actions)
            rows += [{**row, "kind": kind} for row in measure_turned(network, x, turned, layers=layers)]
    return rows


class _Grouped(nn.Module):
    """A deployed network, with the group it came from."""

    def __init__(self, network: nn.Module, group: Group) -> None:
        super().__init__()
        self.network, self.group = network, group
        if hasattr(network, "forward_maps"):
            self.forward_maps = network.forward_maps

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.network(x_BCHW)


def _parity(
    network: nn.Module, deployed: nn.Module, state: str, size: int, channels: int, n_images: int, seed: int
) -> AuditRow:
    x = make_smooth_images(n_images, size, seed, channels=channels, dtype=torch.float32)
    network.eval()
    deployed.eval()
    with torch.no_grad():
        error = relative_l2(deployed(x).flatten(1), network(x).flatten(1))
    return AuditRow(state, "deployed", "features against native", "lattice", 0.0, False, error, LIMITS["deployed"])


def _train_shortly(network: nn.Module, size: int, channels: int, steps: int, seed: int) -> None:
    """Move every weight, yet keep the features alive: targets are positive on average, as outputs of a ReLU are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network.train()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        for step in range(steps):
            x = make_smooth_images(8, size, seed + 1 + step, channels=channels, dtype=torch.float32)
            h = network(x + 0.1 * torch.randn_like(x)).flatten(1)
            target = h.detach().square().mean().sqrt() * (1 + torch.randn_like(h))
            loss = ((h - target) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
