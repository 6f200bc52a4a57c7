"""What every room stands on: errors, registry, configuration, seeds, hashes, files, progress."""
