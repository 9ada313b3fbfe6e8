"""What parse_feed promises of whole documents: nothing lost, nothing twice, never an exception."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.parse import parse_feed
from aggregator.types import Failed, FailureKind, Fetched, ParsedEntry, ParsedFeed

URL = "https://news.example.org/feeds/all.xml"

RSS = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/">
<channel><title>Harbour &amp; Coast</title><link>https://news.example.org/</link>
<description>News</description><language>en-gb</language><ttl>90</ttl>
<item><title>Ferry runs again \u2013 at last</title><link>https://news.example.org/1?a=1&amp;b=2</link>
 <guid isPermaLink="false">id-1&amp;x</guid><pubDate>Tue, 09 Mar 2021 17:05:07 GMT</pubDate>
 <dc:creator>Ann Lee &amp; Bo</dc:creator><source url="https://wire.example.net/">The Wire</source>
 <description>The &lt;b&gt;ferry&lt;/b&gt; is back.</description>
 <content:encoded><![CDATA[<p>The <b>ferry</b> is back & running after a month of repairs.</p>]]></content:encoded>
</item>
<item><title>Bridge closed</title><link>https://news.example.org/2</link><guid>https://news.example.org/2</guid>
 <dc:date>2021-03-08T10:00:00+01:00</dc:date><dc:language>cy</dc:language>
 <description>Until Monday.</description></item>
</channel></rss>
"""

ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en" xml:base="https://atom.example.org/blog/">
<title type="html">Notes &amp;amp; News</title><id>urn:x:feed</id><author><name>Desk</name></author>
<link rel="self" href="feed.atom"/><link href="./"/>
<entry><title>Plain &lt;b&gt; title</title><id>urn:x:1</id><link rel="enclosure" href="a.mp3"/>
 <link href="one.html"/><updated>2021-03-09T17:05:07Z</updated><published>2021-03-09T16:00:00Z</published>
 <summary>Short.</summary><content type="html">&lt;p&gt;Longer than the summary.&lt;/p&gt;</content></entry>
<entry xml:lang="de"><title type="html">&lt;i&gt;Zwei&lt;/i&gt;</title><id>urn:x:2</id>
 <link href="https://example.com/zwei"/><updated>2021-03-09T17:05:07Z</updated><author><name>Eva</name></author>
 <source><title>Anderswo</title></source>
 <content type="xhtml" xml:base="sub/"><div xmlns="http://www.w3.org/1999/xhtml"><p>Der <em>Text</em></p></div>
 </content>
</entry></feed>
"""

RDF = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/">
<channel rdf:about="https://rdf.example.org/"><title>Old school</title><link>https://rdf.example.org/</link>
<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>2</sy:updateFrequency></channel>
<item rdf:about="https://rdf.example.org/a"><title>A</title><link>https://rdf.example.org/a</link>
<description>First</description><dc:date>2021-03-09T17:05:07Z</dc:date></item></rdf:RDF>
"""

JSON_FEED = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "JSON & sons",
        "home_page_url": "https://json.example.org/",
        "language": "en",
        "authors": [{"name": "Desk"}],
        "items": [
            {
                "id": 7,
                "url": "/seven",
                "title": "Seven",
                "summary": "Brief",
                "content_html": "<p>Much longer than brief</p>",
                "content_text": "Much longer than brief",
                "date_published": "2021-03-09T18:05:07+01:00",
                "authors": [{"name": "Ann"}, {"name": "Bo"}],
                "language": "fr",
            },
            {"id": "8", "external_url": "https://other.example.net/8", "content_text": "Eight"},
        ],
    }
)

SAMPLES = [RSS, ATOM, RDF, JSON_FEED]
NOON = datetime(2021, 3, 9, 17, 5, 7, tzinfo=UTC)
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff]")


