"""Schema of the verdict store, step by step."""
