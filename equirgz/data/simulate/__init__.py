"""Simulated radio galaxies: skies, what a survey makes of them, labels and votes."""
