"""The study of few outcomes: everybody gets the same few rows, and test rows stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphrouter as gr
from experiments.few_outcomes.run import BASELINES, keep_few, main
from graphrouter.data import RoutingDataset


@pytest.fixture(scope="module")
def data() -> RoutingDataset:
    return gr.simulate(num_queries=80, num_models=3, seed=0).data


@pytest.mark.parametrize("kind", ["same", "own"])
def test_each_model_keeps_so_many_outcomes_outside_the_test_rows(
    data: RoutingDataset, kind: str
) -> None:
    split = gr.split_dataset(data, gr.TrainConfig().split)
    few = keep_few(data, split, 6, kind=kind, seed=0)
    shown = few.data.outcomes[~few.data.outcomes["query_id"].isin(split.test)]
    assert shown.groupby("model").size().tolist() == [6] * 3
    assert few.split.test == split.test
    assert len(few.data.outcomes) - len(shown) == data.outcomes["query_id"].isin(split.test).sum()
    answered = {*few.split.train, *few.split.validation}
    assert answered == set(shown["query_id"])
    assert not {*few.split.train} & {*few.split.validation}
    assert (shown["query_id"].nunique() <= 8) == (kind == "same")


def test_it_measures_everybody(
    data: RoutingDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.save(tmp_path / "data")
    main([str(tmp_path / "data"), "--seeds", "1", "--shots", "10", "--development"])
    shown = capsys.readouterr().out
    assert shown.count("\n## 10 outcomes a model") == 2
    for name in ("graphrouter", *BASELINES):
        assert shown.count(f"| {name} |") == 4
