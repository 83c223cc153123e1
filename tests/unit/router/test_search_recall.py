"""A router that searches by an index answers as one that compares all, changes included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.exceptions import ConfigError
from graphrouter.scoring import search_index
from graphrouter.scoring.search_index import IndexedSearch


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=400, num_models=4, seed=2).data


@pytest.fixture(scope="module")
def saved(data: gr.RoutingDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "router"
    gr.GraphRouter.fit(data, instant=True).save(folder)
    return folder


@pytest.fixture
def prompts(data: gr.RoutingDataset) -> list[str]:
    return [f"{text} Please." for text in data.queries["prompt"][:60]]


@pytest.fixture(autouse=True)
def _small_supports_have_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "LEAST_ROWS", 100)


def test_it_chooses_alike(saved: Path, prompts: list[str]) -> None:
    exact, indexed = gr.load_router(saved), gr.load_router(saved, search_recall=0.98)
    assert isinstance(indexed._search, IndexedSearch)
    ours, theirs = indexed.route_batch(prompts), exact.route_batch(prompts)
    assert np.mean([a.model == b.model for a, b in zip(ours, theirs, strict=True)]) >= 0.95
    off = indexed.predict(prompts).effect - exact.predict(prompts).effect
    assert np.abs(off).mean() < 0.01
    alone = indexed.predict(prompts[7:8]).effect
    assert np.array_equal(alone[0], indexed.predict(prompts).effect[7])


def test_the_index_is_made_anew_where_prompts_come(saved: Path, prompts: list[str]) -> None:
    router = gr.load_router(saved, search_recall=0.98)
    solved = router.support.query_table["query_id"][0]
    known = pd.DataFrame({"query_id": [solved], "model": router.models[:1], "effect": [1.0]})
    same = router.add_outcomes(known)
    assert same._search is router._search
    rows = pd.DataFrame({"prompt": prompts[:1], "model": router.models[:1], "effect": [1.0]})
    more = router.add_outcomes(rows)
    assert isinstance(more._search, IndexedSearch)
    assert more._search is not router._search
    found = more.route(prompts[0]).evidence[0]
    assert found.prompt == prompts[0]


def test_a_wrong_share_is_told_where_it_is_given(saved: Path) -> None:
    with pytest.raises(ConfigError, match="search_recall is 97"):
        gr.load_router(saved, search_recall=97)
