"""What `equirgz classify` and `equirgz anomalies` are worth on real sources."""