def fetched(body: bytes | str, content_type: str = "", location: str = "", url: str = URL) -> Fetched:
    return Fetched(
        url=url,
        status=200,
        body=body.encode() if isinstance(body, str) else body,
        content_type=content_type,
        content_location=location,
        etag="",
        last_modified="",
        max_age=None,
        moved_to="",
    )


def read(body: bytes | str, content_type: str = "", location: str = "", url: str = URL) -> ParsedFeed:
    feed = parse_feed(fetched(body, content_type, location, url))
    assert isinstance(feed, ParsedFeed), feed
    return feed


def refused(body: bytes | str) -> str:
    failure = parse_feed(fetched(body))
    assert isinstance(failure, Failed), failure
    assert failure.kind is FailureKind.NOT_A_FEED
    return failure.detail


def item(inside: str, *, namespaces: str = "") -> ParsedEntry:
    feed = read(
        f'<rss version="2.0" {namespaces}><channel><title>T</title><item>{inside}</item></channel></rss>'
    )
    assert len(feed.entries) == 1
    return feed.entries[0]


def test_an_rss_feed_is_read_in_full() -> None:
    feed = read(RSS)
    assert (feed.title, feed.site_url, feed.lang, feed.hints.ttl) == (
        "Harbour & Coast",
        "https://news.example.org/",
        "en-gb",
        5400,
    )
    assert feed.entries == (
        ParsedEntry(
            guid="id-1&x",
            link="https://news.example.org/1?a=1&b=2",
            title="Ferry runs again \u2013 at last",
            title_is_html=False,
            summary="The <b>ferry</b> is back.",
            summary_is_html=True,
            content="<p>The <b>ferry</b> is back & running after a month of repairs.</p>",
            content_is_html=True,
            base=URL,
            author="Ann Lee & Bo",
            lang="",
            source="The Wire",
            published=NOON,
        ),
        ParsedEntry(
            guid="https://news.example.org/2",
            link="https://news.example.org/2",
            title="Bridge closed",
            title_is_html=False,
            summary="Until Monday.",
            summary_is_html=True,
            content="",
            content_is_html=False,
            base=URL,
            author="",
            lang="cy",
            source="",
            published=datetime(2021, 3, 8, 9, tzinfo=UTC),
        ),
    )


def test_an_atom_feed_is_read_in_full() -> None:
    feed = read(ATOM)
    assert (feed.title, feed.site_url, feed.lang) == ("Notes & News", "https://atom.example.org/blog/", "en")
    one, two = feed.entries
    assert (one.title, one.title_is_html) == ("Plain <b> title", False)
    assert (one.link, one.base) == (
        "https://atom.example.org/blog/one.html",
        "https://atom.example.org/blog/",
    )
    assert (one.summary, one.summary_is_html) == ("Short.", False)
    assert (one.content, one.content_is_html) == ("<p>Longer than the summary.</p>", True)
    assert (one.author, one.lang, one.published) == ("Desk", "", datetime(2021, 3, 9, 16, tzinfo=UTC))
    assert (two.title, two.title_is_html) == ("<i>Zwei</i>", True)
    assert (two.author, two.lang, two.source) == ("Eva", "de", "Anderswo")
    assert (two.content, two.content_is_html) == ("<p>Der <em>Text</em></p>", True)
    assert (two.base, two.summary, two.published) == ("https://atom.example.org/blog/sub/", "", NOON)


def test_an_rdf_feed_is_read() -> None:
    feed = read(RDF)
    assert (feed.title, feed.hints.ttl) == ("Old school", 1800)
    assert [(entry.guid, entry.link, entry.published) for entry in feed.entries] == [
        ("https://rdf.example.org/a", "https://rdf.example.org/a", NOON)
    ]


