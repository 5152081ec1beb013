#!/usr/bin/env bash
# Everything to be measured on a GPU, under 8 minutes and without the network: results/gpu/ is written.
#   benchmarks/gpu.sh [--data-dir DATA] [--out results/gpu] [--python PYTHON]      (--device cpu --smoke: a rehearsal)
# PYTHON: of the environment with escnn and e2cnn (make install-reference) where it has a torch for GPUs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3}
[ -x .venv/bin/python ] && python=${PYTHON:-.venv/bin/python}
arguments=()
while [ $# -gt 0 ]; do
    if [ "$1" = --python ]; then python=${2:?--python: expected a path}; shift 2; else arguments+=("$1"); shift; fi
done
exec env PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" "$python" -m benchmarks.gpu ${arguments[@]+"${arguments[@]}"}
