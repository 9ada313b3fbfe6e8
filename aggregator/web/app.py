"""All that is served, put together."""

from __future__ import annotations

import threading
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from aggregator.config import Settings
from aggregator.meters import Meters
from aggregator.pipeline.clock import utc_now
from aggregator.store import Store, StoreError
from aggregator.web import api, pages
from aggregator.web.answers import Answers
from aggregator.web.guard import Guard
from aggregator.web.problems import problem

ABOUT = (
    "News events, each with one canonical record and the truncated items beside it. Everything is read-only, times "
    "are RFC 3339 in UTC, answers carry an ETag, and errors are problem details (RFC 9457)."
)
STATIC = {"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
YEAR = 31_536_000


def make_app(store: Store, settings: Settings, meters: Meters, *, only_loopback: bool) -> Guard:
    """The application, behind its guard. `only_loopback`: it is bound to this machine's own address."""
    stopping = threading.Event()
    app = FastAPI(
        title="News events",
        version="1",
        description=ABOUT,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.store = store
    app.state.answers = Answers(store, utc_now)
    app.state.stopping = stopping
    app.include_router(api.router)
    app.include_router(pages.router)

    @app.get("/static/{name}", include_in_schema=False)
    def static(request: Request, name: str) -> Response:
        if name not in STATIC:
            return problem(request, HTTPStatus.NOT_FOUND, "There is no such file.")
        content = files("aggregator.web").joinpath("static", name).read_bytes()
        headers = {"cache-control": f"public, max-age={YEAR}, immutable"}
        return Response(content, media_type=STATIC[name], headers=headers)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(
            meters.as_text(store, utc_now()), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    @app.get("/healthz", include_in_schema=False)
    def health() -> Response:
        with store.read() as db:
            db.exec_driver_sql("SELECT 1")
        return PlainTextResponse("ok\n")

    @app.get("/livez", include_in_schema=False)
    async def live() -> Response:
        return PlainTextResponse("ok\n")

    _tell_problems(app)
    return Guard(app, settings, stopping, only_loopback=only_loopback)


def _tell_problems(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        detail = "There is nothing at this address." if status is HTTPStatus.NOT_FOUND else str(error.detail)
        return problem(request, status, detail)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        return problem(request, HTTPStatus.BAD_REQUEST, "; ".join(map(_fault, error.errors())))

    @app.exception_handler(Exception)
    async def bug(request: Request, _error: Exception) -> Response:
        detail = "The program met a bug; its log has the details."
        return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)

    @app.exception_handler(StoreError)
    async def down(request: Request, error: StoreError) -> Response:
        return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, f"The database can't be read: {error}")


def _fault(error: dict[str, Any]) -> str:
    return f"{error['loc'][-1]}: {error['msg']}"