def test_a_json_feed_is_read_whatever_its_content_type() -> None:
    for body in (JSON_FEED, "\ufeff" + JSON_FEED, "\n " + JSON_FEED):
        feed = read(body, "text/html; charset=iso-8859-1")
        assert (feed.title, feed.site_url, feed.lang) == ("JSON & sons", "https://json.example.org/", "en")
        seven, eight = feed.entries
        assert (seven.guid, seven.link, seven.lang) == ("7", "https://news.example.org/seven", "fr")
        assert (seven.content, seven.content_is_html) == ("<p>Much longer than brief</p>", True)
        assert (seven.summary, seven.author, seven.published) == ("Brief", "Ann, Bo", NOON)
        assert (eight.link, eight.content, eight.author) == ("https://other.example.net/8", "Eight", "Desk")
        assert not eight.content_is_html


def test_a_json_feed_with_wrong_types_keeps_its_good_items() -> None:
    feed = read(
        json.dumps(
            {
                "version": "https://jsonfeed.org/version/1",
                "title": 5,
                "author": {"name": "Desk"},
                "items": [
                    None,
                    "x",
                    {},
                    {"id": None, "title": ["no"]},
                    {"id": 1.0, "title": "A\ud800\u0000B", "authors": "Ann", "date_published": 1615309507},
                    {"id": True, "attachments": [{"url": "https://example.org/a.mp3"}], "url": {}},
                ],
            }
        )
    )
    assert [(entry.guid, entry.title, entry.link) for entry in feed.entries] == [
        ("1", "AB", ""),
        ("true", "", "https://example.org/a.mp3"),
    ]
    assert (feed.entries[0].published, feed.entries[0].author) == (NOON, "Desk")


def test_a_json_feed_that_breaks_off_keeps_its_whole_items() -> None:
    feed = read(JSON_FEED[: JSON_FEED.index("Eight")])
    assert (feed.title, [entry.guid for entry in feed.entries]) == ("JSON & sons", ["7"])


def test_rss_in_json_is_read() -> None:
    one = {
        "title": "Q&amp;A",
        "link": "https://example.org/1",
        "description": "<b>x</b>",
        "guid": {"#value": "g"},
    }
    for items in ([one], one):
        (entry,) = read(json.dumps({"rss": {"channel": {"title": "T", "item": items}}})).entries
        assert (entry.guid, entry.link, entry.title_is_html) == ("g", "https://example.org/1", True)
        assert (entry.summary, entry.summary_is_html) == ("<b>x</b>", True)


def test_an_empty_feed_is_a_feed() -> None:
    for body in (
        '<rss version="2.0"><channel><title>T</title></channel></rss>',
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title></feed>',
        '{"version": "https://jsonfeed.org/version/1.1", "title": "T", "items": []}',
    ):
        assert (read(body).title, read(body).entries) == ("T", ())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "empty"),
        (" \r\n\0\ufeff", "empty"),
        ("<!DOCTYPE html><html><body><p>Gone</p></body></html>", "HTML page"),
        (
            "<html><head><link rel=alternate type='application/rss+xml' href='/rss?a=1&amp;b=2'></head>",
            "/rss?a=1&b=2",
        ),
        ('{"error": "not found"}', "JSON but not a JSON Feed"),
        ("[1, 2]", "JSON but not a JSON Feed"),
        ("{" * 100_000, "can't be read"),
        ("<opml version='2.0'><body/></opml>", "OPML"),
        ("<urlset><url><loc>x</loc></url></urlset>", "sitemap"),
        ("<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "<error>"),
        ("upstream connect error", "neither XML nor JSON"),
        (b"\x89PNG\r\n\x1a\n\0\0", "neither XML nor JSON"),
        ("<rss version='2.0'><channel><title>T</ti", "breaks off"),
        ("/etc/passwd", "neither XML nor JSON"),
        (URL, "neither XML nor JSON"),
    ],
)
def test_what_is_no_feed_is_said_plainly(body: str | bytes, words: str) -> None:
    assert words in refused(body)


