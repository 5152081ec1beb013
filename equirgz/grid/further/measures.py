"""The further measurements by name."""

from __future__ import annotations

from collections.abc import Callable

from equirgz.grid.further.anomalies import anomaly_rows
from equirgz.grid.further.answers import Answers, Rows
from equirgz.grid.further.decisions import conformal_rows, share_rows
from equirgz.grid.further.feature_rows import cluster_rows, neighbour_rows, outside_rows, size_rows
from equirgz.grid.further.imaging_rows import imaging_rows
from equirgz.grid.further.mask_rows import mask_rows
from equirgz.grid.further.pruned import pruning_rows
from equirgz.grid.further.residual_rows import residual_rows
from equirgz.grid.further.spectra_rows import spectra_rows
from equirgz.grid.further.turned import attention_rows, source_rotation_rows, turned_query_rows
from equirgz.grid.run.trained import TrainedRun

FURTHER: dict[str, Callable[[Answers], Rows]] = {
    "anomalies": anomaly_rows,
    "attention": attention_rows,
    "class_shares": share_rows,
    "clusters": cluster_rows,
    "conformal": conformal_rows,
    "imaging": imaging_rows,
    "masks": mask_rows,
    "neighbours": neighbour_rows,
    "outside": outside_rows,
    "pruning": pruning_rows,
    "residual": residual_rows,
    "sizes": size_rows,
    "source_rotation": source_rotation_rows,
    "spectra": spectra_rows,
    "turned_queries": turned_query_rows,
}


def measure_further(run: TrainedRun) -> Rows:
    """Return the rows of everything that ``evaluation.further`` names."""
    wanted = run.config.evaluation.further
    answers = Answers(run) if wanted else None
    return [row for name in wanted for row in FURTHER[name](answers)]
