"""Artifacts of another network, formats 1 and 2: trained again on what they hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.data.prompt_keys import prompt_key
from graphrouter.exceptions import ArtifactError
from graphrouter.router.refitting import refit_router

DATA = Path(__file__).parents[2] / "data"
QUICK = [
    "training.max_epochs=1",
    "training.steps_per_epoch=2",
    "network.width=4",
    "network.hidden=8",
]


@pytest.mark.parametrize("version", [1, 2])
def test_it_is_named_how_to_migrate_and_that_works(version: int, tmp_path: Path) -> None:
    folder = DATA / f"format{version}" / "graphrouter"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = json.loads(before["manifest.json"])
    with pytest.raises(ArtifactError, match=f"graphrouter migrate .*format{version}.* --out NEW"):
        gr.load_router(folder)
    router = refit_router(folder, overrides=QUICK)
    router.save(tmp_path / "new")
    again = gr.GraphRouter.load(tmp_path / "new")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    # What it holds is what the old one held.
    held = pd.read_parquet(folder / manifest["files"]["support_queries"]["file"])
    split = pd.read_parquet(folder / manifest["files"]["split"]["file"])
    assert again.models == (
        "juniper-30b",
        "tarn-grand",
        "brindle-spark",
        "thimble-count",
        "newcomer",
    )
    assert again.pool["newcomer"].output_usd_per_mtok == 0.4
    found = again.provenance
    assert {*found.split.train, *found.split.validation} == set(held["query_id"])
    assert set(found.split.test) == set(split["query_id"][split["split"] == "test"])
    assert set(map(prompt_key, held["prompt"])) <= found.seen_prompts
    assert (found.dataset, found.fingerprint) == ("simulated", manifest["dataset"]["fingerprint"])
    assert [change.what for change in found.changes] == ["add_model", "migrate"]
    assert again.learned.config.encoder.name == "hashing"
    assert again.learned.config.graph == gr.TrainConfig().graph, "not what another network wanted"
    assert np.isfinite(again.predict(["Prove that 17 is prime."]).effect).all()


def test_an_artifact_that_is_read_as_it_is_is_not_trained_again() -> None:
    with pytest.raises(ArtifactError, match="format version 4"):
        refit_router(DATA / "format4" / "graphrouter")
