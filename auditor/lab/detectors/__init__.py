"""The detection benchmark: detectors and peers on the same evidence, measured against a known truth."""
