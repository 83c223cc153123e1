"""`graphrouter` alone tells what to do next with what lies there, in commands that exist."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import typer

from graphrouter.cli.app import app
from graphrouter.cli.next_step import find_step
from tests.unit.cli.conftest import Invoke

ANSWERS = pd.DataFrame({"prompt": ["a", "a"], "model": ["x", "y"], "effect": [0, 1]})


def put_nothing(folder: Path, world: Path, artifact: Path) -> str:
    del folder, world, artifact
    return "graphrouter demo"


def put_dataset(folder: Path, world: Path, artifact: Path) -> str:
    del artifact
    shutil.copytree(world, folder / "data" / "my logs")
    return "graphrouter train 'data/my logs' --out artifacts/mine"


def put_csv(folder: Path, world: Path, artifact: Path) -> str:
    del world, artifact
    ANSWERS.to_csv(folder / "graded.csv", index=False)
    return "graphrouter train graded.csv --instant --out artifacts/mine"


def put_parquet(folder: Path, world: Path, artifact: Path) -> str:
    del world, artifact
    ANSWERS.to_parquet(folder / "graded.parquet")
    return "graphrouter train graded.parquet --instant --out artifacts/mine"


def put_calls(folder: Path, world: Path, artifact: Path) -> str:
    del world, artifact
    ANSWERS.rename(columns={"effect": "thumb"}).to_csv(folder / "calls.csv", index=False)
    return "graphrouter data convert --from table calls.csv --out data/mine"


def put_log(folder: Path, world: Path, artifact: Path) -> str:
    del world, artifact
    line = {"request": {"messages": []}, "response": {"choices": []}}
    (folder / "calls.jsonl").write_text(json.dumps(line) + "\n{", encoding="utf-8")
    return "graphrouter data convert --from openai calls.jsonl --out data/mine"


def put_artifact(folder: Path, world: Path, artifact: Path) -> str:
    shutil.copytree(artifact, folder / "artifacts" / "mine")
    shutil.copytree(world, folder / "world")
    put_csv(folder, world, artifact)
    return "graphrouter evaluate artifacts/mine world"


def put_what_serves(folder: Path, world: Path, artifact: Path) -> str:
    put_artifact(folder, world, artifact)
    (folder / "upstreams.yaml").write_text("{}", encoding="utf-8")
    return "graphrouter serve artifacts/mine --upstreams upstreams.yaml"


def put_odd_files(folder: Path, world: Path, artifact: Path) -> str:
    del world, artifact
    for name in ("a.csv", "b.jsonl", "c.json", "d.parquet", "e.tsv"):
        (folder / name).write_bytes(b'\xff\x00"{[')
    (folder / "f.jsonl").write_text("[1]", encoding="utf-8")
    (folder / "manifest.json").write_text("[]", encoding="utf-8")
    return "graphrouter demo"


@pytest.mark.parametrize(
    "put",
    [
        put_nothing,
        put_dataset,
        put_csv,
        put_parquet,
        put_calls,
        put_log,
        put_artifact,
        put_what_serves,
        put_odd_files,
    ],
)
def test_the_next_step_follows_from_what_is_there(
    put: Callable[[Path, Path, Path], str], tmp_path: Path, world: Path, artifact: Path
) -> None:
    expected = put(tmp_path, world, artifact)
    step = find_step(tmp_path)
    assert expected in step.commands
    for command in step.commands:
        check_command(shlex.split(command)[1:])


def check_command(words: list[str]) -> None:
    """The command exists, and so do its options."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    known = {option for each in command.params for option in each.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known


LOGS = Path(__file__).parents[2] / "data" / "logs"
ANTHROPIC = {"request": {"messages": []}, "response": {"type": "message", "content": []}}


@pytest.mark.parametrize(
    ("form", "source", "place"),
    [
        ("litellm", "litellm_spend_logs.jsonl", "litellm_spend_logs.jsonl"),
        ("litellm", "litellm_callback_payloads.jsonl", "litellm_callback_payloads.jsonl"),
        ("mlflow", "mlflow_traces.json", "mlflow_traces.json"),
        ("langfuse", "langfuse", "langfuse"),
        ("helicone", "helicone_export.jsonl", "helicone_export.jsonl"),
        ("helicone", "helicone_export.csv", "helicone_export.csv"),
        ("helicone", "helicone_requests.jsonl", "helicone_requests.jsonl"),
    ],
)
def test_a_log_is_called_by_its_form(form: str, source: str, place: str, tmp_path: Path) -> None:
    copy = shutil.copytree if (LOGS / source).is_dir() else shutil.copy
    copy(LOGS / source, tmp_path / source)
    step = find_step(tmp_path)
    assert step.commands[0] == f"graphrouter data convert --from {form} {place} --out data/mine"


@pytest.mark.parametrize(
    ("name", "line", "form"),
    [
        ("chats.jsonl", ANTHROPIC, "anthropic"),
        ("in.jsonl", {"custom_id": "1", "params": {}}, "anthropic"),
        ("logs/in.jsonl.gz", {"custom_id": "1", "body": {}}, "openai"),
        ("page.json", {"data": [{"prompt": "a", "model": "b"}], "meta": {}}, "table"),
    ],
)
def test_logs_of_clients_packed_or_in_a_folder_below(
    name: str, line: object, form: str, tmp_path: Path
) -> None:
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    text = json.dumps(line).encode()
    place.write_bytes(gzip.compress(text) if place.suffix == ".gz" else text)
    shown = name.partition("/")[0] if "custom_id" in text.decode() else name
    assert (
        find_step(tmp_path)
        .commands[0]
        .startswith(f"graphrouter data convert --from {form} {shown} ")
    )


def test_files_as_spreadsheets_and_tired_hands_leave_them(tmp_path: Path) -> None:
    table = "\ufeffprompt,model,thumb\r\nHi.,a,1\r\n"
    (tmp_path / "--calls.csv").write_text(table, encoding="utf-8", newline="")
    assert "--from table ./--calls.csv --out" in find_step(tmp_path).commands[0]
    (tmp_path / "--calls.csv").unlink()
    line = json.dumps({"request": {"messages": []}, "response": {"choices": []}})
    (tmp_path / "calls.jsonl").write_text(f"\n \n{line}\n", encoding="utf-8")
    assert "--from openai calls.jsonl" in find_step(tmp_path).commands[0]


def test_a_list_too_long_to_be_read_whole_is_known_by_its_first_record(tmp_path: Path) -> None:
    rows = [{"traceId": "1", "input": "x" * 3000, "type": "GENERATION"}] * 500
    (tmp_path / "export.json").write_text(json.dumps(rows), encoding="utf-8")
    assert "--from langfuse export.json" in find_step(tmp_path).commands[0]


def test_graphrouter_alone_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    monkeypatch.chdir(tmp_path)
    status, shown, errors = invoke()
    assert (status, errors) == (0, "")
    assert "  graphrouter demo\n" in shown
    assert "graphrouter --help" in shown


def test_a_folder_that_may_not_be_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    whole = Path.iterdir

    def refuse(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert "graphrouter demo" in find_step(tmp_path).commands
