"""The torch half of every task: layers from features or maps to raw outputs, the loss of these, and answers.

Registered under the task's name; its words are in :mod:`equirgz.tasks`.
"""

from equirgz.objectives.heads.base import HEADS, Head, create_head, make_classifier

__all__ = ["HEADS", "Head", "create_head", "make_classifier"]
