"""`graphrouter pool check`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from graphrouter.bench.simulate.simulation import Simulation
from graphrouter.cli.console import console
from graphrouter.router.graph_router import GraphRouter
from tests.unit.cli.conftest import Invoke


@pytest.fixture(scope="module")
def graded(simulation: Simulation, router: GraphRouter) -> pd.DataFrame:
    """Outcomes on the test queries of the router."""
    queries = simulation.data.queries
    test = queries[queries["query_id"].isin(router.provenance.split.test)]
    return simulation.data.outcomes.merge(test, on="query_id")[
        ["model", "prompt", "task", "effect"]
    ]


def _write(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "graded.csv", index=False)
    return folder / "graded.csv"


def test_unchanged_models_are_as_expected(
    artifact: Path, graded: pd.DataFrame, tmp_path: Path, invoke: Invoke
) -> None:
    status, shown, error = invoke("pool", "check", artifact, _write(graded, tmp_path))
    assert (status, error) == (0, "")
    assert all(model in shown for model in graded["model"].unique())
    assert "as expected" in shown
    assert "No model has changed" in shown


def test_a_changed_model_is_named_with_what_to_do(
    artifact: Path, router: GraphRouter, graded: pd.DataFrame, tmp_path: Path, invoke: Invoke
) -> None:
    best = str(graded.groupby("model")["effect"].mean().idxmax())
    broken = graded.assign(effect=graded["effect"].mask(graded["model"] == best, 0.0))
    status, shown, _ = invoke("pool", "check", artifact, _write(broken, tmp_path))
    assert status == 3
    assert f"{best} is worse" in shown
    assert f"Changed: {best}." in shown
    assert "--outcomes FILE --replace" in " ".join(shown.split())
    status, shown, _ = invoke("pool", "check", artifact, _write(broken, tmp_path), "--json")
    assert status == 3
    assert json.loads(shown)["changed"] == [best]
    assert [row["model"] for row in json.loads(shown)["models"]] == list(router.models)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_verdicts_are_read_whole_at_any_width(
    width: int,
    artifact: Path,
    graded: pd.DataFrame,
    tmp_path: Path,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    best = str(graded.groupby("model")["effect"].mean().idxmax())
    broken = graded.assign(effect=graded["effect"].mask(graded["model"] == best, 0.0))
    monkeypatch.setattr(console, "width", width)
    _, shown, _ = invoke("pool", "check", artifact, _write(broken, tmp_path))
    assert all(len(line.rstrip()) <= width for line in shown.splitlines())
    rows = [line for line in shown.splitlines() if " CHANGED " in line]
    assert len(rows) == 1, "a word of a verdict is never broken"
    assert ("interval" in shown) == (width == 140)


def test_few_outcomes_and_a_single_model_are_said_so(
    artifact: Path, graded: pd.DataFrame, tmp_path: Path, invoke: Invoke
) -> None:
    status, shown, _ = invoke("pool", "check", artifact, _write(graded.head(5), tmp_path))
    assert status == 0
    assert "Too few outcomes to tell" in shown
    alone = graded[graded["model"] == graded["model"].iloc[0]]
    assert "cannot be told from harder prompts" in " ".join(
        invoke("pool", "check", artifact, _write(alone, tmp_path))[1].split()
    )


def test_outcomes_that_the_router_knows_are_compared_with_the_old_ones(
    artifact: Path, router: GraphRouter, tmp_path: Path, invoke: Invoke
) -> None:
    old = router.support.outcomes[["query_id", "model", "effect"]]
    status, shown, _ = invoke("pool", "check", artifact, _write(old, tmp_path))
    assert status == 0
    assert f"{len(old)} outcomes were compared with an older outcome" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"effect": "good"}, [], "effect"),
        ({"effect": 1.5}, [], "effect is 1.5"),
        ({"model": "nobody"}, [], "model 'nobody' is not in the pool"),
        ({"prompt": ""}, [], "Give the prompt of the query"),
        ({}, ["--level", "2"], "level is 2"),
    ],
)
def test_bad_input_is_one_clear_line(
    change: dict[str, object],
    options: list[str],
    message: str,
    artifact: Path,
    graded: pd.DataFrame,
    tmp_path: Path,
    invoke: Invoke,
) -> None:
    status, shown, error = invoke(
        "pool", "check", artifact, _write(graded.assign(**change), tmp_path), *options
    )
    assert (status, shown) == (2, "")
    assert message in error
    assert error.count("\n") == 1


def test_no_effects_and_no_file(
    artifact: Path, graded: pd.DataFrame, tmp_path: Path, invoke: Invoke
) -> None:
    status, _, error = invoke(
        "pool", "check", artifact, _write(graded.drop(columns="effect"), tmp_path)
    )
    assert (status, "column 'effect' is missing" in error) == (2, True)
    status, _, error = invoke("pool", "check", artifact, tmp_path / "none.csv")
    assert (status, error.count("\n")) == (2, 1)
    status, _, error = invoke("pool", "check", artifact, _write(graded.head(0), tmp_path))
    assert (status, error.count("\n")) == (2, 1)
