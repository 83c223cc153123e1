"""A router that is saved without its prompts decides as before and tells none of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.artifact import read_artifact
from graphrouter.artifact_tables import to_frame
from graphrouter.data.prompt_keys import is_withheld, prompt_key
from graphrouter.exceptions import ArtifactError, DataError, NotApplicableError

PROMPTS = ["What is 17 plus 4?", "Name three rivers.", "sum = 0  # 你好"]


@pytest.fixture(scope="module")
def data() -> gr.RoutingDataset:
    return gr.simulate(num_queries=80, num_models=3).data


@pytest.fixture(scope="module")
def router(data: gr.RoutingDataset) -> gr.GraphRouter:
    return gr.GraphRouter.fit(data, instant=True)


@pytest.fixture
def without(router: gr.GraphRouter, tmp_path: Path) -> Path:
    router.save(tmp_path / "without", evidence=False)
    return tmp_path / "without"


def texts_of(folder: Path) -> str:
    """Every string of an artifact."""
    contents = read_artifact(folder)
    tables = [to_frame(table).to_json() for table in contents.tables.values()]
    return "\n".join([str(contents.manifest), *tables])


def test_no_prompt_is_in_the_artifact(router: gr.GraphRouter, without: Path) -> None:
    kept = texts_of(without)
    assert [prompt for prompt in router.support.queries["prompt"] if prompt in kept] == []
    assert read_artifact(without).manifest["evidence"] is False


def test_it_decides_as_before_and_cites_digests(router: gr.GraphRouter, without: Path) -> None:
    loaded = gr.load_router(without)
    here, there = router.predict(PROMPTS), loaded.predict(PROMPTS)
    np.testing.assert_array_equal(there.effect, here.effect)
    np.testing.assert_array_equal(there.cost_usd, here.cost_usd)
    ours, theirs = router.route(PROMPTS[0]), loaded.route(PROMPTS[0])
    assert theirs.model == ours.model
    assert [each.query_id for each in theirs.evidence] == [each.query_id for each in ours.evidence]
    for mine, cited in zip(ours.evidence, theirs.evidence, strict=True):
        assert is_withheld(cited.prompt)
        assert prompt_key(cited.prompt) == prompt_key(mine.prompt)


def test_states_are_computed_of_it_as_of_the_prompts(
    router: gr.GraphRouter, without: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphrouter.router.saved_states.STATES_VERSION", 10**6)
    loaded = gr.load_router(without)
    np.testing.assert_allclose(
        loaded.predict(PROMPTS).effect, router.predict(PROMPTS).effect, rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        loaded.predict(PROMPTS).cost_usd, router.predict(PROMPTS).cost_usd, rtol=1e-12
    )


def test_known_prompts_are_known_and_new_ones_are_left_out_too(
    router: gr.GraphRouter, without: Path
) -> None:
    known = router.support.queries["prompt"].iloc[0]
    new = pd.DataFrame(
        {"prompt": [known, "A prompt of today."], "model": router.models[0], "effect": 1.0}
    )
    grown = gr.change_router(without, lambda it: it.add_outcomes(new))
    assert len(grown.support.queries) == len(router.support.queries) + 1
    assert "A prompt of today." not in texts_of(without)
    assert all(map(is_withheld, gr.load_router(without).support.queries["prompt"]))
    expected = router.add_outcomes(new)
    np.testing.assert_allclose(
        gr.load_router(without).predict(PROMPTS).effect,
        expected.predict(PROMPTS).effect,
        rtol=0,
        atol=1e-12,
    )


def test_probes_have_nothing_to_run(without: Path) -> None:
    with pytest.raises(DataError, match="saved without the text of its prompts"):
        gr.load_router(without).suggest_probes(2)


def test_prompts_do_not_come_back(without: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"evidence=True was received.* are not there"):
        gr.load_router(without).save(tmp_path / "again", evidence=True)
    assert not (tmp_path / "again").exists()


def test_a_folder_that_would_keep_them_is_refused(router: gr.GraphRouter, tmp_path: Path) -> None:
    router.save(tmp_path / "mine")
    before = sorted(path.name for path in (tmp_path / "mine").iterdir())
    with pytest.raises(ArtifactError, match="holds a version of this artifact with its prompts"):
        router.save(tmp_path / "mine", evidence=False)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == before


def test_a_baseline_has_none(data: gr.RoutingDataset, tmp_path: Path) -> None:
    from graphrouter.bench.baselines import find_router

    knn = find_router("knn").fit(data)
    with pytest.raises(NotApplicableError, match="knn cites no solved prompts"):
        knn.save(tmp_path / "knn", evidence=True)
    knn.save(tmp_path / "knn", evidence=False)
    kept = texts_of(tmp_path / "knn")
    assert [prompt for prompt in data.queries["prompt"] if prompt in kept] == []
