"""Bytes of strangers, made to order: small documents of every format, and what chance and malice do to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

RSS_2 = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="/look.xsl"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"
  xmlns:atom="http://www.w3.org/2005/Atom" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/">
<channel><title>Harbour &amp;
Hill</title><link>https://harbour.example/</link><description>News</description>
<language>en-gb</language><ttl>60</ttl><sy:updatePeriod>hourly</sy:updatePeriod>
<skipHours><hour>1</hour><hour>24</hour></skipHours><skipDays><day>Sunday</day></skipDays>
<atom:link href="https://harbour.example/feed" rel="self"/>
<item><title>Ferry runs again &#8211; after a
week</title><link>https://harbour.example/ferry?utm_source=rss#top</link>
<guid isPermaLink="false">ferry-17</guid><pubDate>Tue, 06 Jan 2026 08:30:00 +0100</pubDate><dc:creator>Ann
Lee</dc:creator>
<description>The ferry to the island runs again &amp;amp; the queue is long…</description>
<content:encoded><![CDATA[<p>The ferry to the island <a href="/map" onclick="x()">runs again</a>.</p>
<script>evil()</script><img src="p.gif" width="1" height="1"><p>Related:</p><p>Nine people waited at the
pier through the
cold night and were not…</p>]]></content:encoded><media:content
url="a.jpg"><media:title>Pier</media:title></media:content>
<enclosure url="https://harbour.example/a.mp3" length="1" type="audio/mpeg"/><source url="b">Island
Post</source></item>
<item><title>Caf\u00e9
&lt;b&gt;burns&lt;/b&gt;</title><link>/cafe</link><description>&lt;div&gt;One&lt;br/&gt;two&lt;/div&gt;
</description></item></channel></rss>"""

RSS_1 = """<?xml version="1.0"?><!DOCTYPE rdf:RDF [<!ENTITY pd "public domain">]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
  xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="http://hill.example/"><title>Hill</title>
<link>http://hill.example/</link><items><rdf:Seq><rdf:li
resource="http://hill.example/1"/></rdf:Seq></items></channel>
<item rdf:about="http://hill.example/1"><title>Snow closes the
pass</title><link>http://hill.example/1</link>
<description>Snow, &pd; and
&nbsp;ice.</description><dc:date>2026-01-05T10:00:00Z</dc:date><dc:language>en</dc:language></item>
</rdf:RDF>"""

RSS_091 = """<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN"
"http://my.netscape.com/publish/formats/rss-0.91.dtd">
<rss version="0.91"><channel><title>Old &
plain</title><link>http://old.example</link><language>fr</language>
<item><title>L'\u00e9t\u00e9
&eacute;ternel</title><link>http://old.example/a?b=1&c=2</link><description>Chaud & sec</description>
</item><item><link>http://old.example/b</link></item></channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://atom.example/blog/" xml:lang="de">
<title type="html">Stadt &amp;amp; Land</title><id>urn:feed</id><updated>2026-01-06T09:00:00Z</updated>
<link rel="alternate" type="text/html"
href="./"/><author><name>Eva</name><uri>http://e.example</uri></author>
<entry xml:base="2026/"><id>urn:1</id><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Ein
<em>Fest</em></div>
</title><link href="fest"/><updated>2026-01-06T08:00:00.5+01:00</updated><summary type="text">Kurz &lt;
lang</summary>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Das <a href="bild.html">Fest</a>
beginnt.</p><pre>a
 b</pre></div></content><source><title>Die Quelle</title></source></entry>
<entry><id>urn:2</id><title>Zwei</title><link rel="enclosure"
href="https://atom.example/a.mp3"/><published>gestern</published>
<content type="application/octet-stream" src="x">AAAA</content></entry></feed>"""

JSON_FEED = r"""{"version": "https://jsonfeed.org/version/1.1", "title": "Json \u0026 co", "home_page_url":
"https://j.example",
"language": "en", "authors": [{"name": "Jo"}], "items": [{"id": 17, "url": "https://j.example/17", "title":
"Seventeen",
"content_html": "<p>Bridge <b>opens<\/b> \ud83d\ude00 <a href='javascript:x'>here<\/a><\/p>", "summary":
"Bridge opens",
"date_published": "2026-01-05T08:00:00-05:00", "attachments": [{"url": "https://j.example/a.mp3"}]},
{"id": "18", "content_text": "Plain text\n\nof two lines", "external_url": "https://k.example/x"}]}"""

JSON_RSS = """{"rss": {"version": "2.0", "channel": {"title": "Rss in Json", "link": "http://r.example/",
"ttl": "30",
"item": [{"title": "One &amp; all", "guid": {"#value": "http://r.example/1", "isPermaLink": "true"},
"description": "<p>x</p>",
"pubDate": "Mon, 05 Jan 2026 10:00:00 GMT"}, {"title": 7, "link": "http://r.example/2"}]}}}"""

