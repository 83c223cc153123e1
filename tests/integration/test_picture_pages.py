"""Pages with pictures in a real browser without network: what is clicked on tells why."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.bench.pictures import draw_graph, draw_heatmap
from graphrouter.bench.savings import find_savings, read_period, render_savings_html
from tests.integration.test_report_page import BROWSER, dump_dom

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def router() -> gr.GraphRouter:
    return gr.GraphRouter.fit(gr.simulate(num_queries=200, num_models=5).data, instant=True)


def test_a_query_that_is_asked_shows_why_it_goes_where_it_goes(
    router: gr.GraphRouter, tmp_path: Path
) -> None:
    data = gr.simulate(num_queries=200, num_models=5).data
    picture = draw_graph(router, data, num_queries=8)
    number = len(picture.routed.tasks)  # of the first query
    page = dump_dom(picture.to_html(), tmp_path, fragment=f"#node-{number}")
    (root,) = re.findall(r"<html[^>]*>", page)
    assert "data-error" not in root  # a script failed, or something was fetched
    assert f'data-asked="{number}"' in root
    story = page.split('id="story"')[1].split("</section>")[0]
    query, _, model = picture.rows[0]
    assert f"<h2>query {query}</h2>" in story
    assert f"<td>{model} ←</td>" in story
    lit = re.findall(r'<line class="([^"]*) lit"', page)
    assert lit.count("choice") == 1
    assert lit.count("member") == 1


def test_a_page_without_plots_waits_for_none(router: gr.GraphRouter, tmp_path: Path) -> None:
    page = dump_dom(draw_heatmap(router).to_html(), tmp_path)
    (root,) = re.findall(r"<html[^>]*>", page)
    assert "data-error" not in root
    assert page.count("<svg ") == 2


def test_a_page_of_savings_runs_nothing_and_fetches_nothing(
    router: gr.GraphRouter, tmp_path: Path
) -> None:
    data = gr.simulate(num_queries=200, num_models=5).data
    found = find_savings(router, read_period(router, data), baseline=router.models[0])
    page = dump_dom(render_savings_html(found), tmp_path)
    (root,) = re.findall(r"<html[^>]*>", page)
    assert "data-error" not in root
    assert page.count("<svg ") == 6
    assert page.count('class="picture"') == 3
