"""One engine that ranks the rows of any table of vectors, of images or of texts, and papers ranked by it (no torch)."""