@pytest.mark.parametrize(
    "broken",
    [
        "\n  \t" + RSS,
        "\ufeff" + RSS,
        "<br />\n<b>Warning</b>: mysql_connect() in <b>/srv/x.php</b><br />\n" + RSS,
        '<?xml version="1.0"?>' + RSS,
        RSS.replace("utf-8", "no-such-encoding"),
        RSS.replace("utf-8", "utf-16"),
        RSS.replace("Until Monday.", "Until\x00 Mon\x0bday.&#0;&#x1f;&#xD800;&#99999999;"),
        RSS.replace("<title>Bridge", "<category>R&B &nbsp; &unknown; AT&T a=1&b=2</category><title>Bridge"),
        RSS.replace('xmlns:dc="http://purl.org/dc/elements/1.1/"', ""),
        RSS.replace('xmlns:content="http://purl.org/rss/1.0/modules/content/"', ""),
        RSS.replace('version="1.0" encoding', 'version="1.1" encoding'),
        RSS + "<!-- cached --><script>x()</script>",
        RSS.replace("</channel></rss>", ""),
        RSS.replace("<rss ", '<!DOCTYPE rss [<!ENTITY corp "Corp">]>\n<rss ', 1),
        RSS.replace("<description>News</description>", "<description>News<br>and <b>more</description>"),
    ],
)
def test_a_malformed_feed_gives_what_the_sound_one_gives(broken: str) -> None:
    assert read(broken).entries == read(RSS).entries


def test_bare_ampersands_leave_the_text_as_meant() -> None:
    entry = item(
        "<title>AT&T & co &nbsp;&hellip; &bogus;</title><link>https://e.org/?a=1&copy=2&b=3</link><guid>a&amp;b&c</guid>"
    )
    assert entry.title == "AT&T & co \xa0… &bogus;"
    assert entry.link == "https://e.org/?a=1&copy=2&b=3"
    assert entry.guid == "a&b&c"


def test_cdata_is_left_alone_while_ampersands_are_mended() -> None:
    entry = item("<title>a & b</title><description><![CDATA[x & y &amp; <!-- z & -->]]></description>")
    assert entry.summary == "x & y &amp; <!-- z & -->"


def test_a_feed_cut_off_keeps_its_whole_items_and_the_text_begun() -> None:
    feed = read(RSS[: RSS.index("of repairs")])
    assert [entry.guid for entry in feed.entries] == ["id-1&x"]
    assert feed.entries[0].content == "<p>The <b>ferry</b> is back & running after a month"
    assert feed.entries[0].link == "https://news.example.org/1?a=1&b=2"


def test_half_a_link_or_guid_is_no_link_or_guid() -> None:
    feed = read(RSS[: RSS.index("org/2</guid>") + 4])
    assert (feed.entries[1].guid, feed.entries[1].link) == ("", "https://news.example.org/2")
    feed = read(RSS[: RSS.index("org/2</link>") + 4])
    assert [entry.guid for entry in feed.entries] == ["id-1&x"]


@given(st.integers(0, len(ATOM)), st.sampled_from([RSS, ATOM]))
def test_a_cut_never_changes_an_items_identity(cut: int, sample: str) -> None:
    known = read(sample).entries
    feed = parse_feed(fetched(sample[:cut]))
    for entry in feed.entries if isinstance(feed, ParsedFeed) else ():
        same = [other for other in known if entry.guid == other.guid or not entry.guid]
        assert same
        assert entry.guid or entry.link in {"", *(other.link for other in same)}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (RSS.encode("utf-8"), "text/xml; charset=iso-8859-1"),
        (RSS.encode("utf-8"), "text/xml; charset=windows-1252"),
        (RSS.encode("utf-8"), "text/xml"),
        (RSS.encode("utf-8"), "application/rss+xml; charset=no-such"),
        (RSS.encode("utf-8"), "text/html; charset=base64"),
        (RSS.encode("utf-16"), "text/xml"),
        (RSS.encode("utf-16-le"), "text/xml; charset=utf-8"),
        (RSS.encode("utf-16-be"), ""),
        (RSS.encode("utf-32"), ""),
        (RSS.encode("cp1252"), "text/xml; charset=windows-1252"),
        (RSS.replace("utf-8", "windows-1252").encode("cp1252"), "text/xml; charset=utf-8"),
        (RSS.encode("cp1252"), "text/xml; charset=utf-8"),
        (RSS.encode("utf-8").replace(b"News", b"Caf\xe9 \xe2\x80\x93 \xe2\x80\x93", 1), ""),
    ],
)
def test_the_text_survives_a_wrong_or_missing_charset(body: bytes, content_type: str) -> None:
    assert read(body, content_type).entries[0].title == "Ferry runs again \u2013 at last"


