"""Candidates that are no models: both examples run, and what they say of themselves holds."""

from __future__ import annotations

import json
import re
import runpy
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "pipelines"


@pytest.fixture(scope="module")
def retrieval() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "route_retrievers.py"))


@pytest.fixture(scope="module")
def text_to_sql() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "route_text_to_sql.py"))


@pytest.mark.parametrize("script", ["route_retrievers.py", "route_text_to_sql.py"])
def test_example_runs(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 6
    figures = dict(re.findall(r"^(\S+).*?(?:MRR|right) +(\d\.\d+)", "\n".join(shown), re.MULTILINE))
    assert max(figures, key=lambda name: float(figures[name])).startswith("routed")


def test_every_retriever_has_questions_that_it_is_best_at(retrieval: dict[str, Any]) -> None:
    corpus = retrieval["make_corpus"](3, 600)
    data, ranks = retrieval["make_dataset"](corpus, retrieval["make_retrievers"](corpus.passages))
    kinds = corpus.questions.set_index("query_id")["kind"]
    found = (1 / ranks).groupby(kinds).mean().drop(columns="rrf")
    assert found.loc[["chatter", "typos", "other words"]].idxmax(axis=1).tolist() == [
        "bm25",
        "bm25-trigrams",
        "static",
    ]
    assert [card.kind for card in data.pool] == ["retriever"] * 3
    sides = corpus.questions.groupby("passage")["split"].nunique()
    assert (sides == 1).all()  # what was trained on is not asked for again
    assert data.outcomes["effect"].between(0, 1, inclusive="right").all()


def test_a_misspelt_text_is_another_one_of_as_many_words(retrieval: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    for text in ("refrigerator leaks water", "a tiny fan", "BCD-4711", "abc", ""):
        found = retrieval["misspell"](text, rng)
        assert found.count(" ") == text.count(" ")
        assert (found != text) == any(len(word) >= 4 for word in text.split())


def test_right_sql_is_right_and_other_sql_is_not(text_to_sql: dict[str, Any]) -> None:
    shop, ask = text_to_sql["make_database"](0), text_to_sql["Question"]
    question = ask("?", "SELECT name FROM customers WHERE age > 40", "simple")
    assert text_to_sql["is_right"](shop, "SELECT name FROM customers WHERE 40 < age", question)
    for wrong in ("SELECT name FROM customers", "SELECT nothing", "no SQL", ""):
        assert not text_to_sql["is_right"](shop, wrong, question)
    rng = np.random.default_rng(0)
    for _ in range(200):
        drawn = text_to_sql["draw_question"](rng)
        assert text_to_sql["is_right"](shop, drawn.sql, drawn)


def test_pipelines_cost_more_the_more_they_can(text_to_sql: dict[str, Any]) -> None:
    data, kinds = text_to_sql["make_dataset"](1, 300)
    cost = data.outcome_matrix("cost_usd").mean(axis=0)
    assert list(np.argsort(cost)) == [0, 1, 2]
    effect = data.outcome_matrix("effect")
    best = [effect[np.array(kinds) == kind].mean(axis=0) for kind in ("simple", "joined", "nested")]
    assert best[0][0] > 0.9
    assert best[1][0] < 0.1 < 0.9 < best[1][1]
    assert best[2][1] < 0.1 < 0.7 < best[2][2]
    assert data.outcomes["answer"].str.startswith("SELECT").all()
    with pytest.raises(sqlite3.Error):
        text_to_sql["make_database"](1).execute("SELECT city FROM books")


def test_committed_results_say_what_the_page_says() -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    for folder in ("retrievers", "text_to_sql"):
        results = json.loads((ROOT / "experiments" / folder / "results.json").read_text())
        assert len(results) == 6
        readme = (ROOT / "experiments" / folder / "README.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| (graphrouter|rrf|best_single|joined) \|.*$", readme, re.MULTILINE)
        assert rows
        assert f"experiments/{folder}" in page
    retrievers = json.loads((ROOT / "experiments" / "retrievers" / "results.json").read_text())
    for name in ("graphrouter", "best_single", "rrf", "ltrr"):
        figure = np.mean([(1 / np.array(each["ranks"][name])).mean() for each in retrievers])
        assert f"{figure:.3f}" in page, name
