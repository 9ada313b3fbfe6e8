"""Bytes of a broken XML document become text that a strict XML parser reads, as far as that can be done."""

from __future__ import annotations

import codecs
import html
import re
from dataclasses import dataclass
from html.entities import html5
from xml.parsers import expat

from aggregator.parse.excess import without_excess

# A declared entity stands for a character or a name. Longer ones only serve to blow the document up: the
# shortest reference, "&a;", must not grow more than about tenfold.
MAX_ENTITY = 32
# Where the document itself must have begun: the longest junk seen ahead of a feed is a PHP stack trace.
MAX_LEADING_JUNK = 16_384
# Where the XML declaration is looked for.
MAX_DECLARATION = 1024
# Undeclared prefixes beyond these are no namespaces but colons in prose.
MAX_PREFIXES = 40

# Charsets by the patterns of their names: Python's registry also answers to "idna" or "unicode_escape".
_CHARSET = re.compile(
    r"(?:utf|iso|windows|cp|koi8|gb|hz|big5|shift|s?jis|ms|euc|ks|latin|us|ascii|mac|tis|ibm|x|cs)"
    r"[-_a-z0-9:]{0,30}"
)
# What these labels mean in practice (WHATWG Encoding Standard, section 4.2).
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
# The defaults of web servers: the document's own declaration knows better.
_SERVER_DEFAULTS = frozenset({"cp1252", "utf-8"})
# A BOM, or the zero bytes in a document's first characters (XML 1.0 appendix F, RFC 4627 section 3).
_BOMS = (
    (re.compile(rb"\xef\xbb\xbf"), "utf-8"),
    (re.compile(rb"\xff\xfe\0\0|[<{]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\xfe\xff|\0\0\0[<{]"), "utf-32-be"),
    (re.compile(rb"\xff\xfe|[<{]\0[^\0]\0"), "utf-16-le"),
    (re.compile(rb"\xfe\xff|\0[<{]\0[^\0]"), "utf-16-be"),
)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?\sencoding\s{0,9}=\s{0,9}[\"']([A-Za-z0-9._:-]{1,40})")
_HEADER_CHARSET = re.compile(r"charset\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)

# Charsets in which foreign characters are spelt with ASCII bytes.
_SEVEN_BIT = ("iso2022", "hz")
# Bytes that are not UTF-8, as Python's error handler "surrogateescape" shows them.
_FOREIGN = re.compile("[\udc80-\udcff]")
_CUT_CHARACTER = re.compile("[\udcc2-\udcf4][\udc80-\udcbf]{0,2}\\Z")
_NOT_ASCII = re.compile("[^\0-\x7f]")

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_CONTROLS = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)])
_NUMERIC_REFERENCE = re.compile(r"&#(?:x([0-9a-f]{1,10})|([0-9]{1,10}));", re.IGNORECASE)
_AMPERSAND = re.compile(
    r"&(?!#[0-9]{1,7};|#x[0-9a-fA-F]{1,6};|(?:lt|gt|amp|quot|apos);)(?:([A-Za-z]\w{0,30});)?"
)
_START = re.compile(r"<(?:\?xml\s|!doctype\s|(?:[\w.-]{1,20}:)?(?:rss|rdf|feed|channel)[\s>])", re.IGNORECASE)
_SECTION = re.compile(r"<!\[CDATA\[|<!--")
_ITEM = re.compile(r"<(?:item|entry)[\s>]")
_PAGE = re.compile(
    r"(?:<!--.{0,400}?-->\s{0,99})?<(?:!doctype\s{1,9}html|html|head)[\s>]", re.IGNORECASE | re.DOTALL
)
_DOCTYPE = re.compile(r"<!doctype[^\[>]*(?:\[((?:[^\]\"']|\"[^\"]*\"|'[^']*')*)\]\s*)?>", re.IGNORECASE)
_ENTITY = re.compile(
    r"<!ENTITY\s{1,20}([A-Za-z][\w.-]{0,40})\s{1,20}(?:\"([^\"]{0,200})\"|'([^']{0,200})')\s{0,20}>"
)
_PREFIX = re.compile(r"<([A-Za-z_][\w.-]{0,30}):[A-Za-z_]|\s([A-Za-z_][\w.-]{0,30}):[\w.-]{1,40}=")
_DECLARED_PREFIX = re.compile(r"xmlns:([\w.-]{1,40})")
_SPACE = re.compile(r"\s*")
_FIRST_TAG = re.compile(r"<[A-Za-z_][\w.:-]*")

