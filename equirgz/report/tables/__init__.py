"""Every table of a results folder, as csv, Markdown, LaTeX and plain text."""
