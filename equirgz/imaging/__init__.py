"""Images from visibilities: arrays and their uv coverage, measurement models, CLEAN, and samples of the posterior.

Conventions: an image is in Jy per pixel, rows north, columns east, the phase centre at pixel (n // 2, n // 2); the
visibility at (u, v), wavelengths, is ``V = sum_p x_p exp(-2 pi i (u l_p + v m_p))``, l and m in radians; a weight w is
1 / variance of the real and of the imaginary part each, Jy^-2.
"""
