"""What a network can be asked: classes, votes, numbers, tags, masks, images. Words only, without torch.

The head and the loss of each task are registered under the same name in :mod:`equirgz.objectives.heads`.
"""

from equirgz.tasks.base import TASKS, Headline, Task, create_task, list_tasks
from equirgz.tasks.classification import Classification

__all__ = ["TASKS", "Classification", "Headline", "Task", "create_task", "list_tasks"]
