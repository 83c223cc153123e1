"""What CONTRIBUTING.md says of adding things is so: its table names files and tests that exist.

Shown here is what can be added without touching the package, and that no other test shows: a
channel, a metric, a command, and a fact about a query on its way to the router.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import typer

import graphrouter as gr
from graphrouter.bench.baselines.catalogue import ALWAYS, fit_baselines
from graphrouter.bench.evaluation import build_table, evaluate
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.measures import Measures, average_pairs
from graphrouter.bench.evaluation.metric_catalogue import FAMILIES, METRICS, Metric, MetricFamily
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.bench.evaluation.run_statistics import collect_statistics
from graphrouter.cli import app as app_module
from graphrouter.exceptions import DataError
from graphrouter.policy import CostScale
from graphrouter.router import TrainingView
from graphrouter.types import BoolArray, Predictions, Queries

ROOT = Path(__file__).resolve().parents[2]
HEADING = "## To add ..., touch these files"

ONE_CHANNEL_MORE = """
import sys
import numpy as np
from graphrouter.features import channels

four = channels._take_logarithms

def five(outcomes, unit):
    first_token = outcomes["latency_s"].to_numpy(float) / 10
    return np.vstack([*four(outcomes, unit), np.log(first_token)])

channels.NUM_CHANNELS += 1  # before anything else asks how many there are
channels._take_logarithms = five

import graphrouter as gr

quick = ["training.max_epochs=1", "training.steps_per_epoch=1", "encoder.name=hashing"]
data = gr.simulate(num_queries=40, num_models=3).data
router = gr.GraphRouter.fit(data, gr.load_config(overrides=quick))
router.save(sys.argv[1])
loaded = gr.load_router(sys.argv[1])
scaler, masses = loaded.learned.transforms.channels, loaded.learned.net.base.ability_mass()
assert scaler.observed == (True,) * 5 and len(masses) == 5
expected, received = (each.predict(["Hello."]).latency_s for each in (router, loaded))
assert np.isfinite(expected).all() and np.array_equal(expected, received)
"""


def test_a_channel_more_goes_through_graph_network_training_and_artifact(tmp_path: Path) -> None:
    """Where outcomes become channels, one more is made; nothing below counts them by hand."""
    command = [sys.executable, "-c", ONE_CHANNEL_MORE, str(tmp_path / "router")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_a_family_of_metrics_is_measured_sampled_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure_worst_pair(
        evaluation_set: EvaluationSet, output: RouterOutput, usable: BoolArray
    ) -> Measures:
        error = np.abs(output.predictions.effect - evaluation_set.observed.effect)
        return {"worst_error": average_pairs(np.nanmax(error, axis=1, where=usable, initial=0.0))}

    metric = Metric("worst_error", "worst error", "predictor", lower_is_better=True)
    family = MetricFamily((metric,), measure_worst_pair, "effect")
    reader = sys.modules[collect_statistics.__module__]
    monkeypatch.setattr(reader, "FAMILIES", (*FAMILIES, family))
    monkeypatch.setitem(METRICS, metric.name, metric)

    data = gr.simulate(num_queries=60, num_models=3).data
    view = TrainingView.of(data)
    baselines = fit_baselines(view, ALWAYS)
    found = evaluate(
        baselines["task_mean"],
        data,
        view.split.test,
        baselines={"best_single": baselines["best_single"]},
        cost_scale=CostScale.fit(data.outcome_matrix("cost_usd", view.split.train)),
        num_draws=20,
        name="task_mean",
    )
    figure = found.settings["task_known"].routers["task_mean"]["worst_error"]
    assert 0 < figure.value < 1
    assert figure.low <= figure.value <= figure.high
    assert "worst error" in [m.title for m in build_table(found).metrics]


def test_a_command_has_options_errors_and_status_like_all_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def count(models: Annotated[int, typer.Option("--models", min=1)] = 2) -> None:
        """Count models."""
        if models > 9:
            raise DataError(f"{models} models are too many.")
        typer.echo("model " * models)

    monkeypatch.setattr(app_module.app, "registered_commands", [])
    monkeypatch.setattr(app_module, "_make_command", typer.main.get_command)
    app_module.app.command()(count)
    assert app_module.run(["count", "--models", "3"]) == 0
    assert capsys.readouterr() == ("model model model \n", "")
    assert app_module.run(["count", "--models", "10"]) == 2
    assert capsys.readouterr().err == "Error: 10 models are too many.\n"
    assert app_module.run(["count", "--models", "0"]) == 2
    assert "graphrouter count --help" in capsys.readouterr().err


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueriesOfUsers(Queries):
    """Queries with one fact more."""

    users: tuple[str, ...]


def test_a_fact_about_a_query_reaches_the_router(monkeypatch: pytest.MonkeyPatch) -> None:
    router = fit_baselines(gr.simulate(num_queries=60, num_models=3).data, ())["task_mean"]
    received: list[Queries] = []

    def predict(self: object, queries: Queries) -> Predictions:
        received.append(queries)
        return Predictions.from_arrays(router.models, np.full((len(queries), 3), 0.5))

    monkeypatch.setattr(type(router), "_predict", predict)
    asked = QueriesOfUsers(("Hello.", "Bye."), (None, None), users=("ann", "bob"))
    router.predict(asked)
    router.route_batch(asked, policy=gr.Policy(cost_weight=0))
    assert received == [asked, asked]


def read_table() -> list[tuple[str, str, str]]:
    """The rows of the table: what is added, what is touched, what shows it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert HEADING in text
    section = text.split(HEADING, 1)[1].split("\n## ", 1)[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in re.findall(r"^\|.+$", section, re.M)]
    assert [cell.strip() for cell in rows[0]] == ["to add", "touch", "shown by"]
    return [(each[0].strip(), each[1], each[2]) for each in rows[2:]]


def test_the_table_has_a_row_for_each_point() -> None:
    added = " ".join(name for name, _, _ in read_table())
    points = ("encoder", "baseline", "channel", "node type", "policy setting", "metric", "command")
    assert all(point in added for point in points)


def test_every_file_of_the_table_exists() -> None:
    for name, touched, shown in read_table():
        files = re.findall(r"`([\w./-]+\.(?:py|md|yaml))`", touched)
        assert files, f"{name}: no file is named"
        for file in files + re.findall(r"`([\w./-]+\.(?:py|md))(?:::[\w:]+)?`", shown):
            assert (ROOT / file).is_file(), f"{name}: {file} is not there"


def test_every_row_names_a_test_that_exists() -> None:
    for name, _, shown in read_table():
        tests = re.findall(r"`(tests/[\w/]+\.py)(?:::([\w:]+))?`", shown)
        assert tests, f"{name}: no test is named"
        for file, wanted in tests:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            for part in wanted.split("::") if wanted else ():
                bodies = [node for node in ast.walk(tree) if getattr(node, "name", None) == part]
                assert bodies, f"{name}: {file} has no {part}"
