"""The review app."""

from auditor.ui.server import SCRIPT, lifespan, middleware, routes

__all__ = ["SCRIPT", "lifespan", "middleware", "routes"]
