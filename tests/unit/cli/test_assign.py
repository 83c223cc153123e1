"""`graphrouter assign`: choices of a file within limits, and what it refuses."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from graphrouter.bench.simulate.simulation import Simulation
from graphrouter.data.table_files import read_table, write_table
from graphrouter.policy import Policy
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]
COLUMNS = ["query_id", "model", "effect", "cost_usd", "latency_s", "used_fallback"]


@pytest.fixture(scope="module")
def prompts(simulation: Simulation) -> list[str]:
    return simulation.data.queries["prompt"].str.replace(r"\s+", " ", regex=True).tolist()[:40]


@pytest.fixture(scope="module")
def budget(router: GraphRouter, prompts: list[str]) -> float:
    """Half way between the cheapest and the dearest choices."""
    cost = router.predict(prompts).cost_usd
    return float((cost.min(axis=1) + cost.max(axis=1)).sum() / 2)


@pytest.mark.parametrize("source", [".txt", ".parquet", ".csv", ".jsonl"])
@pytest.mark.parametrize("target", [".parquet", ".csv", ".jsonl"])
def test_every_format_holds_the_choices_of_the_router(
    invoke: Invoke,
    artifact: Path,
    router: GraphRouter,
    prompts: list[str],
    budget: float,
    tmp_path: Path,
    source: str,
    target: str,
) -> None:
    file, out = tmp_path / f"in{source}", tmp_path / "new" / f"out{target}"
    if source == ".txt":
        file.write_text("\n\n".join(prompts) + "\n", encoding="utf-8")
    else:
        write_table(pd.DataFrame({"prompt": prompts}), file)
    status, shown, errors = invoke("assign", artifact, file, "--budget-usd", budget, "--out", out)
    assert (status, errors) == (0, "")
    assert "Wrote 40 choices to" in shown
    assert "one more USD would buy" in shown or "does not bind" in shown
    table = read_table(out)
    assert list(table.columns) == COLUMNS
    step = 2 if source == ".txt" else 1  # every second line is blank
    assert table["query_id"].tolist() == [str(step * i + 1) for i in range(40)]
    expected = router.route_batch(prompts, budget_usd=budget)
    assert table["model"].tolist() == list(expected.model)
    assert table["cost_usd"].astype(float).sum() <= budget * (1 + 1e-9)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_several_processes_choose_the_same(
    invoke: Invoke, artifact: Path, prompts: list[str], budget: float, tmp_path: Path
) -> None:
    file = tmp_path / "p.txt"
    file.write_text("\n".join(prompts), encoding="utf-8")
    asked = ("assign", artifact, file, "--budget-usd", budget)
    assert invoke(*asked, "--processes", 2) == invoke(*asked)


def test_standard_output_holds_the_table_alone(
    invoke: Invoke, artifact: Path, prompts: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "p.txt"
    file.write_text("\n".join(prompts), encoding="utf-8")
    status, shown, errors = invoke("assign", artifact, file, "--budget-s", 1e6)
    assert status == 0
    table = pd.read_csv(io.StringIO(shown))
    assert table.columns.tolist() == COLUMNS
    assert len(table) == 40
    assert "Wrote 40 choices to standard output" in errors
    assert "the budget does not bind" in errors


def test_calls_and_policy_hold(
    invoke: Invoke, artifact: Path, router: GraphRouter, prompts: list[str], tmp_path: Path
) -> None:
    file, out = tmp_path / "p.txt", tmp_path / "o.csv"
    file.write_text("\n".join(prompts), encoding="utf-8")
    first, second, *_ = router.models
    words = ("--max-calls", f"{first}=3", "--exclude", second, "--cost-weight", "0.3")
    status, _, errors = invoke("assign", artifact, file, *words, "--out", out)
    assert status == 0
    assert "effect_weight and cost_weight of the policy do not count: a budget, or" in errors
    third = router.models[2]
    assert invoke("assign", artifact, file, *words, "--unavailable", third, "--out", out)[0] == 0
    assert third not in read_table(out)["model"].tolist()
    now = ("--budget-s", "1", "--extra-latency", f"{first}=1e9", "--allow", first)
    status, _, errors = invoke("assign", artifact, file, *now, "--out", out)
    assert status == 2
    assert "budget_s = 1 is too low: the cheapest choices" in errors
    invoke("assign", artifact, file, *words, "--out", out)
    models = read_table(out)["model"].tolist()
    assert models.count(first) <= 3
    assert second not in models
    policy = Policy(excluded=(second,))
    assert models == list(router.route_batch(prompts, policy=policy, max_calls={first: 3}).model)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no limit is given; expected --budget-usd, --budget-s or --max-calls"),
        (("--budget-usd", "-1"), "budget_usd is -1.0; expected a finite number of at least 0"),
        (("--budget-usd", "nan"), "budget_usd is nan; expected"),
        (("--budget-usd", "1e-9"), "budget_usd = 1e-09 is too low: the cheapest choices"),
        (("--max-calls", "nobody=3"), "max_calls names 'nobody', which is not in the pool"),
        (("--max-calls", "nobody"), "--max-calls received 'nobody'; expected a model and a whole"),
        (("--max-calls", "a=1", "--max-calls", "a=2"), "--max-calls names 'a' twice"),
        (("--budget-usd", "1", "--out", "x.txt"), "Cannot write x.txt: the suffix '.txt' names no"),
    ],
)
def test_what_is_refused(
    invoke: Invoke, artifact: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    file = tmp_path / "p.txt"
    file.write_text("Hello\n", encoding="utf-8")
    status, shown, errors = invoke("assign", artifact, file, *words)
    assert (status, shown) == (2, "")
    assert message in errors
    assert len(errors.strip().splitlines()) == 1


def test_the_file_with_the_prompts_is_not_lost(
    invoke: Invoke, artifact: Path, tmp_path: Path
) -> None:
    file = tmp_path / "p.csv"
    file.write_text("prompt\nHello\n", encoding="utf-8")
    status, _, errors = invoke("assign", artifact, file, "--budget-usd", 1, "--out", file)
    assert status == 2
    assert "is the file with the queries, which would be lost" in errors


def test_an_empty_text_file_holds_no_queries(
    invoke: Invoke, artifact: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_text("\n\n", encoding="utf-8")
    status, _, errors = invoke("assign", artifact, tmp_path / "p.txt", "--budget-usd", 1)
    assert status == 2
    assert "holds no queries; expected at least one row" in errors


def test_prompts_of_a_text_file_have_the_numbers_of_their_lines(
    invoke: Invoke, artifact: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_text("\nSay hello.\n\n  \nAdd 3 and 4.\n", encoding="utf-8")
    status, shown, _ = invoke("assign", artifact, tmp_path / "p.txt", "--budget-usd", 1)
    assert status == 0
    assert pd.read_csv(io.StringIO(shown))["query_id"].tolist() == [2, 5]
