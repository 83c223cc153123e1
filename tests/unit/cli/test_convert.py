from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from graphrouter.bench.formats import READERS
from graphrouter.bench.hub import PUBLIC
from graphrouter.bench.hub.fetch import FetchResult
from graphrouter.cli import convert as convert_module
from graphrouter.cli.convert import SourceForm
from graphrouter.data import load_dataset
from graphrouter.exceptions import DataError
from graphrouter.logs import LOG_FORMS
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]
LABELS = "prompt_id,model_id,label,prompt\n1,nano,1,One?\n1,grand,0,One?\n2,grand,1,Two?\n"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    file = tmp_path / "labels.csv"
    file.write_text(LABELS)
    return file


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_convert_writes_a_dataset(
    invoke: Invoke, labels: Path, tmp_path: Path, format: str
) -> None:
    out = tmp_path / "new" / "data"
    status, shown, errors = invoke(
        "data", "convert", "--from", "embedllm", labels, "--out", out, "--format", format
    )
    assert (status, errors) == (0, "")
    assert (
        shown
        == f"Wrote 2 queries, 2 models and 3 outcomes (mean effect 0.667, 0% with cost) to {out}\n"
    )
    assert {path.suffix for path in out.iterdir()} == {f".{format}"}
    data = load_dataset(out)
    assert data.outcome_matrix("effect")[0].tolist() == [1.0, 0.0]
    assert list(out.parent.iterdir()) == [out]


def test_an_empty_folder_may_be_there(invoke: Invoke, labels: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert (
        invoke("data", "convert", "--from", "embedllm", labels, "--out", tmp_path / "empty")[0] == 0
    )
    assert len(load_dataset(tmp_path / "empty").queries) == 2


def test_other_data_is_not_touched(invoke: Invoke, labels: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "queries.csv").write_text("mine")
    status, _, errors = invoke("data", "convert", "--from", "embedllm", labels, "--out", mine)
    assert status == 2
    assert "already holds files" in errors
    assert [path.name for path in mine.iterdir()] == ["queries.csv"]
    status, _, errors = invoke("data", "convert", "--from", "embedllm", labels, "--out", labels)
    assert status == 2
    assert "there is a file of that name" in errors
    assert labels.read_text() == LABELS


def test_a_bad_source_leaves_nothing(invoke: Invoke, labels: Path, tmp_path: Path) -> None:
    labels.write_text(LABELS.replace("2,grand,1", "2,grand,7"))
    status, shown, errors = invoke(
        "data", "convert", "--from", "embedllm", labels, "--out", tmp_path / "out"
    )
    assert (status, shown) == (2, "")
    assert errors.startswith(f"Error: {labels}, row 3: label is 7; expected a number from 0 to 1")
    assert list(tmp_path.iterdir()) == [labels]


def test_what_was_averaged_is_said(invoke: Invoke, labels: Path, tmp_path: Path) -> None:
    labels.write_text(LABELS + "2,grand,0,Two?\n")
    status, shown, errors = invoke(
        "data", "convert", "--from", "embedllm", labels, "--out", tmp_path / "out"
    )
    assert status == 0
    assert "3 outcomes (mean effect 0.500" in shown
    assert errors == (
        "Warning: embedllm: 1 row repeats a (query, model) pair; all of a pair were averaged, and "
        "3 pairs are left.\n"
    )


def test_a_pickle_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "routerbench_0shot.pkl").write_bytes(b"")
    status, _, errors = invoke(
        "data", "convert", "--from", "routerbench", tmp_path, "--out", tmp_path / "out"
    )
    assert status == 2
    assert "docs/formats.md, section Pickles" in errors
    assert errors.count("\n") == 1


def test_help_names_every_form_and_every_public_dataset(invoke: Invoke) -> None:
    assert [form.value for form in SourceForm] == [*LOG_FORMS, *READERS]
    status, shown, _ = invoke("data", "convert", "--help")
    assert status == 0
    for name in (*LOG_FORMS, *READERS):
        assert f"- {name}: " in shown
    status, shown, _ = invoke("data", "fetch", "--help")
    assert status == 0
    for name in PUBLIC:
        assert name in shown


def fake_fetch(name: str, folder: Path, *, progress: Any, **given: Any) -> FetchResult:
    if name not in PUBLIC:
        raise DataError(f"Unknown public dataset {name!r}.")
    if progress is not None:
        for there in (0, 500_000, 1_000_000):
            progress("train.csv", there, 1_000_000)
    return FetchResult(
        PUBLIC[name].repo, "0123456789abcdef", 2, 1_500_000, 0 if given["revision"] == "v1" else 2
    )


