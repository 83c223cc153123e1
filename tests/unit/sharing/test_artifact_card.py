"""The card says what the artifact says of itself, and a strange name does not break its tables."""

from __future__ import annotations

from pathlib import Path

import yaml

import graphrouter as gr
from graphrouter.sharing import describe_artifact


def test_the_card_of_a_router(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=80, num_models=3).data
    router = gr.GraphRouter.fit(data, instant=True)
    card = gr.ModelCard(model="odd|name<b>", input_usd_per_mtok=0.5)
    router.add_model(card).save(tmp_path / "router")
    text = describe_artifact(tmp_path / "router", place="me/mine")
    _, head, body = text.split("---\n", maxsplit=2)
    said = yaml.safe_load(head)
    assert said["library_name"] == "graphrouter"
    assert "graphrouter" in said["tags"]
    assert body.lstrip().startswith("# mine\n")
    assert "graphrouter pull me/mine" in body
    for task in router.known_tasks:
        assert task in body
    for model in router.models:
        assert f"| {model} | " in body
    assert "| odd\\|name&lt;b> | 0.5 | not stated |" in body
    assert "changed since its training | 1 time |" in body
    assert f"{len(router.support.queries)} training prompts in clear text" in body
    assert f"| {router.provenance.metrics['log_loss_calibrated']:.4g} |" in body


def test_long_lists_are_cut(tmp_path: Path) -> None:
    data = gr.simulate(num_queries=60, num_models=44).data
    gr.GraphRouter.fit(data, instant=True).save(tmp_path / "router")
    text = describe_artifact(tmp_path / "router")
    assert "\nand 4 more.\n" in text
