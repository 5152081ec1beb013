"""Positions, sizes and cutouts on the sky."""