@pytest.mark.parametrize("charset", ["windows-1251", "koi8-r", "iso-8859-5"])
def test_a_declared_charset_beats_a_servers_default(charset: str) -> None:
    body = f'<?xml version="1.0" encoding="{charset}"?>' + RSS.partition("?>")[2].replace(
        "Bridge closed", "Привет"
    )
    body = body.replace("\u2013", "-")
    for header in ("", "text/xml; charset=ISO-8859-1", "text/xml; charset=UTF-8"):
        assert read(body.encode(charset), header).entries[1].title == "Привет"


def test_a_character_cut_in_two_spoils_no_other() -> None:
    body = RSS.encode()
    cut = body[: body.index("\u2013".encode()) + 2]
    assert read(RSS.encode() + cut[-2:]).entries[0].title == "Ferry runs again \u2013 at last"


@pytest.mark.parametrize(
    ("title", "text", "is_html"),
    [
        ("AT&amp;T", "AT&T", False),
        ("AT&amp;amp;T", "AT&amp;T", True),
        ("<![CDATA[AT&T]]>", "AT&T", False),
        ("&lt;b&gt;Now&lt;/b&gt; open", "<b>Now</b> open", True),
        ("How to use &lt;b&gt;", "How to use <b>", False),
        ("One&lt;br/&gt;two", "One<br/>two", True),
        ("a &lt; b &gt; c", "a < b > c", False),
        ("it&amp;#8217;s", "it&#8217;s", True),
        ("List&lt;String&gt;", "List<String>", False),
    ],
)
def test_an_rss_title_is_html_only_if_it_looks_it(title: str, text: str, is_html: bool) -> None:  # noqa: FBT001  # a column
    entry = item(f"<title>{title}</title>")
    assert (entry.title, entry.title_is_html) == (text, is_html)


def test_the_same_text_is_not_told_twice() -> None:
    content = 'xmlns:content="http://purl.org/rss/1.0/modules/content/"'
    for inside in (
        "<content:encoded>&lt;p&gt;All&lt;/p&gt;</content:encoded>",
        "<content:encoded>&lt;p&gt;All&lt;/p&gt;</content:encoded><description>&lt;p&gt;All&lt;/p&gt;</description>",
    ):
        entry = item(inside, namespaces=content)
        assert (entry.content, entry.summary) == ("<p>All</p>", "")


def test_of_two_descriptions_the_fuller_is_the_content() -> None:
    entry = item("<description>The whole of a longer text</description><description>Short</description>")
    assert (entry.content, entry.summary) == ("The whole of a longer text", "Short")


def test_titles_of_other_things_in_an_item_are_not_its_title() -> None:
    entry = item(
        "<title>Mine</title><media:content url='a.jpg'><media:title>Picture</media:title>"
        "<media:description>Shown</media:description></media:content><author><name>A</name><title>Boss</title></author>",
        namespaces='xmlns:media="http://search.yahoo.com/mrss/"',
    )
    assert (entry.title, entry.title_is_html) == ("Mine", False)


