"""Which sources a batch of a training holds, in which views: passes over sets, sets in shares, or ever new sources."""
