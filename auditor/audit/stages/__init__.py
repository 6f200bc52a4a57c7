"""The stages of an audit, one file each."""
