"""The page: complete, escaped, and closed to the network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from graphrouter.bench.evaluation.report import build_report, render_html
from tests.unit.bench.evaluation.report.conftest import HOSTILE, Scored


class Page(HTMLParser):
    """Elements, their attributes, the visible text and the scripts of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._inside: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else None
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            attributes, so_far = self.scripts[-1]
            self.scripts[-1] = (attributes, so_far + data)
        elif self._inside is None:
            self.texts.append(data)

    @property
    def code(self) -> list[str]:
        """Scripts that run."""
        return [
            text
            for attributes, text in self.scripts
            if attributes.get("type") != "application/json"
        ]


@pytest.fixture(scope="module")
def page(scored: Scored) -> Page:
    report = build_report(scored.runs, scored.evaluation, date="2026-01-31")
    return Page(render_html([report, report]))


@pytest.fixture(scope="module")
def evil(hostile: Scored) -> Page:
    return Page(
        render_html([build_report(hostile.runs, hostile.evaluation, command=f"run {HOSTILE}")])
    )


def test_the_page_has_all_sections_of_all_reports(page: Page) -> None:
    anchors = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    assert anchors == ["d0-task_known", "d0-task_hidden", "d1-task_known", "d1-task_hidden"]
    assert [attributes["href"] for tag, attributes in page.elements if tag == "a"] == [
        f"#{anchor}" for anchor in anchors
    ]
    text = " ".join(page.texts)
    for part in (
        "Effect against cost",
        "Main figures",
        "By model chosen, balanced",
        "Where graphrouter loses",
        "2026-01-31",
    ):
        assert text.count(part) >= 2


def test_every_plot_has_its_figure(page: Page) -> None:
    wanted = {
        attributes["data-figure"] for _, attributes in page.elements if "data-figure" in attributes
    }
    figures = {
        attributes["id"]: json.loads(text)
        for attributes, text in page.scripts
        if attributes.get("type") == "application/json"
    }
    assert wanted == set(figures)
    assert len(wanted) == 12  # a cascade is among them: how many calls it makes is drawn too
    assert all(figure["data"] for figure in figures.values())


def test_plotly_is_there_once_and_only_known_scripts_may_run(page: Page) -> None:
    assert len(page.code) == 2
    assert sum("plotly.js v" in script[:100] for script in page.code) == 1
    (policy,) = [
        a["content"]
        for tag, a in page.elements
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.code
    ]
    assert re.search(r"script-src ([^;]*)", policy)[1].split() == [
        f"'sha256-{each}'" for each in hashes
    ]  # type: ignore[index]


def test_nothing_is_fetched(page: Page) -> None:
    for tag, attributes in page.elements:
        assert "src" not in attributes
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not (attributes.get("href") or "#").startswith(("http", "//"))
        assert not [
            name for name in attributes if name.startswith("on")
        ]  # handlers would need a laxer policy


def test_rows_carry_marks_as_symbols_and_numbers_to_sort_by(page: Page) -> None:
    text = "".join(page.texts)
    assert "▲" in text
    assert "▼" in text
    keys = [
        attributes["data-key"]
        for tag, attributes in page.elements
        if tag == "td" and "data-key" in attributes
    ]
    assert any(keys)
    assert all(key == "" or float(key or "x") == float(key or "x") for key in keys)


def test_hostile_texts_are_shown_as_text(evil: Page) -> None:
    assert len(evil.code) == 2
    assert not [script for script in evil.code if "alert(1)" in script]
    text = "".join(evil.texts)
    assert text.count(f'{HOSTILE} "quoted" |') > 5  # the examples' prompts
    assert f"evil{HOSTILE}</title>" in text
    assert f"it saw {HOSTILE}" in text
    assert f"run {HOSTILE}" in text


def test_figures_cannot_end_their_element(evil: Page) -> None:
    data = [
        text for attributes, text in evil.scripts if attributes.get("type") == "application/json"
    ]
    assert data
    assert all("<" not in text for text in data)


def test_without_costs_the_page_says_why_there_is_no_frontier(without_costs: Scored) -> None:
    page = Page(render_html([build_report(without_costs.runs, without_costs.evaluation)]))
    assert "No frontier: no training outcome has a cost." in "".join(page.texts)
    assert all("frontier" not in (attributes.get("id") or "") for _, attributes in page.elements)
