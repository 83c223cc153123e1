"""`graphrouter routes`, and `--routes` of `route`, `assign` and `plan`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from graphrouter.router.graph_router import GraphRouter
from graphrouter.routes import Routes

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


def test_assign_by_routes(
    invoke: Invoke, artifact: Path, file: Path, router: GraphRouter, tmp_path: Path
) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out.csv"
    texts = [*(f"Prove that {n} is prime." for n in (2, 3, 5)), "Add 3 and 4 to 5."]
    prompts.write_text("\n".join(texts), encoding="utf-8")
    words = ("assign", artifact, prompts, "--budget-usd", "1", "--routes", file)
    status, shown, errors = invoke(*words, "--out", out)
    assert (status, errors) == (0, "")
    table = pd.read_csv(out)
    routes = Routes.load(file)
    expected = router.route_batch(texts, budget_usd=1.0, routes=routes)
    assert [*table.columns[-2:]] == ["route", "route_confidence"]
    assert table["model"].tolist() == list(expected.model)
    assert [None if pd.isna(name) else name for name in table["route"]] == [*expected.route]
    assert {*table["model"][table["route"] == "proofs"]} <= {router.models[1]}
    counted = [f"{name} {count}" for name, count in table["route"].value_counts().items()]
    assert all(words in shown for words in ("Routes        ", *counted))
    assert "to be routed alike" not in shown
    without = invoke("assign", artifact, prompts, "--budget-usd", "1")[1]
    assert without.splitlines()[0] == "query_id,model,effect,cost_usd,latency_s,used_fallback"


def test_options_that_a_route_puts_aside_are_told_by_assign_and_plan(
    invoke: Invoke, artifact: Path, tmp_path: Path
) -> None:
    file, prompts = tmp_path / "routes.yaml", tmp_path / "prompts.txt"
    file.write_text(
        "none_share: 0.01\nroutes:\n"
        "- {name: proofs, examples: [Prove that 17 is prime., Prove that 4 is even.], policy: "
        "cost_first}\n- {name: hello, examples: [Hello there, Hello you], policy: cost_first}\n",
        encoding="utf-8",
    )
    prompts.write_text("Prove that 17 is prime.\nHello there\n", encoding="utf-8")
    options = ("--routes", file, "--max-latency-s", "900")
    status, _, errors = invoke("assign", artifact, prompts, "--budget-usd", "1", *options)
    assert status == 0
    assert (
        "Warning: routes.yaml: the route 'hello' has a policy of its own, by which 1 prompt is "
        "routed; that of the options does not count for these: " in errors
    )
    status, shown, errors = invoke("plan", artifact, "Hello there", *options)
    assert status == 0
    assert "the route 'hello' has a policy of its own, by which this prompt is routed" in errors
    assert "route: hello (" in shown
    assert "policy: the highest 0.2 x effect - 0.8 x scaled cost; judge: exact" in shown


def test_plan_by_routes(invoke: Invoke, artifact: Path, file: Path, router: GraphRouter) -> None:
    words = ("plan", artifact, "Prove that 19 is prime.", "--judge", "auc:0.8", "--routes", file)
    status, shown, errors = invoke(*words, "--json")
    assert (status, errors) == (0, "")
    plan = json.loads(shown)
    assert (plan["route"], plan["first"]) == ("proofs", router.models[1])
    assert 0.5 < plan["route_confidence"] <= 1
    plain = json.loads(invoke("plan", artifact, "Prove it.", "--json")[1])
    assert (plain["route"], plain["route_confidence"]) == (None, None)
    assert "route: " not in invoke("plan", artifact, "Prove it.")[1]


@pytest.mark.parametrize("command", ["assign", "plan"])
def test_a_file_that_is_none_is_refused_before_the_router_is_read(
    invoke: Invoke, tmp_path: Path, command: str
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Hello\n", encoding="utf-8")
    limits = ("--budget-usd", "1") if command == "assign" else ()
    words = (command, tmp_path / "nowhere", prompts if limits else "Hello", *limits)
    status, shown, errors = invoke(*words, "--routes", tmp_path / "absent.yaml")
    assert (status, shown) == (2, "")
    assert "absent.yaml" in errors


def test_export_says_that_it_takes_no_routes(
    invoke: Invoke, artifact: Path, file: Path, tmp_path: Path
) -> None:
    words = ("export", "routerarena", artifact, tmp_path / "in.json", "--out", tmp_path / "o.json")
    status, _, errors = invoke(*words, "--routes", file)
    assert status == 2
    assert "No such option: --routes" in errors
