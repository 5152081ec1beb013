"""Your own images as registered datasets: a folder or container, named arrays, sources cut from mosaics."""
