"""The gate for CI: limits on copies, contradictions and wrong labels that a data set must keep."""
