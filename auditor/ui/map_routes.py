"""What the map asks the server for: points, verdicts, items and selections (`auditor.ui.browser/map.js`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auditor.core.errors import AuditorError, DataError, UsageError
from auditor.ui.access import has_login, user_of
from auditor.ui.item_points import ItemPoints, item_points
from auditor.ui.people import name_of
from auditor.ui.selections import keep_selection, read_selection
from auditor.ui.workspace import workspace

_NOW: Final = {"Cache-Control": "no-store"}


def map_routes() -> list[Route]:
    """``/auditor/map/``: ``points?layout=``, ``state``, ``again``, ``verdicts?reviewer=``, ``item?at=``, ``like?at=``,
    ``selection`` and ``selection/{name}``."""
    answers: list[tuple[str, str, Callable[[ItemPoints, Request, bytes], Response]]] = [
        ("points", "GET", _points),
        ("state", "GET", lambda points, _request, _body: JSONResponse(points.state(), headers=_NOW)),
        ("again", "POST", _again),
        ("verdicts", "GET", _verdicts),
        ("item", "GET", lambda points, request, _body: JSONResponse(points.describe(_at(request)), headers=_NOW)),
        ("like", "POST", lambda points, request, _body: _kept(points, points.like(_at(request)))),
        ("selection", "POST", lambda points, _request, body: _kept(points, np.frombuffer(body, "<u4"))),
        ("selection/{name}", "GET", _selection),
    ]
    return [Route(f"/auditor/map/{path}", _answered(call), methods=[method]) for path, method, call in answers]


def _answered(call: Callable[[ItemPoints, Request, bytes], Response]) -> Any:
    async def answer(request: Request) -> Response:
        opened = workspace()
        if opened is None:
            return JSONResponse({"error": "no run is open"}, 404)
        points = item_points(opened)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > 4 * len(points):
                return JSONResponse({"error": "more items than the run has"}, 400)
        if len(body) % 4:
            return JSONResponse({"error": "not a list of items"}, 400)
        try:
            return await run_in_threadpool(call, points, request, bytes(body))
        except AuditorError as error:
            status = 404 if isinstance(error, DataError) else 400 if isinstance(error, UsageError) else 503
            return JSONResponse({"error": error.what}, status)

    return answer


def _at(request: Request) -> int:
    text = request.query_params.get("at", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise UsageError("at must be the number of a point.")
    return int(text)


def _points(points: ItemPoints, request: Request, _body: bytes) -> Response:
    """The points; 202 with the state while none are ready, which starts computing them."""
    points.maker.start()
    message = points.message(request.query_params.get("layout", ""))
    if message is None:
        return JSONResponse(points.state(), 202, headers=_NOW)
    data, tag = message[0], f'"{message[1]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="application/octet-stream", headers=headers)


def _again(points: ItemPoints, _request: Request, _body: bytes) -> Response:
    points.maker.start(again=True)
    return JSONResponse(points.state(), headers=_NOW)


def _verdicts(points: ItemPoints, request: Request, _body: bytes) -> Response:
    # With a login nobody can ask in another's name what that person may see.
    name = name_of(user_of(request) or {}) if has_login() else request.query_params.get("reviewer", "")
    data = points.verdicts(points.ws.store, points.ws.store.known_as(name))
    return Response(data, media_type="application/octet-stream", headers=_NOW)


def _kept(points: ItemPoints, numbers: np.ndarray) -> Response:
    return JSONResponse({"selection": keep_selection(points.ws.run, numbers), "items": len(numbers)}, headers=_NOW)


def _selection(points: ItemPoints, request: Request, _body: bytes) -> Response:
    numbers = read_selection(points.ws.run, request.path_params["name"])
    return Response(numbers.tobytes(), media_type="application/octet-stream", headers=_NOW)
