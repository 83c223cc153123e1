"""A report, opened in a real browser without network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.bench.baselines import fit_baselines
from graphrouter.bench.evaluation.evaluate import collect_outputs, score_runs
from graphrouter.bench.evaluation.held_out import collect_held_out
from graphrouter.bench.evaluation.newcomers import render_newcomers_html
from graphrouter.bench.evaluation.on_request import measure_on_request
from graphrouter.bench.evaluation.report import build_report, render_html
from graphrouter.config import parse_config
from graphrouter.data import split_dataset
from tests.unit.bench.evaluation.newcomers.test_newcomer_page import GOOD

BROWSER = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def html() -> str:
    """The page of a router that was hardly trained, on data whose prompts are hostile."""
    plain = gr.simulate(num_queries=300, num_models=6).data
    data = gr.RoutingDataset.from_frames(
        queries=plain.queries.assign(prompt=f"{HOSTILE} " + plain.queries["prompt"]),
        models=plain.models,
        outcomes=plain.outcomes,
    )
    config = parse_config({"training": {"max_epochs": 1, "steps_per_epoch": 2}})
    split = split_dataset(data, config.split)
    router = gr.GraphRouter.fit(data, config)
    baselines = fit_baselines(data, split=split, encoder=router.encoder)
    run = collect_outputs(
        router, data, split.test, baselines=baselines, cost_scale=router.cost_scale
    )
    evaluation = score_runs([run], dataset=data.name, num_draws=50)
    return render_html([build_report([run], evaluation, date="2026-01-31")])


@pytest.fixture(scope="module")
def sequential() -> str:
    """The page of plans and cascades that were replayed with one judge, and of budgets."""
    data = gr.simulate(num_queries=200, num_models=4).data
    router = gr.GraphRouter.fit(data, instant=True)
    found = collect_held_out(router, data, baselines=[], judge="auc:0.8")
    evaluation = found.score(num_draws=20)
    asked = measure_on_request(router, data, found.run, budgets=True, promises=False, num_draws=20)
    report = build_report([found.run], evaluation, date="2026-01-31", on_request=asked)
    return render_html([report])


def dump_dom(html: str, folder: Path, *, fragment: str = "") -> str:
    """The document as it stands after its scripts have run, opened at a fragment."""
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    command = [
        str(BROWSER),
        "--headless",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses to sandbox root
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1400,1000",
        "--virtual-time-budget=10000",
        "--dump-dom",
        page.as_uri() + fragment,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture(scope="module")
def dom(html: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return dump_dom(html, tmp_path_factory.mktemp("page"))


def test_all_plots_are_drawn_without_an_error(dom: str) -> None:
    (root,) = re.findall(r"<html[^>]*>", dom)
    assert "data-error" not in root  # a script failed, or the page tried to fetch something
    assert 'data-plots="4"' in root
    assert len(re.findall(r'<svg class="main-svg"', dom)) >= 4
    assert len(re.findall(r'class="scatterlayer', dom)) == 4
    assert len(re.findall(r'class="trace scatter', dom)) > 4 * 4


def test_calls_and_budgets_are_drawn(sequential: str, tmp_path: Path) -> None:
    page = dump_dom(sequential, tmp_path)
    (root,) = re.findall(r"<html[^>]*>", page)
    assert "data-error" not in root
    assert 'data-plots="8"' in root  # frontier, calls, budgets, reliability, in both settings
    assert page.count("calls a query</text>") == 2
    document = re.sub(r"<script\b[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert document.count("<caption>Calls a query in each preset") == 2
    assert document.count("<caption>What a budget buys") == 2
    legend = re.findall(r'class="legendtext"[^>]*>([^<]*)<', document)
    assert legend.count("graphrouter, the batch") == 2
    assert legend.count("graphrouter_sequential †") == 4  # also of the frontier, both settings
    table = document.split("<caption>Calls a query in each preset")[1].split("</table>")[0]
    assert table.count("graphrouter_sequential") == 3


def test_nothing_refers_to_the_network(dom: str) -> None:
    document = re.sub(r"<script\b.*?</script>", "", dom, flags=re.DOTALL)
    document = re.sub(r'xmlns(:\w+)?="[^"]*"', "", document)
    assert not re.search(
        r"(?:src|href|action|data|poster|srcset)\s*=\s*[\"']?\s*(?:https?:)?//", document
    )
    assert not re.search(r"url\(\s*[\"']?(?:https?:)?//|@import", document)


def test_hostile_prompts_are_shown_as_text(dom: str) -> None:
    document = re.sub(r"<script\b[^>]*>.*?</script>", "", dom, flags=re.DOTALL)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;" in document
    assert "<img" not in document


def test_a_click_sorts_a_table(html: str, tmp_path: Path) -> None:
    """With the policy of the page lifted, a script clicks the first number column of the first
    table of figures, twice."""
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    clicks = """<script>addEventListener("load", () => {
      const tables = [...document.querySelectorAll("table")];
      const table = tables.find((each) => each.caption.textContent === "Main figures");
      const rows = () => [...table.tBodies[0].rows];
      const read = () => rows().map((row) => row.cells[1].dataset.key).join(" ");
      const button = table.tHead.rows[0].cells[1].querySelector("button");
      button.click(); document.body.dataset.up = read();
      button.click(); document.body.dataset.down = read();
    });</script></body>"""
    body = re.search(r"<body[^>]*>", dump_dom(open_page.replace("</body>", clicks), tmp_path))
    assert body is not None
    up, down = (re.search(rf'data-{name}="([^"]*)"', body[0]) for name in ("up", "down"))
    assert up is not None
    assert down is not None
    rising, falling = ([float(key) for key in found[1].split()] for found in (up, down))
    assert len(rising) == 5
    assert rising == sorted(rising)
    assert falling == rising[::-1]
    assert up[1].endswith(" ")  # the oracle predicts nothing: its row stays below


def test_the_page_on_newcomers_draws_its_curves_too(tmp_path: Path) -> None:
    page = dump_dom(render_newcomers_html(GOOD, command=HOSTILE), tmp_path)
    (root,) = re.findall(r"<html[^>]*>", page)
    assert "data-error" not in root
    assert 'data-plots="3"' in root
    document = re.sub(r"<script\b[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert "<img" not in document
    assert document.count('class="sortable"') == 3
