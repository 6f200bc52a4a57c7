"""Detectors: scores and flags from probabilities, training dynamics, neighbours and verdicts."""
