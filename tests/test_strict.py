"""Items read strictly are what feedparser makes of them."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mutations import FEEDS, content_type, mutate
from tests.strictly import both

HEADS = {
    "rss": '<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:atom="http://www.w3.org/2005/Atom" '
    'xmlns:slash="http://purl.org/rss/1.0/modules/slash/" xmlns:media="http://search.yahoo.com/mrss/" '
    'xmlns:feedburner="http://rssnamespace.org/feedburner/ext/1.0"><channel><title>Harbour Post</title>'
    "<link>https://paper.example/</link><description>News</description>",
    "rdf": '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    '<channel rdf:about="https://paper.example/"><title>Harbour Post</title></channel>',
    "atom": '<feed xmlns="http://www.w3.org/2005/Atom"><title>Harbour Post</title><id>urn:post</id>'
    "<author><name>The desk</name></author>",
}
TAILS = {"rss": "</channel></rss>", "rdf": "</rdf:RDF>", "atom": "</feed>"}
ITEM = {"rss": "item", "rdf": 'item rdf:about="https://paper.example/about"', "atom": "entry"}
ELEMENTS = {
    "rss": [
        "<title>{}</title>",
        "<link>{}</link>",
        "<guid>{}</guid>",
        '<guid isPermaLink="false">{}</guid>',
        "<description>{}</description>",
        "<content:encoded>{}</content:encoded>",
        "<pubDate>Tue, 06 Jan 2026 08:30:00 +0100</pubDate>",
        "<dc:date>2026-01-05T10:00:00Z</dc:date>",
        "<dc:creator>{}</dc:creator>",
        "<author>{}</author>",
        "<category>{}</category>",
        "<comments>{}</comments>",
        "<slash:comments>3</slash:comments>",
        '<enclosure url="https://paper.example/a.mp3" length="1" type="audio/mpeg"/>',
        '<source url="https://other.example/feed">{}</source>',
        '<atom:link href="https://paper.example/self" rel="self"/>',
        '<media:content url="a.jpg" medium="image"/>',
        '<media:thumbnail url="b.jpg"/>',
        "<feedburner:origLink>{}</feedburner:origLink>",
        "<summary>{}</summary>",
    ],
    "rdf": [
        "<title>{}</title>",
        "<link>{}</link>",
        "<description>{}</description>",
        "<content:encoded>{}</content:encoded>",
        "<dc:date>2026-01-05T10:00:00Z</dc:date>",
        "<dc:creator>{}</dc:creator>",
        "<dc:subject>{}</dc:subject>",
    ],
    "atom": [
        "<title>{}</title>",
        '<title type="html">{}</title>',
        "<id>{}</id>",
        '<link href="https://paper.example/1?a=1&amp;b=2"/>',
        '<link rel="alternate" type="text/html" href="/2"/>',
        '<link rel="enclosure" href="https://paper.example/a.mp3" type="audio/mpeg"/>',
        "<published>2026-01-05T10:00:00Z</published>",
        "<updated>2026-01-06T10:00:00Z</updated>",
        "<summary>{}</summary>",
        '<summary type="html">{}</summary>',
        '<content type="html">{}</content>',
        '<content type="html" xml:base="https://base.example/a/">{}</content>',
        '<title xml:base="https://other.example/">{}</title>',
        "<content>{}</content>",
        "<author><name>{}</name></author>",
        "<author><name>Ann Lee</name><email>ann@paper.example</email><uri>https://ann.example/</uri></author>",
        '<category term="{}"/>',
    ],
}
WORDS = st.sampled_from(
    [
        "Ferry",
        "https://paper.example/3?x=1&amp;y=2",
        "https:///x",
        "caf\u00e9",
        "\u00c3\u00a9",
        "\u0416",
        "a@b.example",
        "&lt;b&gt;now&lt;/b&gt;",
        "&amp;amp;",
        "AT&amp;T",
        "&#8217;",
        "&#133;",
        "<![CDATA[<p>One &amp; two</p>]]>",
        " ",
        "\n",
        "",
        "<!-- no -->",
        "&amp;eacute;",
        "\u00e9\u00a9",
        "true",
        "/relative",
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    lang = draw(st.sampled_from(["", ' xml:lang="de"', ' xml:lang="pt_BR"', ' xml:lang=""', ' lang="fr"']))
    kind = draw(st.sampled_from(sorted(HEADS)))
    items = []
    for _ in range(draw(st.integers(1, 3))):
        chosen = draw(st.lists(st.sampled_from(ELEMENTS[kind]), max_size=8))
        filled = [element.replace("{}", "".join(draw(st.lists(WORDS, max_size=3)))) for element in chosen]
        items.append(f"<{ITEM[kind]}>{''.join(filled)}</{ITEM[kind].split()[0]}>")
    more = draw(st.sampled_from(["", "<link href='/more'/>" if kind == "atom" else "<ttl>60</ttl>"]))
    return HEADS[kind].replace(" ", lang + " ", 1) + "\n".join(items) + more + TAILS[kind]


@given(documents())
def test_what_is_read_strictly_is_what_feedparser_reads(document: str) -> None:
    read = both(document.encode())
    if read is not None:
        assert read[1] == read[0]


@pytest.mark.parametrize("kind", sorted(HEADS))
def test_plain_feeds_are_read_strictly(kind: str) -> None:
    once = {element.partition(">")[0].split()[0]: element for element in reversed(ELEMENTS[kind])}
    once.pop("<summary", None) if kind == "rss" else None
    once.pop("<author", None) if kind == "rss" else None
    once.pop("<dc:date", None) if kind == "rss" else None
    filled = "".join(element.replace("{}", f"Word {number}") for number, element in enumerate(once.values()))
    name = ITEM[kind]
    read = both(f"{HEADS[kind]}<{name}>{filled}</{name.split()[0]}>{TAILS[kind]}".encode())
    assert read is not None
    assert read[1] == read[0]
    assert len(read[1].entries) == 1


@pytest.mark.parametrize(
    "extra",
    [
        "<title>Again</title>",
        "<media:title>Pier</media:title>",
        '<description xml:lang="de">Kurz</description>',
        '<description xml:base="/b/">Kurz</description>',
        "<body>Whole</body>",
        "<title type='xhtml'><b>Bold</b></title>",
    ],
)
def test_what_feedparser_has_rules_for_is_left_to_it(extra: str) -> None:
    document = f"{HEADS['rss']}<item><title>Ferry</title>{extra}</item>{TAILS['rss']}"
    assert both(document.encode()) is None


@pytest.mark.parametrize("number", range(60))
def test_documents_that_chance_made_are_read_alike(number: int) -> None:
    random = Random(number)
    seeds = [*FEEDS, *(f"{HEADS[kind]}{_item(kind, random)}{TAILS[kind]}".encode() for kind in sorted(HEADS))]
    for step in range(5):
        read = both(mutate(number * 5 + step, seeds), content_type(number))
        if read is not None:
            assert read[1] == read[0]


def _item(kind: str, random: Random) -> str:
    chosen = random.sample(ELEMENTS[kind], 6)
    return f"<{ITEM[kind]}>{''.join(chosen).replace('{}', 'Ferry &amp; pier')}</{ITEM[kind].split()[0]}>"
