"""`graphrouter plan`: the tree, what follows from grades, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.bench.simulate.simulation import simulate
from graphrouter.config import load_config
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]
FAST = ("encoder.name=hashing", "encoder.dimension=64")
BEST = ("--preset", "performance_first")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan") / "router"
    data = simulate(num_queries=200, num_models=4, seed=1).data
    GraphRouter.fit(data, load_config(overrides=FAST), instant=True).save(folder)
    return folder


def test_shows_a_tree_and_goes_on_after_a_grade(invoke: Invoke, artifact: Path) -> None:
    status, shown, errors = invoke("plan", artifact, "Hello.", *BEST, "--judge", "auc:0.9")
    assert (status, errors) == (0, "")
    first = shown.split()[1]
    assert shown.startswith(f"ask {first} (")
    assert "├─ pass (" in shown
    assert "judge: auc:0.9" in shown
    status, shown, _ = invoke("plan", artifact, "Hello.", *BEST, "--graded", f"{first}=0", "--json")
    assert status == 0
    after = json.loads(shown)
    assert after["first"] not in (None, first)
    assert after["in_hand"] == {first: 0.0}
    assert after["num_calls"] == 1
    status, shown, _ = invoke("plan", artifact, "Hello.", *BEST, "--graded", f"{first}=1")
    assert shown.startswith(f"keep {first} (1.00)")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--judge", "good"), "The judge is 'good'; expected exact, auc:0.8"),
        (("--judge", "auc:0.2"), "auc is 0.2"),
        (("--judge", "rates:0.9"), "expected exact, auc:0.8"),
        (("--judge", "rates:0.1,0.9"), "Turn its grades round"),
        (("--graded", "nano"), "--graded received 'nano'; expected MODEL=GRADE"),
        (("--graded", "nano=good"), "--graded received 'nano=good'; expected MODEL=GRADE"),
        (("--graded", "nano=0", "--graded", "nano=1"), "names 'nano' twice"),
        (("--graded", "nobody=1"), "'nobody', which is not in the pool"),
        (("--max-total-cost-usd", "1e-12"), "Nobody can be asked: max_total_cost_usd is 1e-12"),
        (("--max-total-cost-usd", "-1"), "max_total_cost_usd is -1.0"),
        (("--min-effect", "0.5"), "asks for min_effect"),
    ],
)
def test_what_makes_no_plan_is_one_line(
    invoke: Invoke, artifact: Path, words: tuple[str, ...], told: str
) -> None:
    status, shown, errors = invoke("plan", artifact, "Hello.", *words)
    assert status == 2
    assert shown == ""
    assert told in errors
    assert errors.count("\n") <= 2
