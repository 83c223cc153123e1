from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphrouter.bench.simulate import Simulation
from graphrouter.config import SplitConfig
from graphrouter.data import RoutingDataset, Split, load_dataset, split_dataset
from graphrouter.data.splits import allocate, group_families, hold_out_models
from graphrouter.exceptions import DataError


def dataset(
    tasks: Sequence[str | None],
    *,
    prompts: Sequence[str] | None = None,
    split: Sequence[str] | None = None,
    families: Sequence[str | None] = (None, None, None),
) -> RoutingDataset:
    ids = [f"q{i:04d}" for i in range(len(tasks))]
    queries = pd.DataFrame(
        {
            "query_id": ids,
            "task": list(tasks),
            "prompt": prompts or [f"prompt {i}" for i in range(len(tasks))],
        }
    )
    if split is not None:
        queries["split"] = list(split)
    models = pd.DataFrame(
        {"model": [f"m{i}" for i in range(len(families))], "family": list(families)}
    )
    outcomes = pd.DataFrame({"query_id": ids, "model": "m0", "effect": 1.0})
    return RoutingDataset.from_frames(queries=queries, models=models, outcomes=outcomes)


def sides(split: Split) -> dict[str, str]:
    return {
        query: side for side in ("train", "validation", "test") for query in getattr(split, side)
    }


def test_allocate_by_hand() -> None:
    # quotas 1.0, 0.6, 0.4; two to take: the whole one, then the larger remainder
    assert allocate([10, 6, 4], 0.1, 2) == [1, 1, 0]
    assert allocate([1, 1, 1, 1, 1], 0.2, 1) == [1, 0, 0, 0, 0]
    assert allocate([4, 4], 0.5, 4, room=[1, 4]) == [1, 3]
    assert allocate([10, 10], 0.3, 1) in ([1, 0], [0, 1])


@settings(max_examples=40)
@given(
    tasks=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=4, max_size=80),
    validation=st.floats(0.05, 0.4),
    test=st.floats(0.05, 0.45),
    seed=st.integers(0, 9),
)
def test_every_query_is_on_one_side_and_the_shares_are_right(
    tasks: list[str | None], validation: float, test: float, seed: int
) -> None:
    data = dataset(tasks)
    split = split_dataset(data, SplitConfig(validation=validation, test=test, seed=seed))
    assert sorted([*split.train, *split.validation, *split.test]) == sorted(
        data.queries["query_id"]
    )
    assert len(split.train) >= 2
    assert len(split.validation) >= 1
    assert len(split.test) >= 1
    if len(tasks) >= 40:
        assert abs(len(split.test) - test * len(tasks)) <= 1
        assert abs(len(split.validation) - validation * len(tasks)) <= 1
    for task in {task for task in tasks if task is not None}:
        of_task = set(data.queries["query_id"][data.queries["task"] == task])
        # the floor of the quota, the rounded total and the minimum of one leave a query or two of
        # play
        assert abs(len(of_task & set(split.test)) - test * len(of_task)) < 2


@settings(max_examples=20)
@given(order=st.permutations(range(30)), by=st.sampled_from(["query", "task", "model"]))
def test_the_order_of_rows_does_not_matter(order: list[int], by: str) -> None:
    data = dataset([f"t{i % 5}" for i in range(30)], families=("x", "x", "y", None))
    shuffled = RoutingDataset.from_frames(
        queries=data.queries.iloc[order],
        models=data.models,
        outcomes=data.outcomes,
        tasks=data.tasks,
    )
    config = SplitConfig.model_validate({"by": by})
    assert split_dataset(shuffled, config) == split_dataset(data, config)


def test_the_seed_matters() -> None:
    data = dataset(["a"] * 50)
    assert split_dataset(data, SplitConfig(seed=1)) != split_dataset(data, SplitConfig(seed=2))


