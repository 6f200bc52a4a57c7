"""The grid of small networks of the CIFAKE paper: trained, compared on validation items, the chosen one tested once."""
