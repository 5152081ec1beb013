"""Planar symmetry: the groups C_N and D_N, and the one definition of rotating and reflecting."""
