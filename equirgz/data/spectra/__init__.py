"""Spectra on their native wavelengths: simulated ones, those of one's own, and the rows in which they travel."""
