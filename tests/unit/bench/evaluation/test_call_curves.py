"""Calls a query of plans and cascades over the trade-offs, on tiny runs and real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphrouter.bench.evaluation.call_curves import trace_calls
from graphrouter.bench.evaluation.report import build_report, render_markdown
from graphrouter.bench.evaluation.router_output import Replayed, RouterOutput
from graphrouter.policy import PRESETS
from graphrouter.router.trade_offs import NUM_SWEPT
from tests.unit.bench.evaluation.report.conftest import (
    Scored,
    predictions,
    scored,
    tiny_run,
    without_costs,
)

__all__ = ["scored", "without_costs"]  # fixtures

# Model a is cheap and solves the first query, model b is dear and solves both.
OBSERVED = predictions([[1, 1], [0, 1]], [[0.1, 0.5], [0.1, 0.5]])
BEST_SINGLE = predictions([[0.5, 1.0]] * 2, [[0.1, 0.5]] * 2)
KNOWS_ALL = predictions([[1.0, 0.9], [0.0, 1.0]], [[0.1, 0.5]] * 2)
NUM_POINTS = NUM_SWEPT + len(PRESETS)


def cascade(**parts: np.ndarray) -> Replayed:
    """Asks a, then b where a is wrong; where only cost counts, a alone."""
    cost, effect, calls = (np.empty((2, NUM_POINTS)) for _ in range(3))
    cost[:], effect[:], calls[:] = [[0.1], [0.6]], 1.0, [[1], [2]]
    cost[1, NUM_SWEPT - 1], effect[1, NUM_SWEPT - 1], calls[1, NUM_SWEPT - 1] = 0.1, 0.0, 1
    made = Replayed(cost, effect, calls, np.ones(2, dtype=bool))
    return made._replace(**parts)


def test_means_over_queries_at_each_trade_off() -> None:
    run = tiny_run(OBSERVED, {"graphrouter": KNOWS_ALL, "best_single": BEST_SINGLE})
    run.outputs["task_hidden"]["cascade"] = RouterOutput(KNOWS_ALL, cascade())  # type: ignore[index]
    router, found = trace_calls([run], "task_hidden")
    assert (router.router, found.router) == ("graphrouter", "cascade")
    assert set(router.num_calls) == {1.0}
    assert router.effect[0] == 1.0
    assert router.cost_usd[0] == pytest.approx(0.3)
    assert found.num_calls == (*[1.5] * (NUM_SWEPT - 1), 1.0)
    assert found.effect == (*[1.0] * (NUM_SWEPT - 1), 0.5)
    assert found.cost_usd == pytest.approx((*[0.35] * (NUM_SWEPT - 1), 0.1))
    assert [point.preset for point in found.presets] == [*PRESETS]
    assert {(point.num_calls, point.effect) for point in found.presets} == {(1.5, 1.0)}
    plain = found.to_json()
    assert set(plain) == {"num_calls", "effect", "cost_usd", "presets"}
    assert plain["presets"][0]["cost_usd"] == pytest.approx(0.35)


def test_queries_without_an_answer_do_not_count() -> None:
    run = tiny_run(OBSERVED, {"graphrouter": KNOWS_ALL})
    one = cascade()
    answered = np.array([False, True])
    part = Replayed(*(each * answered[:, None] for each in one[:3]), answered)
    run.outputs["task_hidden"]["cascade"] = RouterOutput(KNOWS_ALL, part)  # type: ignore[index]
    _, found = trace_calls([run], "task_hidden")
    assert found.num_calls[0] == 2.0
    assert found.presets[0].cost_usd == pytest.approx(0.6)


def test_nothing_to_trace(scored: Scored, without_costs: Scored) -> None:
    run = tiny_run(OBSERVED, {"graphrouter": KNOWS_ALL})
    assert trace_calls([run], "task_hidden") == ()
    uncounted = cascade(num_calls=np.full((2, NUM_POINTS), np.nan))
    run.outputs["task_hidden"]["cascade"] = RouterOutput(KNOWS_ALL, uncounted)  # type: ignore[index]
    assert trace_calls([run], "task_hidden") == ()
    assert trace_calls(without_costs.runs, "task_known") == ()
    report = build_report(without_costs.runs, without_costs.evaluation)
    assert "Calls a query in each preset" not in render_markdown([report])


def test_several_splits_are_averaged_and_shown(scored: Scored) -> None:
    both = trace_calls(scored.runs, "task_known")
    each = [trace_calls([run], "task_known") for run in scored.runs]
    assert [curve.router for curve in both] == ["graphrouter", "frugal_gpt"]
    assert both[1].num_calls == pytest.approx(
        np.mean([found[1].num_calls for found in each], axis=0)
    )
    report = build_report(scored.runs, scored.evaluation)
    shown = render_markdown([report])
    point = both[1].presets[0]
    assert "Calls a query in each preset" in shown
    assert f"| frugal\\_gpt † | performance\\_first | {point.num_calls:.2f} |" in shown
    section = report.sections[0]
    figure = scored.evaluation.settings["task_known"].routers["frugal_gpt"]["mean_calls"]
    assert figure.value == pytest.approx(point.num_calls)
    assert replace(section, calls=()).calls == ()
