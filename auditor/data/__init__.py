"""Data sets: one protocol, one adapter per source, one registry of names."""
