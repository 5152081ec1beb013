"""The same numbers sooner, on CPUs: Fourier components over the rotations, sliding maxima, shared work."""
