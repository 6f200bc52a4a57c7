"""The gate for CI: limits on findings of the data-quality checks, copies and wrong labels that a data set must keep."""
