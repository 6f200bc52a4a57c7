"""What one can stand behind, from a run and its verdicts: totals, flag lists, when to stop, a gate."""
