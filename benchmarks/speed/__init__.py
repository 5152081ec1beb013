"""Side-by-side timings: ``python -m benchmarks.speed`` (see ``benchmarks/README.md``)."""
