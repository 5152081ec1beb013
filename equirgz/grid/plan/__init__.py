"""From a YAML to the list of its runs, checked before any work."""
