"""Documents that are one strange thing a great many times: they should cost no more than their length."""

from __future__ import annotations

from collections.abc import Callable

from tests.mutations import pieces

Flood = Callable[[int], bytes]
"""About so many bytes of it."""

HEAD = b'<?xml version="1.0"?><rss version="2.0"><channel><title>t</title><link>http://a.example/</link>'
TAIL = b"</channel></rss>"
TEXT_HEAD = HEAD + b"<item><title>x</title><link>http://a.example/1</link><description><![CDATA["
TEXT_TAIL = b"]]></description></item>" + TAIL
JSON_HEAD = b'{"version": "https://jsonfeed.org/version/1", "title": "t", "items": ['
LIST_HEAD = b'<opml version="2.0"><head/><body>'
LIST_TAIL = b"</body></opml>"
FOAF_HEAD = b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:foaf='http://xmlns.com/foaf/0.1/'>"
LONG_BASE = b"<item xml:base='http://a.example/" + b"b/" * 3000 + b"'>"

RAW = pieces(
    "<‖&‖<![CDATA[‖<!--‖<!DOCTYPE ‖<a ‖<item>‖]]>‖&#‖<?xml ‖\0‖{‖[‖<x:y ‖<!-- -->‖<? ?>‖<!DOCTYPE x>‖"
    "<!ENTITY a 'b'>‖ ‖\n‖\xff‖\xc3‖\xef\xbb\xbf‖<rss>‖<rss ‖<!‖'‖\"‖<html>‖<link ‖<link rel=x ‖<?‖\r‖"
    '\xf0\x9f\x98\x80‖<!DOCTYPE [‖<!-- ‖{"items": ['
)
CHANNEL = pieces(
    "<‖&‖<![CDATA[‖<!--‖<item>‖<item/>‖<item><title>x</title><link>l%d</link></item>‖<a:b%d/>‖<b%d:a/>‖"
    "<title>‖<item><title>x‖<link rel='alternate' href='%d'/>‖<image>‖<entry>‖<ttl>‖<skipHours>‖<div>‖"
    "<skipHours><hour>%d</hour>‖<skipHours \n>‖"
    "<author>‖<category>%d</category>‖<div xml:base='%d/'>‖<x xmlns:a%d='b%d'>‖<x xmlns:a%d='b%d'/>‖"
    "<media:group><media:content url='%d'>‖<author><name>%d</name></author>‖</item>‖"
    "<source><title>%d</title></source>‖<link>%d</link>‖<enclosure url='%d'/>‖<content type='xhtml'>‖"
    "<guid>%d</guid>‖<content:encoded>%d</content:encoded>‖<![CDATA[x]]>‖<!-- x -->‖<?x y?>‖<x y%d='z'/>‖"
    "&lt;‖&nbsp;‖&a%d;‖<dc:creator>%d</dc:creator>‖<item><author>a%d</author>‖"
    "<item><guid>same</guid><title>%d</title></item>‖<x y='‖<x y=%d "
)
TEXT = pieces(
    "<div>‖<p>‖<b>‖<b><i>‖<a href='%d'>‖<table>‖<table><tr><td>‖<‖&‖&lt;‖<!--‖<!‖</‖<p ‖<img src='%d'>‖"
    "<font>‖<script>‖<pre>‖<pre>\n‖</p>‖</b>‖<li>‖<select>‖<option>‖<svg>‖<math>‖<template>‖<br>‖<hr>‖"
    "<nobr>‖<a>‖<form>‖<button>‖<h1>‖<dd>‖<ruby>‖<b></p>‖<a></p>‖<p><b>‖<i></div>‖<table><b>‖<frameset>‖"
    "x\n‖x<br>‖x...\n‖<p>word word word word word word %d...</p>‖<p><a href='%d'>word word %d</a></p>‖"
    "...<br>‖\xe2\x80\xa6‖<td>‖ ‖\t‖\n‖\xc2\xa0‖\xcc\x81‖a‖\xe4\xb8\xad‖\xf0\x9f\x98\x80\xe2\x80\x8d‖"
    "\xe2\x80\x8b‖\xd9\x80‖[...] ‖&amp;amp;‖&lt;img ‖&lt;/p&gt;‖&#8217;‖read more ‖...read more ‖[link] ‖"
    "* ‖#comments ‖\xe2\x98\x85‖\"‖'‖\\‖=‖?‖<b a%d>‖<b a%d='1' ‖<a title='%d' ‖<style>‖<title>‖"
    "<textarea>‖<noscript>‖<iframe>‖<plaintext>‖<base href='%d'>‖<marquee>‖<p><table>‖<b><p>‖"
    "<u><s><b><i><em>‖</a><a>‖<a></b>‖<p title='\xe4'>‖<b%d>‖<x-y>‖</x>‖<b/>‖><"
)
JSON = pieces(
    '[‖{"a":‖{"id": %d},‖{"id": "%d", "title": "x"},‖9‖"‖"\\ud83d‖\\‖ ‖{}‖{},‖'
    '{"id": 1}, {‖null,‖{"id": "%d", "authors": [‖"a": [‖{"content_html": "<div>"},‖'
    '"items": [‖-‖1e5,‖{"url": "%d‖\n‖tru'
)
LIST = pieces(
    "<outline>‖<outline text='%d'>‖<outline text='a' xmlUrl='http://a.example/%d'/>‖"
    "<outline xmlUrl='http://a.example/%d'>‖<outline ‖<outline text='a‖<outline a=\"‖<outline a=b%d ‖<‖&‖"
    "<!--‖<!-- -->‖<![CDATA[‖<!DOCTYPE [‖<!DOCTYPE x>‖</outline>‖"
    "<outline text='a' xmlUrl='http://a.example/'/>‖<outline text=\"a\"b\"\" xmlUrl='%d'>‖<body>‖</body>‖"
    "</opml>‖<title>‖<title>%d</title>‖\n‖ ‖<outline text='&amp;&lt;' />‖"
    "<outline text='a' title=\"b' c=\"%d>‖<outline type=rss>‖<outline type=include url=x/>‖<?‖<? ?>‖"
    "<outline text='/a/b/c%d'>‖<outline text='&‖\xff‖\xc3\xa4‖=‖a=‖a='‖<outline xmlUrl‖"
    "<o:outline text='%d'>‖<outline a=''b='' "
)
ELEMENTS = {
    "title": pieces("&lt;‖&amp;‖&lt;b&gt;‖ ‖\xcc\x81‖a‖\xf0\x9f\x98\x80‖&lt;a ‖&lt;!--‖&amp;lt;"),
    "pubDate": pieces("9‖1 ‖(‖()‖:‖00:‖Jan ‖-‖1-‖\xef\xac\x81‖\xef\xb7\xba"),
    "link": pieces("/‖../‖http://‖a‖%‖&amp;‖[‖?‖#‖\xe4\xb8\xad‖a.‖ ‖\n‖@‖:"),
    "guid": pieces("a‖\xcc\x81‖http://‖ "),
    "author": pieces("a@‖a@b.c ‖(‖(a)‖a‖&lt;‖ ‖a.‖a@a.‖\xcc\x81"),
    "ttl": pieces("9‖ "),
    "source": pieces("&lt;‖a‖\xcc\x81"),
    "content:encoded": pieces("&lt;p&gt;‖&lt;‖a&lt;/p&gt;"),
    "media:title": pieces("a‖&lt;"),
    "category": pieces("a‖/"),
    "itunes:keywords": pieces("a,‖a%d,‖a "),
    "geo:lat": pieces("9‖ "),
    "georss:polygon": pieces("9 "),
    "dcterms:temporal": pieces("a=;‖;"),
}