def test_content_that_is_no_text_is_passed_over() -> None:
    feed = read(
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>T</title>'
        '<content type="image/png">iVBORw0KGgo=</content></entry>'
        '<entry><title>U</title><content type="video/mp4" src="a.mp4"/></entry></feed>'
    )
    assert [entry.content for entry in feed.entries] == ["", ""]


@pytest.mark.parametrize(
    ("inside", "link"),
    [
        ("<link>https://e.org/a</link><guid>https://e.org/b</guid>", "https://e.org/a"),
        ("<link> /a </link>", "https://news.example.org/a"),
        ("<guid>https://e.org/b</guid>", "https://e.org/b"),
        ("<link/><guid>https://e.org/b</guid>", "https://e.org/b"),
        ("<guid isPermaLink='false'>https://e.org/b</guid>", ""),
        ("<guid>17</guid>", ""),
        ("<guid>17</guid><enclosure url='https://e.org/a.mp3' type='audio/mpeg'/>", "https://e.org/a.mp3"),
        ("<link>https://p.example/~3/x</link><fb:origLink>https://e.org/a</fb:origLink>", "https://e.org/a"),
        ("<title>x</title><link>javascript:alert(1)</link>", ""),
        ("<title>x</title><link>https://[broken</link>", ""),
    ],
)
def test_the_link_is_the_items_own_page(inside: str, link: str) -> None:
    entry = item(
        "<title>T</title>" + inside, namespaces='xmlns:fb="http://rssnamespace.org/feedburner/ext/1.0"'
    )
    assert entry.link == link


def test_a_guid_is_reported_as_it_stands_wherever_the_feed_lies() -> None:
    items = "<item><guid>17</guid></item><item><guid> </guid><title>x</title></item>"
    body = f"<rss version='2.0'><channel>{items}</channel></rss>"
    for location in ("", "https://mirror.example/feed", "/other.xml"):
        assert [entry.guid for entry in read(body, location=location).entries] == ["17", ""]


def test_relative_links_resolve_against_the_documents_own_place() -> None:
    body = "<rss version='2.0'><channel><link>https://site.example/</link><item><link>a</link></item></channel></rss>"
    assert read(body).entries[0].link == "https://news.example.org/feeds/a"
    assert read(body, location="/elsewhere/feed").entries[0].base == "https://news.example.org/elsewhere/feed"
    assert read(body, location="https://cdn.example/x/").entries[0].link == "https://cdn.example/x/a"
    assert read(body, url="").entries[0].link == "https://site.example/a"


def test_the_first_readable_date_counts() -> None:
    dc = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    assert (
        item(
            "<guid>1</guid><pubDate>soon</pubDate><dc:date>2021-03-09T17:05:07Z</dc:date>", namespaces=dc
        ).published
        == NOON
    )
    assert item("<guid>1</guid><pubDate>soon</pubDate>").published is None


@pytest.mark.parametrize(
    ("elements", "ttl"),
    [
        ("<ttl>60</ttl>", 3600),
        ("<ttl>0</ttl>", None),
        ("<ttl>often</ttl>", None),
        ("<sy:updatePeriod> daily </sy:updatePeriod>", 86_400),
        ("<sy:updateFrequency>4</sy:updateFrequency>", 21_600),
        ("<sy:updatePeriod>sometimes</sy:updatePeriod>", None),
        ("<sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>99999</sy:updateFrequency>", None),
        ("<ttl>30</ttl><sy:updatePeriod>daily</sy:updatePeriod>", 86_400),
        ("<ttl>999999999999</ttl>", 315_360_000),
        ("", None),
    ],
)
def test_the_pace_that_a_feed_asks_for_is_in_seconds(elements: str, ttl: int | None) -> None:
    namespace = 'xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"'
    feed = read(f"<rss version='2.0' {namespace}><channel><title>T</title>{elements}</channel></rss>")
    assert feed.hints.ttl == ttl


