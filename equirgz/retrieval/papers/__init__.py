"""Papers read from files, ranked by words and by meaning, and judged by titles that look for their abstracts."""