def test_fetch_says_what_came_and_what_is_next(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphrouter.bench.hub.fetch_dataset", fake_fetch)
    status, shown, errors = invoke("data", "fetch", "embedllm", "--out", "my files")
    assert (status, errors) == (0, "")
    assert shown.splitlines() == [
        "RZ412/EmbedLLM at 0123456789ab: 2 files (1.5 MB), 2 downloaded, in my files",
        "",
        "Next:",
        "  graphrouter data convert --from embedllm 'my files' --out data/embedllm",
    ]
    assert (
        "already there" in invoke("data", "fetch", "embedllm", "--out", "x", "--revision", "v1")[1]
    )
    assert (
        "docs/formats.md, section Pickles"
        in invoke("data", "fetch", "routerbench", "--out", "x")[1]
    )
    status, _, errors = invoke("data", "fetch", "mine", "--out", "x")
    assert (status, errors) == (2, "Error: Unknown public dataset 'mine'.\n")


def test_fetch_shows_bars_on_a_terminal(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphrouter.bench.hub.fetch_dataset", fake_fetch)
    screen = io.StringIO()
    monkeypatch.setattr(
        convert_module, "error_console", Console(file=screen, force_terminal=True, width=120)
    )
    assert invoke("data", "fetch", "embedllm", "--out", "x")[0] == 0
    assert "train.csv" in screen.getvalue()
    assert "1.0/1.0 MB" in screen.getvalue()


def test_an_unreachable_hub_is_one_line(invoke: Invoke, tmp_path: Path) -> None:
    status, shown, errors = invoke(
        "data", "fetch", "sprout", "--out", tmp_path / "x", "--endpoint", "http://127.0.0.1:9"
    )
    assert (status, shown) == (2, "")
    assert errors.startswith("Error: Cannot reach http://127.0.0.1:9")
    assert errors.count("\n") == 1


@pytest.fixture
def arena_queries(tmp_path: Path) -> Path:
    file = tmp_path / "router_data.json"
    entries = [
        {"global index": f"AIME_{row}", "prompt_formatted": f"Add {row} and {row}."}
        for row in range(1, 4)
    ]
    file.write_text(json.dumps(entries))
    return file


def test_export_writes_predictions_and_config(
    invoke: Invoke, artifact: Path, router: GraphRouter, arena_queries: Path, tmp_path: Path
) -> None:
    out, config = tmp_path / "mine.json", tmp_path / "config" / "mine.json"
    words = ("--out", out, "--config-out", config, "--effect-weight", "1")
    status, shown, errors = invoke("export", "routerarena", artifact, arena_queries, *words)
    assert (status, errors) == (0, "")
    assert (
        shown == "Wrote 3 choices (no set of RouterArena's size), the highest expected effect, to "
        f"{out}\n"
    )
    entries = json.loads(out.read_text())
    effect = router.predict([entry["prompt"] for entry in entries]).effect
    assert [entry["prediction"] for entry in entries] == [
        router.models[best] for best in effect.argmax(axis=1)
    ]
    assert [entry["global index"] for entry in entries] == ["AIME_1", "AIME_2", "AIME_3"]
    assert json.loads(config.read_text()) == {
        "pipeline_params": {
            "router_name": "mine",
            "router_cls_name": "GraphRouter",
            "models": list(router.models),
        }
    }


def test_export_obeys_the_policy_and_takes_a_name(
    invoke: Invoke, artifact: Path, router: GraphRouter, arena_queries: Path, tmp_path: Path
) -> None:
    only, out, config = router.models[2], tmp_path / "p.json", tmp_path / "c.json"
    words = ("--out", out, "--config-out", config, "--name", "other", "--allow", only)
    assert invoke("export", "routerarena", artifact, arena_queries, *words)[0] == 0
    assert {entry["prediction"] for entry in json.loads(out.read_text())} == {only}
    assert json.loads(config.read_text())["pipeline_params"]["router_name"] == "other"


def test_export_refuses_what_it_cannot_use(
    invoke: Invoke, artifact: Path, arena_queries: Path, tmp_path: Path
) -> None:
    before = arena_queries.read_text()
    for words, expected in (
        (("--out", arena_queries), "must be different files"),
        (
            ("--out", tmp_path / "p.json", "--config-out", tmp_path / "p.json"),
            "must be different files",
        ),
        (("--out", tmp_path / "p.csv"), "the suffix '.csv' names no format"),
        (("--out", tmp_path / "p.json", "--allow", "nobody"), "nobody"),
    ):
        status, _, errors = invoke("export", "routerarena", artifact, arena_queries, *words)
        assert status == 2
        assert expected in errors
    status, _, errors = invoke(
        "export", "routerarena", artifact, tmp_path / "none.json", "--out", tmp_path / "p.json"
    )
    assert status == 2
    assert "There is no file" in errors
    assert arena_queries.read_text() == before
    assert list(tmp_path.iterdir()) == [arena_queries]
