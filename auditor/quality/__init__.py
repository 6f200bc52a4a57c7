"""Data-quality checks beside the labels."""
