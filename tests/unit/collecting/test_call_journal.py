"""A journal that is cut off anywhere is read up to there; damage elsewhere is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphrouter.chats.usage import Usage
from graphrouter.collecting.call_journal import JOURNAL, Answer, CallJournal, Question
from graphrouter.exceptions import DataError

ONE, TWO = Question("1", "nano"), Question("2", "nano")
ANSWER = Answer("4 \N{BLACK HEART SUIT}\n", Usage(3, None, 2), 110, 0.5)


def write_some(folder: Path) -> bytes:
    with CallJournal.open(folder) as journal:
        journal.end(journal.begin(ONE, "1 + 1?", 500), ONE, 110, ANSWER)
        journal.grade("1", "nano", 0.5, "numeric")
        journal.end(journal.begin(TWO, "2 + 2?", 300), TWO, 300, "took too long")
        journal.begin(TWO, "2 + 2?", 300)
    return (folder / JOURNAL).read_bytes()


def test_what_was_written_is_known_again(tmp_path: Path) -> None:
    write_some(tmp_path)
    with CallJournal.open(tmp_path) as journal:
        assert journal.answers == {ONE: ANSWER}
        assert journal.grades == {("1", "nano"): 0.5}
        assert journal.num_calls == 3
        assert (journal.spent_nanousd, journal.doubtful_nanousd) == (710, 600)
        assert journal.num_cut_off == 1
        assert "cut off" in journal.reasons[TWO]
        assert journal.prompts.keys() == {"1", "2"}
        assert journal.begin(TWO, "2 + 2?", 300) == 4
    with CallJournal.open(tmp_path) as journal:
        assert journal.spent_nanousd == 1010  # that call was cut off too; the first one counts once
        assert journal.num_cut_off == 1


def test_it_may_be_cut_off_after_any_byte(tmp_path: Path) -> None:
    whole = write_some(tmp_path)
    file, spent = tmp_path / JOURNAL, []
    for length in range(len(whole) + 1):
        file.write_bytes(whole[:length])
        with CallJournal.open(tmp_path) as journal:
            spent.append(journal.spent_nanousd)
            assert journal.answers in ({}, {ONE: ANSWER})
        lines = file.read_bytes().splitlines()
        assert next(json.loads(line)["event"] for line in lines) == "journal"
    assert sorted(set(spent)) == [0, 110, 410, 500, 710]
    assert spent[-1] == 710


def test_usage_that_is_not_known_is_in_doubt(tmp_path: Path) -> None:
    silent = ANSWER._replace(usage=Usage(), cost_nanousd=None)
    with CallJournal.open(tmp_path) as journal:
        journal.end(journal.begin(ONE, "1 + 1?", 500), ONE, 500, silent)
        assert journal.answers[ONE].cost_usd is None
        assert (journal.spent_nanousd, journal.doubtful_nanousd) == (500, 500)


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"event": "begin"}',
        '{"event": "other"}',
        '{"event": "journal", "format": 2}',
    ],
)
def test_damage_is_told(tmp_path: Path, line: str) -> None:
    whole = write_some(tmp_path).splitlines()
    whole[1] = line.encode()
    (tmp_path / JOURNAL).write_bytes(b"\n".join(whole) + b"\n")
    with pytest.raises(DataError, match=r"journal\.jsonl, line 2, is no event .* another folder\."):
        CallJournal.open(tmp_path)
