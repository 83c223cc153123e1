"""What a candidate is: on cards, in tables, in summaries and in what a policy requires."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.artifact import ArtifactContents, read_artifact, write_artifact
from graphrouter.artifact_tables import to_frame
from graphrouter.cli.app import run
from graphrouter.data.describe import describe_dataset
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.pool import KINDS, ModelPool, parse_card


def make(kinds: list[str | None] | None) -> gr.RoutingDataset:
    names = ["bm25", "dense", "nano"]
    models = pd.DataFrame({"model": names})
    if kinds is not None:
        models["kind"] = pd.Series(kinds, dtype=object)
    ids = [f"q{i}" for i in range(8)]
    rows = [(query, name, i % 2) for i, query in enumerate(ids) for name in names]
    return gr.RoutingDataset.from_frames(
        queries=pd.DataFrame({"query_id": ids, "task": None, "prompt": [f"ask {i}" for i in ids]}),
        models=models,
        outcomes=pd.DataFrame(rows, columns=["query_id", "model", "effect"]),
    )


def test_a_card_says_what_a_candidate_is() -> None:
    card = gr.ModelCard(model="bm25", kind="retriever", index="words")
    assert (card.kind, card.state_of("kind"), card.own_fields) == (
        "retriever",
        "retriever",
        {"index": "words"},
    )
    assert gr.ModelCard(model="nano").model_dump(exclude_none=True) == {"model": "nano"}
    with pytest.raises(DataError, match="kind"):
        parse_card({"model": "bm25", "kind": "retreiver"})
    assert parse_card({"model": "bm25", "kind": " Retriever"}).kind == "retriever"


def test_tables_keep_kinds_and_policies_require_them(tmp_path: Path) -> None:
    data = make([" Retriever", "retriever", None])
    assert [card.state_of("kind") for card in data.pool] == ["retriever", "retriever", "model"]
    data.save(tmp_path / "kinds", format="csv")
    again = gr.load_dataset(tmp_path / "kinds")
    assert again.fingerprint == data.fingerprint
    assert [each.kind for each in describe_dataset(again).models] == [
        "retriever",
        "retriever",
        "model",
    ]
    router = gr.GraphRouter.fit(again, instant=True)
    policy = gr.Policy(cost_weight=0, requires={"kind": "model"})
    assert router.route("ask", policy=policy).model == "nano"
    router.save(tmp_path / "router")
    assert gr.load_router(tmp_path / "router").pool == router.pool


def test_nothing_stated_changes_nothing() -> None:
    plain, blank = make(None), make([None, None, None])
    assert plain.fingerprint == blank.fingerprint
    assert "kind" not in blank.models.columns
    policy = gr.Policy(cost_weight=0, requires={"kind": "model"})
    assert gr.GraphRouter.fit(plain, instant=True).route("ask", policy=policy).model
    assert "kind" not in ModelPool.of([gr.ModelCard(model="a")]).fields_stated


def test_tables_show_kinds_where_there_are_any(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, kinds in (("some", ["pipeline", "mode", None]), ("none", None)):
        data = make(kinds)
        data.save(tmp_path / name)
        gr.GraphRouter.fit(data, instant=True).save(tmp_path / f"{name}.router")
        for words in (["data", "describe", name], ["pool", "list", f"{name}.router"]):
            assert run([*words[:-1], str(tmp_path / words[-1])]) == 0
            assert ("pipeline" in capsys.readouterr().out) == (kinds is not None)


@pytest.mark.parametrize("wrong", ["retreiver", "MODEL2", "1"])
def test_another_kind_is_refused(wrong: str) -> None:
    with pytest.raises(DataError, match=rf"row 2: kind is '{wrong.lower()}'; expected model, ret"):
        make(["retriever", wrong, None])
    router = gr.GraphRouter.fit(make(None), instant=True)
    with pytest.raises(PolicyError, match="wants the kind .*; expected model, retriever, pipel"):
        router.route("ask", policy=gr.Policy(cost_weight=0, requires={"kind": wrong}))
    assert KINDS == ("model", "retriever", "pipeline", "mode")


@pytest.mark.parametrize("values", [[1.0, 2.0, 2.5], ["chat", "base", "chat"]])
def test_an_own_field_of_that_name_in_an_older_artifact_gets_another(
    values: list[object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Written when `kind` was nobody's: it loads, predicts as before, and says what to call it."""
    router = gr.GraphRouter.fit(make(None), instant=True)
    for name, value in zip(router.models, values, strict=True):
        router = router.update_card(gr.ModelCard(model=name, own=value, region="eu"))
    router.save(tmp_path / "new")
    contents = read_artifact(tmp_path / "new")
    cards = [card.replace('"own"', '"kind"') for card in contents.tables["pool"]["card"]]
    pool = to_frame(contents.tables["pool"]).assign(card=cards)
    tables = {**contents.tables, "pool": pool}
    write_artifact(tmp_path / "old", ArtifactContents(contents.manifest, contents.tensors, tables))
    caplog.clear()
    loaded = gr.load_router(tmp_path / "old")
    assert "'kind', which says what a candidate is since: it is called 'own_kind' here" in (
        caplog.text
    )
    assert [card.own_fields["own_kind"] for card in loaded.pool] == values
    assert {card.state_of("kind") for card in loaded.pool} == {"model"}
    np.testing.assert_allclose(
        loaded.predict(["ask"]).effect, router.predict(["ask"]).effect, rtol=1e-12
    )
    loaded.save(tmp_path / "again")
    caplog.clear()
    assert gr.load_router(tmp_path / "again").pool == loaded.pool
    assert "own_kind" not in caplog.text


@pytest.mark.parametrize("command", ["validate", "pool add"])
def test_commands_say_in_one_line_what_to_do_with_an_own_field_of_that_name(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, artifact = tmp_path / "data", tmp_path / "artifact"
    make(None).save(data, format="csv")
    card = tmp_path / "card.json"
    card.write_text('{"model": "new", "kind": "chat"}', encoding="utf-8")
    if command == "pool add":
        gr.GraphRouter.fit(make(None), instant=True).save(artifact)
        words = ["pool", "add", str(artifact), str(card)]
    else:
        table = pd.read_csv(data / "models.csv").assign(kind="chat")
        table.to_csv(data / "models.csv", index=False)
        words = ["data", "validate", str(data)]
    assert run(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "'chat'" in said
    assert "a field of your own otherwise" in said
