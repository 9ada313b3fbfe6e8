"""The page in a real browser: for everybody, however they look at it, and whatever a feed puts on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browsing import HOSTILE, PHONE, Reader, Site, browsing, findings, reading, site
from tests.databases import Databases

PAGES = (
    "/",
    "/?category=Odd+%22ones%22%3E%3Cscript%3E",
    "/?lang=fr",
    "/?day=2020-02-29",
    "/?day=tomorrow",
    "/search?q=harbour",
    "/search?q=",
    "/search?q=nothing+has+this",
    "/events/{largest}",
    "/events/{arabic}",
    "/events/{script}",
    "/events/{long}",
    "/events/{untitled}",
    "/events/999999",
    "/feeds",
    "/docs",
)
pytestmark = pytest.mark.sqlite("how pages look; tests/test_web.py asks both databases for them")

NARROW = (320, 640)
"""The width at which WCAG 2.2 (1.4.10) wants no scrolling sideways: a screen of 1280 px, enlarged four times."""

CONTROLS = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']"


@pytest.fixture(scope="module")
def news(shared_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("browser"), shared_databases.new(), hostile=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


@pytest.fixture
def reader(browser: Browser, news: Site) -> Iterator[Reader]:
    with reading(browser, news.url) as one:
        yield one


def _address(path: str, news: Site) -> str:
    """The path with the ids that it names."""
    if "{" not in path:
        return path
    known = {"largest": news.largest_event(), "arabic": news.event_of_language("ar")}
    return path.format(**known, **{guid: news.event_of(guid) for guid, *_ in HOSTILE})


def _width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_wrong_with_any_page(browser: Browser, news: Site, *, dark: bool) -> None:
    with reading(browser, news.url, dark=dark) as reader:
        for path in PAGES:
            page = reader.go(_address(path, news))
            assert findings(page) == [], path
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            shade = max(map(int, paper.removeprefix("rgb(").removesuffix(")").split(",")))
            assert (shade < 50) is dark, paper


@pytest.mark.parametrize("size", [PHONE, NARROW], ids=["phone", "narrow"])
def test_no_page_scrolls_sideways(browser: Browser, news: Site, size: tuple[int, int]) -> None:
    with reading(browser, news.url, size) as reader:
        for path in PAGES:
            page = reader.go(_address(path, news))
            assert _width(page) <= size[0], path
            if size is PHONE:
                assert findings(page) == [], path


FOCUSED = """(controls) => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  return {
    number: [...document.querySelectorAll(controls)].indexOf(one),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    shown: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.left >= 0,
  };
}"""
"""What has the focus, and whether one sees that."""


def test_the_keyboard_reaches_everything_in_order_and_one_sees_where_it_is(
    reader: Reader, news: Site
) -> None:
    for path in ("/", "/events/{largest}", "/feeds", "/docs"):
        page = reader.go(_address(path, news))
        count = page.locator(CONTROLS).count()
        for number in range(count):
            page.keyboard.press("Tab")
            while (found := page.evaluate(FOCUSED, CONTROLS))["number"] == number - 1:
                page.keyboard.press("Tab")  # a date has several fields
            assert found == {"number": number, "outlined": True, "shown": True}, path


def test_the_keyboard_is_enough(reader: Reader) -> None:
    page = reader.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    page.locator("#lang").focus()
    page.keyboard.type("fr")
    page.locator(".filters button").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**lang=fr**")
    assert set(page.locator("article").evaluate_all("all => all.map(one => one.lang)")) == {"fr"}
    assert page.locator("#lang").input_value() == "fr"
    page.locator("#q").focus()
    page.keyboard.type("ferry")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=ferry**")
    page.locator("article h2 a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/events/*")
    assert page.locator("h1").count() == 1


def test_everything_is_there_without_javascript(browser: Browser, news: Site) -> None:
    with reading(browser, news.url, scripts=False) as reader:
        page = reader.go("/")
        assert page.locator("#live").is_hidden()
        title = page.locator("article h2 a").last.inner_text()
        page.locator("article h2 a").last.click()
        assert page.locator("h1").inner_text() == title
        for words in ("How it grew",):
            assert page.get_by_text(words).first.is_visible()
        page.locator("#q").fill("ferry")
        page.locator("form[role=search] button").click()
        assert page.locator("article").count() >= 1
        page.locator("#category").select_option("Science")
        page.locator(".filters button").click()
        assert page.locator("#q").input_value() == "ferry"
        assert page.locator("#category").input_value() == "Science"
        reader.go("/")
        page.get_by_role("link", name="Older").click()
        assert page.locator("article").count() > 0
        page.get_by_role("link", name="Newest").click()
        page.get_by_role("link", name="Day before").click()
        assert page.locator("#day").input_value() != ""
        assert page.get_by_text("Take all filters away").is_visible()
        page.get_by_role("link", name="Feeds", exact=True).click()
        assert page.get_by_text("The Lost Courier").is_visible()


def test_new_events_come_in_by_themselves_and_leave_the_reader_alone(browser: Browser, news: Site) -> None:
    with reading(browser, news.url) as reader, reading(browser, news.url) as other:
        page = reader.go("/?lang=en")
        link = page.locator("article h2 a").nth(8)
        link.focus()
        link.evaluate("one => { window.mine = one; }")
        before = link.bounding_box()
        assert before is not None
        news.bring(_story("Lighthouse keeper of Skarra wins a chess match by post"))
        page.locator("article.new").wait_for()
        assert page.locator("#live [role=status]").inner_text() == "1 new event"
        assert page.locator("article").first.inner_text().startswith("Lighthouse keeper")
        assert page.evaluate("document.activeElement === window.mine")
        after = page.evaluate("window.mine.getBoundingClientRect().top")
        assert after == pytest.approx(before["y"], abs=2)
        page.locator("#live button").click()
        other.go("/?lang=en")
        news.bring(_story("Orchestra of Tarn Valley loses its only bassoon on a train"))
        other.page.locator("article.new").wait_for()
        assert page.locator("article.new").count() == 1
        page.locator("#live button").click()
        page.locator("article.new").nth(1).wait_for()
        assert page.locator("#live [role=status]").inner_text() == "2 new events"
        assert page.locator("article").first.inner_text().startswith("Orchestra of Tarn")
        assert findings(page) == []


def _story(title: str) -> dict[str, str]:
    return {"id": title, "title": title, "text": f"{title}, neighbours said.", "source": "Late", "lang": "en"}


def test_what_a_hostile_feed_sends_does_nothing_and_moves_nothing(browser: Browser, news: Site) -> None:
    paths = ["/", "/feeds", "/search?q=council", *(f"/events/{news.event_of(guid)}" for guid, *_ in HOSTILE)]
    for size in (PHONE, (1280, 900)):
        with reading(browser, news.url, size) as reader:
            for path in paths:
                page = reader.go(path)
                assert page.title() != "broken in"
                assert _width(page) <= size[0], path
                assert page.locator("main > *").first.is_visible()
                assert page.locator("footer").is_visible()
                assert page.locator("main :is(script, style, iframe, img)").count() == 0
                assert (
                    page.locator("a[href^='javascript:'], a[href^='data:'], [onclick], [onload]").count() == 0
                )
                assert "\u202e" not in page.content()


def test_titles_keep_their_direction_to_themselves(reader: Reader, news: Site) -> None:
    page = reader.go(f"/events/{news.event_of_language('ar')}")
    directions = page.evaluate(
        "[...document.querySelectorAll('h1, main, footer')].map(one => getComputedStyle(one).direction)"
    )
    assert directions == ["ltr", "rtl", "ltr"]
    reader.go("/")
    loose = page.evaluate(
        """[...document.querySelectorAll('article')].flatMap(one => [...one.querySelectorAll('h2, li > a')])
          .filter(one => getComputedStyle(one.closest('[dir], bdi') ?? one).unicodeBidi !== 'isolate')
          .map(one => one.textContent)"""
    )
    assert loose == []
