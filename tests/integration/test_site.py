"""The documentation builds without a warning into a site that needs no network and is light."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from docs.site_pages import LARGEST, first_sentence, public_names

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MOST_BYTES = 300_000


class Sources(HTMLParser):
    """What a page loads by itself, and where it links to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.anchors |= {named[key] for key in ("id", "name") if key in named}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        elif tag in ("script", "img", "iframe") and named.get("src"):
            self.loaded.append(named["src"])
        elif tag == "link" and named.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loaded.append(named["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` has built, where it asks; else a site of its own."""
    if built := os.environ.get("SITE"):
        return ROOT / built
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Sources]:
    """All pages but the one for addresses that do not exist, which is only for a server."""
    return {page: Sources(page) for page in site.rglob("*.html") if page.name != "404.html"}


def test_every_page_of_the_docs_is_there(site: Path) -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / f"{page.stem}.html").is_file()


def test_every_public_name_is_described(pages: dict[Path, Sources]) -> None:
    anchors = {page.stem: found.anchors for page, found in pages.items()}
    roots = public_names()["graphrouter"]
    described = anchors["api"] | anchors[LARGEST]
    assert {f"graphrouter.{name}" for name in roots} <= described
    for package, names in public_names().items():
        if package != "graphrouter":
            for name in set(names) - set(roots):
                places = {f"{package}.{name}", f"{package}.{name}.{name}"}
                assert places & anchors[package], f"{package}.{name}"


def test_the_api_page_names_every_package() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w.]+)` \|", text, flags=re.MULTILINE) == [
        package for package in public_names() if package != "graphrouter"
    ]


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Sources]) -> None:
    for page, found in pages.items():
        for source in found.loaded:
            assert "//" not in source, f"{page.name} loads {source}"
            assert (page.parent / source.partition("?")[0]).is_file(), f"{page.name}: {source}"
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"url\([\"']?(https?:)?//", text), style.name


def test_links_lead_somewhere(site: Path, pages: dict[Path, Sources]) -> None:
    for page, found in pages.items():
        for link in found.links:
            file, _, anchor = unquote(link).partition("#")
            if re.match(r"[a-z]+:", file):
                assert re.fullmatch(r"https://[\w.-]+\.[a-z]{2,}(/\S*)?|mailto:\S+", file), link
                continue
            target = (page.parent / file).resolve() if file else page
            assert target.is_file(), f"{page.relative_to(site)} links to {link}"
            if anchor and target in pages and target != page:
                assert anchor in pages[target].anchors, f"{page.relative_to(site)}: {link}"


def test_a_page_is_light(site: Path, pages: dict[Path, Sources]) -> None:
    """Its text, and all that is loaded with it as web servers send it, the search too."""
    search = [*(site / "search").iterdir(), *site.glob("assets/javascripts/workers/search*.js")]
    for page, found in pages.items():
        assert page.stat().st_size < MOST_BYTES, page.name
        loaded = {(page.parent / source).resolve() for source in found.loaded}
        assert sum(_sent(file) for file in {page, *loaded, *search}) < MOST_BYTES, page.name


def _sent(file: Path) -> int:
    return len(gzip.compress(file.read_bytes()))


def test_the_search_finds_headings_of_every_page(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {part["location"].partition("#")[0] for part in index["docs"]}
    assert {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")} <= {*found, "index.html"}
    assert not any(place.startswith("repository/") for place in found)


def test_llms_txt_has_every_page_with_a_sentence(site: Path) -> None:
    text = (site / "llms.txt").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^- \[.+?\]\(([\w.-]+)\): (.+)$", text, flags=re.MULTILINE))
    assert set(rows) == {page.name for page in (ROOT / "docs").glob("*.md")}
    assert all(len(sentence) > 20 for sentence in rows.values())
    for name in rows:
        assert (site / name).read_text(encoding="utf-8").startswith("# ")


def test_a_first_sentence_is_plain() -> None:
    page = "# Title\n\n![a picture](a.svg)\n\nSee [this](that.md) page. And `more`.\n"
    assert first_sentence(page) == "See this page."
