"""Training without labels: views of one source agree, and features do not collapse."""
