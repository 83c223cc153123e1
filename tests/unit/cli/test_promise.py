"""`graphrouter promise`: what it says, the file that `graphrouter route` takes, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from graphrouter.bench.simulate.simulation import simulate
from graphrouter.config import load_config
from graphrouter.policy import parse_policy
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]
FAST = ("encoder.name=hashing", "encoder.dimension=64", "split.test=0.6")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tables of a dense world, and a router of two fifths of it."""
    folder = tmp_path_factory.mktemp("promise")
    data = simulate(num_queries=600, num_models=4, seed=1, missing=0).data
    data.save(folder / "world")
    GraphRouter.fit(data, load_config(overrides=FAST), instant=True).save(folder / "router")
    return folder


def test_says_what_is_promised_and_writes_a_policy_that_routes(
    invoke: Invoke, place: Path, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    status, shown, errors = invoke(
        "promise", place / "router", place / "world", "--keep", "0.8", "--confidence", "0.9",
        "--max-latency-s", "900", "--out", file,
    )  # fmt: skip
    assert (status, errors) == (0, "")
    assert "Keeps at least 80 % of the mean effect of " in shown
    assert "(best_single), at a confidence of 90 %." in shown
    assert "On 360 graded queries: reached " in shown
    assert "Left out: 240 that the router has learned from." in shown
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert settings["max_latency_s"] == 900
    status, shown, _ = invoke("route", place / "router", "Hello.", "--policy", file, "--json")
    assert status == 0
    assert json.loads(shown)["policy"] == json.loads(json.dumps(parse_policy(settings).settings))


def test_json_is_the_promise(invoke: Invoke, place: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    model = GraphRouter.load(place / "router").models[0]
    status, shown, _ = invoke(
        "promise", place / "router", place / "world", "--max-mean-cost-usd", "0.9",
        "--of", model, "--keep", "0.5", "--hide-tasks", "--out", file, "--json",
    )  # fmt: skip
    assert status == 0
    found = json.loads(shown)
    assert (found["keep"], found["of"], found["reference"]) == (0.5, model, model)
    assert found["max_mean_cost_usd"] == 0.9
    assert json.loads(file.read_text(encoding="utf-8")) == found["policy"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--keep", "1.5"], "keep is 1.5; expected the share"),
        (["--confidence", "1"], "confidence is 1.0; expected a number between 0 and 1"),
        (["--of", "nobody"], "of is 'nobody', which is not in the pool"),
        (["--beats", "nobody"], "beats is 'nobody', which is not in the pool"),
        (
            ["--preset", "balanced"],
            "sets the weights (effect_weight, cost_weight), and the trade-off is what is",
        ),
        (["--keep", "1", "--confidence", "0.9999"], "graded queries do not support the promise"),
        (["--out", "policy.txt"], "the suffix '.txt' names no format. Use one of .yaml"),
    ],
)
def test_refusals_are_one_line(invoke: Invoke, place: Path, words: list[str], message: str) -> None:
    status, shown, errors = invoke("promise", place / "router", place / "world", *words)
    assert (status, shown) == (2, "")
    assert message in " ".join(errors.split())


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (
            "usd_per_effect: 0.1",
            ["--usd-per-effect", "0.2"],
            "policy.yaml sets usd_per_effect, and",
        ),
        ("- 1", [], "holds a list; expected settings of a policy"),
        ("cost: 1", [], "unknown setting 'cost'"),
        ("cost_weight: 2", [], "leaves no weight for effect_weight"),
        ("{", [], "is no valid YAML"),
    ],
)
def test_a_policy_file_that_makes_no_sense_is_refused(
    invoke: Invoke, place: Path, tmp_path: Path, text: str, words: list[str], message: str
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    status, _, errors = invoke("route", place / "router", "Hello.", "--policy", file, *words)
    assert status == 2
    assert message in " ".join(errors.split())


def test_a_policy_file_that_is_not_there_is_refused(invoke: Invoke, place: Path) -> None:
    status, _, errors = invoke("route", place / "router", "Hello.", "--policy", "nowhere.yaml")
    assert status == 2
    assert "nowhere.yaml is not there" in errors


def test_options_add_to_a_policy_file(invoke: Invoke, place: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("preset: cost_first\n", encoding="utf-8")
    status, shown, _ = invoke(
        "route", place / "router", "Hello.", "--policy", file, "--max-latency-s", "900", "--json"
    )
    assert status == 0
    policy = json.loads(shown)["policy"]
    assert (policy["cost_weight"], policy["max_latency_s"]) == (0.8, 900)
