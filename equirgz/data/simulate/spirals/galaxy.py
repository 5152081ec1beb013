"""The numbers that make a galaxy with a bar and arms, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Galaxy:
    """Numbers of one galaxy; lengths in pixels, angles in radians; ``bar_length`` 0 and ``n_arms`` 0 for none.

    ``bar_length`` is the semi-axis a in the plane of the disc, ``sense`` +1 or -1 the way the arms wind.
    """

    scale_length: float
    axis_ratio: float
    position_angle: float
    bulge_share: float
    bulge_index: float
    bulge_radius: float
    bar_length: float
    bar_ratio: float
    bar_angle: float
    bar_height: float
    n_arms: int
    pitch: float
    sense: int
    arm_height: float
    arm_width: float

    @property
    def seen_bar_length(self) -> float:
        """The full length of the bar as inclined, pixels; NaN without one."""
        along, across = np.cos(self.bar_angle), self.axis_ratio * np.sin(self.bar_angle)
        return float(2 * self.bar_length * np.hypot(along, across)) if self.bar_length else float("nan")


def draw_galaxy(size_px: int, bar_share: float, arm_share: float, generator: np.random.Generator) -> Galaxy:
    """Return a random galaxy for an image of this side; barred and armed with these probabilities."""
    uniform = generator.uniform
    scale = size_px * uniform(0.10, 0.15)
    barred, armed = generator.random() < bar_share, generator.random() < arm_share
    n_arms = int(generator.choice([2, 3, 4], p=[0.6, 0.2, 0.2]))
    n_arms = (2 if barred else n_arms) if armed else 0
    return Galaxy(
        scale_length=scale,
        axis_ratio=uniform(0.5, 1.0),
        position_angle=uniform(0, 2 * np.pi),
        bulge_share=uniform(0.05, 0.3),
        bulge_index=uniform(1, 4),
        bulge_radius=scale * uniform(0.2, 0.5),
        bar_length=scale * uniform(1.0, 2.2) if barred else 0.0,
        bar_ratio=uniform(0.3, 0.45),
        bar_angle=uniform(0, np.pi),
        bar_height=uniform(1.5, 3.0),
        n_arms=n_arms,
        pitch=np.deg2rad(uniform(max(12, 6 * n_arms), 32)),
        sense=int(generator.choice([-1, 1])),
        arm_height=uniform(1.3, 3.5),
        arm_width=scale * uniform(0.2, 0.32),
    )
