"""A pool of more than 128 models, from the fit to a newcomer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr


@pytest.mark.slow
def test_a_large_pool_is_trained_saved_and_joined(tmp_path: Path) -> None:
    data = gr.simulate(400, 150, density=0.06).data
    few = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=2"])
    router = gr.GraphRouter.fit(data, few)
    prompts = ["What is 2 + 2?", "Write a program that sorts a list."]
    before = router.predict(prompts)
    assert np.isfinite(before.effect).all()
    router.save(tmp_path / "router")
    loaded = gr.load_router(tmp_path / "router")
    np.testing.assert_allclose(loaded.predict(prompts).effect, before.effect, rtol=0, atol=1e-12)
    joined = loaded.add_model(gr.ModelCard(model="new", description="A strong all-rounder."))
    after = joined.predict(prompts).effect
    assert np.isfinite(after[:, -1]).all()
    np.testing.assert_allclose(after[:, :-1], before.effect, rtol=0, atol=1e-9)