def test_many_tiny_tasks_still_give_the_overall_shares() -> None:
    split = split_dataset(
        dataset([f"t{i}" for i in range(200)]), SplitConfig(validation=0.1, test=0.2)
    )
    assert (len(split.train), len(split.validation), len(split.test)) == (140, 20, 40)


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_prompt_stay_together(seed: int) -> None:
    prompts = [f"prompt {i // 3}" + " " * (i % 2) for i in range(60)]
    side = sides(
        split_dataset(dataset(["a", "b", None] * 20, prompts=prompts), SplitConfig(seed=seed))
    )
    for group in range(20):
        assert len({side[f"q{i:04d}"] for i in range(3 * group, 3 * group + 3)}) == 1


def test_a_full_split_column_is_kept() -> None:
    given_sides = ["train", "train", "validation", "test", "test"]
    split = split_dataset(dataset(["a"] * 5, split=given_sides), SplitConfig())
    assert split == Split(("q0000", "q0001"), ("q0002",), ("q0003", "q0004"))


def test_what_a_split_column_lacks_is_carved_out_of_train() -> None:
    no_validation = split_dataset(
        dataset(["a"] * 30, split=["train"] * 20 + ["test"] * 10), SplitConfig()
    )
    assert no_validation.test == tuple(f"q{i:04d}" for i in range(20, 30))
    assert (len(no_validation.train), len(no_validation.validation)) == (18, 2)
    no_test = split_dataset(
        dataset(["a"] * 30, split=["train"] * 20 + ["validation"] * 10), SplitConfig()
    )
    assert no_test.validation == tuple(f"q{i:04d}" for i in range(20, 30))
    assert (len(no_test.train), len(no_test.test)) == (16, 4)
    only_train = split_dataset(dataset(["a"] * 30, split=["train"] * 30), SplitConfig())
    assert (len(only_train.train), len(only_train.validation), len(only_train.test)) == (21, 3, 6)


def test_too_little_to_divide() -> None:
    with pytest.raises(
        DataError, match="Too few queries to divide: 3 with distinct prompts; expected at least 4"
    ):
        split_dataset(dataset(["a"] * 3), SplitConfig())
    with pytest.raises(DataError, match="2 with distinct prompts"):
        split_dataset(dataset(["a"] * 6, prompts=["p", "q"] * 3), SplitConfig())
    with pytest.raises(DataError, match=r"split column \(2 train, 0 validation, 3 test\)"):
        split_dataset(
            dataset(["a"] * 5, split=["train", "train", "test", "test", "test"]), SplitConfig()
        )
    with pytest.raises(DataError, match="Too few tasks to hold whole ones out: 2"):
        split_dataset(dataset(["a", "b"] * 5), SplitConfig(by="task"))
    with pytest.raises(
        DataError, match="Too few models to hold a family out: 3 models in 1 family"
    ):
        split_dataset(dataset(["a"] * 9, families=("x", "x", "x")), SplitConfig(by="model"))
    assert len(split_dataset(dataset(["a"] * 4), SplitConfig(validation=0.4, test=0.45)).train) == 2


def test_whole_tasks_are_held_out() -> None:
    data = dataset([f"t{i % 10}" for i in range(100)] + [None] * 5)
    split = split_dataset(data, SplitConfig(by="task"))
    task_of = dict(zip(data.queries["query_id"], data.queries["task"], strict=True))
    held = {
        side: {task_of[query] for query in getattr(split, side)}
        for side in ("train", "validation", "test")
    }
    assert (len(held["test"]), len(held["validation"])) == (2, 1)
    assert not held["test"] & held["train"]
    assert not held["validation"] & (held["train"] | held["test"])
    assert set(data.queries["query_id"][-5:]) <= set(split.train)  # unknown tasks


