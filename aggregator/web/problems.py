"""What is told when something can't be answered: RFC 9457 to programs, a page to people."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from aggregator.web.templates import render


def problem(request: Request, status: HTTPStatus, detail: str) -> Response:
    """An answer of this status: problem details (RFC 9457) below /api, a page elsewhere."""
    if request.url.path.startswith("/api/"):
        body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        return JSONResponse(body, status, media_type="application/problem+json")
    page = render("problem.html", title=status.phrase, detail=detail, path=request.url.path)
    return HTMLResponse(page, status)