FEED_PLACES = (
    ("alone", b"", RAW, b""),
    ("in a channel", HEAD, CHANNEL, TAIL),
    ("in a text", TEXT_HEAD, TEXT, TEXT_TAIL),
    ("in one tag", TEXT_HEAD + b"<p ", pieces("a%d=1 ‖a%d ‖a='‖a=\"\" ‖=‖/‖a=a/‖'‖\n"), b">x" + TEXT_TAIL),
    ("in JSON", JSON_HEAD, JSON, b""),
    (
        "in a JSON text",
        JSON_HEAD + b'{"content_html": "',
        pieces("<‖\\n‖a‖<b>‖&‖\xcc\x81"),
        b'"}]}',
    ),
    (
        "in the root",
        b"<rss",
        pieces(" xmlns:a%d='b%d'‖ a%d='b'‖ a='b'‖ a%d‖ x:a%d='b'‖'"),
        b" version='2.0'>" + HEAD.partition(b"'2.0'>")[2] + TAIL,
    ),
    (
        "in a DTD",
        b"<!DOCTYPE rss [",
        pieces("<!ENTITY a%d 'b'>‖<!ENTITY a%d '&a;'>‖<!ENTITY ‖'‖<!--‖]‖<!ENTITY a '"),
        b"]>" + HEAD.partition(b"?>")[2] + TAIL,
    ),
    (
        "under a long base",
        HEAD + LONG_BASE + b"<description><![CDATA[",
        pieces("<a href='%d'>x</a>"),
        TEXT_TAIL,
    ),
    *(
        (
            f"in <{name}>",
            HEAD + f"<item><title>x</title><{name}>".encode(),
            filling,
            f"</{name}></item>".encode() + TAIL,
        )
        for name, filling in ELEMENTS.items()
    ),
)
LIST_PLACES = (
    ("in a list", LIST_HEAD, LIST, LIST_TAIL),
    ("alone", b"", RAW, b""),
    (
        "in one outline",
        LIST_HEAD + b"<outline ",
        pieces("a%d='b' ‖a='b' ‖a%d=b ‖a='‖=‖'‖ ‖a= ‖a=\"b\"c\" ‖a:‖a='b<' "),
        b"/>" + LIST_TAIL,
    ),
    (
        "in a title",
        LIST_HEAD + b"<outline text='",
        pieces("&amp;‖&‖/‖ ‖a/‖\xcc\x81‖://‖\x01"),
        b"' xmlUrl='http://a.example/'/>" + LIST_TAIL,
    ),
    (
        "in a FOAF list",
        FOAF_HEAD,
        pieces(
            "<foaf:Agent>‖<‖&‖<foaf:Document rdf:about='http://a.example/%d'/>‖</rdf:RDF>‖<foaf:name>‖<![CDATA["
            "‖<foaf:x a%d='b'"
        ),
        b"</rdf:RDF>",
    ),
)


def _between(start: bytes, piece: bytes, end: bytes) -> Flood:
    """The piece again and again, with a number of its own in the place of each %d."""

    def flood(size: int) -> bytes:
        count = size // (len(piece) + 4 * (b"%d" in piece))
        if b"%d" not in piece:
            return start + piece * count + end
        return start + b"".join(piece.replace(b"%d", b"%d" % number) for number in range(count)) + end

    return flood


def _under_long_base(size: int) -> bytes:
    base = b"<x xml:base='http://a.example/" + b"b/" * (size // 4) + b"'>"
    return HEAD + base + b"<item><link>a</link></item>" * (size // 54) + TAIL


FEED_FLOODS: dict[str, Flood] = {
    f"{piece!r} {place}": _between(start, piece, end)
    for place, start, filling, end in FEED_PLACES
    for piece in filling
} | {"items under a long base": _under_long_base}
"""By name. Those in a text reach `normalise`, too."""

LIST_FLOODS: dict[str, Flood] = {
    f"{piece!r} {place}": _between(start, piece, end)
    for place, start, filling, end in LIST_PLACES
    for piece in filling
}
