"""A client of the reviewer's own routes that has opened the printed address."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.testclient import TestClient

from auditor.ui.config import current_config
from auditor.ui.server import middleware, routes

__all__ = ["local_client"]


def local_client() -> TestClient:
    """On this machine, with the cookie that the token gives."""
    app = Starlette(routes=routes(), middleware=middleware())
    client = TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50000))
    client.get("/", params={"token": current_config().token})
    return client
