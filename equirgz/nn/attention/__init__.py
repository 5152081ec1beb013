"""Self-attention of regular fields: over positions and group elements, or over positions alone."""
