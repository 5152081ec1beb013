"""Models of how data are distributed: flows between noise and data, conditions and solvers."""
