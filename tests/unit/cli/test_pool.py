"""`graphrouter pool`: models come, change and go on the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]
CARD = {
    "model": "fresh",
    "description": "A new flagship.",
    "input_usd_per_mtok": 0.2,
    "output_usd_per_mtok": 0.8,
}


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
    assert "fresh" in {
        c["model"]
        for c in json.loads(invoke("route", mine, "Add 3 and 4.", "--json")[1])["candidates"]
    }
    status, shown, _ = invoke("pool", "remove", mine, "fresh")
    assert status == 0
    assert "4 models are left" in shown


def test_a_newcomer_whose_cost_is_unknown_is_said_to_be_one(
    invoke: Invoke, mine: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half.yaml"
    half.write_text("model: half\ninput_usd_per_mtok: 1\n")
    for words in (("pool", "add", mine, half), ("pool", "show", mine, "half")):
        status, shown, _ = invoke(*words)
        assert status == 0
        assert "costs: cost unknown: neither output_usd_per_mtok nor a bill" in shown


def test_the_original_stays_where_another_place_is_named(
    invoke: Invoke, artifact: Path, card: Path, tmp_path: Path
) -> None:
    assert invoke("pool", "add", artifact, card, "--out", tmp_path / "wider")[0] == 0
    assert "fresh" in GraphRouter.load(tmp_path / "wider").models
    assert "fresh" not in GraphRouter.load(artifact).models


def test_adding_again_updates_the_card_and_adds_outcomes(
    invoke: Invoke, mine: Path, card: Path, tmp_path: Path
) -> None:
    assert invoke("pool", "add", mine, card)[0] == 0
    card.write_text(json.dumps({**CARD, "description": "Another text."}))
    graded = tmp_path / "graded.jsonl"
    graded.write_text(json.dumps({"prompt": "Add 3 and 4.", "effect": 1}) + "\n")
    assert invoke("pool", "add", mine, card, "--outcomes", graded)[0] == 0
    router = GraphRouter.load(mine)
    assert router.pool["fresh"].description == "Another text."
    assert [change.what for change in router.provenance.changes] == [
        "add_model",
        "update_card",
        "add_outcomes",
    ]


def test_an_update_says_what_it_changes_and_keeps_what_the_card_does_not_state(
    invoke: Invoke, mine: Path, card: Path
) -> None:
    assert invoke("pool", "add", mine, card)[0] == 0
    assert invoke("pool", "set-price", mine, "fresh", "--input", 3, "--output", 9)[0] == 0
    card.write_text(
        json.dumps({"model": "fresh", "description": "Another text.", "output_usd_per_mtok": 8})
    )
    status, shown, _ = invoke("pool", "add", mine, card)
    assert status == 0
    assert "description: 'A new flagship.' -> 'Another text.'" in shown
    assert "output_usd_per_mtok: 9.0 -> 8.0" in shown
    assert GraphRouter.load(mine).pool["fresh"].input_usd_per_mtok == 3


def test_replacing_forgets_what_was_known_of_the_model(
    invoke: Invoke, mine: Path, card: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    old.write_text("prompt,effect\nAdd 3 and 4.,1\nAdd 5 and 6.,1\n")
    new.write_text("prompt,effect\nAdd 5 and 6.,0\n")
    assert invoke("pool", "add", mine, card, "--outcomes", old)[0] == 0
    status, shown, errors = invoke("pool", "add", mine, card, "--outcomes", new, "--replace")
    assert (status, errors) == (0, "")
    assert "with 1 new outcome; older ones are forgotten" in shown
    listed = json.loads(invoke("pool", "list", mine, "--json")[1])[-1]
    assert (listed["model"], listed["num_outcomes"], listed["mean_effect"]) == ("fresh", 1, 0.0)
    assert "replace_outcomes, 1 outcome" in invoke("pool", "show", mine, "fresh")[1]


def test_prices_are_filled_in_where_the_card_has_none(
    invoke: Invoke, mine: Path, tmp_path: Path
) -> None:
    bare, named, stated = (tmp_path / f"{name}.yaml" for name in ("bare", "named", "stated"))
    bare.write_text("model: gpt-4o-mini\noutput_usd_per_mtok: 0.7\n")
    named.write_text("model: our-name\n")
    stated.write_text("model: quite-unlisted\ninput_usd_per_mtok: 1\noutput_usd_per_mtok: 2\n")
    status, shown, errors = invoke("pool", "add", mine, bare, "--fill-prices")
    assert (status, errors) == (0, "")
    assert "that of openai/gpt-4o-mini in the list genai-prices" in shown
    assert invoke("pool", "add", mine, named, "--listed-as", "openai/gpt-4o-mini")[0] == 0
    assert "Prices" not in invoke("pool", "add", mine, stated, "--fill-prices")[1]
    pool = GraphRouter.load(mine).pool
    assert pool["gpt-4o-mini"].output_usd_per_mtok == 0.7, "the user's price wins"
    assert pool["gpt-4o-mini"].input_usd_per_mtok == pool["our-name"].input_usd_per_mtok
    assert pool["our-name"].has_price
    assert pool["quite-unlisted"].input_usd_per_mtok == 1


def test_a_task_joins_and_can_be_asked_for(
    invoke: Invoke, mine: Path, router: GraphRouter, tmp_path: Path
) -> None:
    graded = tmp_path / "graded.csv"
    graded.write_text(
        f"model,prompt,effect\n{router.models[0]},Write a haiku.,1\n{router.models[1]},Write a "
        "haiku.,0\n"
    )
    words = (
        "pool",
        "add-task",
        mine,
        "haiku",
        "--description",
        "Short poems.",
        "--examples",
        graded,
    )
    status, shown, errors = invoke(*words)
    assert (status, errors) == (0, "")
    assert f"haiku is one of {len(router.known_tasks) + 1} tasks, with 2 new outcomes" in shown
    assert GraphRouter.load(mine).known_tasks[-1] == "haiku"
    assert "add_task haiku, 2 outcomes" in invoke("pool", "show", mine, router.models[0])[1]
    status, shown, errors = invoke(
        "route", mine, "Write a haiku on snow.", "--task", "haiku", "--json"
    )
    assert (status, errors) == (0, "")
    assert json.loads(shown)["evidence"][0]["task"] == "haiku"
    assert invoke("pool", "add-task", mine, "limerick", "--out", tmp_path / "more")[0] == 0
    assert "limerick" not in GraphRouter.load(mine).known_tasks


def test_outcomes_of_a_task_that_nobody_knows_are_taken_with_a_warning(
    invoke: Invoke, mine: Path, card: Path, tmp_path: Path
) -> None:
    graded = tmp_path / "graded.csv"
    graded.write_text("prompt,task,effect\nWrite a haiku.,haiku,1\n")
    status, _, errors = invoke("pool", "add", mine, card, "--outcomes", graded)
    assert status == 0
    assert "never seen the task 'haiku', which counts as unknown" in errors


def test_the_last_models_stay(invoke: Invoke, mine: Path, router: GraphRouter) -> None:
    for model in router.models[2:]:
        assert invoke("pool", "remove", mine, model)[0] == 0
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    status, shown, errors = invoke("pool", "remove", mine, router.models[0])
    assert (status, shown) == (2, "")
    assert "The pool has 2 models; routing needs at least 2" in errors
    assert errors.count("\n") == 1
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before


def test_bad_input_is_one_line_and_changes_nothing(
    invoke: Invoke, mine: Path, card: Path, router: GraphRouter, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    bad = {
        "unknown.yaml": "model: x\ndescripton: red\n",
        "nameless.yaml": "description: x\n",
        "negative.yaml": "model: x\ninput_usd_per_mtok: -1\n",
        "list.json": "[1]",
        "broken.json": "{",
        "unlisted.yaml": "model: no-such-model-anywhere\n",
    }
    for name, text in bad.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "empty.csv").write_text("prompt,effect\n")
    (tmp_path / "no_effect.csv").write_text("prompt\nx\n")
    (tmp_path / "wrong.csv").write_text("prompt,effect\nx,1.3\n")
    (tmp_path / "word.csv").write_text("prompt,effect\nx,good\n")
    (tmp_path / "theirs.csv").write_text("model,prompt,effect\nsomebody,x,1\n")
    (tmp_path / "examples.csv").write_text("model,prompt,task,effect\nsomebody,x,other,1\n")
    (tmp_path / "there.yaml").write_text(f"model: {router.models[0]}\n")
    for words, said in (
        (
            ("add", mine, tmp_path / "unknown.yaml"),
            "unknown field 'descripton'. Did you mean 'description'?",
        ),
        (("add", mine, tmp_path / "nameless.yaml"), "model"),
        (("add", mine, tmp_path / "negative.yaml"), "greater than or equal to 0"),
        (("add", mine, tmp_path / "list.json"), "holds a list"),
        (("add", mine, tmp_path / "broken.json"), "no valid JSON"),
        (("add", mine, tmp_path / "nowhere.yaml"), "There is no file"),
        (("add", mine, card, "--outcomes", tmp_path / "empty.csv"), "no rows"),
        (
            ("add", mine, card, "--outcomes", tmp_path / "no_effect.csv"),
            "column 'effect' is missing",
        ),
        (("add", mine, card, "--outcomes", tmp_path / "wrong.csv"), "effect is 1.3"),
        (
            ("add", mine, card, "--outcomes", tmp_path / "word.csv"),
            "effect is 'good', which is no number",
        ),
        (
            ("add", mine, card, "--outcomes", tmp_path / "theirs.csv"),
            "outcomes are of 'somebody' too; expected outcomes of 'fresh'",
        ),
        (
            ("add", mine, tmp_path / "there.yaml", "--outcomes", tmp_path / "theirs.csv"),
            "outcomes are of 'somebody' too",
        ),
        (("add", mine, card, "--replace"), "give them with --outcomes FILE"),
        (
            ("add", mine, tmp_path / "unlisted.yaml", "--fill-prices"),
            "The price list has no model 'no-such-model-anywhere'",
        ),
        (
            ("add", mine, tmp_path / "unlisted.yaml", "--listed-as", "nor-this-one"),
            "no model 'nor-this-one'",
        ),
        (
            ("add-task", mine, router.known_tasks[0]),
            f"knows a task '{router.known_tasks[0]}' already",
        ),
        (("add-task", mine, " "), "expected a name that is not blank"),
        (
            ("add-task", mine, "haiku", "--examples", tmp_path / "empty.csv"),
            "column 'model' is missing",
        ),
        (
            ("add-task", mine, "haiku", "--examples", tmp_path / "no_effect.csv"),
            "column 'effect' is missing",
        ),
        (
            ("add-task", mine, "haiku", "--examples", tmp_path / "examples.csv"),
            "names the task 'other' too",
        ),
        (("add-task", mine, "haiku", "--examples", tmp_path / "theirs.csv"), "'somebody'"),
        (("add-task", mine, "haiku", "--examples", tmp_path / "nowhere.csv"), "nowhere.csv"),
        (
            ("set-price", mine, router.models[0], "--input", -1, "--output", 1),
            "greater than or equal to 0",
        ),
        (
            ("set-price", mine, router.models[0], "--input", "nan", "--output", 1),
            "input_usd_per_mtok",
        ),
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


def test_fields_of_ones_own_are_added_shown_and_kept(
    invoke: Invoke, artifact: Path, router: GraphRouter, tmp_path: Path
) -> None:
    name = router.models[0]
    stated, mine = tmp_path / "stated.yaml", tmp_path / "mine"
    stated.write_text(f"model: {name}\nregion: eu\nenergy_wh: 2.5\n")
    status, shown, errors = invoke("pool", "add", artifact, stated, "--out", mine)
    assert (status, errors) == (0, "")
    assert "region: None -> 'eu'" in shown
    status, shown, _ = invoke("pool", "show", mine, name)
    assert "region: eu" in shown
    assert "energy_wh: 2.5" in shown
    (tmp_path / "other.yaml").write_text(f"model: {name}\nregion: us\n")
    status, shown, _ = invoke("pool", "add", mine, tmp_path / "other.yaml", "--out", mine)
    assert status == 0
    assert "region: 'eu' -> 'us'" in shown
    assert "energy_wh: 2.5" in invoke("pool", "show", mine, name)[1]


def test_a_latency_that_is_a_guess_is_said_to_be_one(
    invoke: Invoke, mine: Path, card: Path, router: GraphRouter
) -> None:
    assert invoke("pool", "add", mine, card)[0] == 0
    for model, is_guess in (("fresh", True), (router.models[0], False)):
        status, shown, _ = invoke("route", mine, "Add 3 and 4.", "--allow", model)
        assert status == 0
        assert ("s (a guess: none was logged)" in shown) == is_guess


def test_a_setting_names_its_siblings_and_shows_what_it_shares(
    invoke: Invoke, mine: Path, router: GraphRouter, tmp_path: Path
) -> None:
    base, file = router.models[0], tmp_path / "setting.json"
    setting = {"model": "setting", "base": base, "parameters": {"reasoning_effort": "high"}}
    file.write_text(json.dumps(setting))
    status, shown, errors = invoke("pool", "add", mine, file)
    assert (status, errors) == (0, "")
    assert f"siblings: {base}\n" in shown
    card = json.loads(invoke("pool", "list", mine, "--json")[1])[-1]
    assert card | setting == card
    assert card["output_usd_per_mtok"] == router.pool[base].output_usd_per_mtok
    assert "parameters: " not in invoke("pool", "add", mine, file)[1]  # nothing has changed
    file.write_text(json.dumps(setting | {"model": "lonely", "base": "nobody"}))
    assert "siblings: none; nobody else is nobody" in invoke("pool", "add", mine, file)[1]
    file.write_text(json.dumps(setting | {"parameters": "high"}))
    status, _, errors = invoke("pool", "add", mine, file)
    assert status == 2
    assert "parameters = 'high' is not accepted: expected a mapping" in errors
