"""Label kinds: labels that are more than one class an item, each in one file."""
