"""What a network does not know: predictive samples, selective prediction, sources of another kind."""
