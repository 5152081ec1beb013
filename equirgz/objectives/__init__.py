"""Objectives: a loss, its heads and its views around any backbone, trained by one trainer."""

from equirgz.objectives.base import OBJECTIVES, Batch, Objective, View, create_objective, list_objectives

__all__ = ["OBJECTIVES", "Batch", "Objective", "View", "create_objective", "list_objectives"]
