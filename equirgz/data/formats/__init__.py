"""Readers of files: what lies on disk as tables and images."""
