"""Queries, predictions and observed outcomes: shapes, and what is unknown."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.exceptions import DataError
from graphrouter.types import QUANTITIES, Predictions, Queries

NAN = float("nan")


def matrix(rows: int, columns: int, *, start: float = 0.0) -> np.ndarray:
    return np.arange(start, start + rows * columns, dtype=np.float64).reshape(rows, columns)


def test_length_is_the_number_of_queries() -> None:
    assert len(Predictions.from_arrays(("a", "b"), matrix(3, 2))) == 3
    assert len(Predictions.from_arrays(("a", "b"), np.zeros((0, 2)))) == 0


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_quantity_has_the_shape_of_the_grid(name: str) -> None:
    arrays = {quantity: matrix(3, 2) for quantity in QUANTITIES}
    arrays[name] = matrix(2, 3)
    with pytest.raises(
        ValueError,
        match=rf"Predictions\.{name} has shape \(2, 3\); expected \(num_queries, num_models\) = ",
    ):
        Predictions(models=("a", "b"), **arrays)


def test_one_column_for_each_model() -> None:
    with pytest.raises(ValueError, match=r"expected \(num_queries, num_models\) = \(3, 3\)"):
        Predictions.from_arrays(("a", "b", "c"), matrix(3, 2))


def test_what_is_not_given_is_unknown_and_never_zero() -> None:
    received = Predictions.from_arrays(("a", "b"), matrix(1, 2), latency_s=matrix(1, 2, start=5))
    assert received.latency_s.tolist() == [[5.0, 6.0]]
    for name in ("cost_usd", "input_tokens", "output_tokens"):
        assert np.isnan(getattr(received, name)).all()


def test_a_misspelled_quantity_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'cost'"):
        Predictions.from_arrays(("a",), matrix(1, 1), cost=matrix(1, 1))  # type: ignore[call-arg]


def test_concatenate_stacks_the_rows() -> None:
    arrays = [
        {quantity: matrix(rows, 2, start=10 * i) for i, quantity in enumerate(QUANTITIES)}
        for rows in (1, 0, 2)
    ]
    parts = [Predictions(models=("a", "b"), **known) for known in arrays]
    joined = Predictions.concatenate(parts)
    assert joined.models == ("a", "b")
    for name in QUANTITIES:
        assert np.array_equal(getattr(joined, name), np.vstack([known[name] for known in arrays]))


def with_ends(effect: np.ndarray) -> Predictions:
    return Predictions.from_arrays(
        ("a", "b"), effect, cost_usd=effect + 1, effect_low=effect - 0.5, effect_high=effect + 0.5
    )


def test_intervals_are_there_whole_or_not_at_all() -> None:
    effect = matrix(3, 2)
    assert Predictions.from_arrays(("a", "b"), effect).effect_low is None
    with pytest.raises(
        ValueError, match="one end of the interval of effect; expected both, or none"
    ):
        Predictions.from_arrays(("a", "b"), effect, effect_low=effect)
    with pytest.raises(ValueError, match=r"Predictions\.effect_high has shape \(2, 3\)"):
        Predictions.from_arrays(("a", "b"), effect, effect_low=effect, effect_high=matrix(2, 3))


def test_familiarity_is_a_value_a_query() -> None:
    effect, known = matrix(3, 2), np.array([0.2, 0.4, 0.6])
    found = Predictions.from_arrays(("a", "b"), effect, familiarity=known)
    some = found.take(rows=np.array([2, 0]), columns=np.array([1]))
    assert some.familiarity is not None
    assert some.familiarity.tolist() == [0.6, 0.2]
    assert found.to_frame()["familiarity"].tolist() == [0.2, 0.2, 0.4, 0.4, 0.6, 0.6]
    joined = Predictions.concatenate([found, some.take(columns=np.array([0, 0]))])
    assert joined.familiarity is not None
    assert joined.familiarity.tolist() == [0.2, 0.4, 0.6, 0.6, 0.2]
    bare = Predictions.from_arrays(("a", "b"), effect)
    assert bare.familiarity is None
    assert bare.to_frame()["familiarity"].isna().all()
    assert Predictions.concatenate([found, bare]).familiarity is None
    with pytest.raises(
        ValueError, match=r"familiarity has shape \(2,\); expected \(num_queries,\)"
    ):
        Predictions.from_arrays(("a", "b"), effect, familiarity=known[:2])


def test_concatenate_keeps_intervals_that_all_parts_have() -> None:
    first, second = with_ends(matrix(1, 2)), with_ends(matrix(2, 2, start=5))
    joined = Predictions.concatenate([first, second])
    assert joined.effect_low is not None
    assert joined.effect_high is not None
    np.testing.assert_array_equal(joined.effect_low, joined.effect - 0.5)
    np.testing.assert_array_equal(joined.effect_high, joined.effect + 0.5)
    bare = Predictions.concatenate([first, Predictions.from_arrays(("a", "b"), matrix(1, 2))])
    assert bare.effect_low is None
    assert bare.effect_high is None


def test_take_picks_rows_and_columns_of_everything() -> None:
    some = with_ends(matrix(3, 2)).take(rows=np.array([2, 0]), columns=np.array([1]))
    assert some.models == ("b",)
    assert some.effect.tolist() == [[5.0], [1.0]]
    assert some.cost_usd.tolist() == [[6.0], [2.0]]
    assert some.effect_high is not None
    assert some.effect_high.tolist() == [[5.5], [1.5]]
    assert (
        Predictions.from_arrays(("a", "b"), matrix(3, 2)).take(rows=np.array([1])).effect_low
        is None
    )


def test_an_outcome_that_was_not_observed_is_masked() -> None:
    outcomes = ObservedOutcomes.from_arrays(("a", "b"), np.array([[1.0, NAN], [0.0, 0.0]]))
    assert outcomes.mask.tolist() == [[True, False], [True, True]]
    some = outcomes.take(rows=np.array([0]), columns=np.array([1, 0]))
    assert type(some) is ObservedOutcomes
    assert some.mask.tolist() == [[False, True]]
    assert len(ObservedOutcomes.concatenate([outcomes, ObservedOutcomes.none(("a", "b"))])) == 2


def test_observed_outcomes_name_themselves_where_a_shape_is_wrong() -> None:
    with pytest.raises(
        ValueError,
        match=r"ObservedOutcomes\.latency_s has shape \(1, 2\); expected \(num_queries, ",
    ):
        ObservedOutcomes.from_arrays(("a", "b"), matrix(3, 2), latency_s=matrix(1, 2))


def test_an_oracle_forecasts_what_was_observed() -> None:
    outcomes = ObservedOutcomes.from_arrays(("a", "b"), matrix(2, 2), cost_usd=matrix(2, 2))
    forecast = outcomes.to_predictions()
    assert forecast.effect_low is None
    assert forecast.cost_usd.tolist() == outcomes.cost_usd.tolist()
    assert np.isnan(forecast.latency_s).all()


def test_predictions_cannot_be_changed_by_assignment() -> None:
    predictions = Predictions.from_arrays(("a",), matrix(1, 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        predictions.models = ("b",)  # type: ignore[misc]


def test_queries_are_prompts_with_what_is_known_of_them() -> None:
    assert Queries.of(["a", "b"]) == Queries(("a", "b"), (None, None))
    assert Queries.of([]) == Queries((), ())
    known = Queries.of(["a", "", "c"], ["t", None, "u"])
    assert (len(known), known.prompts, known.tasks) == (3, ("a", "", "c"), ("t", None, "u"))
    assert Queries.of(known) is known
    assert known.take(np.array([2, 0])) == Queries(("c", "a"), ("u", "t"))
    assert known.without_tasks() == Queries.of(["a", "", "c"])


@pytest.mark.parametrize(
    ("prompts", "tasks", "message"),
    [
        ("a", None, r"prompts is a single string; expected a sequence of strings. For one prompt"),
        (["a", 3], None, r"prompts\[1\] is a int; expected a string"),
        (["a", "b"], ["t"], r"tasks has 1 entry for 2 prompts; expected one a prompt"),
        (["a", "b"], "tt", r"tasks is a str; expected a sequence"),
        (Queries.of(["a"]), ["t"], r"tasks were given beside Queries"),
    ],
)
def test_what_cannot_be_asked_is_refused(prompts: Any, tasks: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Queries.of(prompts, tasks)


def test_queries_of_a_table_are_asked_with_the_tasks_that_are_known() -> None:
    table = pd.DataFrame({"prompt": ["a", "", "c", "d"], "task": ["t", None, NAN, ""]})
    assert Queries.of_frame(table) == Queries.of(["a", "", "c", "d"], ["t", None, None, None])
    assert Queries.of_frame(table[["prompt"]]) == Queries.of(["a", "", "c", "d"])
    with pytest.raises(DataError, match=r"prompts\[1\] is a float; expected a string"):
        Queries.of_frame(pd.DataFrame({"prompt": ["a", NAN]}))


def test_a_further_fact_about_a_query_needs_a_field_and_nothing_else() -> None:
    @dataclass(frozen=True, slots=True)
    class QueriesOfUsers(Queries):
        users: tuple[str, ...] = ()

    asked = QueriesOfUsers(("a", "b"), (None, "t"), users=("ann", "bob"))
    assert Queries.of(asked) is asked
    assert asked.take([1]) == QueriesOfUsers(("b",), ("t",), users=("bob",))
    assert asked.without_tasks() == QueriesOfUsers(("a", "b"), (None, None), users=("ann", "bob"))


def test_predictions_as_a_frame_have_one_row_a_pair() -> None:
    effect = np.array([[0.1, 0.2], [0.3, 0.4]])
    frame = Predictions.from_arrays(("nano", "grand"), effect).to_frame(["b", "a"])
    assert frame["query_id"].tolist() == ["b", "b", "a", "a"]
    assert frame["model"].tolist() == ["nano", "grand", "nano", "grand"]
    assert frame["effect"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert frame[["effect_low", "cost_usd"]].isna().all(axis=None)
    assert frame.dtypes["query_id"] == "str"
    numbered = Predictions.from_arrays(("nano",), effect[:, :1]).to_frame()
    assert numbered["query_id"].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.DataFrame({"prompt": ["a"]}), r"prompts is a frame; .* Pass Queries.of_frame\(frame\)"),
        ({"a": 1}, "prompts is a dict; expected a sequence of strings"),
        (3, "prompts is a int; expected a sequence of strings"),
    ],
)
def test_what_only_looks_like_prompts_is_refused(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Queries.of(given)


@pytest.mark.parametrize("ids", [["a"], "ab", ["a", "b", "c"]])
def test_a_frame_of_predictions_wants_an_id_a_query(ids: Any) -> None:
    predictions = Predictions.from_arrays(("nano",), np.array([[0.4], [0.9]]))
    with pytest.raises(DataError, match="for 2 queries; expected a sequence with one id a query"):
        predictions.to_frame(ids)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Queries(("a",), ("b", "c")), "tasks has 2 entries for 1 prompt"),
        (lambda: Queries(["a"], ["b"]), r"Queries.prompts is a list; expected a tuple"),
        (lambda: Queries.of(["a"], [3]), r"tasks\[0\] is a int; expected a string, None where"),
        (lambda: Queries.of(["a"], [float("nan")]), r"tasks\[0\] is a float"),
        (lambda: Queries.of(["a"], 3), "tasks is a int; expected a sequence"),
        (lambda: Queries.of(["a", None]), r"prompts\[1\] is a NoneType; expected a string\."),
    ],
)
def test_queries_that_are_none_are_refused(make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ({"prompt": 3}, "prompt is a int; expected a string"),
        ({"task": 3}, "task is a int; expected a string, None where unknown"),
        ({"user": " "}, "user is ' '; expected a name that is not blank"),
        ({"team": 3}, "team is 3; expected a name"),
        ({"context": ["a", 3]}, "context[1] is 3; expected a text"),
        ({"embedding": "x"}, "embedding is 'x'; expected a list of numbers"),
        ({"embedding": [0.5, float("nan")]}, "embedding[1] is nan; expected a finite number"),
    ],
)
def test_a_fact_of_one_query_is_called_as_it_was_given(fact: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        Queries.of_one(**{"prompt": "Hi", **fact})
    assert str(caught.value).startswith(message)


def test_one_query_is_the_same_as_a_batch_of_one() -> None:
    facts = ("ann", "blue", ["a", "b"], [0.5, 1.0])
    batch = Queries.of(["Hi"], ["greeting"], None, *([fact] for fact in facts))
    assert Queries.of_one("Hi", "greeting", *facts) == batch
    assert Queries.of_one("Hi") == Queries.of(["Hi"])
    assert Queries.of_one([{"role": "user", "content": "Hi"}]).prompts == ("Hi",)
