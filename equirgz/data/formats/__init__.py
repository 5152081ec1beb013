"""Readers of files: how images and tables lie on disk, and what their numbers mean."""