# Undeclared prefixes mean what everybody means by them.
_NAMESPACES = {
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "media": "http://search.yahoo.com/mrss/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
    "xhtml": "http://www.w3.org/1999/xhtml",
}
# The text of these is worth having although its end is missing; half a link or guid names another item.
_LONG_TEXTS = frozenset({"description", "summary", "content", "encoded", "body", "fullitem"})
_CONTAINERS = frozenset({"rss", "rdf", "channel", "feed", "item", "entry"})


@dataclass(frozen=True, slots=True)
class Mended:
    """An XML document without DOCTYPE. `root`: the outermost element's name; `is_cut`: its end was missing.

    `had_excess`: something was taken out that would take a parser very long (see excess).
    """

    text: str
    root: str
    is_cut: bool
    had_excess: bool


def clean(text: str) -> str:
    """The text without control characters (tab and newline stay), lone surrogates and non-characters."""
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _FORBIDDEN.sub("", text) if _may_be_forbidden(text) else text


def _may_be_forbidden(text: str) -> bool:
    """Told from the bytes: to look at each character by a regular expression takes four times as long."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return True
    return len(encoded.translate(None, _CONTROLS)) < len(encoded) or "\ufffe" in text or "\uffff" in text


def decode(body: bytes, content_type: str) -> str:
    """The body as text, never failing: a BOM, then what the bytes are, then what the labels say.

    Bytes that are UTF-8 are read as UTF-8 whatever the labels say: text in another charset does not look
    like it by chance. A few foreign bytes among UTF-8 are read as Windows-1252. Of two other labels the
    document's own wins over a server's default, else the header (RFC 7303 section 3).
    """
    for mark, charset in _BOMS:
        if mark.match(body):
            return body.decode(charset, "replace").removeprefix("\ufeff")
    labels = _labels(body, content_type)
    if body.isascii():
        stateful = [label for label in labels if label.startswith(_SEVEN_BIT)]
        return body.decode(stateful[0] if stateful else "ascii", "replace")
    mixed = _CUT_CHARACTER.sub("", body.decode("utf-8", "surrogateescape"))
    foreign = len(_FOREIGN.findall(mixed))
    if not foreign or foreign <= len(_NOT_ASCII.findall(mixed)) - foreign:
        return _FOREIGN.sub(_as_windows_1252, mixed) if foreign else mixed
    # UTF-16 would have shown itself, and UTF-8 is what the bytes are not.
    labels = [label for label in labels if not label.startswith("utf")]
    return body.decode(labels[0] if labels else "cp1252", "replace")


def _labels(body: bytes, content_type: str) -> list[str]:
    """Usable charset names, best first, by Python's spelling."""
    header, declared = _HEADER_CHARSET.search(content_type), _DECLARED.search(body, 0, MAX_DECLARATION)
    names = [header.group(1)] if header else []
    names += [declared.group(1).decode("ascii")] if declared else []
    labels = []
    for name in names:
        if _CHARSET.fullmatch(name.lower()):
            try:
                codec = codecs.lookup(name)
                b"".decode(codec.name)
            except LookupError:
                continue
            labels.append(_MEANT.get(codec.name, codec.name))
    return labels[::-1] if labels and labels[0] in _SERVER_DEFAULTS else labels


def _as_windows_1252(escaped: re.Match[str]) -> str:
    return bytes([ord(escaped.group()) - 0xDC00]).decode("cp1252", "replace")


def mend(text: str) -> Mended:
    """The document with what can be mended mended; what can't is left for a lenient parser.

    Leading junk, DOCTYPE and characters that XML forbids always go. Only if the rest is not well-formed:
    bare ampersands and undefined entities, undeclared prefixes, junk behind the end, a missing end.
    """
    given = _NUMERIC_REFERENCE.sub(_checked_reference, clean(_without_junk(text)))
    text = without_excess(given)
    had_excess = text != given
    text, entities = _without_prolog(text)
    error = _error(text)
    if error is not None or entities:
        text = _declare_prefixes(_mend_ampersands(text, entities))
        error = _error(text)
    is_cut = False
    if error is not None and error.reason == expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT:
        document = text.encode()
        junk = document[error.offset :].decode(errors="ignore")
        text = text if _ITEM.search(junk) else document[: error.offset].decode(errors="ignore")
    elif error is not None:
        closed = _close(text)
        is_cut = closed is not None
        text = closed if closed is not None else text
    first = _FIRST_TAG.match(text)
    root = first.group()[1:].rpartition(":")[2].lower() if first else ""
    return Mended(text=text, root=root, is_cut=is_cut, had_excess=had_excess)


def _without_junk(text: str) -> str:
    text = text.lstrip("\ufeff\u200b \t\r\n\0")
    position, _ = _skip_prolog(text)
    if _PAGE.match(text, position) or _START.match(text, position):
        return text
    start = _START.search(text, 0, MAX_LEADING_JUNK)
    return text[start.start() :] if start else text


