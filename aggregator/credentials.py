"""Credentials in URLs: what people and other programs get to see instead."""

from __future__ import annotations

import re

# What stands before the last "@" of the authority, with or without a scheme (RFC 3986 section 3.2.1).
_USERINFO = re.compile(r"^(\s*(?:[^/?#@]*//+)?)[^/?#]*@")
_IN_TEXT = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/?#@]{1,500}@", re.IGNORECASE)


def redacted(url: str) -> str:
    """The URL without user name and password, fit for messages and logs; garbage comes back as it is."""
    return _USERINFO.sub(r"\1", url) if "@" in url else url


def redacted_text(text: str) -> str:
    """The text with the credentials taken out of the URLs in it; lists often name a feed by its URL."""
    return _IN_TEXT.sub(r"\1", text) if "@" in text else text
