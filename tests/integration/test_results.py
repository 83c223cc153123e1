"""Published tables are what the committed results say, and these are what a benchmark writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.choices.table import page
from experiments.main_comparison.table import load, rivals
from experiments.pictures.draw import PICTURES
from experiments.pictures.measured import learned_share, read_results, read_savings
from experiments.scaling.growth import carry_on, read_growth, sum_up
from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.evaluation import METRICS
from graphrouter.bench.evaluation.conclusion import find_mark
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation
from graphrouter.bench.evaluation.newcomers.newcomer_run import DEFAULT_ROUTERS
from graphrouter.bench.evaluation.results import Evaluation
from graphrouter.policy import PRESETS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "experiments" / "main_comparison"
RESULTS = sorted((FOLDER / "results").glob("*.json"))

CHOICES = ROOT / "experiments" / "choices"
NEWCOMERS = ROOT / "experiments" / "newcomers"


def _printed(*arguments: str, folder: Path = FOLDER) -> str:
    words = [sys.executable, str(folder / "table.py"), *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def test_the_docs_show_the_committed_results() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    block = page.split("<!-- results:start -->")[1].split("<!-- results:end -->")[0]
    assert block.strip() == _printed("--summary")


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_that_of_the_committed_results(name: str) -> None:
    shown = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    assert shown == PICTURES[name]()
    assert {path.stem for path in (ROOT / "docs" / "pictures").iterdir()} == set(PICTURES)


def test_growth_is_summed_up_and_carried_on() -> None:
    stage = {"process_s": 1.0, "system_s": 0.5, "peak_mib": 300.0}
    names = ("load_dataset", "split_dataset", "read_table", "training_tables", "fit_network")
    report = {"outcomes": 10, "queries": 1, "stages": [{**stage, "name": each} for each in names]}
    small = sum_up(report)
    bounded = dict.fromkeys(("calibration", "states"), 0.0)
    assert small["seconds"] == {"tables": 3.0, "texts": 1.5, "epochs": 1.5, **bounded}
    spent = {"tables": 6.0, "texts": 150.0, "epochs": 1.5, **bounded}
    large = {**small, "outcomes": 100, "seconds": spent, "peak_mib": 390}
    far = carry_on([small, large], 10_000)
    assert far["seconds"]["tables"] == pytest.approx(600)  # in proportion at least
    assert far["seconds"]["texts"] == pytest.approx(1_500_000)  # a hundredfold for each tenfold
    assert far["seconds"]["epochs"] == 1.5
    assert far["peak_mib"] == 390 + 9_900


def test_the_page_has_the_growth_that_was_measured() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    for each in read_growth():
        seconds = " | ".join(f"{spent:,.1f}" for spent in each["seconds"].values())
        assert f"| {each['outcomes']:,} | {seconds} | {each['peak_mib']:,} |" in page


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_signs_in_prose_are_those_of_the_committed_results(page: str) -> None:
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    better, undecided, worse = count_signs("log_loss")
    assert worse == 0
    assert re.search(rf"\b{better}\b", text)
    assert re.search(rf"\b{better + undecided}\b", text)
    most = max(len(rivals(found, "task_known", "log_loss")) for found in load())
    assert f"{most} other routers" in text


def test_figures_of_newcomers_and_promises_in_the_readme_are_those_of_the_pages() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    found = read_results("newcomers", "*-models.json")
    after, everything = (learned_share(found, "graphrouter", shot) for shot in ("20", "all"))
    assert f"20 graded answers tell {after:.0%}".replace("%", " %") in text
    assert f"all of them {100 * everything:.1f} %" in text
    saved = [by["95%"] for name, by in read_savings().items() if name != "simulated"]
    assert f"{min(saved):.0%} to {max(saved):.0%}".replace("%", "", 1).replace("%", " %") in text
    promises = (ROOT / "experiments" / "promises" / "README.md").read_text(encoding="utf-8")
    assert "37 of 2,800" in " ".join(promises.split())
    assert "37 of 2,800" in text


def count_signs(metric: str) -> tuple[int, int, int]:
    """In how many comparisons graphrouter is surely better, neither, and surely worse."""
    marks = [
        find_mark(found.settings[setting].paired[name][metric], METRICS[metric])
        for found in load()
        for setting in found.settings
        for name in rivals(found, setting, metric)
    ]
    return marks.count("better"), marks.count(""), marks.count("worse")


def test_the_results_page_is_up_to_date() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8").strip() == _printed()


def test_the_page_of_choices_is_up_to_date() -> None:
    written = (CHOICES / "README.md").read_text(encoding="utf-8")
    assert written.strip() == "\n".join(page()).strip()


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_every_router_and_metric_is_there_or_named_as_missing(file: Path) -> None:
    plain = json.loads(file.read_text(encoding="utf-8"))
    found = Evaluation.from_json(plain)
    held = {
        metric
        for result in plain["settings"].values()
        for figures in result["routers"].values()
        for metric in figures
    }
    assert held == set(METRICS)
    assert _only(found.to_json(), held) == plain
    assert (found.dataset, len(found.seeds)) == (file.stem, 5)
    for result in found.settings.values():
        everyone = {"graphrouter", "oracle", *BASELINES}
        assert {*result.routers, *found.failed} == everyone
        assert all(set(figures) == set(METRICS) for figures in result.routers.values())


def _only(plain: dict[str, Any], metrics: set[str]) -> dict[str, Any]:
    """The evaluation as JSON with these metrics alone."""
    settings = {
        setting: {
            key: {
                router: {name: figure for name, figure in figures.items() if name in metrics}
                for router, figures in found.items()
            }
            if key in ("routers", "paired")
            else found
            for key, found in result.items()
        }
        for setting, result in plain["settings"].items()
    }
    return {**plain, "settings": settings}


def test_all_seven_datasets_are_there() -> None:
    assert [file.stem for file in RESULTS] == [
        "bfcl_v1",
        "helm_mmlu",
        "llmrouter_default",
        "mmlu_pro",
        "reasoning_gym",
        "routerbench_subset",
        "zeroeval",
    ]


def test_the_newcomer_page_is_up_to_date() -> None:
    assert (NEWCOMERS / "README.md").read_text(encoding="utf-8").strip() == _printed(
        folder=NEWCOMERS
    )


@pytest.mark.parametrize("name", ["bfcl_v1", "mmlu_pro", "zeroeval"])
def test_newcomer_results_are_what_the_command_writes(name: str) -> None:
    plain = json.loads((NEWCOMERS / "results" / f"{name}-models.json").read_text(encoding="utf-8"))
    found = NewcomerEvaluation.from_json(plain)
    assert found.to_json() == plain
    assert (found.dataset, len(found.seeds), found.labels[0], found.labels[-1]) == (
        name,
        5,
        "0",
        "all",
    )
    assert not found.failed
    # They are older than `add_models` of graphrouter_paper, whose figures stand in a table of their
    # own: see `test_the_few_shot_table_has_everybody`.
    assert {
        "graphrouter",
        "graphrouter_suggested",
        "graphrouter_retrained",
        *(name for name in DEFAULT_ROUTERS if name != "graphrouter_paper"),
    } == set(found.routers)


def test_the_few_shot_table_has_everybody() -> None:
    """Who joins and who is trained again, with rewards in all presets and seconds."""
    [file] = sorted((NEWCOMERS / "results").glob("*-few-shot.json"))
    plain = json.loads(file.read_text(encoding="utf-8"))
    found = NewcomerEvaluation.from_json(plain)
    assert found.to_json() == plain
    assert not found.failed
    paper = ("graphrouter_paper", "graphrouter_paper_ties")
    for name in ("graphrouter", *paper):
        assert set(found.seconds[name]) == set(found.labels)
        assert set(found.seconds[f"{name}_retrained"]) == {"all"}
        for each in (name, f"{name}_retrained"):
            for label in found.labels:
                for preset in PRESETS:
                    assert np.isfinite(found.figure(each, label, f"reward_{preset}").value)


def test_figures_are_taken_with_six_digits(tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    run.write_text(
        json.dumps({"a": [0.123456789, 3, None, "x"], "b": {"c": 1e-9 / 3}}), encoding="utf-8"
    )
    target = tmp_path / "results"
    subprocess.run(
        [sys.executable, str(ROOT / "experiments" / "take.py"), str(run), str(target)], check=True
    )
    assert json.loads((target / "run.json").read_text(encoding="utf-8")) == {
        "a": [0.123457, 3, None, "x"],
        "b": {"c": 3.33333e-10},
    }
