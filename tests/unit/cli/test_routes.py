"""`graphrouter routes` and `graphrouter route --routes`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path, router: GraphRouter) -> Path:
    file = tmp_path / "routes.yaml"
    file.write_text(
        "- name: proofs\n  description: Prove a statement.\n"
        "  examples: [Prove that 17 is prime., Prove that 4 is even.]\n"
        f"  model: {router.models[1]}\n"
        "- {name: talk, description: Small talk., policy: cost_first}\n",
        encoding="utf-8",
    )
    return file


def test_route_by_routes(invoke: Invoke, artifact: Path, file: Path, router: GraphRouter) -> None:
    words = ("route", artifact, "Prove that 17 is prime.", "--routes", file)
    status, shown, errors = invoke(*words)
    assert (status, errors) == (0, "")
    assert "route: " in shown
    assert "% sure)" in shown
    status, shown, _ = invoke(*words, "--json")
    decision = json.loads(shown)
    assert decision["route"] in ("proofs", "talk", None)
    assert 0 <= decision["route_confidence"] <= 1
    status, shown, _ = invoke("route", artifact, "Prove it.", "--json")
    assert json.loads(shown)["route_confidence"] is None


def test_options_that_a_route_puts_aside_are_told(
    invoke: Invoke, artifact: Path, tmp_path: Path, router: GraphRouter
) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(
        "none_share: 0.01\nroutes:\n"
        "- {name: proofs, examples: [Prove that 17 is prime., Prove that 4 is even.], policy: "
        "cost_first}\n"
        f"- {{name: hello, examples: [Hello there, Hello you], models: [{router.models[0]}]}}\n",
        encoding="utf-8",
    )
    options = ("--routes", file, "--max-latency-s", "900", "--cost-weight", "0")
    status, shown, errors = invoke("route", artifact, "Prove that 17 is prime.", *options)
    assert status == 0
    assert errors == (
        "Warning: routes.yaml: the route 'proofs' has a policy of its own, by which this prompt is "
        "routed; that of the options does not count: the highest expected effect; at most 900 s.\n"
    )
    assert "policy: the highest 0.2 x effect - 0.8 x scaled cost\n" in shown
    status, shown, errors = invoke("route", artifact, "Hello there", *options)
    assert (status, errors) == (0, "")
    assert f"at most 900 s; only {router.models[0]}" in shown
    proofs = ("route", artifact, "Prove that 17 is prime.", "--routes", file)
    assert invoke(*proofs)[2] == ""
    help_text = " ".join(invoke("route", "--help")[1].replace("│", " ").split())
    assert "the options of the policy do not count" in help_text


def test_check_says_where_examples_go(invoke: Invoke, artifact: Path, file: Path) -> None:
    status, shown, errors = invoke("routes", "check", artifact, file)
    assert (status, errors) == (0, "")
    assert "of 2 examples go to their route" in shown
    assert "Fewer than 5 examples: talk, proofs" in shown
    status, shown, _ = invoke("routes", "check", artifact, file, "--json")
    found = json.loads(shown)
    assert found["num_examples"] == 2
    assert found["without_examples"] == ["talk"]


def test_match_writes_a_row_a_prompt(
    invoke: Invoke, artifact: Path, file: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Prove that 2 is prime.\nHello\n", encoding="utf-8")
    words = ("routes", "match", artifact, file, prompts)
    status, shown, errors = invoke(*words)
    assert (status, errors) == (0, "")
    lines = shown.splitlines()
    assert lines[0] == "query_id,route,confidence,p_none,p_proofs,p_talk"
    assert len(lines) == 3
    status, shown, _ = invoke(
        "routes", "match", artifact, file, prompts, "--out", tmp_path / "a.csv"
    )
    assert "Wrote the routes of 2 prompts" in shown


@pytest.mark.parametrize("words", [("routes", "check"), ("route",)])
def test_a_file_with_a_strange_model_is_one_line(
    invoke: Invoke, artifact: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("- {name: a, description: b, model: nobody}\n", encoding="utf-8")
    more = (file,) if len(words) == 2 else ("Hi", "--routes", file)
    status, _, errors = invoke(*words, artifact, *more)
    assert status == 2
    assert errors.startswith(
        "Error: routes.yaml: the route 'a' names 'nobody', which is not in the pool."
    )
