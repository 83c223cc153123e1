"""Every command that reads a file, on what people and programs write into files."""

from __future__ import annotations

import codecs
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from graphrouter.cli.inputs import read_card, read_outcomes, read_queries
from graphrouter.router.graph_router import GraphRouter
from tests.unit.cli.conftest import Invoke

Texts = dict[str, str]
Write = Callable[[Path, str], None]


def as_is(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def with_mark(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8-sig")


def in_utf16(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-16")


def in_utf16_without_mark(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-16-le"))


def in_utf16_big_endian(file: Path, text: str) -> None:
    file.write_bytes(codecs.BOM_UTF16_BE + text.encode("utf-16-be"))


def packed(file: Path, text: str) -> None:
    file.write_bytes(gzip.compress(text.encode()))


def tables(queries: list[str]) -> Texts:
    """A dataset as CSV."""
    rows = "".join(f'{number},sums,"{text}"\n' for number, text in enumerate(queries))
    graded = "".join(f"{number},nano,1\n{number},grand,0\n" for number in range(len(queries)))
    return {
        "queries.csv": f"query_id,task,prompt\n{rows}",
        "models.csv": "model,description\nnano,small\ngrand,large\n",
        "outcomes.csv": f"query_id,model,effect\n{graded}",
    }


@pytest.fixture
def mine(artifact: Path, tmp_path: Path) -> Path:
    """A router that a test may change."""
    return Path(shutil.copytree(artifact, tmp_path / "mine"))


def run_on_file(
    command: str, file: Path, *, invoke: Invoke, mine: Path, model: str
) -> tuple[int, str, str]:
    """Runs a command whose input is the file."""
    card = file.with_name("card.yaml")
    if not card.exists():
        card.write_text("model: fresh\n")
    words: dict[str, tuple[object, ...]] = {
        "predict": ("predict", mine, file, "--out", file.with_name("out.csv")),
        "add": ("pool", "add", mine, card, "--outcomes", file),
        "add_to_known": ("pool", "add", mine, file.with_name("known.yaml"), "--outcomes", file),
        "check": ("pool", "check", mine, file),
        "add_task": ("pool", "add-task", mine, "haiku", "--examples", file),
        "card": ("pool", "add", mine, file),
        "config": ("config", "--config", file),
    }
    file.with_name("known.yaml").write_text(json.dumps({"model": model}))
    return invoke(*words[command])


TABLE_COMMANDS = ("predict", "add", "add_to_known", "check", "add_task")


def make_table(command: str, model: str) -> pd.DataFrame:
    whose = "fresh" if command == "add" else model
    return pd.DataFrame(
        {
            "model": [whose] * 3,
            "prompt": ["Add one, two.", "Spell word.", "Name a bird."],
            "effect": ["1", "0", "0.5"],
        }
    )


@pytest.mark.parametrize(
    ("write", "separator", "suffix", "said"),
    [
        (with_mark, ",", ".csv", ""),
        (in_utf16, ",", ".csv", "is UTF-16 text, and was read as such"),
        (in_utf16_big_endian, ",", ".csv", "is UTF-16 text, and was read as such"),
        (in_utf16_without_mark, ",", ".csv", "is UTF-16-LE text, and was read as such"),
        (packed, ",", ".csv.gz", ""),
        (packed, ",", ".csv", "is packed by gzip, and was read as such"),
        (as_is, ";", ".csv", "is divided by semicolons, and was read so"),
        (as_is, "\t", ".csv", "is divided by tabs, and was read so"),
        (as_is, "\t", ".tsv", ""),
        (as_is, "|", ".csv", "is divided by bars, and was read so"),
        (as_is, ", ", ".csv", "has a blank after each separator, which was left out"),
    ],
)
def test_a_table_is_read_however_it_was_saved(
    write: Write,
    separator: str,
    suffix: str,
    said: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = write_table(make_table("add", "nano"), tmp_path / f"table{suffix}", write, separator)
    assert read_outcomes(file)["effect"].tolist() == [1, 0, 0.5]
    assert read_outcomes(file)["prompt"][0] == "Add one, two."
    assert read_queries(file).queries.prompts[0] == "Add one, two."
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)


@pytest.mark.parametrize("command", TABLE_COMMANDS)
def test_every_command_reads_a_table_of_another_program_and_says_so(
    command: str, invoke: Invoke, mine: Path, router: GraphRouter, tmp_path: Path
) -> None:
    table = make_table(command, router.models[0])
    file = write_table(table, tmp_path / "table.csv", in_utf16, ";")
    status, _, errors = run_on_file(command, file, invoke=invoke, mine=mine, model=router.models[0])
    assert status == 0, errors
    assert "Warning: table.csv is UTF-16 text, and was read as such." in errors
    assert "Warning: table.csv is divided by semicolons, and was read so." in errors
    if command == "predict":
        assert len(pd.read_csv(tmp_path / "out.csv")) == 3 * len(router.models)
    elif command == "add":
        fresh = GraphRouter.load(mine).support.outcomes.query("model == 'fresh'")
        assert fresh["effect"].tolist() == [1, 0, 0.5]


def write_table(table: pd.DataFrame, file: Path, write: Write, separator: str) -> Path:
    """The file, in which texts with commas are quoted."""
    rows = [table.columns.tolist(), *(map(str, row) for row in table.itertuples(index=False))]
    quoted = (separator.join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows)
    write(file, "\n".join(quoted) + "\n")
    return file


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("prompt", "cut \ud800", "row 2: prompt holds half of a character ('cut \\ud800')"),
        ("task", "cut \udfff", "row 2: task holds half of a character"),
        ("query_id", "cut \ud800", "row 2: query_id holds half of a character"),
        ("prompt", float("nan"), "row 2: "),
        ("prompt", ["a"], "row 2: prompt is ['a']; expected text"),
        ("task", {"a": 1}, "row 2: task is {'a': 1}; expected text"),
    ],
)
@pytest.mark.parametrize("command", TABLE_COMMANDS)
def test_what_no_text_can_be_is_refused_by_row(
    command: str,
    column: str,
    value: object,
    said: str,
    invoke: Invoke,
    mine: Path,
    router: GraphRouter,
    tmp_path: Path,
) -> None:
    rows = make_table(command, router.models[0]).to_dict(orient="records")
    rows[1][column] = value
    file = tmp_path / "table.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, shown, errors = run_on_file(
        command, file, invoke=invoke, mine=mine, model=router.models[0]
    )
    assert (status, shown) == (2, "")
    assert "table.jsonl, " + said in errors
    assert errors.count("\n") == 1


def test_a_bare_nan_is_no_task_of_that_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = make_table("add", "nano").assign(task=float("nan"))
    file = tmp_path / "table.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows.to_dict(orient="records")))
    assert "NaN" in file.read_text()
    assert read_outcomes(file)["task"].isna().all()
    assert "task: NaN in 3 rows was read as empty" in caplog.text
    assert read_queries(file).queries.tasks == (None,) * 3


@pytest.mark.parametrize(
    ("effects", "expected", "said"),
    [
        (["pass", "FAIL", "pass"], [1, 0, 1], "read with words as 1 and 0"),
        (["true", "false", "correct"], [1, 0, 1], "read with words as 1 and 0"),
        (["0,5", "1", "0,25"], [0.5, 1, 0.25], "read with a decimal comma"),
        (["85%", "100 %", "0%"], [0.85, 1, 0], "read with a percent sign"),
        (["100", "0", "85"], [1, 0, 0.85], "goes from 0 to 100, and was read as percent"),
        (["1", "0", "1"], [1, 0, 1], ""),
    ],
)
def test_grades_are_read_as_people_write_them(
    effects: list[str],
    expected: list[float],
    said: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = tmp_path / "table.csv"
    make_table("add", "fresh").assign(effect=effects).to_csv(file, index=False)
    assert read_outcomes(file)["effect"].tolist() == pytest.approx(expected)
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)


@pytest.mark.parametrize("write", [as_is, with_mark, in_utf16, packed])
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_card_is_read_however_it_was_saved(
    write: Write, suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / f"mine{suffix}"
    prices = {"input_usd_per_mtok": "$0.15", "output_usd_per_mtok": "0,6", "tools": "yes"}
    write(file, json.dumps({"model": "fresh", "description": "Größe", **prices}))
    card = read_card(file)
    assert (card.input_usd_per_mtok, card.output_usd_per_mtok, card.tools) == (0.15, 0.6, True)
    assert card.description == "Größe"
    assert "read with a dollar sign" in caplog.text


def test_pool_add_reads_a_card_with_a_mark(
    invoke: Invoke, mine: Path, router: GraphRouter, tmp_path: Path
) -> None:
    file = tmp_path / "mine.json"
    with_mark(file, '{"model": "fresh"}')
    status, _, errors = run_on_file("card", file, invoke=invoke, mine=mine, model=router.models[0])
    assert (status, errors) == (0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"model": "cut \\ud800"}', "holds half of a character"),
        ('{"model": "fresh", "description": "cut \\udc00"}', "holds half of a character"),
        ('{"model": "fresh", "model": "other"}', "the key 'model' occurs twice"),
        ('{"model": NaN}', "model"),
        ('{"model": "fresh", "family": NaN}', "family"),
        ('{"model": "fresh", "input_usd_per_mtok": "1,234"}', "can be read as two numbers"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_card_that_cannot_be_meant_is_refused(
    text: str, said: str, invoke: Invoke, mine: Path, router: GraphRouter, tmp_path: Path
) -> None:
    file = tmp_path / "mine.json"
    file.write_text(text)
    status, shown, errors = run_on_file(
        "card", file, invoke=invoke, mine=mine, model=router.models[0]
    )
    assert (status, shown) == (2, "")
    assert said in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("write", [as_is, with_mark, in_utf16])
def test_settings_are_read_however_they_were_saved(
    write: Write, invoke: Invoke, mine: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    write(file, "training:\n  max_epochs: 7\n")
    status, shown, errors = run_on_file("config", file, invoke=invoke, mine=mine, model="x")
    assert status == 0, errors
    assert "max_epochs: 7" in shown


def test_settings_that_name_a_key_twice_are_refused(
    invoke: Invoke, mine: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 1\nseed: 2\n")
    status, shown, errors = run_on_file("config", file, invoke=invoke, mine=mine, model="x")
    assert (status, shown, errors.count("\n")) == (2, "", 1)
    assert "the key 'seed' occurs twice" in errors


@pytest.mark.parametrize("write", [with_mark, in_utf16, packed])
def test_a_dataset_is_validated_however_it_was_saved(
    write: Write, invoke: Invoke, tmp_path: Path
) -> None:
    for name, text in tables(["One?", "Two?"]).items():
        write(tmp_path / name, text)
    status, shown, errors = invoke("data", "validate", tmp_path)
    assert status == 0, errors
    assert "2 queries, 2 models, 4 outcomes" in shown


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"PK\x03\x04", "a zip archive, such as an Excel workbook. Save the sheet as CSV"),
        (b"PAR1", "a Parquet file. Give its name the suffix .parquet"),
        (b"prompt\ncaf\xe9\n", "may be Windows-1252 or Latin-1"),
        (b"\x1f\x8b\x08 broken", "packed by gzip and damaged"),
    ],
)
def test_what_is_no_text_is_named_for_what_it_is(
    start: bytes, said: str, invoke: Invoke, mine: Path, tmp_path: Path
) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(start)
    status, shown, errors = run_on_file("predict", file, invoke=invoke, mine=mine, model="x")
    assert (status, shown, errors.count("\n")) == (2, "", 1)
    assert said in errors


def test_repeats_are_averaged_by_every_command_that_takes_outcomes(
    invoke: Invoke, mine: Path, router: GraphRouter, tmp_path: Path
) -> None:
    known = router.models[0]
    for command, model in (
        ("add", "fresh"),
        ("add_to_known", known),
        ("check", known),
        ("add_task", known),
    ):
        file = tmp_path / f"{command}.csv"
        pd.DataFrame(
            {
                "model": model,
                "query_id": ["first", "second", f"of {command}"],
                "prompt": ["Say it again.", "Say it again. ", f"Only for {command}."],
                "effect": [1.0, 0.0, 1.0],
                "task": "haiku" if command == "add_task" else None,
            }
        ).to_csv(file, index=False)
        status, _, errors = run_on_file(command, file, invoke=invoke, mine=mine, model=known)
        assert status == 0, (command, errors)
        assert "1 row repeats a (query, model) pair; all of a pair were averaged" in errors
    there = GraphRouter.load(mine).support
    asked = there.queries.query("prompt == 'Say it again.'")
    assert len(asked) == 1
    mean = there.outcomes.merge(asked, on="query_id").set_index("model")[["effect", "num_runs"]]
    assert mean.loc["fresh"].tolist() == [0.5, 2]
    assert mean.loc[known].tolist() == [0.5, 4]  # from two commands
