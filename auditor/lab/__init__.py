"""Research that uses the auditor, and that the auditor never imports: its commands and networks join by entry point."""
