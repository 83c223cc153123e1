"""Baselines to and from artifacts, by the type hints of their fields."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.artifact import MANIFEST, ArtifactContents, read_artifact, write_artifact
from graphrouter.bench.baselines import BASELINES, LearningData
from graphrouter.bench.baselines.methods.means import BestSingle
from graphrouter.bench.baselines.methods.neighbours import NearestNeighbours
from graphrouter.bench.baselines.tools.mean_table import MeanTable
from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.encoders.hashing import HashingEncoder
from graphrouter.encoders.text_encoder import unit_rows
from graphrouter.exceptions import ArtifactError, EncoderError

PROMPTS = ["Translate 'tree' into German.", "", "Add 3 and 4."]


@pytest.fixture(scope="module")
def learning() -> LearningData:
    data = gr.simulate(num_queries=80, num_models=4, seed=1, missing=0.4).data
    ids = data.queries["query_id"].tolist()
    return LearningData.of(data, ids[:60], encoder=HashingEncoder(64), validation_ids=ids[60:])


def test_a_loaded_router_is_the_same(tmp_path: Path, learning: LearningData) -> None:
    router = NearestNeighbours.learn(learning)
    router.save(tmp_path / "a")
    loaded = NearestNeighbours.load(tmp_path / "a")
    assert (loaded.k, loaded.pool, loaded.cost_scale) == (router.k, router.pool, router.cost_scale)
    np.testing.assert_array_equal(loaded.predict(PROMPTS).effect, router.predict(PROMPTS).effect)
    assert type(gr.load_router(tmp_path / "a")) is NearestNeighbours


def test_unknown_costs_survive(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=60, num_models=3).data
    outcomes = data.outcomes[["query_id", "model", "effect"]]
    models = data.models[["model"]]
    bare = gr.RoutingDataset.from_frames(
        queries=data.queries, models=models, outcomes=outcomes, tasks=data.tasks
    )
    learning = LearningData.of(bare, data.queries["query_id"].tolist(), encoder=HashingEncoder(64))
    BestSingle.learn(learning).save(tmp_path / "a")
    loaded = BestSingle.load(tmp_path / "a")
    assert not loaded.cost_scale.is_known
    assert np.isnan(loaded.predict(["x"]).cost_usd).all()


def test_a_table_of_means_is_read_that_an_older_release_kept_as_predictions(
    tmp_path: Path, learning: LearningData
) -> None:
    """It had two more fields, the ends of an interval, which were never filled."""
    router = NearestNeighbours.learn(learning)
    router.save(tmp_path / "a")
    contents = read_artifact(tmp_path / "a")
    fields = dict(contents.manifest["fields"])
    for name in ("outcomes", "means"):
        fields[name] = {**fields[name], "effect_low": None, "effect_high": None}
    manifest = {**contents.manifest, "fields": fields}
    write_artifact(tmp_path / "a", dataclasses.replace(contents, manifest=manifest))
    loaded = NearestNeighbours.load(tmp_path / "a")
    assert (type(loaded.outcomes), type(loaded.means)) == (ObservedOutcomes, MeanTable)
    np.testing.assert_array_equal(loaded.predict(PROMPTS).effect, router.predict(PROMPTS).effect)


def test_no_pickle_and_plain_json(tmp_path: Path, learning: LearningData) -> None:
    NearestNeighbours.learn(learning).save(tmp_path / "a")
    assert {path.suffix for path in (tmp_path / "a").iterdir()} == {".json", ".safetensors"}
    manifest = json.loads((tmp_path / "a" / MANIFEST).read_text())
    assert (manifest["kind"], manifest["baseline"]) == ("baseline", "knn")
    assert manifest["fields"]["encoder"]["config"]["name"] == "hashing"


def test_refuses_another_router_another_encoder_and_another_release(
    tmp_path: Path, learning: LearningData
) -> None:
    NearestNeighbours.learn(learning).save(tmp_path / "a")
    with pytest.raises(ArtifactError, match="'knn'; expected 'best_single'"):
        BestSingle.load(tmp_path / "a")
    with pytest.raises(ArtifactError, match="'knn'; expected 'graphrouter'"):
        gr.GraphRouter.load(tmp_path / "a")
    with pytest.raises(EncoderError, match="expected"):
        gr.load_router(tmp_path / "a", encoder=HashingEncoder(128))
    contents = read_artifact(tmp_path / "a")
    for name, change in (("b", {"fields": {}}), ("c", {"baseline": "of tomorrow"})):
        manifest = {
            k: v
            for k, v in contents.manifest.items()
            if k not in ("files", "libraries", "checksum")
        } | change
        write_artifact(tmp_path / name, ArtifactContents(manifest, contents.tensors, {}))
        with pytest.raises(ArtifactError, match="release"):
            gr.load_router(tmp_path / name)


def test_an_encoder_of_ones_own_is_given_back_when_loading(tmp_path: Path) -> None:
    class Lengths:
        id, revision, dimension = "mine/lengths", "1", 2

        def encode(self, texts: Sequence[str], *, progress: bool = False) -> np.ndarray:
            return unit_rows(np.array([[len(text), 9.0] for text in texts]).reshape(-1, 2))

    data = gr.simulate(num_queries=60, num_models=3).data
    router = NearestNeighbours.fit(data, encoder=Lengths())
    router.save(tmp_path / "a")
    assert read_artifact(tmp_path / "a").manifest["fields"]["encoder"]["config"] is None
    with pytest.raises(EncoderError, match=r"'mine/lengths' .*none was saved.*encoder=\.\.\."):
        gr.load_router(tmp_path / "a")
    loaded = gr.load_router(tmp_path / "a", encoder=Lengths())
    np.testing.assert_array_equal(loaded.predict(PROMPTS).effect, router.predict(PROMPTS).effect)


def test_a_router_of_another_kind_is_not_replaced(tmp_path: Path, learning: LearningData) -> None:
    NearestNeighbours.learn(learning).save(tmp_path / "a")
    with pytest.raises(ArtifactError, match="holds a 'knn', which a 'best_single' would replace"):
        BestSingle.learn(learning).save(tmp_path / "a")
    NearestNeighbours.learn(learning).save(tmp_path / "a")  # its own kind is


def test_every_class_has_a_name_a_source_and_a_docstring() -> None:
    for name, kind in BASELINES.items():
        assert kind.name == name
        assert len(kind.source) > 10
        assert len((kind.__doc__ or "").strip()) > 60, f"{name} does not say what it does"
