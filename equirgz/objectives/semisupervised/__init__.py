"""Training with few labels beside many images without, or with votes in place of labels."""
