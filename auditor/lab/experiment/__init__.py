"""The one shell of every experiment: what is asked, where it runs, what is written."""
