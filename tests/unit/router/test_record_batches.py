"""Arrow record batches in, Arrow record batches out: the same scores and choices as elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import graphrouter as gr
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.router import record_batches
from graphrouter.router.record_batches import CHOICE_SCHEMA, SCORE_SCHEMA

PROMPTS = [f"What is {number} + {number}?" for number in range(7)]
IDS = [f"id{number}" for number in range(7)]


@pytest.fixture(scope="module")
def router() -> gr.GraphRouter:
    return gr.GraphRouter.fit(gr.simulate(num_queries=120, num_models=4).data, instant=True)


def batches_of(*sizes: int, **more: list[str | None]) -> Iterator[pa.RecordBatch]:
    start = 0
    for size in sizes:
        rows = slice(start, start + size)
        columns = {"prompt": PROMPTS, "query_id": IDS, **more}
        yield pa.RecordBatch.from_pydict(
            {name: pa.array(values[rows], pa.string()) for name, values in columns.items()}
        )
        start += size


def test_scores_are_those_of_predict_however_rows_are_batched(
    router: gr.GraphRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_batches, "QUERIES_AT_ONCE", 2)
    found = list(router.predict_batches(batches_of(3, 0, 4)))
    assert all(batch.schema == SCORE_SCHEMA for batch in found)
    assert [batch.num_rows for batch in found] == [8, 4, 8, 8]
    table = pa.Table.from_batches(found).to_pandas()
    expected = router.predict(PROMPTS).to_frame(IDS)
    assert table["query_id"].tolist() == expected["query_id"].tolist()
    assert table["model"].tolist() == expected["model"].tolist()
    for name in expected.columns[2:]:
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-12)


def test_what_cannot_be_predicted_is_null(router: gr.GraphRouter) -> None:
    [batch] = router.predict_batches(batches_of(1))
    assert batch.column("ttft_s").null_count == batch.num_rows
    assert batch.column("effect").null_count == 0


def test_choices_are_those_of_route_batch(router: gr.GraphRouter) -> None:
    policy = gr.Policy.preset("cost_first")
    found = list(router.predict_batches(batches_of(5, 2), policy=policy))
    assert all(batch.schema == CHOICE_SCHEMA for batch in found)
    table = pa.Table.from_batches(found).to_pandas()
    decisions = router.route_batch(PROMPTS, policy=policy)
    assert table["query_id"].tolist() == IDS
    assert table["model"].tolist() == [decision.model for decision in decisions]
    expected = [decision.cost_usd for decision in decisions]
    np.testing.assert_allclose(table["cost_usd"], expected, rtol=1e-12)
    assert not table["used_fallback"].any()


def test_tasks_are_read(router: gr.GraphRouter) -> None:
    tasks: list[str | None] = ["word_problems", None, *["facts"] * 5]
    table = pa.Table.from_batches(router.predict_batches(batches_of(7, task=tasks))).to_pandas()
    expected = router.predict(PROMPTS, tasks=tasks)
    np.testing.assert_allclose(table["effect"], expected.effect.ravel(), rtol=1e-12)


def test_several_processes_give_the_same_bits(
    router: gr.GraphRouter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    router.save(tmp_path / "saved")
    loaded = gr.load_router(tmp_path / "saved")  # which takes no torch, here or in a process
    monkeypatch.setattr(record_batches, "QUERIES_AT_ONCE", 2)
    batches = list(batches_of(3, 4, task=["word_problems", None, *["weaving"] * 5]))
    found = list(loaded.predict_batches(batches, num_processes=2))
    assert caplog.text.count("never seen the task 'weaving'") == 1  # here, and not in each process
    assert found == list(loaded.predict_batches(batches))


def test_nothing_is_read_before_it_is_asked_for(router: gr.GraphRouter) -> None:
    def fail() -> Iterator[pa.RecordBatch]:
        yield from batches_of(1)
        raise AssertionError("a second batch was asked for")

    assert next(iter(router.predict_batches(fail()))).num_rows == 4


class TestBadInput:
    def test_rows_without_ids_cannot_be_told_apart(self, router: gr.GraphRouter) -> None:
        batch = pa.RecordBatch.from_pydict({"prompt": ["Hello"]})
        with pytest.raises(DataError, match=r"batch 1 has the columns prompt; expected query_id"):
            list(router.predict_batches([batch]))

    def test_a_batch_is_named_by_its_number(self, router: gr.GraphRouter) -> None:
        batch = pa.RecordBatch.from_pydict({"query_id": ["a", "a"], "prompt": ["x", "y"]})
        with pytest.raises(DataError, match=r"record batch 2, row 2: query_id 'a' occurs before"):
            list(router.predict_batches([*batches_of(1), batch]))

    def test_other_tables_are_refused(self, router: gr.GraphRouter) -> None:
        with pytest.raises(DataError, match="is a DataFrame; expected a pyarrow.RecordBatch"):
            list(router.predict_batches([pd.DataFrame({"prompt": ["x"]})]))  # type: ignore[list-item]

    def test_a_policy_that_nobody_satisfies(self, router: gr.GraphRouter) -> None:
        with pytest.raises(PolicyError):
            list(router.predict_batches(batches_of(1), policy=gr.Policy(max_cost_usd=1e-12)))
