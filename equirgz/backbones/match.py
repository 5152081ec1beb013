"""Fair matching: choose the width at which two networks cost the same."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from equirgz.backbones.base import BACKBONES, count_parameters
from equirgz.backbones.cost import measure_cost
from equirgz.errors import InputError, check_choice
from equirgz.registry import STEERABLE, default_group

_QUANTITIES = {"params": "parameters", "flops": "multiply_adds", "activations": "activation_bytes"}
_STEPS = 48
_MAX_WIDTH = 64.0


def matched_width(name: str, match: str, arguments: dict[str, Any]) -> float:
    """Return the width at which backbone ``name`` costs nearest to the target of ``match``.

    ``match`` is "params:TARGET", "flops:TARGET" or "activations:TARGET"; TARGET is a backbone name
    (built with default arguments at the same image size) or a number. The cost grows with width, so
    a bisection over widths finds the two neighbours and the nearer one is taken. Trial networks have
    shapes but no numbers: the largest costs no more time than the smallest, and no random draw is made.

    Raises InputError for an unknown quantity or target, or a target that no width comes within 25 % of.
    """
    quantity, _, target = str(match).partition(":")
    if not target:
        mend = f"QUANTITY is one of {', '.join(_QUANTITIES)}, TARGET a backbone name or a number"
        raise InputError("match", expected="QUANTITY:TARGET", got=repr(match), mend=mend)
    key = _QUANTITIES[check_choice("match", quantity, _QUANTITIES)]
    goal = _target_cost(target, key, arguments)
    if goal < 1:
        raise InputError(f"match {match!r}", expected=f"at least 1 {key}", got=goal)

    @functools.cache
    def cost(width: float) -> int:
        return _cost(name, key, {**arguments, "width": width})

    low, high = 1e-3, 1.0
    while cost(high) < goal:
        low, high = high, 2 * high
        if high > _MAX_WIDTH:
            raise InputError(
                f"match {match!r}: expected {goal} {key}, which {name} does not reach at any width below "
                f"{low:g}; choose a smaller target"
            )
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) < goal else (low, middle)
        if high - low < 1e-3 * high:
            break
    best = min((low, high), key=lambda width: abs(cost(width) - goal))
    if abs(cost(best) - goal) > 0.25 * goal:
        raise InputError(
            f"match {match!r}: expected {goal} {key}, the nearest that {name} reaches is {cost(best)}; "
            f"choose a {'larger' if cost(best) > goal else 'nearby'} target or another backbone"
        )
    return best


def _target_cost(target: str, key: str, arguments: dict[str, Any]) -> int:
    if target.replace("_", "").isdigit():
        return int(target)
    shape = {what: arguments[what] for what in ("in_channels", "image_size")}
    return _cost(target, key, shape | ({"group": default_group(target)} if target.startswith(STEERABLE) else {}))


def _cost(name: str, key: str, arguments: dict[str, Any]) -> int:
    """Return a cost of backbone ``name`` without its memory and arithmetic, and without a draw of weights."""
    with _WithoutNumbers():
        backbone = BACKBONES.create(name, **arguments)
    if key == "parameters":
        return count_parameters(backbone)
    return measure_cost(backbone.to("meta"))[key]


class _WithoutNumbers(TorchFunctionMode):
    """While active, ``torch.empty``, which layers take their weights from, gives a shape without memory."""

    def __torch_function__(
        self, function: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        return function(*args, **({**kwargs, "device": "meta"} if function is torch.empty else kwargs))
