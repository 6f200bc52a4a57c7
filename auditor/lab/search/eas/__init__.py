"""EAS: a controller widens and deepens a trained network without changing its function."""
