"""`graphrouter pool`: models come, change and go on the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.routers.graph import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]
CARD = {"model": "fresh", "description": "A new flagship.", "input_usd_per_mtok": 0.2, "output_usd_per_mtok": 0.8}


@pytest.fixture
def mine(artifact: Path, tmp_path: Path) -> Path:
    """An artifact of one's own to change."""
    return Path(shutil.copytree(artifact, tmp_path / "mine"))


@pytest.fixture
def card(tmp_path: Path) -> Path:
    file = tmp_path / "fresh.yaml"
    file.write_text("\n".join(f"{name}: {value}" for name, value in CARD.items()))
    return file


def test_add_list_show_price_remove(invoke: Invoke, mine: Path, card: Path, tmp_path: Path) -> None:
    graded = tmp_path / "graded.csv"
    graded.write_text("prompt,task,effect\nSay hello in French.,translation,1\nAdd 3 and 4.,,0.5\n")
    status, shown, errors = invoke("pool", "add", mine, card, "--outcomes", graded)
    assert (status, errors) == (0, "")
    assert "fresh is in the pool of 5 models, with 2 new outcomes" in shown
    listed = json.loads(invoke("pool", "list", mine, "--json")[1])
    assert listed[-1] == {**CARD, "num_outcomes": 2, "mean_effect": 0.75}
    assert "fresh" in invoke("pool", "list", mine)[1]
    assert invoke("pool", "set-price", mine, "fresh", "--input", 3, "--output", 9)[0] == 0
    status, shown, _ = invoke("pool", "show", mine, "fresh")
    assert status == 0
    for text in ("input_usd_per_mtok: 3", "add_model, 2 outcomes", "set_price"):
        assert text in shown
    assert "fresh" in {c["model"] for c in json.loads(invoke("route", mine, "Add 3 and 4.", "--json")[1])["candidates"]}
    status, shown, _ = invoke("pool", "remove", mine, "fresh")
    assert status == 0
    assert "4 models are left" in shown


def test_the_original_stays_where_another_place_is_named(invoke: Invoke, artifact: Path, card: Path, tmp_path: Path) -> None:
    assert invoke("pool", "add", artifact, card, "--out", tmp_path / "wider")[0] == 0
    assert "fresh" in GraphRouter.load(tmp_path / "wider").models
    assert "fresh" not in GraphRouter.load(artifact).models


def test_adding_again_updates_the_card_and_adds_outcomes(invoke: Invoke, mine: Path, card: Path, tmp_path: Path) -> None:
    assert invoke("pool", "add", mine, card)[0] == 0
    card.write_text(json.dumps({**CARD, "description": "Another text."}))
    graded = tmp_path / "graded.jsonl"
    graded.write_text(json.dumps({"prompt": "Add 3 and 4.", "effect": 1}) + "\n")
    assert invoke("pool", "add", mine, card, "--outcomes", graded)[0] == 0
    router = GraphRouter.load(mine)
    assert router.pool["fresh"].description == "Another text."
    assert [change.what for change in router.provenance.changes] == ["add_model", "update_card", "add_outcomes"]


def test_bad_input_is_one_line_and_changes_nothing(invoke: Invoke, mine: Path, card: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    bad = {
        "unknown.yaml": "model: x\ncolour: red\n",
        "nameless.yaml": "description: x\n",
        "negative.yaml": "model: x\ninput_usd_per_mtok: -1\n",
        "list.json": "[1]",
        "broken.json": "{",
    }
    for name, text in bad.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "empty.csv").write_text("prompt,effect\n")
    (tmp_path / "no_effect.csv").write_text("prompt\nx\n")
    (tmp_path / "wrong.csv").write_text("prompt,effect\nx,1.3\n")
    for words, said in (
        (("add", mine, tmp_path / "unknown.yaml"), "unknown field 'colour'"),
        (("add", mine, tmp_path / "nameless.yaml"), "model"),
        (("add", mine, tmp_path / "negative.yaml"), "greater than or equal to 0"),
        (("add", mine, tmp_path / "list.json"), "holds a list"),
        (("add", mine, tmp_path / "broken.json"), "cannot be read"),
        (("add", mine, tmp_path / "nowhere.yaml"), "There is no file"),
        (("add", mine, card, "--outcomes", tmp_path / "empty.csv"), "no rows"),
        (("add", mine, card, "--outcomes", tmp_path / "no_effect.csv"), "no column effect"),
        (("add", mine, card, "--outcomes", tmp_path / "wrong.csv"), "effect is 1.3"),
        (("remove", mine, "nobody"), "Unknown model 'nobody'"),
        (("set-price", mine, "nobody", "--input", 1, "--output", 1), "Unknown model 'nobody'"),
        (("show", mine, "nobody"), "Unknown model 'nobody'"),
        (("list", tmp_path / "nowhere"), "No artifact"),
    ):
        status, shown, errors = invoke("pool", *words)
        assert (status, shown) == (2, ""), words
        assert said in errors
        assert errors.count("\n") == 1
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before
