"""Numbers from probabilities: numpy in, floats out, each with a unit and a direction."""

from equirgz.metrics.base import METRICS, Metric, compute_metrics, format_value, metric

__all__ = ["METRICS", "Metric", "compute_metrics", "format_value", "metric"]
