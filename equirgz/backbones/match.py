"""Fair matching: choose the width at which two networks cost the same."""

from __future__ import annotations

from typing import Any

from equirgz.backbones.base import BACKBONES
from equirgz.backbones.cost import measure_cost
from equirgz.errors import InputError, check_choice, explain

_QUANTITIES = {"params": "parameters", "flops": "multiply_adds", "activations": "activation_bytes"}
_STEPS = 48
_MAX_WIDTH = 64.0


def matched_width(name: str, match: str, arguments: dict[str, Any]) -> float:
    """Return the width at which backbone ``name`` costs nearest to the target of ``match``.

    ``match`` is "params:TARGET", "flops:TARGET" or "activations:TARGET"; TARGET is a backbone name
    (built with default arguments at the same image size) or a number. The cost grows with width, so
    a bisection over widths finds the two neighbours and the nearer one is taken.

    Raises InputError for an unknown quantity or target, or a target that no width comes within 25 % of.
    """
    quantity, _, target = str(match).partition(":")
    if not target:
        mend = f"QUANTITY is one of {', '.join(_QUANTITIES)}, TARGET a backbone name or a number"
        raise InputError(explain("match", expected="QUANTITY:TARGET", got=repr(match), mend=mend))
    key = _QUANTITIES[check_choice("match", quantity, _QUANTITIES)]
    goal = _target_cost(target, key, arguments)
    if goal < 1:
        raise InputError(explain(f"match {match!r}", expected=f"at least 1 {key}", got=goal))

    def cost(width: float) -> int:
        return measure_cost(BACKBONES.create(name, **{**arguments, "width": width}))[key]

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
    factory = BACKBONES.get(target)
    return measure_cost(factory(in_channels=arguments["in_channels"], image_size=arguments["image_size"]))[
        key
    ]
