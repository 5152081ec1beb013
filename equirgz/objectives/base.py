"""What every objective is: a module that holds a backbone and heads and turns a batch into a loss.

Legend: B batch, C channel, H W pixels, F features, K classes or other outputs, S samples, N M sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from equirgz.errors import InputError, require
from equirgz.objectives.frozen import rest_frozen_layers
from equirgz.objectives.heads.base import create_head
from equirgz.registry import Registry, call_checked
from equirgz.tasks import Classification, Task

Pool = Literal["labelled", "unlabelled"]


@dataclass(frozen=True)
class View:
    """One augmented copy of a batch: which ``pool`` it is drawn from, and how strongly it is changed.

    ``strength`` is ``"train"`` (the augmentation of the training configuration), ``"strong"`` (the
    registered augmentation ``strong``) or ``"none"``.
    """

    pool: Pool
    strength: Literal["train", "strong", "none"] = "train"


@dataclass
class Batch:
    """What a training step sees.

    view : role -> x_BCHW, for each of the objective's views.
    label_B : targets of the labelled pool, as the task has them: int64 classes, votes, numbers or tags (B, ...) with
        NaN where missing, maps turned with the labelled view; None without labels.
    index : pool -> source indices of this batch, for messages only.
    hidden_label_B : labels of the unlabelled batch where they happen to be known; LOGS ONLY, a loss
        that reads them is a defect (tested).
    """

    view: dict[str, Tensor]
    label_B: Tensor | None = None
    index: dict[str, Tensor] = field(default_factory=dict)
    hidden_label_B: Tensor | None = None


class Objective(nn.Module):
    """Base of all objectives; subclasses define ``views`` and :meth:`training_step`.

    What is asked of the network is its ``task``; ``head`` knows the task's layers, loss and answers, and an
    objective has the layers under the name ``classifier``, whatever they give.

    Attributes
    ----------
    tasks : names of the tasks that this objective serves; None: every one.
    views : role -> :class:`View`, in the order in which they are drawn.
    needs_labels : whether training reads labels.
    uses_unlabelled : whether training draws from the unlabelled pool (the labelled images stand in
        for it when there is none, unless ``needs_unlabelled``).
    unlabelled_ratio : unlabelled sources per batch, as a multiple of the batch size.
    no_weight_decay : names of parameters that must not decay, beyond norms and biases.
    watches_rank : whether training measures the rank of the features against the untrained network's, and warns of
        lost rank; with labels, few dimensions are what is wanted.
    collapse_mend : what to do where the training warns of a collapsed representation.
    n_predictive_samples : how many samples :meth:`sample_logits` should be asked for.
    """

    tasks: ClassVar[tuple[str, ...] | None] = ("classification",)
    views: ClassVar[Mapping[str, View]] = {"labelled": View("labelled")}
    needs_labels: bool = True
    uses_unlabelled: bool = False
    needs_unlabelled: bool = False
    unlabelled_ratio: int = 1
    no_weight_decay: frozenset[str] = frozenset()
    n_predictive_samples: int = 1
    watches_rank: bool = False
    collapse_mend: str = "raise batch_size or base_momentum, or lower the learning rate"

    def __init__(self, backbone: nn.Module, task: Task | int) -> None:
        """``task`` is a :class:`~equirgz.tasks.Task`, or the number of classes of a classification."""
        super().__init__()
        self.task = as_task(task)
        check_serves(type(self), self.task.name)
        own = getattr(backbone, "num_classes", 0)
        mend = "take it away with backbone.reset_classifier(0)"
        require(not own, "backbone", expected="an encoder without a classifier", got=f"num_classes={own}", mend=mend)
        self.backbone = backbone
        if self.needs_labels:
            self.head = create_head(self.task)

    @property
    def n_classes(self) -> int:
        """Number of outputs: of a classification, its classes."""
        return self.task.n_outputs

    @property
    def target_task(self) -> Task:
        """The task whose targets training reads; the one that is answered, but where an objective says otherwise."""
        return self.task

    @property
    def has_answers(self) -> bool:
        """Whether a head answers the task, so that there are logits; else there are features alone."""
        return type(self).logits is not Objective.logits

    def frozen_parts(self) -> list[nn.Module]:
        """Return the parts that this objective leaves as they are, whatever their ``requires_grad`` says."""
        return []

    def train(self, mode: bool = True) -> Objective:
        """Set the mode; frozen parts and layers (:mod:`equirgz.objectives.frozen`) stay in eval mode."""
        super().train(mode)
        if mode:
            rest_frozen_layers(self)
            for part in self.frozen_parts():
                part.eval()
        return self

    @property
    def view_names(self) -> tuple[str, ...]:
        """Roles of the views that :meth:`training_step` reads."""
        return tuple(self.views)

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the scalar loss of update ``step`` (0-based) of ``n_steps``, and numbers to log."""
        raise NotImplementedError

    def prepare(self, label_N: Tensor | None, n_unlabelled: int) -> None:
        """Learn the sizes and targets of the training set before the first update: what the head needs of them."""
        if label_N is not None and self.needs_labels:
            self.head.learn(label_N.detach().cpu().numpy())

    def after_training(self, x_NCHW: Tensor, label_N: Tensor | None) -> None:
        """Fit what needs the trained network and the labelled images as they are; nothing by default."""

    def make_optimizer(self, groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer | None:
        """Return the optimiser that this objective brings along; None: the configured one."""
        return None

    def after_step(self, step: int, n_steps: int) -> None:
        """Do what follows an optimiser update, such as moving an EMA; nothing by default."""

    def log_now(self, step: int, n_steps: int) -> bool:
        """Return whether costly meters are due: every 25 updates and at the last one."""
        return step % 25 == 0 or step == n_steps - 1

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the backbone's features h_BF."""
        return self.backbone(x_BCHW)

    def check_labels(self, label_N: Tensor) -> None:
        """Raise InputError unless the training targets are of the task, and can be learnt from."""
        self.target_task.check(label_N.detach().cpu().numpy())

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return the head's raw outputs, logits_BK of classes; InputError for an objective without a head."""
        raise InputError(
            f"objective {type(self).__name__} has no classifier; read its features with a linear probe or fine-tune"
        )

    def sample_logits(self, x_BCHW: Tensor, n_samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Return raw outputs, logits_SBK, of ``n_samples`` draws of the network; a deterministic one has S = 1."""
        return self.logits(x_BCHW)[None]


def make_mlp(n_in: int, n_hidden: int, n_out: int) -> nn.Sequential:
    """Return Linear, BatchNorm, ReLU, Linear: the projector and predictor of BYOL (arXiv 2006.07733)."""
    return nn.Sequential(
        nn.Linear(n_in, n_hidden, bias=False),
        nn.BatchNorm1d(n_hidden),
        nn.ReLU(inplace=True),
        nn.Linear(n_hidden, n_out),
    )


OBJECTIVES: Registry[Callable[..., Objective]] = Registry(
    "objective",
    modules=tuple(
        f"equirgz.objectives.{name}"
        for name in (
            "supervised",
            "distill",
            "selfsupervised.byol",
            "selfsupervised.simclr",
            "selfsupervised.vicreg",
            "selfsupervised.lejepa",
            "selfsupervised.masked_reconstruction",
            "semisupervised.fixmatch",
            "semisupervised.hybrid",
            "adaptation.sidda",
            "adaptation.fixed_distance",
            "adaptation.dann",
            "bayesian.variational",
            "bayesian.ivon",
            "bayesian.mc_dropout",
            "bayesian.laplace",
            "bayesian.sngp",
        )
    ),
)


def list_objectives(pattern: str = "*") -> list[str]:
    """Return the names of the registered objectives that match a shell-style pattern."""
    return OBJECTIVES.names(pattern)


def as_task(task: Task | int) -> Task:
    """Return ``task``; a number K is the classification of K nameless classes."""
    if isinstance(task, Task):
        return task
    require(task >= 2, "n_classes", expected="at least 2", got=task)
    return Classification(tuple(f"class {k}" for k in range(int(task))))


def check_serves(objective: type[Objective], name: str) -> None:
    """Raise InputError, with the objectives that can, where ``objective`` does not serve the task ``name``."""
    if objective.tasks is None or name in objective.tasks:
        return
    able = [other for other in OBJECTIVES if name in (getattr(OBJECTIVES.get(other), "tasks", None) or (name,))]
    expected = f"the task {' or '.join(objective.tasks)}"
    mend = f"objectives that can: {', '.join(able)}"
    raise InputError(f"objective {objective.__name__}", expected=expected, got=f"task {name}", mend=mend)


def create_objective(
    name: str,
    backbone: nn.Module,
    n_classes: int = 2,
    init_seed: int | None = None,
    *,
    task: Task | None = None,
    **params: Any,
) -> Objective:
    """Build the objective ``name`` around ``backbone`` for ``task``, by default the classification of ``n_classes``.

    ``init_seed`` makes the heads' weights reproducible without touching torch's global generator.
    Raises InputError for an unknown name or keyword, naming the nearest valid one, and for a task that the objective
    does not serve.
    """
    factory = OBJECTIVES.get(name)
    what, asked = f"objective {name!r}", n_classes if task is None else task
    if init_seed is None:
        return call_checked(what, factory, backbone, asked, **params)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(init_seed)
        return call_checked(what, factory, backbone, asked, **params)
