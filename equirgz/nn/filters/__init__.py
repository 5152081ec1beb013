"""Which filters there are: steerable bases on pixels, and how finely they can turn."""
