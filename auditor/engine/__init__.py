"""Confident learning on arrays and chunks: exact, streaming, fast."""
