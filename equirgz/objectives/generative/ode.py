"""The midpoint rule, for flows."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from equirgz.errors import require


def integrate(velocity: Callable[[Tensor, float], Tensor], x: Tensor, start: float, stop: float, steps: int) -> Tensor:
    """Return x(stop) of dx/dt = velocity(x, t) from x(start) = ``x``, by ``steps`` equal steps of the midpoint rule.

    ``x' = x + h v(x + h/2 v(x, t), t + h/2)``, of second order: half the step, a quarter of the error. ``stop`` below
    ``start`` goes backwards. NaN goes through. Raises InputError for ``steps`` below 1.
    """
    require(steps >= 1, "steps of the solver", expected="at least 1", got=steps)
    h = (stop - start) / steps
    for k in range(steps):
        t = start + k * h
        middle = x + (h / 2) * velocity(x, t)
        x = x + h * velocity(middle, t + h / 2)
    return x
