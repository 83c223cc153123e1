"""How fast answers come: levels and slope by hand, NaN where nothing was logged, the way there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphrouter as gr
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.router.speeds import Speed
from graphrouter.types import IntArray

PROMPTS = ["Translate 'tree' into German.", "Add 3 and 4."]


def test_levels_are_shrunk_to_the_pool_by_hand() -> None:
    values = np.exp([0.0, 0.0, 1.0, np.nan])
    speed = Speed.fit(values, np.full(4, 9.0), np.array([0, 0, 1, 2]), 3)
    assert speed is not None
    # Means 0 and 1, so the pool's is 0.5 and counts as five outcomes more.
    expected = [(5 * 0.5) / 7, (1 + 5 * 0.5) / 6, np.nan]
    assert speed.level == pytest.approx(np.array(expected), nan_ok=True)
    assert (speed.slope, speed.half_variance) == (0.0, 0.0)
    received = speed.expect(np.array([[9.0, np.nan, 9.0]]))
    assert received == pytest.approx(np.exp([expected]), nan_ok=True)


def test_the_slope_is_that_within_models() -> None:
    random = np.random.default_rng(0)
    model: IntArray = np.arange(600, dtype=np.int64) % 3
    tokens = np.exp(random.normal(5 + model, 1))
    values = np.exp(np.array([-1.0, 0.0, 1.0])[model] + 0.3 * np.log1p(tokens))
    noisy = values * np.exp(random.normal(0, 0.2, 600))
    speed = Speed.fit(noisy, tokens, model, 3)
    assert speed is not None
    assert speed.slope == pytest.approx(0.3, abs=0.03)
    assert 2 * speed.half_variance == pytest.approx(0.04, rel=0.2)
    found = speed.expect(np.tile([[100.0], [1000.0]], (1, 3)))
    truth = np.exp([[-1, 0, 1]] + 0.3 * np.log1p([[100.0], [1000.0]]) + 0.02)
    np.testing.assert_allclose(found, truth, rtol=0.12)


@given(
    values=st.lists(st.floats(0, 1e6) | st.just(float("nan")), min_size=1, max_size=20),
    tokens=st.floats(0, 1e6) | st.just(float("nan")),
)
def test_whatever_was_logged_is_expected_in_its_range(values: list[float], tokens: float) -> None:
    model: IntArray = np.arange(len(values), dtype=np.int64) % 2
    speed = Speed.fit(np.array(values), np.full(len(values), tokens), model, 3)
    assert (speed is None) == np.isnan(values).all()
    if speed is not None:
        levels = np.exp(speed.level[np.isfinite(speed.level)])
        assert (levels >= 1e-3 * (1 - 1e-9)).all()
        assert (levels <= max(np.nanmax(values), 1e-3) * (1 + 1e-9)).all()
        assert np.isnan(speed.level[2])


def logged(data: gr.RoutingDataset) -> gr.RoutingDataset:
    """The data with a first token after a tenth of the latency, but of the last model."""
    outcomes = data.outcomes
    is_last = outcomes["model"] == data.pool.names[-1]
    first = (outcomes["latency_s"] / 10).mask(is_last)
    outcomes = outcomes.assign(ttft_s=first, output_tokens_per_s=30.0)
    return gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
    )


def test_from_a_dataset_to_choices_and_back(data: gr.RoutingDataset, tmp_path: Path) -> None:
    timed = logged(data)
    timed.save(tmp_path / "data", format="csv")
    again = gr.load_dataset(tmp_path / "data")
    assert again.fingerprint == timed.fingerprint != data.fingerprint
    assert again.outcome_matrix("ttft_s").shape == (160, 5)

    plain = gr.GraphRouter.fit(data, instant=True)
    assert plain.predict(PROMPTS).ttft_s is None
    assert "ttft_s" not in plain.predict(PROMPTS).to_frame().columns
    with pytest.raises(PolicyError, match="trained on outcomes without ttft_s. Drop max_ttft_s"):
        plain.route(PROMPTS[0], policy=gr.Policy(max_ttft_s=1))

    gr.GraphRouter.fit(again, instant=True).save(tmp_path / "mine")
    router = gr.load_router(tmp_path / "mine")
    found, expected = router.predict(PROMPTS), plain.predict(PROMPTS)
    assert np.array_equal(found.effect, expected.effect)
    assert found.ttft_s is not None
    assert np.isnan(found.ttft_s[:, -1]).all()
    observed = again.outcome_matrix("ttft_s")[:, :-1]
    np.testing.assert_allclose(
        found.ttft_s[:, :-1].mean(axis=0), np.nanmean(observed, axis=0), rtol=0.5
    )
    assert found.output_tokens_per_s == pytest.approx(np.full((2, 5), 30.0))
    assert {"ttft_s", "output_tokens_per_s"} <= set(found.to_frame().columns)

    limit = float(np.median(found.ttft_s[0, :-1]))
    decision = router.route(PROMPTS[0], policy=gr.Policy(cost_weight=0, max_ttft_s=limit))
    assert decision.ttft_s is not None
    assert decision.ttft_s <= limit
    assert decision.rejected[router.models[-1]] == "first token unknown"
    assert any("first token after" in reason for reason in decision.rejected.values())
    assert decision.to_dict()["candidates"][0]["output_tokens_per_s"] == pytest.approx(30)
    later = router.route(
        PROMPTS[0],
        policy=gr.Policy(cost_weight=0, max_ttft_s=limit),
        extra_latency_s={decision.model: 100},
    )
    assert later.model != decision.model
    batch = router.route_batch(
        PROMPTS, policy=gr.Policy(max_ttft_s=limit), max_calls={decision.model: 1}
    )
    assert router.models[-1] not in batch.model


def test_they_may_come_later_and_repeats_are_averaged(data: gr.RoutingDataset) -> None:
    plain, timed = gr.GraphRouter.fit(data, instant=True), logged(data).outcomes
    some = timed[timed["query_id"].isin(plain.support.queries["query_id"])].head(50)
    wider = plain.add_outcomes(some)
    assert wider.predict(PROMPTS).ttft_s is not None
    more = wider.add_outcomes(some.drop(columns=["ttft_s", "output_tokens_per_s"]))
    pair = ["query_id", "model"]
    first, second = (
        one.support.outcomes.set_index(pair)["ttft_s"].sort_index() for one in (wider, more)
    )
    pd.testing.assert_series_equal(first, second)
    again = wider.add_outcomes(some.assign(ttft_s=some["ttft_s"] * 3))
    tripled = again.support.outcomes.set_index(pair)["ttft_s"].sort_index()
    # Each row stands for two runs by now, the older of which was not timed.
    np.testing.assert_allclose(tripled.dropna(), (2 + 3) / 3 * first.dropna())
    assert wider.remove_model(wider.models[0]).predict(PROMPTS).ttft_s is not None


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "ttft_s",
            -1,
            "ttft_s is -1; expected a finite number of at least 0 (seconds to the first",
        ),
        ("output_tokens_per_s", 0, "output_tokens_per_s is 0; expected a finite number above 0"),
        ("ttft_s", "soon", "ttft_s is 'soon', which is no number"),
    ],
)
def test_bad_values_are_named(
    data: gr.RoutingDataset, column: str, value: object, message: str
) -> None:
    outcomes = data.outcomes.assign(**{column: value})
    with pytest.raises(DataError) as caught:
        gr.RoutingDataset.from_frames(
            queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
        )
    assert message in str(caught.value)


def test_a_first_token_after_the_last_is_warned_of(
    data: gr.RoutingDataset, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = data.outcomes.assign(ttft_s=data.outcomes["latency_s"] * 1000)
    gr.RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
    )
    assert "the first token came after the last" in caplog.text
