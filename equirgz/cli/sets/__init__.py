"""The commands of `equirgz data`: sets listed, fetched, checked, described and cut out of surveys."""
