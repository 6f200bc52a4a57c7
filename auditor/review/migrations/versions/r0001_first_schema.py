"""The first schema, where the steps begin. A new store is made whole by `auditor.review.schema.create`."""

revision = "0001"
down_revision = None