def test_hours_and_days_to_skip_are_read_wherever_the_channel_has_them() -> None:
    hours = "<skipHours><hour>0</hour><hour> 7 </hour><hour>24</hour><hour>99</hour></skipHours>"
    days = "<skipDays><day>Saturday</day><day>sunday</day><day>Someday</day></skipDays>"
    items = "<item><title>One</title></item><item><title>Two</title></item>"
    for inner in (hours + days + items, hours + items + days, items + hours + days):
        hints = read(f"<rss version='2.0'><channel><title>T</title>{inner}</channel></rss>").hints
        assert (hints.skip_hours, hints.skip_days) == (frozenset({0, 7}), frozenset({5, 6}))


def test_an_item_that_speaks_of_hours_to_skip_changes_nothing() -> None:
    item = "<item><title>One</title><description>&lt;i/> <skipHours><hour>3</hour></skipHours></description></item>"
    assert read(f"<rss version='2.0'><channel>{item}</channel></rss>").hints.skip_hours == frozenset()


def test_entities_are_never_fetched_and_never_grow() -> None:
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    file, long = '<!ENTITY f SYSTEM "file:///etc/passwd">', f'<!ENTITY long "{"x" * 5000}">'
    body = (
        f"<?xml version='1.0'?><!DOCTYPE rss [<!ENTITY e0 'ha'>{bomb}\n{file}{long}<!ENTITY c 'Corp'>]>"
        "<rss version='2.0'><channel><item><title>&c; &e9; &f; &long;</title></item></channel></rss>"
    )
    assert read(body).entries[0].title == "Corp &e9; &f; &long;"


def test_every_text_is_free_of_control_characters() -> None:
    body = (
        RSS.replace("ferry", "fe\x0crry")
        .replace("\n", "\r\n")
        .encode()
        .replace(b"Bridge", b"Bri\xed\xa0\x80dge\x00")
    )
    for entry in read(body).entries:
        assert not FORBIDDEN.search("".join(str(getattr(entry, name)) for name in ParsedEntry.__slots__))


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "&",
        "<![CDATA[",
        "<!--",
        "<!DOCTYPE ",
        "<a ",
        "<item>",
        "]]>",
        "&#",
        "<item><title>x",
        "<?xml ",
        "\x00",
        "{",
        "<x:y ",
    ],
)
def test_hostile_repetition_is_read_in_reasonable_time(piece: str) -> None:
    before = time.process_time()
    parse_feed(fetched("<rss version='2.0'><channel>" + piece * (30_000 // len(piece))))
    parse_feed(fetched(piece * (30_000 // len(piece))))
    assert time.process_time() - before < 5


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    body = bytearray(draw(st.sampled_from(SAMPLES)).encode())
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(body)))
        end = start + draw(st.integers(0, 12))
        fragments = st.sampled_from(
            [b"<", b">", b"&", b"]]>", b"<![CDATA[", b'"', b"&#xD800;", b"\0", b"\xff", b"</item>", b"<!--"]
        )
        body[start:end] = draw(fragments | st.binary(max_size=8) | st.just(bytes(body[end : end + 40])))
    return bytes(body)


@settings(max_examples=200)
@given(mutations(), st.sampled_from(["", "text/xml", "text/xml; charset=utf-16", "text/html; charset=idna"]))
def test_no_mutation_raises_or_lets_a_control_character_out(body: bytes, content_type: str) -> None:
    feed = parse_feed(fetched(body, content_type))
    if isinstance(feed, Failed):
        assert not FORBIDDEN.search(feed.detail)
        return
    for entry in feed.entries:
        assert not FORBIDDEN.search("".join(str(getattr(entry, name)) for name in ParsedEntry.__slots__))
        assert entry.published is None or entry.published.tzinfo is UTC


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "ignore")))
def test_any_bytes_give_a_feed_or_a_sentence(body: bytes) -> None:
    feed = parse_feed(fetched(body))
    assert isinstance(feed, ParsedFeed) or feed.detail