def _skip_prolog(text: str) -> tuple[int, str]:
    """Where comments, processing instructions and DOCTYPE are over; and the DOCTYPE's internal subset."""
    position, subset = 0, ""
    while True:
        position = _SPACE.match(text, position).end()  # type: ignore[union-attr]  # matches nothing, too
        if text.startswith("<!--", position):
            end = text.find("-->", position + 4) + 3
        elif text.startswith("<?", position):
            end = text.find("?>", position) + 2
        elif text.startswith("<!", position) and not _PAGE.match(text, position):
            doctype = _DOCTYPE.match(text, position, position + MAX_LEADING_JUNK)
            end = doctype.end() if doctype else -1
            subset = (doctype.group(1) if doctype else "") or subset
        else:
            return position, subset
        if end < position:
            return position, subset
        position = end


def _checked_reference(reference: re.Match[str]) -> str:
    """The character reference, "" if XML forbids the character."""
    hexadecimal, decimal = reference.groups()
    number = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if number > 0x10FFFF or (number != 13 and _FORBIDDEN.match(chr(number))):
        return ""
    return reference.group()


def _without_prolog(text: str) -> tuple[str, dict[str, str]]:
    """The document from its first tag on, and its short harmless entities: no parser sees a DTD."""
    position, subset = _skip_prolog(text)
    entities = {}
    for name, double, single in _ENTITY.findall(subset):
        value = html.unescape(double or single)
        if len(value) <= MAX_ENTITY and "&" not in value and "<" not in value:
            entities[name] = clean(value)
    first = _FIRST_TAG.search(text, position)
    return (text[first.start() :] if first else ""), entities


@dataclass(frozen=True, slots=True)
class _XmlError:
    reason: str
    offset: int


def _error(text: str) -> _XmlError | None:
    """What keeps the text from being well-formed XML with namespaces."""
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        return _XmlError(reason=expat.errors.messages[error.code], offset=parser.ErrorByteIndex)
    return None


def _mend_ampersands(text: str, entities: dict[str, str]) -> str:
    """Ampersands escaped and named entities resolved, outside CDATA and comments."""

    def mended(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return "&amp;"
        value = entities.get(name) or html5.get(f"{name};")
        return "".join(f"&#{ord(char)};" for char in value) if value else f"&amp;{name};"

    pieces, position = [], 0
    while position < len(text):
        section = _SECTION.search(text, position)
        start = section.start() if section else len(text)
        pieces.append(_AMPERSAND.sub(mended, text[position:start]))
        end = text.find("]]>" if text.startswith("<![CDATA[", start) else "-->", start)
        position = end + 3 if end >= 0 else len(text)
        pieces.append(text[start:position])
    return "".join(pieces)


def _declare_prefixes(text: str) -> str:
    """The document with a declaration at its root for each prefix that has none."""
    first = _FIRST_TAG.search(text)
    if first is None:
        return text
    declared = set(_DECLARED_PREFIX.findall(text)) | {"xml", "xmlns"}
    found = {element or attribute for element, attribute in _PREFIX.findall(text)} - declared
    used = sorted(found, key=lambda prefix: (prefix not in _NAMESPACES, prefix))[:MAX_PREFIXES]
    extra = "".join(f' xmlns:{prefix}="{_NAMESPACES.get(prefix, f"urn:prefix:{prefix}")}"' for prefix in used)
    return text[: first.end()] + extra + text[first.end() :]


def _close(text: str) -> str | None:
    """A document whose end is missing, with its open elements closed; None if something else is wrong."""
    document = text.encode()
    parser = expat.ParserCreate("utf-8")
    stack: list[tuple[str, int]] = []
    parser.StartElementHandler = lambda name, _: stack.append((name, parser.CurrentByteIndex))
    parser.EndElementHandler = lambda _: stack.pop()
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        reason, end = expat.errors.messages[error.code], parser.ErrorByteIndex
    else:
        return None
    if reason == expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION:
        document = document.rstrip(b"]") + b"]]>"
    elif reason in {expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN}:
        document = document[:end]
    else:
        return None
    names = [name for name, _ in stack]
    local = [name.rpartition(":")[2].lower() for name in names]
    if not _LONG_TEXTS.intersection(local):
        begun = len(stack)
        while stack and local[len(stack) - 1] not in _CONTAINERS:
            end = stack.pop()[1]
        document = document[:end] if len(stack) < begun else document
    closing = "".join(f"</{name}>" for name, _ in reversed(stack))
    return document.decode(errors="ignore") + closing if stack else None
