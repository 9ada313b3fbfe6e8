"""The events where people and programs meet them: pages, JSON, feeds, figures. Read-only towards the outside."""

from __future__ import annotations

from aggregator.web.server import AddressError, WebError, WebServer

__all__ = ["AddressError", "WebError", "WebServer"]
