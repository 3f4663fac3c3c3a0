"""The routes of the server. docs/serve.md is their description."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route, Router

from specplan.errors import RunError, StoreError
from specplan.serve import protocol, reading, writing
from specplan.serve.faults import Fault
from specplan.serve.login import HEADERS
from specplan.serve.pages import compare_page, fault_page, list_page, run_page, script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request

    from specplan.serve.workspace import Workspace

    Endpoint = Callable[[Request], Awaitable[Response]]

SECONDS_BETWEEN_LOOKS = 30.0
"""Between two looks for runs that nobody writes to any more."""
SAFE = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
}
"""What an answer may do in a browser: nothing."""

EXPERIMENTS = "/api/experiments"
ONE = f"{EXPERIMENTS}/{{id}}"
RUN = "/runs/{id}"
ROUTES: tuple[tuple[str, str, Any, Callable[..., Any]], ...] = (
    ("GET", EXPERIMENTS, None, reading.list_experiments),
    ("POST", EXPERIMENTS, protocol.Begin, writing.begin),
    ("GET", ONE, None, reading.show),
    ("PATCH", f"{ONE}/status", protocol.SetStatus, writing.set_status),
    ("GET", f"{ONE}/parameters", None, reading.parameters),
    ("PUT", f"{ONE}/parameters", protocol.SetParameters, writing.set_parameters),
    ("PUT", f"{ONE}/tags", protocol.SetTags, writing.set_tags),
    ("GET", f"{ONE}/logs", None, reading.logs),
    ("POST", f"{ONE}/logs", protocol.AppendLogs, writing.append_logs),
    ("GET", f"{ONE}/metrics/data", None, reading.metric_data),
    ("GET", f"{ONE}/metrics/stats", None, reading.metric_stats),
    ("POST", f"{ONE}/metrics/append", protocol.AppendRow, writing.append_row),
    ("POST", f"{ONE}/metrics/batch", protocol.AppendRows, writing.append_rows),
    ("GET", f"{ONE}/points", None, reading.points),
    ("POST", f"{ONE}/points", protocol.AppendPoints, writing.append_points),
    ("GET", f"{ONE}/tracks/data", None, reading.track_data),
    ("POST", f"{ONE}/tracks/append", protocol.AppendTrack, writing.append_track),
    ("GET", f"{ONE}/records", None, reading.records),
    ("POST", f"{ONE}/records", protocol.AppendRecords, writing.append_records),
    ("GET", f"{ONE}/blobs/{{digest}}", None, writing.show_blob),
    ("PATCH", f"{ONE}/blobs/{{digest}}", bytes, writing.append_blob),
    ("GET", f"{ONE}/files", None, reading.files),
    ("POST", f"{ONE}/files", protocol.AddFile, writing.add_file),
    ("DELETE", f"{ONE}/files/{{name:path}}", None, writing.delete_file),
)
"""Method, path, what the body holds, and who answers."""


def app(runs: Workspace) -> Router:
    """Answers the requests of clients that may speak to the server."""
    routes = [
        Route(path, _answered(runs, kind, handle), methods=[method])
        for method, path, kind, handle in ROUTES
    ]
    downloads = [
        Route(f"{place}/files/{{name:path}}", _download(runs), methods=["GET"])
        for place in (ONE, RUN)
    ]
    shown = [
        Route(path, _shown(runs, draw), methods=["GET"])
        for path, draw in (("/", list_page), (RUN, run_page), ("/compare", compare_page))
    ]
    script_ = Route("/assets/live.js", _script, methods=["GET"])
    every = [*routes, *downloads, *shown, script_]
    return Router(every, redirect_slashes=False, lifespan=_lifespan(runs))


def _lifespan(runs: Workspace) -> Callable[[Any], Any]:
    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        looking = asyncio.create_task(_look_for_quiet(runs))
        yield
        looking.cancel()
        await run_in_threadpool(runs.end_quiet, 0.0)

    return lifespan


async def _look_for_quiet(runs: Workspace) -> None:
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        await run_in_threadpool(runs.end_quiet)


def _answered(runs: Workspace, kind: Any, handle: Callable[..., Any]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        content = await request.body()

        def answer() -> Any:
            if kind is None:
                asked = None
            else:
                asked = content if kind is bytes else msgspec.json.decode(content, type=kind)
            return handle(runs, request, asked)

        return await _in_thread(lambda: _json(200, answer()), reads=request.method == "GET")

    return endpoint


def _shown(runs: Workspace, draw: Callable[[Workspace, Request], str]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        def answer() -> Response:
            try:
                return HTMLResponse(draw(runs, request), headers=HEADERS)
            except (Fault, RunError, StoreError) as error:
                status = error.status if isinstance(error, Fault) else 500
                up = request.url.path.count("/") - 1
                return HTMLResponse(fault_page(status, str(error), up), status, headers=HEADERS)

        return await run_in_threadpool(answer)

    return endpoint


async def _script(_: Request) -> Response:
    return Response(script(), headers=HEADERS, media_type="text/javascript")


def _download(runs: Workspace) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        def answer() -> Response:
            path, name = reading.file(runs, request)
            return FileResponse(
                path,
                media_type="application/octet-stream",
                filename=name.rpartition("/")[2],
                headers=SAFE,
            )

        return await _in_thread(answer, reads=True)

    return endpoint


async def _in_thread(answer: Callable[[], Response], *, reads: bool) -> Response:
    try:
        return await run_in_threadpool(answer)
    except Fault as fault:
        return _json(fault.status, {"error": fault.message, **fault.detail})
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        return _json(400, {"error": str(error) or "the request is nested too deep"})
    except StoreError as error:
        return _json(500 if reads else 507, {"error": str(error)})
    except OSError as error:
        return _json(507, {"error": f"the server could not write or read it: {error.strerror}"})
    except RunError as error:
        return _json(500 if reads else 409, {"error": str(error)})


def _json(status: int, value: Any) -> Response:
    content = msgspec.json.encode(value)
    return Response(content, status, headers=SAFE, media_type="application/json")
