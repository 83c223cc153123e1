"""What a registered router answers, without MLflow around it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.exceptions import NotApplicableError, PolicyError
from graphrouter.policy import Policy
from graphrouter.router.graph_router import GraphRouter
from graphrouter.tracking.answers import (
    ALWAYS_KNOWN,
    COLUMNS,
    LIST_PARAMS,
    PARAMS,
    ROUTES,
    answer,
    read_policy,
)
from graphrouter.types import Queries

PROMPTS = ["Add 17 and 25.", "Translate 'good morning' into French."]


def test_columns_are_those_of_the_decisions(router: GraphRouter) -> None:
    frame = pd.DataFrame({"prompt": PROMPTS, "task": [router.known_tasks[0], None]})
    found = answer(router, frame, {})
    decisions = router.route_batch(PROMPTS, tasks=[router.known_tasks[0], None])
    assert list(found.columns) == list(COLUMNS)
    for name in (
        "model",
        "effect",
        "effect_low",
        "effect_high",
        "cost_usd",
        "latency_s",
        "used_fallback",
    ):
        assert found[name].tolist() == [getattr(decision, name) for decision in decisions]
    first = decisions[0]
    assert found["output_tokens"][0] == next(
        c.output_tokens for c in first.candidates if c.model == first.model
    )


@pytest.mark.parametrize("nothing", [None, float("nan"), ""])
def test_a_missing_task_is_an_unknown_one(router: GraphRouter, nothing: Any) -> None:
    frame = pd.DataFrame({"prompt": PROMPTS})
    with_column = answer(router, frame.assign(task=[nothing, nothing]), {})
    assert with_column.equals(answer(router, frame, {}))


def test_what_cannot_be_predicted_is_null_in_json(
    router: GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = router.predict(PROMPTS)
    predictions.cost_usd[0] = np.nan
    forecast = router._forecast(Queries.of(PROMPTS))._replace(predictions=predictions)
    monkeypatch.setattr(GraphRouter, "_forecast", lambda *_: forecast)
    found = answer(router, pd.DataFrame({"prompt": PROMPTS}), {"preset": "performance_first"})
    rows = json.loads(json.dumps(found.to_dict(orient="records"), allow_nan=False))
    assert [row["cost_usd"] is None for row in rows] == [True, False]
    assert all(row[name] is not None for row in rows for name in ALWAYS_KNOWN)


def test_no_prompts_no_rows(router: GraphRouter) -> None:
    assert list(
        answer(router, pd.DataFrame({"prompt": pd.Series([], dtype="str")}), {}).columns
    ) == list(COLUMNS)


def test_parameters_are_a_policy() -> None:
    absent = {**dict.fromkeys(PARAMS), **{name: [] for name in LIST_PARAMS}}
    assert read_policy({}) == read_policy(absent) == Policy()
    assert not read_policy(absent).model_fields_set
    assert read_policy({**absent, "cost_weight": 0.3, "excluded": np.array(["nano"])}) == Policy(
        cost_weight=0.3, excluded=("nano",)
    )
    assert read_policy({"preset": "cost_first", "fallback": "nano"}) == Policy(
        effect_weight=0.2, cost_weight=0.8, fallback="nano"
    )


def test_parameters_are_all_settings_of_a_policy() -> None:
    assert {*PARAMS, *LIST_PARAMS} == {"preset", *Policy.model_fields}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"preset": "cheap"},
            "unknown preset 'cheap'. Presets: performance_first, balanced, cost_first",
        ),
        (
            {"preset": "balanced", "cost_weight": 0.0},
            "'balanced' and cost_weight both say what is maximised",
        ),
        ({"min_effect": 2.0}, "min_effect = 2.0"),
        ({"wait": 3}, "Policy: unknown setting 'wait'"),
    ],
)
def test_bad_parameters_are_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        read_policy(params)


def test_named_routes_are_refused_and_not_dropped(router: GraphRouter) -> None:
    frame = pd.DataFrame({"prompt": PROMPTS})
    with pytest.raises(NotApplicableError, match="takes no named routes. Load it with load_router"):
        answer(router, frame, {ROUTES: "routes.yaml"})
    assert answer(router, frame, {ROUTES: None}).equals(answer(router, frame, {}))
