"""The documentation as a site: it builds without a warning, its links lead somewhere, and it needs no network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright

from docsite.diagrams import DOCS, pictures
from docsite.hooks import PICTURES, diagrams
from sidecar import settings
from sidecar.browser import discovery

ROOT = Path(__file__).parents[1]
SECONDS = 20


class Markup(HTMLParser):
    """What a page links to, what it loads, and what can be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()
        self.texts: list[str] = []
        """Of paragraphs."""
        self._in_paragraph = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        elif tag == "link" and found.get("rel") != "canonical":
            self.loads.add(found["href"])
        elif "src" in found:
            self.loads.add(found["src"])
        self._in_paragraph = tag == "p" or (self._in_paragraph and tag in ("em", "strong", "a"))

    def handle_data(self, data: str) -> None:
        """Collects what stands in paragraphs, not in code."""
        if self._in_paragraph:
            self.texts.append(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it; its folder."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Markup]:
    """Each page of it, read."""
    return {path: Markup(path.read_text()) for path in site.rglob("*.html") if path.name != "404.html"}


def test_links_lead_somewhere(site: Path, pages: dict[Path, Markup]) -> None:
    """To a page or file of the site, and to a heading in it."""
    checked = 0
    for path, markup in pages.items():
        for link in markup.links | markup.loads:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_relative_to(site), (path, link)
            assert target.is_file(), (path, link)
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, (path, link)
            checked += 1
    assert checked > 500


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Markup]) -> None:
    """Style sheets, scripts, fonts and pictures are files of the site."""
    for path, markup in pages.items():
        assert [place for place in markup.loads if urlsplit(place).netloc] == [], path


def test_markdown_is_understood(pages: dict[Path, Markup]) -> None:
    """No table, fence or list of a page is left as text."""
    for path, markup in pages.items():
        left = [text for text in markup.texts if "| --- |" in text or "```" in text or text.startswith(("- ", "| "))]
        assert left == [], path


def test_every_page_of_the_repository_is_in_it(site: Path) -> None:
    """Those in `docs/` under their names."""
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), page


def test_diagrams_are_pictures(site: Path) -> None:
    """Drawn of their sources as they are now; a picture loads nothing, and no page shows a source."""
    assert set((DOCS / PICTURES).iterdir()) == pictures().keys()
    assert len(pictures()) >= 2
    for path in pictures():
        picture = (site / path.relative_to(DOCS)).read_text()
        assert picture.startswith("<svg")
        assert re.findall(r"""(?:href|src)=["'](?!#)|url\((?!["']?#)|@import|<script""", picture) == []
    text = (site / "architecture.html").read_text()
    assert text.count(f'src="{PICTURES}') == len(diagrams((DOCS / "architecture.md").read_text()))
    assert "flowchart TD" not in text


@pytest.fixture
def server(site: Path) -> Iterator[str]:
    """Serves it on this machine; gives the URL."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Nothing to say."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    thread = Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(SECONDS)


@pytest.fixture
def page() -> Iterator[Page]:
    """A page in Chromium."""
    found = discovery.find("CHROMIUM", settings.load())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(found.path), args=["--no-sandbox"])
        try:
            yield browser.new_page()
        finally:
            browser.close()


@pytest.mark.browser
def test_it_is_read_and_searched_without_a_network(server: str, page: Page) -> None:
    """With all its scripts running, pages with diagrams too."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server}/architecture.html")
    sizes = "() => [...document.querySelectorAll('article img')].map((one) => one.naturalWidth)"
    assert min(page.evaluate(sizes)) > 100
    page.goto(f"{server}/index.html")
    page.fill(".md-search__input", "webhook signature")
    page.wait_for_selector('.md-search-result__link[href*="webhooks.html"]', state="attached")
    assert [url for url in asked if not url.startswith((server, "data:", "blob:"))] == []
    assert len(asked) > 5
