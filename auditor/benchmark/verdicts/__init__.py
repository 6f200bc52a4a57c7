"""Where corrected labels come from: published verdicts, a label patch, a reviewed run, lists of accepted labels."""
