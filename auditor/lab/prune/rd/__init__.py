"""RD pruning: rates per layer by measured output distortion and an exact dynamic programme."""
