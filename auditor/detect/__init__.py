"""Detectors: scores and flags from probabilities (and later dynamics, neighbours, verdicts)."""
