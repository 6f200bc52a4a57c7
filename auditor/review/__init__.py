"""Verdicts of people: the store, the queue, and the consensus of several reviewers (`docs/review.md`)."""
