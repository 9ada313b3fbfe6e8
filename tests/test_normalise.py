"""From what a feed gave to clean entries."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from textwrap import fill

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.normalise import normalise
from aggregator.types import NO_HINTS, Entry, ParsedEntry, ParsedFeed

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FEED_URL = "https://news.example/rss/feed.xml"

PARAGRAPHS = (
    "The regional railway of Orlen will run night trains again from December, after a break of fourteen years.",
    "The first train leaves Port Sele at 22:40 and reaches the capital at 6:15, with a sleeping car and a buffet.",
    "Tickets cost between 29 and 89 crowns; the company expects about two hundred passengers a night at first.",
)
LISTED = (
    "A bakery in Port Sele sells bread from the day before at half price, and is sold out by nine in the morning.",
    "The lighthouse keeper of Grey Point retires after forty-one years; nobody has applied for the post so far.",
)


def _item(**given_values: object) -> ParsedEntry:
    values: dict[str, object] = {
        "guid": "1",
        "link": "https://news.example/a",
        "title": "Night trains return",
        "title_is_html": True,
        "summary": "",
        "summary_is_html": True,
        "content": "",
        "content_is_html": True,
        "base": FEED_URL,
        "author": "",
        "lang": "",
        "source": "",
        "published": NOW - timedelta(hours=1),
    }
    return ParsedEntry(**(values | given_values))  # type: ignore[arg-type]  # a table of defaults


def _entries(*items: ParsedEntry, title: str = "News Example", lang: str = "en") -> tuple[Entry, ...]:
    return normalise(ParsedFeed(title, "https://news.example/", lang, NO_HINTS, items), FEED_URL, NOW).entries


def _entry(**values: object) -> Entry:
    (entry,) = _entries(_item(**values))
    return entry


# ---- text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "".join(f"<p>{line}</p>" for line in PARAGRAPHS),
        "<br/>".join(PARAGRAPHS),
        "<div>" + "</div><div>".join(PARAGRAPHS) + "</div>",
        "<ul>" + "".join(f"<li>{line}" for line in PARAGRAPHS) + "</ul>",
        "\n".join(PARAGRAPHS),
        "\n\n".join(PARAGRAPHS),
        "<p>" + "</p>\n\n<p>".join(line.replace(" ", "\n  ", 3) for line in PARAGRAPHS) + "</p>",
        "<table>" + "".join(f"<tr><td>{line}</td></tr>" for line in PARAGRAPHS) + "</table>",
        "<p>" + "</p><p>".join(line.replace("the", "<b>t</b>he") for line in PARAGRAPHS) + "</p>",
    ],
)
def test_each_paragraph_is_a_line(content: str) -> None:
    assert _entry(content=content).text == "\n".join(PARAGRAPHS)


def test_a_hard_wrapped_text_is_joined_again() -> None:
    wrapped = re.sub(r"(.{40}\S*) ", r"\1\n", PARAGRAPHS[0])
    assert wrapped.count("\n") == 2
    assert _entry(content=wrapped).text == PARAGRAPHS[0]


def test_entities_are_decoded_once() -> None:
    assert (
        _entry(content="<p>Fish &amp; chips &lt;fresh&gt; for 5&nbsp;&euro;</p>").text
        == "Fish & chips <fresh> for 5 €"
    )


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("AT&amp;T &lt;buys&gt; rival", "AT&T <buys> rival"),
        ("AT&amp;amp;T grows", "AT&T grows"),
        ("<b>Night</b> trains <i>return</i>", "Night trains return"),
        ("  Night\n trains\t return ", "Night trains return"),
        ("5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        ("Profit\u202e evil", "Profit evil"),
        ("Nul\x00l and bell\x07", "Null and bell"),
        ("Night\x0ctrains\x0breturn", "Night trains return"),
        ("Night <!-- day --> trains", "Night trains"),
    ],
)
def test_a_title_is_one_plain_line(title: str, plain: str) -> None:
    assert _entry(title=title).title == plain


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("&lt;b&gt;Night&lt;/b&gt; trains", "Night trains"),
        ("How to use <script> tags", "How to use <script> tags"),
        ("Trains<br/>at night", "Trains at night"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;Trains at night", "Trains at night"),
        ("<style>b{}</style>Trains <svg onload=alert(1)>at night", "Trains at night"),
        ("Trains &lt;iframe src=&quot;//x&quot;&gt;at night", "Trains at night"),
        ("It\x92s night", "It’s night"),
    ],
)
def test_a_title_loses_its_markup_and_no_words(title: str, plain: str) -> None:
    assert _entry(title=title).title == plain


def test_a_text_that_was_escaped_twice_is_markup_still() -> None:
    entry = _entry(content=f"&lt;p&gt;{PARAGRAPHS[0]}&lt;/p&gt;&lt;p&gt;{PARAGRAPHS[1]}&lt;/p&gt;")
    assert entry.text == "\n".join(PARAGRAPHS[:2])
    assert _entry(content="The &lt;p&gt; element").text == "The <p> element"


def test_lines_of_declared_plain_text_are_paragraphs_unless_a_program_wrapped_them() -> None:
    headlines = "\n".join(line[:70].rstrip(".,; ") for line in (*PARAGRAPHS, *LISTED))
    assert _entry(content=headlines, content_is_html=False).text == headlines
    wrapped = "\n\n".join(fill(line, 60) for line in PARAGRAPHS)
    assert _entry(content=wrapped, content_is_html=False).text == "\n".join(PARAGRAPHS)


def test_what_feed_software_puts_under_a_text_is_left_out() -> None:
    tail = '<p>The post <a href="/a">Night trains</a> appeared first on <a href="/">News</a>.</p><p>Read more</p>'
    entry = _entry(content=f"<p>{PARAGRAPHS[0]}</p>{tail}")
    assert entry.text == PARAGRAPHS[0]
    assert not entry.truncated


@pytest.mark.parametrize(
    "ending",
    [
        "Continue reading Night trains →",
        "Lire la suite",
        "Weiterlesen »",
        "submitted by /u/someone</p><p>[link] [12 comments]",
        "To read this article in full, please click here",
        "∞ Permalink",
        "★",
    ],
)
def test_lines_that_say_nothing_of_the_text_are_left_out(ending: str) -> None:
    assert _entry(content=f"<p>{PARAGRAPHS[0]}</p><p>{ending}</p>").text == PARAGRAPHS[0]
    assert _entry(content=f"<p>{ending}</p>").text == ""


@pytest.mark.parametrize(
    "last", ["Reading on trains is allowed.", "Comments are welcome at the station.", "More follows."]
)
def test_a_last_sentence_of_its_own_stays(last: str) -> None:
    assert _entry(content=f"<p>{PARAGRAPHS[0]}</p><p>{last}</p>").text == f"{PARAGRAPHS[0]}\n{last}"


def test_a_text_that_was_cut_short_is_known_as_such() -> None:
    assert _entry(summary=f"{PARAGRAPHS[0][:80]} [&#8230;]").truncated
    assert _entry(summary=f"{PARAGRAPHS[0][:80]}… Read more").truncated
    assert not _entry(summary=PARAGRAPHS[0]).truncated


# ---- related items -------------------------------------------------------------------------------


def test_related_items_at_the_end_are_split_off_with_their_addresses() -> None:
    items = "".join(f'<li><a href="/n/{n}">{text[:59].rstrip()}…</a></li>' for n, text in enumerate(LISTED))
    entry = _entry(content="".join(f"<p>{line}</p>" for line in PARAGRAPHS) + f"<ul>{items}</ul>")
    assert entry.text == "\n".join(PARAGRAPHS)
    assert [item.teaser for item in entry.listed] == [f"{text[:59].rstrip()}…" for text in LISTED]
    assert [item.url for item in entry.listed] == ["https://news.example/n/0", "https://news.example/n/1"]


@pytest.mark.parametrize("shape", ["plain", "html-plain", "p", "br", "li"])
def test_a_record_is_split_alike_in_every_shape(shape: str) -> None:
    teasers = [f"{text[:59].rstrip()}…" for text in LISTED]
    lines = [*PARAGRAPHS, LISTED[0], *teasers]
    content = {
        "plain": "\n".join(lines),
        "html-plain": "\n".join(lines),
        "p": "".join(f"<p>{line}</p>" for line in lines),
        "br": "<br>\n".join(lines),
        "li": "".join(f"<p>{line}</p>" for line in PARAGRAPHS)
        + "<ul>"
        + "".join(f"<li>{line}" for line in lines[3:])
        + "</ul>",
    }[shape]
    entry = _entry(content=content, content_is_html=shape != "plain")
    assert entry.text == "\n".join(PARAGRAPHS)
    assert [(item.text, item.teaser) for item in entry.listed] == [(LISTED[0], teasers[0]), ("", teasers[1])]


def test_linked_headlines_under_a_heading_are_listed() -> None:
    links = '<ul><li><a href="/n/0">Stale bread sells</a></li><li><a href="/n/1">Keeper retires</a></li></ul>'
    entry = _entry(content=f"<p>{PARAGRAPHS[0]}</p><h3>Related stories</h3>{links}")
    assert entry.text == PARAGRAPHS[0]
    assert [(item.teaser, item.url) for item in entry.listed] == [
        ("Stale bread sells", "https://news.example/n/0"),
        ("Keeper retires", "https://news.example/n/1"),
    ]


def test_a_listed_item_is_found_by_the_entry_it_truncates() -> None:
    items = "\n".join(f"{text[:59].rstrip()}…" for text in LISTED)
    entry = _entry(content="\n".join(PARAGRAPHS) + "\n" + items)
    full = [_entry(content=text).text_key for text in LISTED]
    assert [item.start_key for item in entry.listed] == full
    assert 0 not in full


# ---- summary and content -------------------------------------------------------------------------


def test_content_is_the_text_and_the_summary_stays() -> None:
    entry = _entry(summary=PARAGRAPHS[0], content="<p>" + "</p><p>".join(PARAGRAPHS[1:]) + "</p>")
    assert (entry.summary, entry.text) == (PARAGRAPHS[0], "\n".join(PARAGRAPHS[1:]))


def test_a_summary_that_says_more_than_the_content_is_the_text() -> None:
    assert _entry(summary="\n".join(PARAGRAPHS), content="Night trains.").text == "\n".join(PARAGRAPHS)


def test_a_cut_summary_does_not_displace_shorter_content() -> None:
    entry = _entry(summary=" ".join(PARAGRAPHS)[:200] + "…", content=PARAGRAPHS[0])
    assert entry.text == PARAGRAPHS[0]


def test_of_two_cut_texts_the_longer_one_is_the_text() -> None:
    entry = _entry(summary=" ".join(PARAGRAPHS)[:200] + "…", content=PARAGRAPHS[0][:50] + "…")
    assert entry.text == " ".join(PARAGRAPHS)[:200] + "…"
    assert entry.truncated


def test_a_text_without_spaces_is_excerpted_in_full_length() -> None:
    assert len(_entry(content="夜行列車" * 200).summary) == 300


def test_without_a_summary_the_text_is_excerpted_at_a_word() -> None:
    entry = _entry(content="\n".join(PARAGRAPHS))
    assert len(entry.summary) <= 300
    assert entry.summary.endswith("…")
    assert " ".join(PARAGRAPHS).startswith(entry.summary[:-1])


def test_a_headline_alone_is_an_entry_and_nothing_at_all_is_none() -> None:
    assert _entry(title="Only a headline").text == ""
    assert _entries(_item(title="", link="", guid="7")) == ()


# ---- markup --------------------------------------------------------------------------------------


def test_markup_is_sanitised_and_its_links_made_absolute() -> None:
    html = _entry(
        content='<p onclick="x()">See <a href="/b">this</a> <img src="c.png" onerror="y()"></p>'
        '<script>z()</script><iframe src="https://v.example"></iframe><a href="javascript:w()">no</a>'
        '<img src="https://t.example/p.gif" width="1" height="1">'
    ).html
    assert 'href="https://news.example/b"' in html
    assert 'src="https://news.example/rss/c.png"' in html
    assert not re.search(r"onclick|onerror|script|iframe|z\(\)|p\.gif", html)


FRAGMENTS = st.sampled_from(
    (
        *(
            "<script>",
            "</script>",
            "<p>",
            "</p>",
            "<a href='javascript:x()'>",
            "<img src=x onerror=x()>",
            "<svg onload=x()>",
        ),
        *(
            "&lt;script&gt;",
            "<style>",
            "<!--",
            "-->",
            "<iframe src=//x>",
            "<math><mi xlink:href='data:x'>",
            "\x00",
            "\ud800",
        ),
        *(
            "\u202e",
            "<a href='data:text/html,x'>",
            "…",
            "\n",
            "text",
            "<br",
            "&#0;",
            "&#x1f;",
            "<plaintext>",
            "<template>",
        ),
    )
)


@settings(max_examples=300)
@given(st.lists(st.one_of(FRAGMENTS, st.text(max_size=10)), max_size=12).map("".join), st.booleans())
def test_nothing_harmful_leaves_and_nothing_raises(value: str, as_html: bool) -> None:  # noqa: FBT001
    item = _item(
        title=value,
        summary=value,
        content=value,
        title_is_html=as_html,
        content_is_html=as_html,
        author=value,
    )
    for entry in _entries(item):
        assert not re.search(
            r"<(script|style|iframe|svg|math|template|plaintext)\b|<[^>]*\son\w+=|=\"?(?:javascript|data):",
            entry.html,
        )
        shown = entry.title + entry.summary + entry.text + entry.html + entry.author
        assert not re.search(
            r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", shown
        )
        assert "\n" not in entry.title


@pytest.mark.parametrize(
    "attribute",
    [
        "java&#10;script:x()",
        "java&#x202e;script:x()",
        "&#1;javascript:x()",
        "JaVaScRiPt:x()",
        "data:text/html,x",
        "vbscript:x",
    ],
)
@pytest.mark.parametrize("base", [FEED_URL, "", "not an address", "file:///etc/"])
def test_no_address_runs_anything(attribute: str, base: str) -> None:
    html = _entry(content=f'<p><a href="{attribute}">x</a><img src="{attribute}"></p>', base=base).html
    assert not re.search(r"=\"(?!https?:|nofollow)", html)


@pytest.mark.parametrize(
    "markup",
    [
        "<div>",
        "<b>",
        "<table>",
        "<ul><li>",
        "<p><b>x",
        "<svg><g>",
        "<",
        "<!--",
        "<pre>x\n",
        "<a href=x>y…</a><br>",
    ],
)
def test_markup_that_no_article_has_is_bounded(markup: str) -> None:
    entry = _entry(content="<p>Deep</p>" + markup * 100_000)
    assert len(entry.html) <= 1_000_000


@pytest.mark.parametrize("attribute", ["a{}", "a{}=1", "a{}='>'", 'a{}="<b>"/', "<a{}", "a{}=b'c"])
def test_a_tag_of_endless_attributes_is_bounded(attribute: str) -> None:
    crowd = " ".join(attribute.format(number) for number in range(60_000))
    entry = _entry(content=f"<p>Before</p><a {crowd}>")
    assert entry.text.startswith("Before")
    assert "<a" not in entry.html


def test_a_long_article_with_ordinary_tags_keeps_them() -> None:
    image = "data:image/png;base64," + "aB/+" * 20_000
    words = "word " * 5000
    entry = _entry(content=f'<p>{words}</p><img src="{image}"><p title="{words}"><b>end</b></p>')
    assert entry.text.split("\n") == [words.strip(), "end"]
    assert "<b>end</b>" in entry.html
    assert "data:" not in entry.html


def test_a_title_of_unclosed_comments_is_bounded() -> None:
    assert _entry(title="Night trains" + "<!--" * 5000).title.startswith("Night trains")


def test_markup_nested_too_deep_leaves_its_words() -> None:
    entry = _entry(content="<div>" * 100_000 + "deep <script>x()</script>" + "<b>down" * 10)
    assert entry.text.split()[:2] == ["deep", "down"]


def test_a_long_list_is_not_too_deep() -> None:
    entry = _entry(content="<ul>" + "".join(f"<li>Station {n}" for n in range(2000)) + "</ul>")
    assert len(entry.text.split("\n")) == 2000


def test_huge_fields_are_bounded() -> None:
    entry = _entry(content="word " * 500_000, title="t" * 100_000, guid="g" * 9000, author="a" * 9000)
    assert (len(entry.title), len(entry.guid), len(entry.author)) == (500, 2000, 200)
    assert len(entry.text) <= 1_000_000


# ---- identity ------------------------------------------------------------------------------------


def test_identity_is_the_guid_else_the_address_else_what_it_says() -> None:
    assert _entry(guid="tag:1").identity == "g:tag:1"
    assert _entry(guid="", link="http://news.example/a?utm_source=x").identity == "l:https://news.example/a"
    assert _entry(guid="", link="").identity.startswith("h:")


def test_an_item_that_stands_twice_in_a_document_is_one() -> None:
    assert len(_entries(_item(), _item(title="Night trains return soon"))) == 1


def test_a_guid_that_all_items_share_tells_nothing() -> None:
    first, second = (
        _item(guid="site"),
        _item(guid="site", link="https://news.example/b", title="Another story"),
    )
    assert [entry.identity for entry in _entries(first, second)] == [
        "l:https://news.example/a",
        "l:https://news.example/b",
    ]


def test_a_guid_and_an_address_that_all_items_share_tell_nothing() -> None:
    home = "https://news.example/"
    items = [_item(guid="site", link=home, title=f"Story {n}") for n in range(3)]
    assert len({entry.identity for entry in _entries(*items)}) == 3
    assert len({entry.identity for entry in _entries(*(replace(item, guid="") for item in items))}) == 3
    assert len({entry.identity for entry in _entries(*(replace(item, link="") for item in items))}) == 3


def test_the_same_fragment_on_every_address_is_no_identity() -> None:
    items = (_item(guid=f"{n}", link="https://news.example/a#xtor=RSS-1", title=f"{n}") for n in range(2))
    assert {entry.canonical_url for entry in _entries(*items)} == {"https://news.example/a"}


def test_a_fragment_stays_where_it_alone_tells_items_apart() -> None:
    first = _item(guid="", link="https://news.example/day#one", title="One")
    second = _item(guid="", link="https://news.example/day#two", title="Two")
    assert [entry.canonical_url for entry in _entries(first, second)] == [
        "https://news.example/day#one",
        "https://news.example/day#two",
    ]
    assert _entry(link="https://news.example/day#one").canonical_url == "https://news.example/day"


def test_an_edit_changes_the_content_hash_and_a_new_date_does_not() -> None:
    item = _item(content=PARAGRAPHS[0])
    ((entry,), (later,), (edited,)) = (
        _entries(item),
        _entries(replace(item, published=NOW)),
        _entries(replace(item, content=PARAGRAPHS[1])),
    )
    assert entry.content_hash == later.content_hash != edited.content_hash


# ---- dates, language, outlet ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "stated",
    [None, datetime(1970, 1, 1, tzinfo=UTC), datetime(1989, 12, 31, tzinfo=UTC), NOW + timedelta(hours=25)],
)
def test_an_impossible_date_is_the_time_of_fetching_and_said_to_be(stated: datetime | None) -> None:
    entry = _entry(published=stated)
    assert (entry.published_at, entry.date_guessed) == (NOW, True)


def test_a_possible_date_is_kept() -> None:
    stated = NOW + timedelta(hours=23)
    assert (_entry(published=stated).published_at, _entry(published=stated).date_guessed) == (stated, False)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        (PARAGRAPHS[0], "en"),
        ("La compagnie régionale fera de nouveau circuler des trains de nuit à partir de décembre.", "fr"),
        ("Die Regionalbahn lässt ab Dezember nach vierzehn Jahren wieder Nachtzüge fahren.", "de"),
        ("El ferrocarril regional volverá a poner en marcha trenes nocturnos en diciembre.", "es"),
        ("Региональная железная дорога снова запустит ночные поезда с декабря.", "ru"),
        ("地方鉄道は十四年ぶりに十二月から夜行列車の運行を再開すると発表した。", "ja"),
        ("ستعيد السكك الحديدية الإقليمية تشغيل القطارات الليلية اعتبارا من ديسمبر.", "ar"),
    ],
)
def test_the_words_tell_the_language_whatever_the_feed_says(text: str, lang: str) -> None:
    (entry,) = _entries(_item(title="", content=text), lang="pt-BR")
    assert entry.lang == lang


@pytest.mark.parametrize(
    ("title", "lang"),
    [
        ("地震で大阪が停電", "ja"),
        ("中国经济增长放缓", "zh"),
        ("बिहार में आज चुनाव", "hi"),
        ("Governo aprova orçamento", "pt"),
        ("Governo approva il bilancio", "it"),
    ],
)
def test_a_headline_tells_its_language_where_no_feed_does(title: str, lang: str) -> None:
    assert _entries(_item(title=title), lang="")[0].lang == lang


def test_a_headline_full_of_foreign_names_is_in_the_language_of_its_feed() -> None:
    assert _entries(_item(title="Stacey Keibler weds in Mexico"), lang="en-us")[0].lang == "en"


@pytest.mark.parametrize(
    ("stated", "lang"), [("jp", "ja"), ("nb-NO", "no"), ("und", ""), ("iw", "he"), ("English", "")]
)
def test_a_stated_language_is_read_as_meant(stated: str, lang: str) -> None:
    assert _entries(_item(title="OK"), lang=stated)[0].lang == lang


def test_of_a_few_words_the_feed_knows_the_language() -> None:
    assert _entries(_item(title="OK"), lang="pt-BR")[0].lang == "pt"
    assert _entries(_item(title="OK"), lang="")[0].lang == ""


def test_the_outlet_is_the_named_source_else_the_feed_else_the_host() -> None:
    assert _entry(source="Wire Agency").source == "Wire Agency"
    assert _entry().source == "News Example"
    assert _entries(_item(), title="")[0].source == "news.example"


def test_the_language_that_the_operator_sets_counts_for_all_entries() -> None:
    feed = ParsedFeed(
        "News", "", "en", NO_HINTS, (_item(title="The harbour is closed until the storm ends"),)
    )
    assert [entry.lang for entry in normalise(feed, FEED_URL, NOW, "de").entries] == ["de"]
