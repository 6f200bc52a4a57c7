"""Numbers with their uncertainty: functions of arrays, NumPy and SciPy only."""
