from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.data import RoutingDataset
from graphrouter.data.repeats import average_repeats, join_outcomes, merge_repeated_prompts

Frames = dict[str, pd.DataFrame]


def test_repeated_pairs_of_a_dataset_are_averaged_and_counted(
    frames: Frames, caplog: pytest.LogCaptureFixture
) -> None:
    again = frames["outcomes"].iloc[[0, 0, 1]].assign(effect=[1.0, 1.0, 0.0], cost_usd=[3, 5, None])
    frames["outcomes"] = pd.concat([frames["outcomes"], again], ignore_index=True)
    data = RoutingDataset.from_frames(**frames)
    first, second = data.outcomes.iloc[0], data.outcomes.iloc[1]
    assert first["effect"] == pytest.approx(2 / 3)
    assert (first["cost_usd"], first["num_runs"]) == (4, 3)  # over the runs that recorded it
    assert (second["effect"], second["cost_usd"], second["num_runs"]) == (0.5, 0.01, 2)
    assert data.outcomes["num_runs"].tolist()[2:] == [1, 1]
    assert (
        "3 rows repeat a (query, model) pair; all of a pair were averaged, and 4 pairs are left"
        in (caplog.text)
    )


def test_what_was_averaged_goes_in_again_as_it_is(
    frames: Frames, caplog: pytest.LogCaptureFixture
) -> None:
    frames["outcomes"] = pd.concat([frames["outcomes"]] * 2, ignore_index=True)
    data = RoutingDataset.from_frames(**frames)
    again = RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=data.outcomes, tasks=data.tasks
    )
    assert again.fingerprint == data.fingerprint
    assert again.outcomes["num_runs"].tolist() == [2.0] * 4
    assert len(caplog.records) == 1


@settings(max_examples=30, deadline=None)
@given(
    effects=st.lists(st.floats(0, 1), min_size=2, max_size=12),
    cut=st.integers(1, 11),
    order=st.randoms(),
)
def test_the_average_is_the_same_however_rows_come_in(
    effects: list[float], cut: int, order: object
) -> None:
    rows = pd.DataFrame({"query_id": "a", "model": "nano", "effect": effects, "cost_usd": effects})
    rows["input_usd_per_mtok"], rows["output_usd_per_mtok"] = 1.0, 2.0
    whole = average_repeats(rows, source=None)
    order.shuffle(mixed := list(range(len(rows))))  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(average_repeats(rows.iloc[mixed], source=None), whole)
    cut = min(cut, len(rows) - 1)
    parts = [average_repeats(part, source=None) for part in (rows[:cut], rows[cut:])]
    joined = join_outcomes(*parts, source="later")
    assert joined["num_runs"].tolist() == [len(rows)]
    # Sums of another order differ in the last digits.
    assert joined["effect"][0] == pytest.approx(whole["effect"][0], abs=1e-12)
    assert joined["effect"][0] == pytest.approx(float(np.mean(effects)), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_rows_that_no_newer_one_concerns_stay_as_and_where_they_are(seed: int) -> None:
    draw = np.random.default_rng(seed)
    pairs = pd.MultiIndex.from_product([list("abcdef"), ["nano", "grand", "mid"]]).to_frame(
        index=False, name=["query_id", "model"]
    )

    def sample(size: int) -> pd.DataFrame:
        rows = pairs.sample(size, random_state=int(draw.integers(1000)))
        amounts = {name: draw.random(size) for name in ("effect", "cost_usd", "output_tokens")}
        prices = dict.fromkeys(("input_usd_per_mtok", "output_usd_per_mtok"), 1.0)
        runs = draw.integers(1, 4, size).astype(float)
        return rows.assign(**amounts, **prices, num_runs=runs).reset_index(drop=True)

    old, new = sample(int(draw.integers(1, 19))), sample(int(draw.integers(1, 19)))
    together = average_repeats(pd.concat([old, new], ignore_index=True), source=None)
    pd.testing.assert_frame_equal(
        join_outcomes(old, new, source="later"), together[old.columns.tolist()], check_exact=True
    )


def test_a_cost_at_older_prices_gives_way_to_a_newer_one() -> None:
    row = {"query_id": "a", "model": "nano", "effect": 1.0, "cost_usd": 8.0, "num_runs": 1.0}
    old = pd.DataFrame([{**row, "input_usd_per_mtok": 4.0, "output_usd_per_mtok": 4.0}])
    new = old.assign(cost_usd=2.0, effect=0.0, input_usd_per_mtok=1.0, output_usd_per_mtok=1.0)
    joined = join_outcomes(old, new, source="later").iloc[0]
    assert (joined["effect"], joined["cost_usd"], joined["input_usd_per_mtok"]) == (0.5, 2, 1)
    unknown = join_outcomes(old, new.assign(cost_usd=np.nan), source="later").iloc[0]
    assert (unknown["cost_usd"], unknown["input_usd_per_mtok"]) == (8, 4)


def test_copies_of_a_prompt_become_one_query_of_their_task() -> None:
    queries = pd.DataFrame(
        {
            "query_id": ["a", "b", "c", "d"],
            "task": ["sums", "sums", "other", None],
            "prompt": ["One?", "One? ", "One?", "Two?"],
        }
    )
    outcomes = pd.DataFrame(
        {"query_id": ["a", "b", "c", "d"], "model": "nano", "effect": [0.0, 1.0, 1.0, 1.0]}
    ).assign(num_runs=1.0)
    stays, kept = merge_repeated_prompts(queries, outcomes)
    assert stays.tolist() == [True, False, True, True]
    assert kept[["query_id", "effect", "num_runs"]].values.tolist() == [
        ["a", 0.5, 2.0],
        ["c", 1.0, 1.0],
        ["d", 1.0, 1.0],
    ]
