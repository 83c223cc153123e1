from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.formats import READERS, read_format
from graphrouter.bench.formats.assemble import parse_prompts
from graphrouter.bench.formats.source_files import find_files, find_split_in_name
from graphrouter.exceptions import DataError


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("val.csv", "validation"),
        ("validation-00000-of-00001.parquet", "validation"),
        ("default_routing_test_data.jsonl", "test"),
        ("Train-2.csv", "train"),
        ("training.csv", None),
        ("train_test.csv", None),
        ("battles.csv", None),
        ("valley.csv", None),
    ],
)
def test_the_split_in_a_file_name(name: str, split: str | None) -> None:
    assert find_split_in_name(Path("test") / name) == split


def test_hidden_files_and_parts_are_passed_over(tmp_path: Path) -> None:
    for name in (
        "b/two.csv",
        "a.csv",
        ".cache/old.csv",
        ".hidden.csv",
        "c.csv.part",
        "SOURCE.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_files(tmp_path, (".csv", ".json"), wanted="tables")
    assert [str(file.relative_to(tmp_path)) for file in found] == ["a.csv", "b/two.csv"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip), min_size=1))
def test_turns_come_back_from_python_and_from_lists(turns: list[str]) -> None:
    joined = "\n\n".join(turns)
    assert parse_prompts([repr(turns), turns, tuple(turns)], turns=True) == [joined] * 3


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_plain_prompts_stay_as_they_are(text: str) -> None:
    assert parse_prompts([text]) == [text if text.strip() else None]


def test_what_only_looks_like_turns_stays_text() -> None:
    odd = ["[1, 2]", "[not a list]", "[]", "[x for x in y]", '["a", 1]', "[open]"]
    assert parse_prompts(odd, turns=True) == odd


@pytest.mark.parametrize("name", READERS)
def test_every_reader_names_what_it_expects(tmp_path: Path, name: str) -> None:
    for source in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=r"expected .*\.$"):
            read_format(name, source)


def test_an_unknown_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"Unknown format 'mine'. Formats: embedllm, graphrouter_paper,"
    ):
        read_format("mine", tmp_path)
