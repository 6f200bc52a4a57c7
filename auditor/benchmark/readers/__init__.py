"""Readers of stored predictions, one file per format."""
