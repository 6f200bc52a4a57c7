"""The review app. `app.py` and ``auditor review`` build the same `streamlit.App` from these four names.

::

    app = st.App(SCRIPT, routes=routes(), middleware=middleware(), lifespan=lifespan)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from starlette.middleware import Middleware
    from starlette.routing import BaseRoute

__all__ = ["SCRIPT", "lifespan", "middleware", "routes"]

#: The Streamlit script. Absolute: a relative path would be resolved against whoever launches the app.
SCRIPT: Final = str(Path(__file__).parent / "script.py")


def routes() -> list[BaseRoute]:
    """Routes of pictures and explanations."""
    from auditor.ui.server import make_routes

    return make_routes()


def middleware() -> list[Middleware]:
    """The access check in front of every route."""
    from auditor.ui.server import make_middleware

    return make_middleware()


def lifespan(app: Any) -> AbstractAsyncContextManager[None]:
    """Refuses to start a server that strangers could reach, and opens the run before the first visitor."""
    from auditor.ui.server import run_lifespan

    return run_lifespan(app)
