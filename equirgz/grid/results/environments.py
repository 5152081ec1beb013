"""``provenance.csv``: the environments that computed a grid's runs, one a line, without hosts or paths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from equirgz.provenance import PACKAGES
from equirgz.records import canonical_json, content_hash

COLUMNS = (
    "environment",
    "n_runs",
    "version",
    "source_hash",
    "device",
    "machine",
    "processor",
    "gpu",
    "cores",
)


def list_environments(cells: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Return (columns, a line per distinct environment) of finished runs given as run_key -> cell.

    A line holds code version and source hash, device (kind, machine, processor, GPU, cores), the versions of
    Python and of every recorded package, the number of runs and, last, their keys with spaces between.
    ``environment`` is the hash of all of it but the runs. What a run did not record is empty. Lines with most
    runs come first, and among equals that of the smallest run key.
    """
    facts: dict[str, dict[str, Any]] = {}
    members: dict[str, list[str]] = defaultdict(list)
    for run_key in sorted(cells):
        recorded = cells[run_key].get("provenance") or {}
        device, packages = recorded.get("device") or {}, recorded.get("packages") or {}
        known = {
            "version": recorded.get("version", ""),
            "source_hash": recorded.get("source_hash", ""),
            **{key: device.get(key, "") for key in ("device", "machine", "processor", "gpu", "cores")},
            **packages,
        }
        place = canonical_json(known)
        facts[place] = known
        members[place].append(run_key)
    seen = {name for known in facts.values() for name in known} - set(COLUMNS)
    order = ["python", *PACKAGES, *sorted(seen - {"python", *PACKAGES})]
    lines = [
        {
            "environment": content_hash(facts[place], 8),
            "n_runs": len(keys),
            **facts[place],
            "run_keys": " ".join(keys),
        }
        for place, keys in members.items()
    ]
    lines.sort(key=lambda line: (-line["n_runs"], line["run_keys"]))
    return (*COLUMNS, *(name for name in order if name in seen), "run_keys"), lines
