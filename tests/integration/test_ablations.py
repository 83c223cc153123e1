"""The studies of what each part buys: what is taken away, who learns from how much, and how it is
shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import graphrouter as gr
from experiments.ablations import cells, run, table
from experiments.ablations.cells import AblationCell, run_ablation, smaller_split
from experiments.ablations.changes import CHANGES
from experiments.ablations.page import render_ablations
from experiments.ablations.results import load_results
from experiments.ablations.studies import STUDIES, check_studies, routers_at
from experiments.quality.variants import override_words
from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.evaluation.benchmark import Cell
from graphrouter.bench.evaluation.grid import prepared_split
from graphrouter.bench.evaluation.results import Evaluation
from graphrouter.config import Part, SplitConfig, TrainConfig, load_config
from graphrouter.data import split_dataset
from graphrouter.exceptions import ConfigError

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "ablations"
QUICK = ["training.max_epochs=1", "training.steps_per_epoch=2", "encoder.dimension=64"]
SET = [word for each in QUICK for word in ("--set", each)]


@pytest.fixture
def world(tmp_path: Path) -> str:
    prepared_split._load.cache_clear()
    prepared_split._prepare.cache_clear()
    gr.simulate(num_queries=140, num_models=4, seed=7).data.save(tmp_path / "world")
    return str(tmp_path / "world")


def test_every_part_is_left_out_once_and_all_settings_are_accepted() -> None:
    assert {
        variant.settings["network.leave_out"][0] for variant in STUDIES["parts"].values()
    } == set(get_args(Part))
    for variants in STUDIES.values():
        for variant in variants.values():
            assert (
                load_config(overrides=override_words(variant.settings)) != TrainConfig()
                or variant.change in CHANGES
            )


def test_each_change_takes_away_what_it_says_and_nothing_else() -> None:
    data = gr.simulate(num_queries=40, num_models=4).data
    before = data.fingerprint
    without = {name: change(data) for name, change in CHANGES.items()}
    assert data.fingerprint == before
    assert without["no_task_nodes"].queries["task"].isna().all()
    assert len(without["no_task_nodes"].tasks) == 0
    assert without["no_task_descriptions"].tasks["description"].isna().all()
    assert without["no_task_descriptions"].queries["task"].equals(data.queries["task"])
    assert {card.description for card in without["no_model_descriptions"].pool} == {None}
    assert without["no_model_descriptions"].pool.prices.tolist() == data.pool.prices.tolist()
    numberless = without["no_card_numbers"].pool
    assert not any(
        card.has_price or card.context_tokens or card.num_params or card.tools
        for card in numberless
    )
    assert [card.description for card in numberless] == [card.description for card in data.pool]
    assert [card.family for card in numberless] == [card.family for card in data.pool]
    assert {card.description for card in without["no_cards"].pool} == {None}
    for changed in without.values():
        assert changed.outcomes.equals(data.outcomes)
        assert changed.pool.names == data.pool.names


def test_fewer_queries_are_a_subset_in_the_usual_proportion_and_the_test_rows_stay() -> None:
    data = gr.simulate(num_queries=400).data
    full = split_dataset(data, SplitConfig())
    small, larger = (smaller_split(full, size, seed=0) for size in (80, 200))
    assert (len(small.train), len(small.validation)) == (70, 10)
    assert (len(larger.train), len(larger.validation)) == (175, 25)
    assert set(small.train) < set(larger.train) < set(full.train)
    assert set(small.validation) < set(larger.validation) < set(full.validation)
    assert small.test == larger.test == full.test
    assert smaller_split(full, 80, seed=1).train != small.train
    assert smaller_split(full, None, seed=0) == smaller_split(full, 320, seed=0) == full


def test_a_cell_from_which_nothing_is_taken_is_that_of_a_benchmark(tmp_path: Path) -> None:
    arguments = ("world", "world", "0" * 16, "graphrouter", TrainConfig(), tmp_path)
    files = {
        AblationCell(*arguments, change=change, num_queries=size).file
        for change, size in ((None, None), ("no_cards", None), (None, 200), (None, 100))
    }
    assert len(files) == 4
    assert Cell(*arguments).file in files


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_router_is_trained_without_what_is_taken_and_judged_with_it(
    change: str, world: str, tmp_path: Path
) -> None:
    config = load_config(overrides=[*QUICK, "encoder.name=hashing"])
    data = gr.load_dataset(world)
    cell = AblationCell(
        world, "world", data.fingerprint, change, config, tmp_path, change=change, num_queries=None
    )
    result = run_ablation(cell)
    assert result.status == "done", result.message
    assert result.outputs is not None
    known, hidden = (
        result.outputs[setting].predictions.effect for setting in ("task_known", "task_hidden")
    )
    assert np.array_equal(known, hidden) == (change == "no_task_nodes")
    if change == "no_card_numbers":
        assert np.isfinite(result.outputs["task_known"].predictions.cost_usd).all()


def test_baselines_learn_from_the_same_few_queries(
    world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    learn = BASELINES["rasch"].learn
    monkeypatch.setattr(
        BASELINES["rasch"], "learn", lambda learning: seen.append(learning) or learn(learning)
    )
    config = load_config(overrides=[*QUICK, "encoder.name=hashing"])
    data = gr.load_dataset(world)
    for size in (40, None):
        cell = AblationCell(
            world,
            "world",
            data.fingerprint,
            "rasch",
            config,
            tmp_path,
            change=None,
            num_queries=size,
        )
        assert run_ablation(cell).status == "done"
    split = split_dataset(data, config.split)
    few = smaller_split(split, 40, seed=0)
    assert [each.train.query_ids for each in seen] == [few.train, split.train]
    assert [each.validation.query_ids for each in seen] == [few.validation, split.validation]


def test_all_baselines_stand_at_200_queries() -> None:
    assert set(routers_at(200)) == {"graphrouter", *BASELINES}
    assert set(routers_at(100)) == set(routers_at(None)) < set(routers_at(200))


def test_an_unknown_study_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"Unknown study 'bars'. Studies: parts, data, encoder, support, curves."
    ):
        check_studies(["parts", "bars"])


def test_studies_are_run_kept_and_shown(
    world: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SIZES", (60, None))
    monkeypatch.setattr(run, "routers_at", lambda size: ("graphrouter", "best_single", "task_mean"))
    monkeypatch.setattr("experiments.ablations.results.SIZES", (60, None))
    out = tmp_path / "run"
    arguments = ["encoder,curves", world, "--seeds", "1", "--jobs", "1", "--out", str(out), *SET]
    run.main(arguments)
    told = capsys.readouterr()
    assert [Path(line).name for line in told.out.split()] == [
        "encoder-world.json",
        "curves-world-60.json",
        "curves-world-all.json",
    ]
    assert told.err.count(": done, ") == 7  # the full graphrouter is trained once for both studies
    plain = json.loads((out / "curves-world-60.json").read_text(encoding="utf-8"))
    assert set(plain["settings"]["task_known"]["routers"]["task_mean"]) == set(run.KEPT)
    run.main(arguments)
    assert capsys.readouterr().err == ""

    found = load_results(out)
    assert (found.datasets, found.num_seeds, found.few) == (("world",), 1, {})
    assert list(found.curves["world"]) == ["60", "all"]
    text = "\n".join(table.page(found))
    assert "## Text encoder" in text
    assert "| hashing_encoder | " in text
    assert "| router | 60 | all |" in text
    page = render_ablations(found)
    assert page.count('class="plot"') == 2 * (3 + 2)  # settings x (bars + curves)
    assert "hashing_encoder" in page


def test_the_table_of_few_queries_names_the_best_baseline() -> None:
    def figures(value: float) -> dict[str, dict[str, float]]:
        return {metric: {"value": value, "low": value, "high": value} for metric in run.KEPT}

    def paired(value: float) -> dict[str, dict[str, float]]:
        return {
            metric: {"diff": value, "low": value - 0.01, "high": value + 0.01}
            for metric in run.KEPT
        }

    result = {
        "routers": {
            "graphrouter": figures(0.5),
            "knn": figures(0.6),
            "rasch": figures(0.495),
            "frugal_gpt": figures(0.1),
        },
        "paired": {"knn": paired(-0.1), "rasch": paired(0.005), "frugal_gpt": paired(0.4)},
    }
    plain = {
        "dataset": "x",
        "num_queries": 9,
        "num_models": 2,
        "seeds": [0],
        "settings": {"task_hidden": result},
    }
    found = Evaluation.from_json(plain)
    assert (
        table._against_all(found, "task_hidden", "log_loss") == "0.5000; rasch 0.4950 =; 1 / 1 / 0"
    )
    assert table._against_all(found, "task_hidden", "area_log") == "0.5000; knn 0.6000 -; 0 / 1 / 1"


def test_the_page_is_up_to_date() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8").strip() == "\n".join(
        table.page(load_results())
    ).strip()


def test_what_baselines_share_is_what_the_bench_has_where_nothing_is_left_out(
    world: str, tmp_path: Path
) -> None:
    data = gr.load_dataset(world)
    config = load_config(overrides=["encoder.name=hashing", "encoder.dimension=64"])
    cell = AblationCell(
        world, "world", data.fingerprint, "knn", config, tmp_path, change=None, num_queries=None
    )
    prepared = prepared_split.prepare_split(cell)
    assert cells._view(prepared, prepared.split, None) is prepared.view
