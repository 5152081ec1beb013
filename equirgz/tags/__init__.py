"""Plain-English tags from free-text descriptions of sources, chosen by what experts' classes they tell (no torch)."""
