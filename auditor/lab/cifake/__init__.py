"""The CIFAKE report: its copies and leaks, its labels, its networks and what they look at."""
