"""The server: routes of pictures and explanations, the access check, and the launch shared by both entries.

`app.py` and ``auditor review`` build the same `streamlit.App` from four names::

    app = st.App(SCRIPT, routes=routes(), middleware=middleware(), lifespan=lifespan)
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from auditor.core.errors import AuditorError, DataError, MissingExtraError, ResourceError
from auditor.core.escaping import printable_lines

try:
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Route
    from streamlit import config as streamlit_config
    from streamlit.cli_util import open_browser
    from streamlit.starlette import App
except ModuleNotFoundError as error:
    raise MissingExtraError("streamlit", "ui", "the review app") from error

from auditor.runs import layout
from auditor.ui.access import AccessGuard, check_binding, has_login, write_private
from auditor.ui.config import ReviewConfig, configure, current_config
from auditor.ui.exchange import leave_page
from auditor.ui.item_points import stop_maps
from auditor.ui.map_routes import map_routes
from auditor.ui.near import items_like
from auditor.ui.payload import guideline_payload, whole_item
from auditor.ui.reasons import reasons
from auditor.ui.workspace import Workspace, close_workspace, workspace

#: The Streamlit script. Absolute: a relative path would be resolved against whoever launches the app.
SCRIPT: Final = str(Path(__file__).parent / "script.py")

#: A picture's address holds the hash of its content: it can never change.
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}

#: Streamlit's own widgets in the colours of ``browser/theme.css``. White stands on the primary colour, in both themes.
_THEME: Final = {
    "light.primaryColor": "#0b6583",
    "light.linkColor": "#0b6583",
    "light.backgroundColor": "#ffffff",
    "light.secondaryBackgroundColor": "#f1f4f6",
    "light.textColor": "#1b2329",
    "light.borderColor": "#c5ced6",
    "dark.primaryColor": "#1b7f9c",
    "dark.linkColor": "#62c4e4",
    "dark.backgroundColor": "#12181d",
    "dark.secondaryBackgroundColor": "#1e262d",
    "dark.textColor": "#e9eef2",
    "dark.borderColor": "#3c4852",
}


def routes() -> list[Route]:
    """``/auditor/img/{hash}.webp?w=``, ``/auditor/img/map/{class number}/{hash}.webp``, ``/auditor/why?item=``,
    ``/auditor/item?item=``, ``/auditor/near?item=``, ``/auditor/guidelines``, ``/auditor/leave``, those of the
    map, and ``/overview``, which is the first page."""
    return [
        *map_routes(),
        Route("/auditor/img/map/{label:int}/{name}", _class_map, methods=["GET"]),
        Route("/auditor/img/{name}", _picture, methods=["GET"]),
        Route("/auditor/why", _why, methods=["GET"]),
        Route("/auditor/item", _item, methods=["GET"]),
        Route("/auditor/near", _near, methods=["GET"]),
        Route("/auditor/guidelines", _guidelines, methods=["GET"]),
        Route("/auditor/leave", _leave, methods=["POST"]),
        Route("/overview", _first_page, methods=["GET"]),
    ]


def middleware() -> list[Middleware]:
    """The access check in front of every route."""
    return [Middleware(AccessGuard)]


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Refuse a server that strangers could reach; open the run before the first visitor, close it at the end."""
    try:
        check_binding(streamlit_config.get_option("server.address"), has_login(), current_config().insecure)
        opened = await asyncio.to_thread(workspace)
    except AuditorError as error:
        # Streamlit would show a traceback; the message is what the user needs.
        _say(f"Error: {error}")
        raise
    # Streamlit collects all garbage after each run of the script, that is after each verdict: 150 ms of a loaded core,
    # in which no picture is sent and no verdict taken. Python's own collector does without being told.
    streamlit_config.set_option("runner.postScriptGC", False)
    for name, value in _THEME.items():
        streamlit_config.set_option(f"theme.{name}", value)
    if opened is not None:
        warming = asyncio.create_task(asyncio.to_thread(_warm, opened))
        warming.add_done_callback(_tell_problem)
    address = _address()
    _say(f"The review is open at {address}")
    with _opened_in_browser(address, opened):
        yield
    stop_maps()
    close_workspace()


def _say(text: str) -> None:
    sys.stderr.write(printable_lines(text) + "\n")
    sys.stderr.flush()