@pytest.mark.parametrize("seed", range(5))
def test_tasks_that_share_a_prompt_are_held_out_together(seed: int) -> None:
    prompts = [f"prompt {i}" for i in range(40)]
    prompts[1] = prompts[0]  # ties t1 to t0
    prompts[7] = prompts[1]  # and t7 to both
    side = sides(
        split_dataset(
            dataset([f"t{i % 8}" for i in range(40)], prompts=prompts),
            SplitConfig(by="task", seed=seed),
        )
    )
    assert len({side[f"q{i:04d}"] for i in range(40) if i % 8 in (0, 1, 7)}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_families_are_held_out_whole(seed: int) -> None:
    families = ["a", "a", "b", "b", "b", None, None, "c", "c", None]
    split = split_dataset(
        dataset(["t"] * 20, families=families), SplitConfig(by="model", test=0.3, seed=seed)
    )
    held = {int(model[1:]) for model in split.held_out_models}
    assert 1 <= len(held) <= 3
    for family in ("a", "b", "c"):
        members = {i for i, name in enumerate(families) if name == family}
        assert members <= held or not members & held
    assert len(split.train) + len(split.validation) + len(split.test) == 20


def families_of(*models: tuple[str, str | None]) -> list[str]:
    return group_families(pd.DataFrame(models, columns=["model", "family"])).tolist()


def test_modes_of_a_model_are_its_family_where_none_is_named() -> None:
    """As the boards of bfcl and zeroeval name them."""
    modes = families_of(
        ("nemo-FC-Any", None), ("nemo", None), ("nemo-FC-Auto", None), ("nemo2", None)
    )
    assert modes == ["model nemo", "model nemo", "model nemo", "model nemo2"]
    assert families_of(("glm (FC)", None), ("glm (Prompt)", None), ("(odd)", None)) == [
        "model glm",
        "model glm",
        "model (odd)",
    ]
    assert families_of(("yi-large", "yi"), ("yi-large-preview", None)) == [
        "yi",
        "model yi-large-preview",
    ]


def test_models_to_hold_out_depend_on_names_and_seed_alone() -> None:
    data = dataset(["t"] * 20, families=["a", "a", "b", None, None, None, None, None, None, None])
    held = [hold_out_models(data, 0.3, seed=seed) for seed in range(10)]
    assert len(set(held)) > 1
    assert all(1 <= len(models) <= 3 for models in held)
    assert all(("m0" in models) == ("m1" in models) for models in held)
    assert hold_out_models(data.select_models(data.pool.names[::-1]), 0.3, seed=1) == held[1][::-1]


def test_simulated_split_is_stratified(world: Simulation) -> None:
    split = split_dataset(world.data, SplitConfig())
    task_of = world.data.queries.set_index("query_id")["task"]
    for side, expected in (("train", 168), ("validation", 24), ("test", 48)):
        assert (task_of[list(getattr(split, side))].value_counts() == expected).all()


def test_the_split_of_routerbench_is_kept(shared_data: Callable[[str], Path]) -> None:
    data = load_dataset(shared_data("routerbench_subset"))
    split = split_dataset(data, SplitConfig())
    assert set(split.test) == set(data.queries["query_id"][data.queries["split"] == "test"])
    assert len(split.train) + len(split.validation) == 2217


@pytest.mark.parametrize("seed", range(4))
def test_graded_queries_stand_on_every_side_in_their_share(world: Simulation, seed: int) -> None:
    """Of twenty graded among a thousand, chance alone would often leave none to validate with."""
    data = world.data.select_queries(world.data.queries["query_id"].tolist()[:1000])
    few = set(data.queries["query_id"].sample(20, random_state=seed))
    effect = data.outcomes["effect"].where(data.outcomes["query_id"].isin(few))
    partly = RoutingDataset.from_frames(
        queries=data.queries, models=data.models, outcomes=data.outcomes.assign(effect=effect)
    )
    split = split_dataset(partly, SplitConfig(seed=seed))
    assert [len(few.intersection(side)) >= 1 for side in (split.validation, split.test)] == [
        True,
        True,
    ]
    assert len(few.intersection(split.train)) >= 10
