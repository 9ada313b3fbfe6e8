"""Canonical addresses: one page, one address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.normalise.url import absolute_url, canonical_url, host_of


@pytest.mark.parametrize(
    ("given_url", "canonical"),
    [
        ("http://News.Example.COM", "https://news.example.com/"),
        ("https://news.example/a?utm_source=rss&utm_medium=feed", "https://news.example/a"),
        ("https://news.example/a?id=7&fbclid=x&p=2", "https://news.example/a?id=7&p=2"),
        ("https://news.example/story?b=2&a=1", "https://news.example/story?b=2&a=1"),
        ("https://news.example/a?", "https://news.example/a"),
        ("https://news.example:443/a", "https://news.example/a"),
        ("http://news.example:80/a", "https://news.example/a"),
        ("http://news.example:8080/a", "http://news.example:8080/a"),
        ("https://news.example/a#comments", "https://news.example/a"),
        ("https://news.example/#!/story/1", "https://news.example/#!/story/1"),
        ("https://news.example/#/story/1", "https://news.example/#/story/1"),
        ("https://news.example/a/?xtor=RSS-1&ns_mchannel=rss", "https://news.example/a/"),
        ("https://www.news.example/a", "https://www.news.example/a"),
        ("https://bücher.example/a", "https://xn--bcher-kva.example/a"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
        ("https://video.example/watch?v=abc&feature=rss", "https://video.example/watch?v=abc"),
        ("https://news.example/a?ref=7", "https://news.example/a?ref=7"),
        ("https://news.example/a?source=rss----7----2&mod=rss_top&emc=rss", "https://news.example/a"),
        ("https://news.example/café?q=%c3%a9", "https://news.example/caf%C3%A9?q=%C3%A9"),
        ("https://news.example/a?id=1&amp;utm_source=x&amp;amp;p=2", "https://news.example/a?id=1&p=2"),
        ("https://user:secret@news.example/a", "https://news.example/a"),
        ("https://news.example:99999/a", "https://news.example:99999/a"),
        ("", ""),
        ("mailto:a@b.example", "mailto:a@b.example"),
    ],
)
def test_one_page_has_one_address(given_url: str, canonical: str) -> None:
    assert canonical_url(given_url) == canonical


def test_a_fragment_that_is_the_identity_can_be_kept() -> None:
    assert (
        canonical_url("https://news.example/day#story-4", keep_fragment=True)
        == "https://news.example/day#story-4"
    )


@pytest.mark.parametrize(
    ("link", "absolute"),
    [
        ("/a", "https://news.example/a"),
        ("b?c=1", "https://news.example/rss/b?c=1"),
        ("//cdn.example/x", "https://cdn.example/x"),
        (" https://other.example/\n a ", "https://other.example/a"),
        ("/two words", "https://news.example/two%20words"),
        ("/a\ud800\u202eb", "https://news.example/ab"),
        ("java\nscript:alert(1)", ""),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("http://", ""),
        ("http://[broken/", ""),
        ("", ""),
    ],
)
def test_links_become_absolute_or_nothing(link: str, absolute: str) -> None:
    assert absolute_url(link, "https://news.example/rss/feed.xml") == absolute


@given(
    st.builds(
        "{}://{}{}/{}?{}#{}".format,
        st.sampled_from(("http", "https", "HTTP")),
        st.sampled_from(("news.example", "NEWS.example", "ü.example", "1.2.3.4", "[::1]")),
        st.sampled_from(("", ":80", ":443", ":8080")),
        st.text(max_size=20),
        st.text(alphabet="abc=&utm_source%/?", max_size=30),
        st.text(max_size=10),
    )
)
def test_the_canonical_address_of_a_canonical_address_is_itself(url: str) -> None:
    assert canonical_url(canonical_url(url)) == canonical_url(url)


@given(st.text(max_size=200), st.text(max_size=50))
def test_garbage_is_no_error(link: str, base: str) -> None:
    assert canonical_url(canonical_url(link)) == canonical_url(link)
    assert absolute_url(link, base) == "" or absolute_url(link, base).lower().startswith(
        ("http://", "https://")
    )
    host_of(link)


def test_a_host_is_named_without_www() -> None:
    assert host_of("https://www.News.example:8080/a") == "news.example"
