"""`graphrouter savings`: of a dataset and of a gateway's store, as a page, as PDF and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.bench.simulate import Simulation
from graphrouter.gateway.exploring import Exploration
from graphrouter.gateway.store import Store
from graphrouter.router.graph_router import GraphRouter
from tests.unit.cli.test_replay import fill

Invoke = Callable[..., tuple[int, str, str]]


def test_a_dataset_becomes_a_page_and_paper(
    invoke: Invoke, artifact: Path, router: GraphRouter, world: Path, tmp_path: Path
) -> None:
    page, paper = tmp_path / "page.html", tmp_path / "page.pdf"
    words = ("--baseline", router.models[-1], "--out", page, "--pdf", paper)
    status, shown, errors = invoke("savings", artifact, world, *words)
    assert (status, errors) == (0, "")
    for text in ("way to choose", "Balanced", "Sure:", "Not sure:", f"Wrote {paper}"):
        assert text in shown
    assert "What it costs" in page.read_text(encoding="utf-8")
    assert paper.read_bytes().startswith(b"%PDF")


def test_a_store_is_told_by_its_chances(
    invoke: Invoke, artifact: Path, router: GraphRouter, simulation: Simulation, tmp_path: Path
) -> None:
    place = tmp_path / "gateway.db"
    truths = fill(place, router, simulation, Exploration(0.9, "uniform", seed=0))
    name = router.models[0]
    status, shown, errors = invoke("savings", artifact, place, "--baseline", name, "--json")
    assert (status, errors) == (0, "")
    found = json.loads(shown)
    effect, truth = found["baseline"]["effect"], sum(truths[name]) / len(truths[name])
    assert found["num_calls"] == len(truths[name])
    assert effect["share_from_log"] == 1.0
    assert effect["low"] <= truth <= effect["high"]
    paid = 0.0014 * found["num_calls"]
    assert found["logged"]["paid_usd"] == pytest.approx(paid)
    cost = found["baseline"]["cost_usd"]
    assert cost["low"] <= paid * 1.0001
    assert cost["high"] >= paid * 0.9999


def test_a_store_without_chance_is_predicted(
    invoke: Invoke, artifact: Path, router: GraphRouter, simulation: Simulation, tmp_path: Path
) -> None:
    place = tmp_path / "gateway.db"
    fill(place, router, simulation, None)
    words = ("savings", artifact, place, "--baseline", router.models[0], "--json")
    found = json.loads(invoke(*words)[1])
    assert found["baseline"]["effect"]["share_from_log"] == 0.0
    assert found["why_unknown"]


def test_policies_from_files_and_presets(
    invoke: Invoke, artifact: Path, router: GraphRouter, world: Path, tmp_path: Path
) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(f"allowed: [{router.models[0]}]\n", encoding="utf-8")
    words = ("--baseline", router.models[0], "--policy", "balanced", "--policy", file)
    status, shown, _ = invoke("savings", artifact, world, *words, "--json")
    assert status == 0
    assert [each["name"] for each in json.loads(shown)["policies"]] == ["Balanced", "ours"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--baseline", "nobody"), "nobody"),
        (("--baseline", "x", "--policy", "cheapest"), "expected a preset (performance_first, "),
        (("--baseline", "x", "--out", "page.txt"), "suffix '.txt' names no format"),
        (("--baseline", "x", "--since", "2026-01-01"), "--since and --until are for the store"),
    ],
)
def test_what_is_refused(
    invoke: Invoke, artifact: Path, world: Path, words: tuple[str, ...], message: str
) -> None:
    status, shown, errors = invoke("savings", artifact, world, *words)
    assert (status, shown) == (2, "")
    assert message in errors


def test_an_empty_store_is_refused(
    invoke: Invoke, artifact: Path, router: GraphRouter, tmp_path: Path
) -> None:
    place = tmp_path / "gateway.db"
    Store.open(place).close()
    status, _, errors = invoke("savings", artifact, place, "--baseline", router.models[0])
    assert status == 2
    assert "no answered decision in that time" in errors
