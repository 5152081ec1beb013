"""The trainer behind the customs of scikit-learn: one estimator a task, saved without pickle."""
