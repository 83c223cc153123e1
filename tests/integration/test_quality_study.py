"""The harness for variants and the estimate of the limit: splits, comparisons, and the arithmetic
of deviations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from experiments.quality import limit, run
from experiments.quality.development import development_data, development_split, save_development
from experiments.quality.deviations import (
    MASSES,
    fit_scatter,
    given_others,
    share_given_others,
    shrunk,
    variance_shares,
)
from experiments.quality.differences import difference, show
from experiments.quality.page import limit_lines, page
from experiments.quality.variants import VariantCell, read_variants
from graphrouter.bench.evaluation.benchmark import Cell
from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.deviations import Levels, centred, share_predicted
from graphrouter.bench.evaluation.grid import prepared_split
from graphrouter.bench.evaluation.results import Evaluation
from graphrouter.config import SplitConfig, TrainConfig
from graphrouter.data import split_dataset
from graphrouter.exceptions import ConfigError

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "quality"
QUICK = (
    "{training.max_epochs: 1, training.steps_per_epoch: 2, encoder.name: hashing, "
    "encoder.dimension: 64"
)


@pytest.fixture
def world(tmp_path: Path) -> str:
    prepared_split._load.cache_clear()
    prepared_split._prepare.cache_clear()
    gr.simulate(num_queries=120, num_models=4, seed=7).data.save(tmp_path / "world")
    return str(tmp_path / "world")


def test_development_splits_never_see_a_test_row_of_the_benchmark(
    world: str, tmp_path: Path
) -> None:
    data = gr.load_dataset(world)
    for seed in range(2):
        benchmark, split = (
            split_dataset(data, SplitConfig(seed=seed)),
            development_split(data, seed),
        )
        sides = [set(split.train), set(split.validation), set(split.test)]
        assert set.union(*sides) == {*benchmark.train, *benchmark.validation}
        assert sum(map(len, sides)) == len(benchmark.train) + len(benchmark.validation)
        assert len(split.test) == pytest.approx(0.2 * sum(map(len, sides)), abs=2)
    place = save_development(data, 1, tmp_path / "development")
    kept = gr.load_dataset(place)
    assert kept.name == "world-seed1"
    assert kept.fingerprint == development_data(data, 1).fingerprint
    assert split_dataset(kept, SplitConfig(seed=1)).test == split.test


def test_copies_of_a_prompt_stay_on_one_side_of_a_development_split(world: str) -> None:
    data = gr.load_dataset(world)
    copies = data.queries.assign(query_id="copy-" + data.queries["query_id"])
    both = gr.RoutingDataset.from_frames(
        queries=pd.concat([data.queries, copies], ignore_index=True),
        models=data.models,
        outcomes=data.outcomes,
        tasks=data.tasks,
    )
    split = development_split(both, 0)
    for side in (split.train, split.validation, split.test):
        own = {query for query in side if not query.startswith("copy-")}
        assert {f"copy-{query}" for query in own} == set(side) - own


def test_variants_start_from_the_defaults_and_graphrouter_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "variants.yaml"
    file.write_text(
        "wide: {network.width: 64}\nslow: {training.learning_rate: 1.0e-5}\n", encoding="utf-8"
    )
    variants = read_variants(file)
    assert list(variants) == ["graphrouter", "wide", "slow"]
    assert variants["graphrouter"] == TrainConfig()
    assert variants["wide"].network.width == 64
    assert variants["slow"].training.learning_rate == 1e-5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- wide", "expected names with settings"),
        ("wide: 3", "expected names with settings"),
        ("knn: {network.width: 64}", "'knn' is the name of a baseline"),
        ("wide: {network.wide: 64}", "unknown setting 'network.wide'"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_a_bad_file_of_variants_is_told(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "variants.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_variants(file)


def test_every_committed_file_of_variants_is_read() -> None:
    files = sorted((FOLDER / "variants").glob("*.yaml"))
    assert files
    for file in files:
        assert len(read_variants(file)) > 1


def test_the_cells_of_a_benchmark_serve_as_they_are(tmp_path: Path) -> None:
    for router in ("graphrouter", "knn"):
        arguments = ("world", "world", "0" * 16, router, TrainConfig(), tmp_path)
        assert VariantCell(*arguments).file == Cell(*arguments).file


@pytest.mark.parametrize("words", [[], pytest.param(["--development"], marks=pytest.mark.slow)])
def test_a_run_compares_and_does_nothing_twice(
    world: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    file, out = tmp_path / "variants.yaml", tmp_path / "run"
    file.write_text(
        f"graphrouter: {QUICK}}}\nnarrow: {QUICK}, network.width: 8}}\n", encoding="utf-8"
    )
    arguments = [
        str(file),
        world,
        "--seeds",
        "2",
        "--jobs",
        "1",
        "--out",
        str(out),
        "--baselines",
        "task_mean",
        *words,
    ]
    run.main(arguments)
    first = capsys.readouterr()
    assert first.err.count(": done, ") == 6
    written = out / ("world-development.json" if words else "world.json")
    found = Evaluation.from_json(json.loads(written.read_text(encoding="utf-8")))
    assert (found.dataset, found.seeds) == ("world", (0, 1))
    figures = {
        name: by["log_loss"].value for name, by in found.settings["task_known"].routers.items()
    }
    assert difference(found, "task_known", "narrow", "log_loss").value == pytest.approx(
        figures["narrow"] - figures["graphrouter"]
    )
    assert "| narrow |" in first.out
    assert "| task_mean |" in first.out
    run.main(arguments)
    second = capsys.readouterr()
    assert (second.out, second.err) == (first.out, "")


def test_a_difference_shows_its_interval_and_whether_it_is_sure() -> None:
    assert show(Interval(-0.00001, -0.01, 0.0)) == "+0.0000 [-0.0100, +0.0000]"
    assert show(Interval(0.5, 0.4, 0.6)) == "+0.5000 [+0.4000, +0.6000] *"


def test_levels_and_ease_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    tasks = ["sums"] * 60 + [None] * 60
    level, ease = np.array([0.2, 0.5, 0.8]), rng.normal(0, 0.1, 120)
    effect = level + ease[:, None]
    effect[:20, 0] = np.nan  # the weakest model was spared some queries
    fitted = Levels.fit(effect, tasks)
    np.testing.assert_allclose(fitted.overall - fitted.overall[0], level - level[0], atol=1e-9)
    shares = variance_shares(effect, fitted.of(tasks))
    assert sum(shares) == pytest.approx(1)
    assert shares.deviation == pytest.approx(0, abs=1e-9)
    np.testing.assert_array_equal(fitted.of(["never seen"])[0], fitted.overall)


def test_the_share_predicted_leaves_the_ease_out() -> None:
    rest = np.array([[0.3, -0.1, np.nan], [0.0, 0.4, -0.2]])
    ease = np.array([[5.0], [-3.0]])
    assert share_predicted(rest, rest + ease) == pytest.approx(1)
    assert share_predicted(rest, np.zeros((2, 3)) + ease) == pytest.approx(0)
    assert share_predicted(rest, -rest) == pytest.approx(-3)
    np.testing.assert_allclose(np.nansum(centred(rest), axis=1), 0, atol=1e-12)


def _pool(seed: int, *, num_queries: int, common: float) -> np.ndarray:
    """Rest of 12 models that share an ease; the first six share a taste as well."""
    rng = np.random.default_rng(seed)
    taste = common * rng.normal(size=(num_queries, 1)) * np.repeat([1.0, -1.0], 6)
    return np.asarray(
        rng.normal(size=(num_queries, 1)) + taste + rng.normal(size=(num_queries, 12))
    )


@pytest.mark.parametrize("num_missing", [0, 3])
def test_a_shared_taste_is_found_and_its_absence_too(num_missing: int) -> None:
    families = np.arange(12)
    shares = {}
    for common in (0.0, 1.0):
        train, test = (
            _pool(0, num_queries=600, common=common),
            _pool(1, num_queries=300, common=common),
        )
        train[:200, :num_missing] = np.nan
        test[:50, :num_missing] = np.nan
        covariance = shrunk(fit_scatter(train), len(train), MASSES[1])
        shares[common] = share_given_others(test, covariance, families)
    # Half of the deviation is taste; ten others tell most of it.
    assert 0.35 < shares[1.0] < 0.5
    assert -0.05 < shares[0.0] < 0.01


def test_nobody_is_predicted_from_itself() -> None:
    rest = _pool(0, num_queries=40, common=1.0)
    covariance = shrunk(fit_scatter(rest), len(rest), MASSES[0])
    hidden = np.arange(12) < 2
    expected = given_others(rest, covariance, hidden)
    assert np.isnan(expected[:, ~hidden]).all()
    changed = rest.copy()
    changed[:, hidden] += 100
    np.testing.assert_array_equal(given_others(changed, covariance, hidden), expected)
    changed[:, ~hidden] += 1
    assert not np.allclose(
        given_others(changed, covariance, hidden)[:, hidden], expected[:, hidden]
    )


def test_the_limit_is_measured_and_told(world: str, tmp_path: Path) -> None:
    config = tmp_path / "quick.yaml"
    config.write_text(
        "training: {max_epochs: 1, steps_per_epoch: 2}\nencoder: {name: hashing, dimension: 64}\n",
        encoding="utf-8",
    )
    out = tmp_path / "run"
    limit.main([world, "--seeds", "1", "--jobs", "1", "--out", str(out), "--config", str(config)])
    plain = json.loads((out / "limit.json").read_text(encoding="utf-8"))
    found = plain["datasets"]["world"]
    assert found["level"] + found["ease"] + found["deviation"] == pytest.approx(1)
    assert found["oracle.reward_balanced"] >= found["given_others.reward_balanced"]
    assert found["oracle.reward_performance_first"] >= found["graphrouter.reward_performance_first"]
    text = "\n".join(limit_lines(plain["datasets"], num_seeds=1))
    assert f"| world | {100 * found['level']:.1f} % |" in text
    assert f"{found['oracle.area_log']:.4f}" in text


def test_the_page_is_up_to_date() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8").strip() == "\n".join(page()).strip()


def test_development_splits_of_real_data_keep_a_given_split(
    shared_data: Callable[[str], Path],
) -> None:
    data = gr.load_dataset(shared_data("routerbench_subset"))
    held = set(data.queries.loc[data.queries["split"] == "test", "query_id"])
    split = development_split(data, 0)
    assert not held & {*split.train, *split.validation, *split.test}
