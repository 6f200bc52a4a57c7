"""The run folder: the only thing that passes between steps."""
