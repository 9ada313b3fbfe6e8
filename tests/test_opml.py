"""What an operator's list of feeds may look like, and what is refused as a whole."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.opml import OpmlError, read_opml, write_opml
from aggregator.opml.settings import NAMESPACE
from aggregator.types import Feed, FeedList, FeedSettings
from tests.documents import blocks

DEFAULT_LIST = Path(__file__).parent.parent / "feeds.opml"


def opml(body: str, head: str = "<title>My feeds</title>") -> bytes:
    return f'<opml version="2.0"><head>{head}</head><body>{body}</body></opml>'.encode()


def read(body: str) -> FeedList:
    return read_opml(opml(body))


def only_feed(body: str) -> Feed:
    found = read(body)
    assert found.warnings == ()
    (feed,) = found.feeds
    return feed


def refusal(content: bytes) -> str:
    with pytest.raises(OpmlError) as caught:
        read_opml(content)
    return str(caught.value)


# ---- what is read --------------------------------------------------------------------------------


def test_a_feed_has_its_url_title_site_and_category() -> None:
    found = read(
        '<outline text="World"><outline text="Europe">\n<outline type="rss" text="The Daily" title="ignored" '
        'xmlUrl="https://daily.example/feed?a=1&amp;b=2" htmlUrl="https://daily.example/"/></outline></outline>'
    )
    feed = Feed("https://daily.example/feed?a=1&b=2", "The Daily", "World/Europe", "https://daily.example/")
    assert found == FeedList("My feeds", (feed,), ())


@pytest.mark.parametrize("name", ["xmlUrl", "xmlurl", "XMLURL", "XmlUrl"])
def test_the_case_of_attributes_does_not_matter(name: str) -> None:
    assert only_feed(f'<OUTLINE TEXT="A" {name}="http://a.example/"/>').url == "http://a.example/"


@pytest.mark.parametrize("kind", ['type="rss"', 'type="atom"', 'type="ATOM"', 'type="pie"', ""])
def test_any_outline_with_an_address_is_a_feed(kind: str) -> None:
    assert only_feed(f'<outline {kind} text="A" xmlUrl="http://a.example/"/>').title == "A"


def test_a_title_stands_in_for_a_missing_text() -> None:
    assert only_feed('<outline text=" " title="B" xmlUrl="http://a.example/"/>').title == "B"


def test_bare_ampersands_are_read_as_they_are_meant() -> None:
    feed = only_feed('<outline text="R&D & more" xmlUrl="http://a.example/?x=1&section=2&copy=3&lang=de"/>')
    assert feed.title == "R&D & more"
    assert feed.url == "http://a.example/?x=1&section=2&copy=3&lang=de"


def test_character_references_of_xml_and_html_are_resolved() -> None:
    feed = only_feed(
        '<outline text="Caf&eacute; &#8211; &#x201C;&lt;b&gt;&quot;" xmlUrl="http://a.example/"/>'
    )
    assert feed.title == 'Café – “<b>"'


def test_a_greater_than_sign_in_a_title_does_not_end_the_outline() -> None:
    assert only_feed('<outline text="a > b />" xmlUrl=\'http://a.example/"\'/>').title == "a > b />"


def test_quotation_marks_and_html_inside_attributes_are_survived() -> None:
    found = read(
        '<outline text="Group">\n'
        '<outline text="The "Quoted" paper" description="<p>By <a href="http://x.example/">X</a>.</p>" '
        'xmlUrl="http://a.example/?a&b" type="rss" />\n'
        '<outline text="Next" xmlUrl="http://b.example/" />\n'
        "</outline>\n"
        '<outline text="Last" xmlUrl="http://c.example/" />'
    )
    assert [(feed.url, feed.title, feed.category) for feed in found.feeds] == [
        ("http://a.example/?a&b", 'The "Quoted" paper', "Group"),
        ("http://b.example/", "Next", "Group"),
        ("http://c.example/", "Last", ""),
    ]


def test_attributes_without_space_or_quotation_marks_are_read() -> None:
    assert only_feed('<outline text="A"xmlUrl="http://a.example/"type="rss"/>').url == "http://a.example/"
    assert only_feed("<outline text=A xmlUrl=http://a.example/x ></outline>").url == "http://a.example/x"


def test_outlines_closed_too_often_or_never_do_no_harm() -> None:
    found = read(
        '</outline><outline text="A" xmlUrl="http://a.example/"></outline></outline>'
        '<outline text="G"><outline text="B" xmlUrl="http://b.example/">'
    )
    assert [(feed.title, feed.category) for feed in found.feeds] == [("A", ""), ("B", "G")]


def test_nesting_may_be_deep() -> None:
    feed = only_feed('<outline text="x">' * 3000 + '<outline xmlUrl="http://a.example/"/>')
    assert feed.category == "/".join(["x"] * 3000)


def test_groups_without_a_title_leave_no_gap_in_the_category() -> None:
    body = '<outline text="A"><outline><outline text=" / B // C "><outline xmlUrl="http://a.example/"/>'
    assert only_feed(body).category == "A/B/C"


def test_the_category_attribute_counts_where_nothing_is_nested() -> None:
    feed = '<outline text="A" category=" / ,/News//Sport/, other" xmlUrl="http://a.example/"/>'
    assert only_feed(feed).category == "News/Sport"
    assert only_feed(f'<outline text="Group, one">{feed}</outline>').category == "Group, one"


def test_control_characters_and_white_space_in_titles_are_folded() -> None:
    body = '<outline text=" A\t\nB &#1;&#9;\x85\x07\u2028\u00a0C " xmlUrl="http://a.example/"/>'
    assert only_feed(body).title == "A B C"


def test_comments_and_other_elements_are_passed_over() -> None:
    found = read(
        '<!-- <outline text="Old" xmlUrl="http://old.example/"/> </opml> --><p>text</p>'
        '<outlines xmlUrl="http://no.example/"/><outline text="A" xmlUrl="http://a.example/"/>'
    )
    assert [feed.title for feed in found.feeds] == ["A"]


@pytest.mark.parametrize("end", ["", "--", "-- >", "->", "--!>"])
def test_a_list_with_a_comment_that_hides_outlines_for_want_of_its_end_is_refused(end: str) -> None:
    message = refusal(opml(
        f'\n<!-- off for now <outline text="A" xmlUrl="http://a.example/"/> {end}\n'
        '<outline text="B" xmlUrl="http://b.example/"/>\n<!-- two -->\n<outline xmlUrl="http://c.example/"/>'
    ))  # fmt: skip
    assert "The comment at line 2, column 1 has no end before the next one at line 4, column 1" in message
    assert "-->" in message


@pytest.mark.parametrize(
    "comment", ["<!-- ---- World ---- -->", "<!-- <!-- World -->", "<!-- <outline/> -- off -->"]
)
def test_a_comment_with_hyphens_that_hides_no_outline_is_passed_over(comment: str) -> None:
    feed = only_feed(f'{comment}<outline text="A" xmlUrl="http://a.example/"/>')
    assert feed.title == "A"


def test_namespace_prefixes_are_understood() -> None:
    content = (
        b'<o:opml xmlns:o="http://opml.org/spec2"><o:body><o:outline text="A" '
        b'xmlUrl="http://a.example/"/></o:body></o:opml>'
    )
    assert [feed.title for feed in read_opml(content).feeds] == ["A"]


@pytest.mark.parametrize(
    ("head", "title"),
    [("<title/>", ""), ("<title>A &amp; B</title>", "A & B"), ("<title><![CDATA[A <B>]]></title>", "A <B>")],
)
def test_the_list_has_its_own_title(head: str, title: str) -> None:
    assert read_opml(opml('<outline xmlUrl="http://a.example/"/>', head)).title == title


@pytest.mark.parametrize(
    ("encoding", "declaration"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-16-le", ""),
        ("utf-16-be", '<?xml version="1.0" encoding="utf-16"?>'),
        ("latin-1", '<?xml version="1.0" encoding="ISO-8859-1"?>'),
        ("iso-8859-2", "<?xml version='1.0' encoding='iso-8859-2'?>"),
        ("windows-1252", ""),
        ("utf-8", '<?xml version="1.0" encoding="utf-16"?>'),
        ("utf-8", '<?xml version="1.0" encoding="no-such"?>'),
    ],
)
def test_lists_are_read_in_the_encodings_they_come_in(encoding: str, declaration: str) -> None:
    text = declaration + opml('<outline text="Zürich é" xmlUrl="http://a.example/"/>').decode()
    assert read_opml(text.encode(encoding)).feeds[0].title == "Zürich é"


def test_one_torn_character_does_not_spoil_the_others() -> None:
    content = opml('<outline text="Zürich, Köln, Mün" xmlUrl="http://a.example/"/>')
    assert read_opml(content.replace(b"M\xc3\xbcn", b"M\xc3n")).feeds[0].title.startswith("Zürich, Köln, M")


def test_declared_entities_are_neither_expanded_nor_fetched() -> None:
    layers = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE opml [<!ENTITY e0 "ha"><!ENTITY f SYSTEM "file:///etc/hostname">{layers}]>'
    content = doctype.encode() + opml('<outline text="&e9; &f;" xmlUrl="http://a.example/"/>')
    assert read_opml(content).feeds[0].title == "&e9; &f;"


def test_a_foaf_list_is_read_too() -> None:
    content = """<?xml version="1.0"?>
    <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:rss="http://purl.org/rss/1.0/"
      xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:foaf="http://xmlns.com/foaf/0.1/">
    <foaf:Agent><foaf:name>Ann</foaf:name><foaf:weblog><foaf:Document rdf:about="http://a.example/">
      <rdfs:seeAlso><rss:channel rdf:about="http://a.example/feed"/></rdfs:seeAlso>
    </foaf:Document></foaf:weblog></foaf:Agent></rdf:RDF>"""
    (feed,) = read_opml(content.encode()).feeds
    assert (feed.url, feed.title) == ("http://a.example/feed", "Ann")
    assert "stops before its end" in refusal(content.removesuffix("</rdf:RDF>").encode())


@pytest.mark.parametrize(
    "attributes",
    [
        'text="A &amp; B" title="C" type="rss" xmlUrl="http://a.example/?x=1&amp;y=2" htmlUrl="http://a.example/"',
        'description="&lt;p>" text=" > " xmlUrl="HTTP://a.example/#x"',
        'text="A"',
        'type="rss" text="A" title="A"',
        'type="rss" text="A" htmlUrl="http://a.example/"',
        'text="A" text="B" xmlUrl="http://a.example/"',
        'title="" title="B" xmlUrl="http://a.example/"',
        'TEXT="A" text="B" xmlUrl="http://a.example/"',
        'Title="A" title="B" xmlUrl="http://a.example/"',
        'xmlUrl="http://a.example/" xmlUrl="http://b.example/"',
        'xmlurl="http://a.example/" xmlUrl="http://b.example/"',
        'htmlUrl="http://a.example/" htmlUrl="http://b.example/" xmlUrl="http://a.example/"',
        'HTMLURL="http://a.example/" htmlUrl="http://b.example/" xmlUrl="http://a.example/"',
        'text="A" type="atom" xmlUrl="" url="http://b.example/"',
        'text="A" type="atom" xmlUrl=""',
        'text="A" type="source" xmlUrl="http://a.example/"',
        'text="A" type="rss+xpath" xmlUrl="http://a.example/"',
        'text="A" type="rss" TYPE="source" xmlUrl="http://a.example/"',
        'text="A" category="/News/Sport" xmlUrl="http://a.example/"',
        'text="A" agg:interval="900" xmlUrl="http://a.example/"',
        'text="A" agg:unknown="1" xmlUrl="http://a.example/"',
    ],
)
def test_an_outline_written_as_most_are_reads_as_if_written_otherwise(attributes: str) -> None:
    def found(content: str) -> FeedList | None:
        try:
            return read_opml(content.encode())
        except OpmlError:
            return None

    for before, end, after in product(
        (
            "",
            "\n> ",
            "< 5",
            "</outline>",
            "<outline text='G' agg:language='de'>",
            "<!-- <outline -->",
            "</opml>",
        ),
        ("/>", " />", "></outline>", ">\n</outline >", ">"),
        ("</opml>", "<outline text='Last' xmlUrl='http://last.example/'/></opml>", ""),
    ):
        usual = f"<opml><body>{before}<outline {attributes}{end}{after}"
        assert found(usual) == found(usual.replace('="', ' = "'))


# ---- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "url"),
    [
        (" http://a.example/Feed \n", "http://a.example/Feed"),
        ("HTTPS://A.Example:8080/Feed", "https://a.example:8080/Feed"),
        ("feed://a.example/x", "http://a.example/x"),
        ("feed:https://a.example/x", "https://a.example/x"),
        ("feed://https://a.example/x", "https://a.example/x"),
        ("https://User:Secret@A.example/x?Y", "https://User:Secret@a.example/x?Y"),
        ("http://a.example/a&#10;b", "http://a.example/ab"),
        ("http://[2001:DB8::1]/x", "http://[2001:db8::1]/x"),
    ],
)
def test_an_address_is_kept_but_for_the_case_of_its_host(written: str, url: str) -> None:
    assert only_feed(f'<outline text="A" xmlUrl="{written}"/>').url == url


@pytest.mark.parametrize(
    "written",
    [
        "ftp://a.example/",
        "a.example/feed",
        "http://",
        "http:///x",
        "http://[::1",
        "http://a:port/",
        "|cmd",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://a&#160;b/",
        "http://a.example/\x07",
        "http://:80/",
        "http://me@/",
    ],
)
def test_an_unusable_address_is_left_out_with_a_warning(written: str) -> None:
    found = read(f'\n<outline text="Mine" xmlUrl="{written}"/>')
    assert found.feeds == ()
    assert found.warnings == (
        'Line 2: "Mine" is left out: its xmlUrl is no http or https address; correct it.',
    )


@pytest.mark.parametrize("outline", ['xmlUrl=""', 'type="rss"', 'htmlUrl="http://a.example/"'])
def test_a_feed_without_an_address_is_left_out_with_a_warning(outline: str) -> None:
    expected = ('Line 1: "A" is left out: it has no xmlUrl; add the address of the feed.',)
    assert read(f'<outline text="A" {outline}/>').warnings == expected
    assert read(f'<outline text="A" {outline}></outline>').warnings == expected


def test_an_outline_torn_in_the_middle_of_the_list_is_named() -> None:
    found = read('<outline text="A" xmlUrl="http://a.exam\n<outline text="B" xmlUrl="http://b.example/"/>')
    assert [feed.title for feed in found.feeds] == ["B"]
    assert "has no xmlUrl" in found.warnings[0]


def test_an_empty_group_is_no_cause_for_a_warning() -> None:
    assert read('<outline text="Later"/><outline text="Empty"></outline>') == FeedList("My feeds", (), ())


@pytest.mark.parametrize("attribute", ["xmlURI", "xml_url", "url", "feed", "href"])
def test_an_address_in_an_attribute_of_another_name_is_no_feed_and_told(attribute: str) -> None:
    expected = ('Line 2: "A" is left out: it has no xmlUrl; add the address of the feed.',)
    for end in ("/>", "></outline>", ">\n</outline>"):
        assert read(f'\n<outline text="A" {attribute}="HTTPS://a.example/feed"{end}').warnings == expected


def test_the_addresses_of_a_category_and_of_namespaces_are_no_cause_for_a_warning() -> None:
    feed = '<outline xmlUrl="http://a.example/"/>'
    assert read(f'<outline text="World" icon="http://a.example/icon">{feed}</outline>').warnings == ()
    assert read('<outline text="Later" xmlns:x="http://x.example/"/>').warnings == ()


def test_an_element_that_is_no_outline_but_has_the_address_of_a_feed_is_told() -> None:
    body = '\n<outlin text="A" XMLURL="http://me:secret@a.example/"/><outline text="B" xmlUrl="http://b.example/"/>'
    found = read(body)
    assert [feed.title for feed in found.feeds] == ["B"]
    assert found.warnings == (
        'Line 2: "A" is left out: it is no outline; write <outline instead of <outlin.',
    )


@pytest.mark.parametrize("within", ["", "<head/>", '\n<outline text="A" xmlUrl="http://a.example/"/>'])
def test_a_list_without_a_body_is_told(within: str) -> None:
    found = read_opml(f'<?xml version="1.0"?>\n<opml version="2.0">{within}</opml>'.encode())
    assert found.warnings == (
        "Line 2: the list has no <body>: put all of its outlines between <body> and </body>.",
    )


def test_other_lists_are_not_followed() -> None:
    found = read(
        '<outline type="include" text="Theirs" url="http://a.example/list.opml"/>'
        '<outline type="source" text="Hers" xmlUrl="http://a.example/list"/>'
    )
    assert found.feeds == ()
    assert ["another list" in warning for warning in found.warnings] == [True, True]


def test_the_first_of_several_outlines_with_one_address_counts() -> None:
    found = read(
        '<outline text="A" xmlUrl="http://a.example"/>\n<outline text="B" xmlUrl=" HTTP://A.example/ "/>\n'
        '<outline text="C" xmlUrl="http://a.example/c"/>'
    )
    assert [feed.title for feed in found.feeds] == ["A", "C"]
    assert found.warnings == ('Line 2: "B" is left out: line 1 lists the same address; keep one.',)


@given(st.text(min_size=1, alphabet=st.characters(categories=["L", "N"])).map("secret{}".format))
def test_warnings_and_errors_never_show_credentials(secret: str) -> None:
    for url in (
        f"{'x' * 70} ftp://me:{secret}@a.example/",
        f"{'x' * 70} me:{secret}@b",
        f"http://a.example:{secret}@x/?key={secret}",
    ):
        found = read(
            f'<outline text="{url}" xmlUrl="{url}"/>' * 2 + f'<outline title="me:{secret}@x" type="rss"/>'
        )
        assert found.warnings
        assert secret not in " ".join(found.warnings)
        assert secret not in refusal(f'<opml><body><outline xmlUrl="{url}"/>'.encode())


# ---- what is refused -----------------------------------------------------------------------------


def test_a_list_cut_anywhere_is_refused_as_a_whole() -> None:
    body = '<outline text="A &amp; B">\n  <outline text="C" xmlUrl="http://c.example/é"/>\n</outline>'
    whole = b'<?xml version="1.0"?>\n<!-- made by hand -->\n' + opml(body) + b"\n"
    complete = (whole.index(b"</body>") + len(b"</body"), whole.index(b"</opml>") + len(b"</opml"))
    for length in range(len(whole)):
        if length in (complete[0], complete[0] + 1) or length >= complete[1]:
            assert read_opml(whole[:length]) == read_opml(whole)
        else:
            refusal(whole[:length])


def test_a_torn_list_is_told_where_it_stops() -> None:
    message = refusal(b'<opml><body>\n  <outline text="A" xmlU')
    assert "line 2, column 25" in message
    assert "cut short" in message


def test_a_list_torn_in_its_second_half_of_two_is_refused() -> None:
    refusal(opml('<outline text="A" xmlUrl="http://a.example/"/>') + b'<opml><body><outline text="B"')


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n\0\0\0\0", "is empty"),
        (b"\xef\xbb\xbf", "no OPML list"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b"<html><body><opml></opml></body></html>", "web page"),
        (b'<rss version="2.0"><channel></channel></rss>', "is a feed"),
        (b'<feed xmlns="http://www.w3.org/2005/Atom"></feed>', "is a feed"),
        (b'<rdf:RDF xmlns="http://purl.org/rss/1.0/"></rdf:RDF>', "is a feed"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        (opml("")[:40] + b"\0" * 400, "binary content at line 1, column 41"),
        (b"https://a.example/feed\n", "no OPML list"),
        (b'{"feeds": []}', "no OPML list"),
        (b"<body><outline/></body>", "no OPML list"),
        (b"<opml><!-- not ended", "stops before its end"),
    ],
)
def test_what_is_no_list_of_feeds_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    assert reason in refusal(content)


@given(st.binary() | st.text(alphabet="<>/=\"' &;!-[]?xmlurlopmlbodyoutline\n").map(str.encode))
def test_any_bytes_are_either_a_list_or_refused(noise: bytes) -> None:
    for content in (noise, opml(noise.decode("utf-8", errors="replace")), b"<opml>" + noise + b"</opml>"):
        try:
            read_opml(content)
        except OpmlError as error:
            assert str(error).endswith(".")  # noqa: PT017  either outcome is right


# ---- what is written -----------------------------------------------------------------------------


words = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=8)
phrases = st.lists(words, min_size=1, max_size=3).map(" ".join)
urls = st.builds(
    "{}://{}/{}?a=1&amp;b={}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["a.example", "me:Pass@b.example:81"]),
    st.integers(),
    st.text(alphabet="&;\"'<>=aä%+#"),
)
feeds = st.builds(
    Feed,
    urls,
    phrases | st.just(""),
    st.lists(phrases, max_size=4).map("/".join),
    st.sampled_from(["", "https://a.example/?a&b"]),
)


@given(phrases, st.lists(feeds, max_size=12, unique_by=lambda feed: feed.url))
def test_a_list_that_was_written_reads_as_the_same_feeds(title: str, some: list[Feed]) -> None:
    content = write_opml(FeedList(title, tuple(some), ()))
    ET.fromstring(content)
    found = read_opml(content)
    assert (found.title, set(found.feeds), found.warnings) == (title, set(some), ())
    assert write_opml(found) == content


@given(st.text(), st.text())
def test_whatever_a_title_or_category_holds_the_written_list_can_be_read(title: str, category: str) -> None:
    content = write_opml(FeedList(title, (Feed("https://a.example/", title, category, ""),), ()))
    ET.fromstring(content)
    found = read_opml(content)
    assert len(found.feeds) == 1
    assert write_opml(found) == content


def test_feeds_of_one_category_are_written_side_by_side() -> None:
    feeds = tuple(
        Feed(f"https://{name}.example/", name.upper(), category, "")
        for name, category in [("a", "X/Y"), ("b", ""), ("c", "X"), ("d", "Z"), ("e", "X/Y")]
    )
    assert write_opml(FeedList("L & M", feeds, ())).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<opml version="2.0">\n'
        "  <head>\n"
        "    <title>L &amp; M</title>\n"
        "  </head>\n"
        "  <body>\n"
        '    <outline text="X" title="X">\n'
        '      <outline text="Y" title="Y">\n'
        '        <outline text="A" title="A" type="rss" xmlUrl="https://a.example/"/>\n'
        '        <outline text="E" title="E" type="rss" xmlUrl="https://e.example/"/>\n'
        "      </outline>\n"
        '      <outline text="C" title="C" type="rss" xmlUrl="https://c.example/"/>\n'
        "    </outline>\n"
        '    <outline text="B" title="B" type="rss" xmlUrl="https://b.example/"/>\n'
        '    <outline text="Z" title="Z">\n'
        '      <outline text="D" title="D" type="rss" xmlUrl="https://d.example/"/>\n'
        "    </outline>\n"
        "  </body>\n"
        "</opml>\n"
    )


# ---- the list that comes with the program --------------------------------------------------------


def test_the_default_list_is_whole_and_sorted_into_categories() -> None:
    content = DEFAULT_LIST.read_bytes()
    ET.fromstring(content)
    found = read_opml(content)
    assert found.warnings == ()
    assert len(found.feeds) >= 110
    assert all(feed.title and feed.category and feed.site_url for feed in found.feeds)
    assert len({feed.url for feed in found.feeds}) == len(found.feeds)
    assert all(feed.url.startswith("https://") for feed in found.feeds)


def test_an_address_too_long_to_be_kept_is_left_out_with_a_warning() -> None:
    listed = read_opml(opml(f'<outline text="Long" xmlUrl="http://paper.example/{"x" * 2000}"/>'))
    assert listed.feeds == ()
    assert "longer than 2,000 bytes" in listed.warnings[0]


# ---- settings of single feeds --------------------------------------------------------------------


def test_a_feeds_settings_are_read_and_written_and_hold_for_all_within_an_outline() -> None:
    content = opml(
        '<outline text="Slow" agg:interval="2h" agg:keep-days="30">'
        '<outline text="A" xmlUrl="http://a.example/" agg:language="pt-BR" agg:weight="2.5"/>'
        '<outline text="B" xmlUrl="http://b.example/" agg:interval="900" agg:enabled="false"/></outline>'
        '<outline text="C" xmlUrl="http://c.example/"/>'
    )
    found = read_opml(content)
    assert found.warnings == ()
    assert [feed.settings for feed in found.feeds] == [
        FeedSettings(interval=7200, keep_days=30, language="pt", weight=2.5),
        FeedSettings(interval=900, keep_days=30, enabled=False),
        FeedSettings(),
    ]
    assert read_opml(write_opml(found)) == found


def test_the_documents_list_says_what_the_document_says_of_it() -> None:
    (shown,) = blocks("xml")
    ET.fromstring(shown.body)
    assert read_opml(shown.body.encode(), least_interval=600) == FeedList(
        "My feeds",
        (
            Feed("https://daily.example/feed", "The Daily", "World/Europe", "",
                 FeedSettings(interval=900, weight=2.0, keep_days=365)),
            Feed("https://gazette.example/rss", "La Gazette", "World", "",
                 FeedSettings(language="fr", enabled=False, keep_days=365)),
        ),
        (),
    )  # fmt: skip


def test_of_settings_on_categories_within_one_another_the_nearest_counts() -> None:
    found = read_opml(opml(
        '<outline text="World" agg:keep-days="365" agg:weight="3">\n'
        '<outline text="Wires" agg:keep-days="7" agg:keepdays="9">'
        '<outline text="A" xmlUrl="http://a.example/"/>'
        '<outline text="B" xmlUrl="http://b.example/" agg:keep-days="0"/></outline>'
        '<outline text="C" xmlUrl="http://c.example/"/></outline>'
    ))  # fmt: skip
    assert [(feed.settings.keep_days, feed.settings.weight) for feed in found.feeds] == [
        (7, 3),
        (0, 3),
        (365, 3),
    ]
    (warning,) = found.warnings
    assert warning.startswith('Line 2: "Wires": agg:keepdays is unknown')


def test_settings_are_known_by_their_namespace_whatever_its_prefix() -> None:
    outline = '<outline text="A" xmlUrl="http://a.example/" x:weight="2" agg:weight="3"/>'
    head = f'<opml version="2.0" xmlns:x="{NAMESPACE}" xmlns:agg="urn:other"><head/><body>{outline}</body></opml>'
    found = read_opml(head.encode())
    assert (found.warnings, found.feeds[0].settings) == ((), FeedSettings(weight=2))


@pytest.mark.parametrize(
    "declared",
    [
        'xmlns:agg="urn:news-event-aggregator:opml"',
        'xmlns:agg="urn:news-event-aggregator:opml:2"',
        'xmlns:agg="urn:news-event-agregator:opml:1"',
        f'xmlns:x="{NAMESPACE}" xmlns:agg="URN:news-event-aggregator:opml"',
    ],
)
def test_a_wrong_address_of_the_namespace_is_told_with_the_right_one(declared: str) -> None:
    outline = '<outline text="A" xmlUrl="http://a.example/" agg:enabled="false"/>'
    for content in (
        f'<?xml version="1.0"?>\n<opml {declared}><body>{outline}</body></opml>',
        f"<opml>\n<body {declared}>{outline}</body></opml>",
        f"<opml><body>\n{outline.replace(' ', f' {declared} ', 1)}</body></opml>",
    ):
        found = read_opml(content.encode())
        assert [feed.settings for feed in found.feeds] == [FeedSettings()]
        (warning,) = found.warnings
        assert warning.startswith("Line 2: ")
        assert f'xmlns:agg="{NAMESPACE}"' in warning


def test_a_prefix_that_is_not_declared_is_told_with_what_to_write() -> None:
    found = read('\n<outline text="A" xmlUrl="http://a.example/" a:enabled="false" a:other="1"/>')
    assert found.feeds[0].settings == FeedSettings()
    assert found.warnings == ('Line 2: "A": the prefix of a:enabled is not declared: write agg:enabled.',)
    other = 'xmlns:a="http://other.example/" a:enabled="false"'
    assert read(f'<outline text="A" xmlUrl="http://a.example/" {other}/>').warnings == ()


def test_a_prefix_may_be_declared_on_the_outline_or_around_it() -> None:
    outline = '<outline text="A" x:weight="2" xmlUrl="http://a.example/" {}/>'
    declared = f'xmlns:x="{NAMESPACE}"'
    for body in (outline.format(declared), f"<outline {declared}>{outline.format('')}</outline>"):
        assert only_feed(body).settings == FeedSettings(weight=2)


@pytest.mark.parametrize("name", ["interval", "foo"])
def test_settings_outside_of_outlines_are_told_with_where_to_write_them(name: str) -> None:
    for head in (
        f'<opml\nversion="2.0">\n<body agg:{name}="1h">',
        f'<?xml version="1.0"?>\n\n<opml agg:{name}="1h"><body>',
    ):
        found = read_opml(f'{head}<outline xmlUrl="http://a.example/"/></body></opml>'.encode())
        assert found.feeds[0].settings == FeedSettings()
        (warning,) = found.warnings
        assert warning.startswith(f"Line 3: agg:{name} counts on outlines only: ")


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ('agg:intervall="9"', "agg:intervall is unknown: there are agg:interval, agg:enabled, agg:language"),
        ('agg:interval="soon"', 'agg:interval="soon" is not understood: write seconds, or as "15m"'),
        ('agg:interval="0"', "is not understood"),
        ('agg:interval="60"', "is below MIN_INTERVAL (600 s), which counts instead"),
        ('agg:enabled="maybe"', 'write "true" or "false"'),
        ('agg:language="English"', "a language tag such as"),
        ('agg:weight="-1"', "a number above 0 up to 100"),
        ('agg:keep-days="1.5"', "or 0 for ever"),
    ],
)
def test_a_setting_that_is_unknown_or_bad_is_said_with_its_line_and_the_rest_stands(
    attribute: str, reason: str
) -> None:
    body = f'\n<outline text="A" xmlUrl="http://a.example/" {attribute} agg:weight="4"/>'
    found = read_opml(opml(body), least_interval=600)
    (warning,) = found.warnings if "weight=" not in attribute else found.warnings[:1]
    assert warning.startswith('Line 2: "A": ')
    assert reason in warning
    (feed,) = found.feeds
    assert feed.settings.interval == (600 if "60" in attribute else None)
    assert feed.settings.weight == (4 if "weight=" not in attribute else 1)


def test_days_to_keep_below_those_that_are_grouped_are_told_and_for_ever_is_not() -> None:
    body = '\n<outline text="A" xmlUrl="http://a.example/" agg:keep-days="{}"/>'
    found = {days: read_opml(opml(body.format(days)), least_days=4) for days in (0, 3, 4)}
    assert [one.feeds[0].settings.keep_days for one in found.values()] == [0, 4, 4]
    told = 'Line 2: "A": agg:keep-days="3" is below WINDOW_DAYS (4 days), which counts instead: write more'
    assert [one.warnings for one in found.values()] == [(), (f"{told}, or lower WINDOW_DAYS.",), ()]


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("http://a.example/", "HTTP://A.example"),
        ("http://a.example/x", "http://a.example:80/x"),
        ("http://a.example/x?", "http://a.example/x#top"),
        ("http://a.example/x?a=1&amp;b=[2]", "http://A.example/x?a=1&amp;b=[2]"),
    ],
)
def test_plain_addresses_are_the_same_as_others_that_mean_them(url: str, other: str) -> None:
    found = read(f'<outline xmlUrl="{url}"/><outline xmlUrl="{other}"/>')
    assert (len(found.feeds), len(found.warnings)) == (1, 1)
