"""Who is labelled, who is held out, and in which fold: decided by the split seed alone."""
