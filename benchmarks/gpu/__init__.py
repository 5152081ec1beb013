"""What is to be measured on a GPU: ``benchmarks/gpu.sh`` (see ``benchmarks/README.md``)."""
