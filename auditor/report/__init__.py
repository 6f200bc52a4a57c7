"""ReportData -> HTML."""
