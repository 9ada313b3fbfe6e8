"""The items of a well-formed document as feedparser would show them, in a tenth of the time; nothing unusual."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin
from xml.parsers import expat

ITEMS = frozenset({"item", "entry"})

_NAMESPACES = {
    "": "",
    "http://purl.org/rss/1.0/": "",
    "http://www.w3.org/2005/atom": "",
    "http://purl.org/rss/1.0/modules/content/": "content",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/rss/1.0/modules/slash/": "slash",
    "http://wellformedweb.org/commentapi/": "wfw",
    "http://purl.org/rss/1.0/modules/syndication/": "sy",
    "http://purl.org/syndication/thread/1.0": "thr",
    "http://rssnamespace.org/feedburner/ext/1.0": "feedburner",
    "http://search.yahoo.com/mrss/": "media",
    "http://search.yahoo.com/mrss": "media",
}
_BASE = "http://www.w3.org/XML/1998/namespace base xml"
_LANG = "http://www.w3.org/XML/1998/namespace lang xml"
_ABOUT = "http://www.w3.org/1999/02/22-rdf-syntax-ns# about rdf"

# Texts of an unstated type are HTML here, elsewhere plain.
_TEXTS = {
    "title": ("title", "text/plain"),
    "description": ("summary", "text/html"),
    "summary": ("summary", "text/plain"),
    "content": ("content", "text/plain"),
    "content:encoded": ("content", "text/html"),
}
_FIELDS = {
    "pubdate": "published",
    "published": "published",
    "updated": "updated",
    "dc:date": "updated",
    "feedburner:origlink": "feedburner_origlink",
}
_GUIDS = frozenset({"guid", "id"})
_AUTHORS = frozenset({"author", "dc:creator"})
_PARTS_OF_AUTHOR = frozenset({"name", "email", "uri"})
# Nothing here reads these, whatever they hold.
_PASSED_OVER = frozenset({"comments", "category", "dc:subject", "media:content", "media:thumbnail"})
_PASSED_OVER_ALL = ("slash:", "wfw:", "sy:", "thr:")
_TYPES = {
    "text": "text/plain",
    "plain": "text/plain",
    "html": "text/html",
    "xhtml": "application/xhtml+xml",
}
_HTML_TYPES = ("text/html", "application/xhtml+xml")

_MAY_BE_HTML = re.compile(r"</\w+>|&#?\w+;")
_REFERENCE = re.compile(r"&([A-Za-z0-9_]+);")
_CONTROL = re.compile("[\x80-\x9f]")


class _UnusualError(Exception):
    """Something that feedparser has rules of its own for."""


def read_items(document: bytes, *, is_atom: bool, has_more: bool) -> list[dict[str, Any]] | None:
    """Each item with the fields that `items.read_entry` reads; None if feedparser may see one otherwise.

    The document must be well-formed UTF-8 whose items stand where their format has them (`split.split`), with no
    xml:base around them, and no xml:lang but on the outermost element. `is_atom`: feedparser's version begins with
    "atom"; `has_more`: elements of the frame stand behind items. Whether a document is read here or by feedparser
    makes no difference: tests/test_strict.py compares them.
    """
    reader = _Reader(is_atom=is_atom)
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.namespace_prefixes = True
    parser.buffer_text = True
    parser.buffer_size = 65_536
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, _UnusualError):
        return None
    return None if reader.base and has_more else reader.items


class _Reader:
    """Handlers of one document: what they are told of elements becomes `items`."""

    def __init__(self, *, is_atom: bool) -> None:
        self.items: list[dict[str, Any]] = []
        self._is_atom = is_atom
        self._item: dict[str, Any] | None = None
        self._path: list[str] = []
        self._attributes: dict[str, str] = {}
        self._pieces: list[str] = []
        self._guid_is_link = False
        self._has_begun = False
        self._known: dict[str, str] = {}
        self._passed_over: set[str] = set()
        self._lang: str | None = None
        # Feedparser goes back to the base around an element only where there is one.
        self.base = self._base_around = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._has_begun:
            self._begin_document(attributes)
        elif self._item is None:
            if name.split(" ")[:2][-1].lower() in ITEMS:
                self._begin_item(attributes)
        else:
            self._begin_element(self._known.get(name) or self._learn(name), attributes)

    def _learn(self, name: str) -> str:
        """The known name, which a document has a hundred times or more."""
        known = self._known[name] = _known_name(name)
        if known in _PASSED_OVER or known.startswith(_PASSED_OVER_ALL):
            self._passed_over.add(known)
        return known

    def _begin_document(self, attributes: dict[str, str]) -> None:
        self._has_begun = True
        self._lang = attributes.pop(_LANG, "").replace("_", "-") or None
        if any(name.split(" ")[:2][-1].lower() in ("base", "lang") for name in attributes):
            raise _UnusualError

    def _begin_element(self, known: str, attributes: dict[str, str]) -> None:
        if self._path:
            if self._path[-1] not in _AUTHORS or known not in _PARTS_OF_AUTHOR or attributes:
                raise _UnusualError
            if "".join(self._pieces).strip():
                raise _UnusualError
        else:
            self._begin(known, attributes)
        self._path.append(known)
        self._pieces.clear()

    def text(self, text: str) -> None:
        if self._path:
            self._pieces.append(text)

    def end(self, _name: str) -> None:
        if self._item is None:
            return
        if not self._path:
            self.items.append(self._item)
            self._item = None
            return
        known = self._path.pop()
        if known in self._passed_over:
            return
        text = "".join(self._pieces).strip()
        self._pieces.clear()
        if self._path:
            self._end_part_of_author(known, text)
        else:
            self._end(known, text)

    def _begin_item(self, attributes: dict[str, str]) -> None:
        self._item = {}
        self._guid_is_link = False
        self._base_around = self.base
        for name, value in attributes.items():
            if name != _ABOUT:
                raise _UnusualError
            if value:
                self._item["id"] = value

    def _begin(self, known: str, given: dict[str, str]) -> None:
        assert self._item is not None
        if known in _TEXTS and _BASE in given:
            self.base = given.pop(_BASE)
            if not self.base.startswith(("http://", "https://")) or ":///" in self.base:
                raise _UnusualError
        attributes = _attributes(given) if given else {}
        self._attributes = attributes
        if known == "link":
            self._begin_link(attributes)
        elif known in _GUIDS:
            self._guid_is_link = attributes.get("ispermalink", "true") == "true"
        elif known == "enclosure":
            links = self._item.setdefault("links", [])
            href = attributes.pop("url", attributes.pop("uri", attributes.get("href", "")))
            links.append(attributes | ({"href": href} if href else {}) | {"rel": "enclosure"})
        elif known in _AUTHORS:
            self._item.setdefault("authors", []).append({})
        elif known in _TEXTS:
            if attributes.keys() - {"type"}:
                raise _UnusualError
        elif known not in _FIELDS and known != "source" and known not in self._passed_over:
            raise _UnusualError

    def _begin_link(self, attributes: dict[str, str]) -> None:
        assert self._item is not None
        if "url" in attributes or "uri" in attributes:
            raise _UnusualError
        attributes.setdefault("rel", "alternate")
        kind = attributes.setdefault(
            "type", "application/atom+xml" if attributes["rel"] == "self" else "text/html"
        )
        if "href" in attributes:
            attributes["href"] = self._resolved(attributes["href"])
        if (
            "href" in attributes
            and attributes["rel"] == "alternate"
            and _TYPES.get(kind, kind) in _HTML_TYPES
        ):
            self._item["link"] = attributes["href"]
        self._item.setdefault("links", []).append(attributes)

    def _end(self, known: str, text: str) -> None:
        assert self._item is not None
        item = self._item
        if known in _TEXTS:
            self._end_text(known, _usual(text))
        elif known in _FIELDS:
            self._set(_FIELDS[known], _usual(text))
        elif known in _GUIDS:
            self._set("guidislink", self._guid_is_link and "link" not in item)
            item["id"] = _usual(self._resolved(text) if self._guid_is_link and text else text)
            if self._guid_is_link:
                item.setdefault("link", item["id"])
        elif known == "link" and "href" not in self._attributes:
            self._end_link(_usual(self._resolved(text) if text else text))
        elif known in _AUTHORS:
            self._end_author(_usual(text))
        elif known == "source":
            self._end_source(_usual(text))

    def _end_text(self, known: str, text: str) -> None:
        assert self._item is not None
        field, default = _TEXTS[known]
        given = self._attributes.get("type", default).lower()
        kind = _TYPES.get(given, given)
        if kind not in ("text/plain", "text/html"):
            raise _UnusualError
        if kind == "text/plain" and not self._is_atom and _MAY_BE_HTML.search(text):
            raise _UnusualError
        detail = {"type": kind, "language": self._lang, "base": self.base, "value": text}
        self.base = self._base_around or self.base
        if field == "content":
            self._set("content", [detail])
            self._item.setdefault("summary", text)
        else:
            self._set(f"{field}_detail", detail)
            self._item[field] = text

    def _end_link(self, text: str) -> None:
        assert self._item is not None
        if "text link" in self._item:
            raise _UnusualError
        self._item["text link"] = True
        url = _REFERENCE.sub(r"&\1", text.replace("&amp;", "&"))
        self._item["link"] = url
        if url:
            self._attributes["href"] = url

    def _end_part_of_author(self, known: str, text: str) -> None:
        assert self._item is not None
        author = self._item["authors"][-1]
        if known in author or not text:
            raise _UnusualError
        author[known] = text

    def _end_author(self, text: str) -> None:
        """An author in parts must have a name; an address beside a name in one text is feedparser's to part."""
        assert self._item is not None
        author = self._item["authors"][-1]
        if "@" in text or (author and (text or "name" not in author)):
            raise _UnusualError
        if not author:
            self._item["author"] = text
            if text:
                author["name"] = text

    def _resolved(self, reference: str) -> str:
        if ":///" in reference:
            raise _UnusualError
        try:
            return urljoin(self.base, reference)
        except ValueError:
            raise _UnusualError from None

    def _end_source(self, text: str) -> None:
        if self._attributes.keys() - {"url"}:
            raise _UnusualError
        self._set("source", {"title": text} if text else {})

    def _set(self, field: str, value: Any) -> None:
        """Sets a field that no element before set: of two feedparser takes now the first, now the last."""
        assert self._item is not None
        if field in self._item:
            raise _UnusualError
        self._item[field] = value


def _known_name(name: str) -> str:
    """The element's name in lower case with its namespace's usual prefix, which must be the one it has here."""
    uri, _, rest = name.rpartition(" ") if " " not in name else name.partition(" ")
    local, _, prefix = rest.partition(" ")
    code = _NAMESPACES.get(uri.lower())
    if code is None or (code and code != prefix):
        raise _UnusualError
    return f"{code}:{local.lower()}" if code else local.lower()


def _attributes(given: dict[str, str]) -> dict[str, str]:
    """The attributes as feedparser has them; none of a namespace, none that changes base or language."""
    found: dict[str, str] = {}
    for name, value in given.items():
        lower = name.lower()
        if " " in name or lower in ("base", "lang", "mode", "src"):
            raise _UnusualError
        found[lower] = value.lower() if lower in ("rel", "type") else value
    return found


def _usual(text: str) -> str:
    """The text, if feedparser leaves it as it is: it repairs UTF-8 that was read as Latin-1, and Windows-1252."""
    if text.isascii():
        return text
    if _CONTROL.search(text):
        raise _UnusualError
    try:
        text.encode("iso-8859-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text
    raise _UnusualError
