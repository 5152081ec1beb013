"""What catalogues say of images: columns as people have them, matched by name or place, labels by one rule."""
