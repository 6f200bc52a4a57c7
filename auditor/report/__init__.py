"""Reports: a dataclass with everything a report says, and views of it."""
