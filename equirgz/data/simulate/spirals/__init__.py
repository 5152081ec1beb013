"""Galaxies with bars and spiral arms, and volunteers who draw masks of them."""