OPML = """<?xml version="1.0"?><!-- my list --><opml version="2.0"><head><title>Mine &
yours</title></head><body>
<outline text="News"><outline text="World &amp; all" title="W"><outline type="rss" text="A &#34;b&#34;"
xmlUrl="https://me:pw@a.example/feed?x=1&y=2" htmlUrl="https://a.example"/></outline>
<outline text="torn "quote" here" xmlUrl="feed://b.example/rss"></outline></outline>
<outline text="Json" type="json" url="HTTP://C.example:80/" category="/Tech/Web,/x"/><outline
text="nothing" type="rss"/>
<outline text="other" type="include" url="http://d.example/list.opml"/></body></opml>"""

FOAF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
xmlns:foaf="http://xmlns.com/foaf/0.1/"
xmlns:dc="http://purl.org/dc/elements/1.1/"
xmlns:rss="http://purl.org/rss/1.0/"><foaf:Agent><foaf:name>G</foaf:name>
<foaf:weblog><foaf:Document rdf:about="http://a.example/"><dc:title>A</dc:title><rdfs:seeAlso
xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#"><rss:channel
rdf:about="http://a.example/feed"/></rdfs:seeAlso>
</foaf:Document></foaf:weblog></foaf:Agent></rdf:RDF>"""

FEEDS = (*(text.encode() for text in (RSS_2, RSS_1, ATOM, JSON_FEED, JSON_RSS)), RSS_091.encode("latin-1"))
LISTS = (OPML.encode(), FOAF.encode())


def pieces(listed: str) -> tuple[bytes, ...]:
    """What stands between the bars, each character one byte."""
    return tuple(piece.encode("latin-1") for piece in listed.split("‖"))


TOKENS = pieces(
    "<‖>‖&‖'‖\"‖/‖=‖;‖]]>‖<![CDATA[‖<![CDATA[]]>‖<!--‖-->‖--‖<!‖<?‖?>‖"
    "<?xml version='1.0' encoding='utf-16'?>‖<?php echo 1 ?>‖<?xml-stylesheet href='javascript:x'?>‖"
    "&amp;‖&amp;amp;lt;‖&lt;script&gt;x&lt;/script&gt;‖&#0;‖&#xD800;‖&#xdc00;‖&#x110000;‖&#55357;‖"
    "&#xFFFE;‖&#x1b;‖&#x85;‖&#8238;‖&#99999999999999999999;‖&#x;‖&nbsp;‖&bogus;‖&a‖&#‖"
    "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>‖<!DOCTYPE x SYSTEM 'file:///etc/passwd'>‖&a;‖"
    "&b;‖<!ENTITY % p SYSTEM 'http://127.0.0.1:9/'>%p;‖<!ENTITY e SYSTEM 'file:///etc/passwd'>‖&e;‖"
    "<!DOCTYPE html>‖"
    "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file:///etc/passwd' parse='text'/>‖"
    "xmlns:x=''‖ xml:base='javascript:x'‖ xml:base='http://['‖ xml:base='//x.example/'‖"
    " xml:base='data:text/html,x'‖"
    " xml:lang='x-y-y-y'‖"
    " xmlns='http://www.w3.org/2005/Atom'‖ xmlns='urn:x'‖<x:y>‖ rdf:about=''‖\0‖\x01‖\x0c‖\x1b‖\x7f‖\x85‖"
    "\xc2\x85‖\xff‖\xfe‖\xc0\x80‖\xed\xa0\x80‖\xed\xbf\xbf‖\xef\xbb\xbf‖\xff\xfe‖\xfe\xff‖\xff\xfe\0\0‖"
    "\0\0\xfe\xff‖+ADw-‖\x1b$B‖~{‖\xef\xbf\xbe‖\xf4\x90\x80\x80‖\xe2\x80\xae‖\xe2\x81\xa6‖\xe2\x80\xa8‖"
    "\xee\x80\x80‖\xe2\x80\xa6‖\r‖\r\n‖\t‖encoding='shift_jis'‖encoding='utf-7'‖encoding='idna'‖"
    "encoding='rot13'‖encoding='zlib'‖encoding='utf-32'‖-1‖1e999‖NaN‖Infinity‖0x10‖99999-01-01T00:00:00Z‖"
    "0001-01-01T00:00:00+23:59‖Thu, 31 Dec 9999 23:59:60 -2359‖America/../../etc‖00:00:00 00:00:00‖P1D‖"
    "12/31/99 Europe/‖<script>x</script>‖<svg onload=x>‖<img src=x onerror=y>‖"
    "<a href='JaVa&#09;script:x'>y</a>‖<style>x‖<plaintext>‖<a href='data:text/html,x'>y</a>‖"
    "<math><mi//xlink:href='data:x'>‖<title><!--</title><img src=x onerror=y>-->‖<base href=//x>‖"
    "<template>‖<noscript><p title='</noscript><img src=x onerror=y>'>‖</item><item>‖</channel>‖</rss>‖"
    "<entry>‖</entry>‖<title>‖<title/>‖<link/>‖<guid>‖<source>‖<author>‖"
    "<link rel='alternate' href='http://[::1'/>‖<link>http://x.example:99999999/</link>‖"
    "<guid>http://\xc3\xa9.example/</guid>‖<guid> </guid>‖<pubDate>‖<textInput><title>‖<image><url>‖"
    '<content>‖null‖true‖[]‖{}‖"\\ud800"‖"\\u0000"‖"items": [‖"rss": {‖"version": 1‖\\‖'
    '"id": {"a": 1}‖1E400‖<outline‖/>‖</outline>‖<body>‖</body>‖</opml>‖xmlUrl=\'http://[x\'‖'
    "xmlUrl='http://x:y/'‖text=‖<opml>‖<p a=1 B ='c' b='d' b=e>"
)
TOKENS += (b"\xcc\x81" * 50, b" " * 300, b"9" * 30, b"9" * 5000, b"http://" + b"a" * 300 + b".example/")
TOKENS += (b"<div>" * 200, b"</div>" * 200, b"[" * 200, b'{"a":' * 200, b"<item>" * 20, b"<outline>" * 150)
"""What parsers trip over: delimiters, references, declarations, charsets that lie, numbers, nesting, scripts."""

CHARSETS = (
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "cp1252",
    "shift_jis",
    "utf-7",
    "iso2022_jp",
    "gb18030",
    "utf-8-sig",
)
CONTENT_TYPES = (
    "",
    "text/xml",
    "application/rss+xml; charset=utf-8",
    "text/xml; charset=utf-16",
    "text/html; charset=shift_jis",
)

LONGEST = 200_000
"""Bytes of a mutated document: mutations of mutations must not grow without end."""


def mutate(number: int, seeds: Sequence[bytes] = FEEDS) -> bytes:
    """One of the seeds after one to eight mutations; the same for the same number and seeds."""
    random = Random(number)
    body = random.choice(seeds)
    for _ in range(random.choice((1, 1, 2, 3, 5, 8))):
        body = random.choice(MUTATORS)(random, body, seeds)[:LONGEST]
    return body


def content_type(number: int) -> str:
    """The Content-Type that goes with the mutation of this number."""
    return CONTENT_TYPES[number % len(CONTENT_TYPES)]


def _slice(random: Random, body: bytes) -> tuple[int, int]:
    """Two positions, mostly near to each other."""
    start = random.randint(0, len(body))
    return start, min(len(body), start + int(2 ** random.uniform(0, 11)))


def _flip_bits(random: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    flipped = bytearray(body)
    for _number in range(random.randint(1, 6) if body else 0):
        flipped[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return bytes(flipped)


def _delete(random: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _slice(random, body)
    return body[:start] + body[end:]


def _duplicate(random: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _slice(random, body)
    return body[:end] + body[start:end] * random.choice((1, 1, 2, 10, 100)) + body[end:]


def _swap(random: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    first, middle, last = sorted(random.randint(0, len(body)) for _ in range(3))
    return body[:first] + body[middle:last] + body[first:middle] + body[last:]


def _insert(random: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    position = random.randint(0, len(body))
    return body[:position] + random.choice(TOKENS) + body[position:]


def _insert_at_edge(random: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    """A token where markup begins or ends: chance finds these places seldom."""
    edges = [position for position, byte in enumerate(body) if byte in b"<>\"'{}"]
    position = random.choice(edges or [0]) + random.randint(0, 1)
    return body[:position] + random.choice(TOKENS) + body[position:]


def _overwrite(random: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _slice(random, body)
    return body[:start] + random.choice(TOKENS) + body[end:]


def _splice(random: Random, body: bytes, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    return body[: random.randint(0, len(body))] + other[random.randint(0, len(other)) :]


def _graft(random: Random, body: bytes, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    start, end = _slice(random, other)
    position = random.randint(0, len(body))
    return body[:position] + other[start:end] + body[position:]


def _truncate(random: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    return body[: random.randint(0, len(body))]


def _reencode(random: Random, body: bytes, _: Sequence[bytes]) -> bytes:
    return body.decode("utf-8", "replace").encode(random.choice(CHARSETS), "replace")


MUTATORS: tuple[Callable[[Random, bytes, Sequence[bytes]], bytes], ...] = (
    *(_flip_bits, _delete, _duplicate, _swap, _splice, _graft, _truncate, _reencode),
    *(_insert, _insert, _insert_at_edge, _insert_at_edge, _insert_at_edge, _overwrite),
)
