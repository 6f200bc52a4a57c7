"""Networks made smaller: layer-adaptive weight pruning (RD) and per-image filter pruning (FTWT)."""