def _address() -> str:
    """Where the app is, with the token that opens it where there is no login."""
    host, base = (streamlit_config.get_option(f"server.{name}") for name in ("address", "baseUrlPath"))
    host = "localhost" if host in (None, "", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    scheme = "https" if streamlit_config.get_option("server.sslCertFile") else "http"
    path = f"{base.strip('/')}/" if base else ""
    config = current_config()
    token = "" if config.insecure or has_login() else f"?token={quote(config.token)}"
    return f"{scheme}://{host}:{streamlit_config.get_option('server.port')}/{path}{token}"


@contextmanager
def _opened_in_browser(address: str, opened: Workspace | None) -> Iterator[None]:
    """Open the address unless asked not to, by way of a file: other users can read what programs are started with."""
    screen = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if opened is None or not screen or streamlit_config.get_option("server.headless"):
        yield
        return
    page = opened.run.path.resolve() / layout.WORK / "open-review.html"
    with suppress(OSError):  # a folder that cannot be written to, or no browser: the address is printed
        page.parent.mkdir(exist_ok=True)
        write_private(page, f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(address)}">')
        open_browser(page.as_uri())
    try:
        yield
    finally:
        with suppress(OSError):
            page.unlink(missing_ok=True)


def _warm(opened: Workspace) -> None:
    opened.warm()
    # What is there now stays until the server ends: its collector need not look at it again and again.
    gc.collect()
    gc.freeze()


def _tell_problem(task: Any) -> None:
    # Without the data the review still starts: each picture then says what is wrong.
    if not task.cancelled() and (error := task.exception()) is not None:
        _say(f"Warning: the data cannot be opened: {error}")


def _hash_of(request: Request) -> str | None:
    name: str = request.path_params["name"]
    return f"sha256:{name.removesuffix('.webp')}" if name.endswith(".webp") else None


async def _picture(request: Request) -> Response:
    """One picture by content hash; 404 for a hash that is not of this run, 400 for a width that is not offered."""

    opened, content_hash = workspace(), _hash_of(request)
    if opened is None or content_hash is None:
        return PlainTextResponse("no such picture", 404)
    text = request.query_params.get("w")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 6):
        return PlainTextResponse("w must be a number", 400)
    if opened.rows.row_of_hash(content_hash) is None:
        return PlainTextResponse("this run has no such picture", 404)
    tag = f'"{hashlib.sha256(f"{content_hash}-{text}".encode()).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag, **_FOREVER})
    try:
        data = await run_in_threadpool(opened.contents.picture, content_hash, None if text is None else int(text))
    except DataError as error:
        # A width that is not offered, an undecodable or a changed file. Reasons name no path of the server.
        status = 400 if error.what.startswith("width") else 404
        return PlainTextResponse(error.what if status == 400 else "this picture cannot be shown", status)
    return Response(data, media_type="image/webp", headers={"ETag": tag, **_FOREVER})


async def _class_map(request: Request) -> Response:
    """A picture with a class's Grad-CAM over it; 404 where the run kept no network that predicted it."""

    opened, content_hash = workspace(), _hash_of(request)
    if opened is None or content_hash is None:
        return PlainTextResponse("no such picture", 404)
    try:
        data = await run_in_threadpool(opened.contents.class_map, content_hash, request.path_params["label"])
    except DataError:
        return PlainTextResponse("this run has no map of that item", 404)
    # Another run of the same data has the same address: it must not be kept over a change of run.
    return Response(data, media_type="image/webp", headers={"Cache-Control": "no-store"})


async def _why(request: Request) -> Response:
    """What the run knows about one item, as JSON."""
    return await _about_item(request, reasons)


async def _item(request: Request) -> Response:
    """One item in full as the card shows it, as JSON."""
    return await _about_item(request, whole_item)


async def _near(request: Request) -> Response:
    """Items like one, as JSON."""
    return await _about_item(request, items_like)


async def _guidelines(_request: Request) -> Response:
    """The guidelines of the classes, as JSON."""
    if (opened := workspace()) is None:
        return JSONResponse({"error": "no run is open"}, 404)
    try:
        answer = await run_in_threadpool(guideline_payload, opened)
    except ResourceError as error:
        return JSONResponse({"error": error.what}, 503)
    return JSONResponse({"guidelines": answer}, headers={"Cache-Control": "no-store"})


async def _about_item(request: Request, tell: Callable[[Workspace, str], dict[str, Any]]) -> Response:
    opened = workspace()
    item = request.query_params.get("item", "")
    if opened is None:
        return JSONResponse({"error": "no run is open"}, 404)
    try:
        answer = await run_in_threadpool(tell, opened, item)
    except (DataError, ResourceError) as error:
        return JSONResponse({"error": error.what}, 404 if isinstance(error, DataError) else 503)
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def _leave(request: Request) -> Response:
    """A page with a hand was closed: the body is its name, which only that page knows."""
    if int(request.headers.get("content-length") or 0) > 100:
        return PlainTextResponse("that is no page", 400)
    page = (await request.body()).decode(errors="replace")
    return Response(status_code=204 if await run_in_threadpool(leave_page, page) else 404)


async def _first_page(request: Request) -> Response:
    """The Overview has no address of its own: it is what the app's address shows."""
    return RedirectResponse(f"./?{request.url.query}" if request.url.query else "./", status_code=307)


def serve(config: ReviewConfig, host: str, port: int, browser: bool) -> None:
    """Run the server until it is stopped.

    Parameters
    ----------
    config : ReviewConfig
    host : str
        Address to listen on.
    port : int
        0 = any free one; the address is printed, with its token.
    browser : bool
        Open it.

    Raises
    ------
    UsageError
        If strangers could reach it.
    """
    check_binding(host, has_login(), config.insecure)
    configure(config)
    if workspace() is None:
        _say("No run was named: choose one on the Overview page.")
    app = App(SCRIPT, routes=routes(), middleware=middleware(), lifespan=lifespan)
    app.run(
        config={
            "server.address": host,
            "server.port": port,
            "server.headless": not browser,
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": False,
            "client.toolbarMode": "minimal",
            "logger.hideWelcomeMessage": True,  # it names the address without the token
            "runner.fastReruns": True,
        }
    )


def serve_parent() -> None:
    """Body of the process that `auditor.review.launch` starts: what to serve is the first line of stdin, and the end of
    stdin ends it."""
    values, port, browser = json.loads(sys.stdin.readline())
    plan = tuple(map(tuple, values.pop("plan")))
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        serve(ReviewConfig(**values, plan=plan), "127.0.0.1", port, browser)
    except AuditorError as error:
        sys.exit(f"Error: {error}")


def _follow_parent() -> None:
    """End with the process that started this one, however that ended: an orphan would go on serving its run."""
    # Not by sys.stdin: a thread that waits in it brings down the interpreter at its end.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
