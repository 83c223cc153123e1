from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from graphrouter.bench.formats import read_embedllm
from graphrouter.exceptions import DataError

HEADER = "prompt_id,model_id,category,label,prompt,model_name\n"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_every_value_arrives_with_its_split(tmp_path: Path, outcomes_of: Any) -> None:
    folder = write(
        tmp_path,
        train=HEADER + '007,0,mmlu,1,"What, exactly?\nTell.",org__nano\n007,1,mmlu,0,"What, '
        'exactly?\nTell.",grand\n',
        val=HEADER + "8,1,NA,True,null,grand\n",
        test=HEADER + "9,0,gsm8k,0.5,2 + 2?,org__nano\n",
        train_small="something,else\n1,2\n",
    )
    data = read_embedllm(folder)
    assert data.queries.to_dict("list") == {
        "query_id": ["9", "007", "8"],
        "task": ["gsm8k", "mmlu", "NA"],
        "prompt": ["2 + 2?", "What, exactly?\nTell.", "null"],
        "split": ["test", "train", "validation"],
    }
    assert outcomes_of(data, "effect", "cost_usd") == {
        ("007", "org__nano"): (1.0, None),
        ("007", "grand"): (0.0, None),
        ("8", "grand"): (1.0, None),
        ("9", "org__nano"): (0.5, None),
    }


def test_one_file_has_no_split_and_ids_stand_for_names(tmp_path: Path, outcomes_of: Any) -> None:
    write(tmp_path, train="prompt_id,model_id,label,prompt\n1,10,1,a?\n1,11,0,a?\n")
    data = read_embedllm(tmp_path / "train.csv")
    assert "split" not in data.queries.columns
    assert data.queries["task"].isna().all()
    assert outcomes_of(data) == {("1", "10"): (1.0,), ("1", "11"): (0.0,)}


def test_order_files_give_prompts_and_names(tmp_path: Path, outcomes_of: Any) -> None:
    folder = write(
        tmp_path,
        test="prompt_id,model_id,label\n5,0,1\n5,1,0\n6,2,1\n",
        question_order='prompt_id,prompt\n6,Six?\n5,"Five, then?"\n',
        model_order="model_id,model_name\n1,grand\n0,nano\n",
    )
    data = read_embedllm(folder)
    assert data.queries["prompt"].tolist() == ["Five, then?", "Six?"]
    assert outcomes_of(data) == {("5", "nano"): (1.0,), ("5", "grand"): (0.0,), ("6", "2"): (1.0,)}


def test_a_question_of_several_variants_is_averaged(
    tmp_path: Path, outcomes_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rows = (
        "1,0,logic,1,Why?,nano\n1,0,logic_hard,0,Why?,nano\n"
        "1,0,logic_easy,1,Why?,nano\n1,1,logic,1,Why?,grand\n"
    )
    write(tmp_path, train=HEADER + rows)
    with caplog.at_level(logging.WARNING):
        data = read_embedllm(tmp_path)
    assert outcomes_of(data) == {("1", "nano"): (pytest.approx(2 / 3),), ("1", "grand"): (1.0,)}
    assert data.queries["task"].tolist() == ["logic"]
    assert caplog.messages == [
        "embedllm: 2 rows repeat a (query, model) pair; all of a pair were averaged, and 2 pairs "
        "are left."
    ]


def test_a_test_question_that_was_trained_on_is_left_out(
    tmp_path: Path, outcomes_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    train = HEADER + "1,0,a,1,One?,nano\n2,0,a,1,Two?,nano\n2,1,a,1,Two?,grand\n"
    test = HEADER + "1,0,a,0,One?,nano\n3,0,a,0,Two?,nano\n4,1,a,0,Four?,grand\n"
    with caplog.at_level(logging.WARNING):
        data = read_embedllm(write(tmp_path, train=train, test=test))
    assert dict(zip(data.queries["query_id"], data.queries["split"], strict=True)) == {
        "1": "train",
        "2": "train",
        "4": "test",
    }
    assert outcomes_of(data)[("1", "nano")] == (1.0,)
    assert caplog.messages == [
        "2 queries stand in an earlier split too and are left out of the later one."
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            HEADER + "1,0,a,1,One?,nano\n1,1,a,2,One?,grand\n",
            "train.csv, row 2: label is 2; expected a number from 0 to 1",
        ),
        (
            HEADER + "1,0,a,maybe,One?,nano\n",
            "train.csv, row 1: label is 'maybe', which is no number",
        ),
        (
            "prompt_id,model_id,prompt\n1,0,a\n",
            "train.csv: 'label' is missing (found: model_id, prompt, prompt_id)",
        ),
        (
            "prompt_id,model_id,label\n1,0,1\n",
            "question_order.csv, which should give the prompt of each prompt_id",
        ),
        (HEADER, "embedllm: the source has no graded answer"),
        (HEADER + "1,0,a\n", "train.csv is no readable CSV file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        read_embedllm(write(tmp_path, train=text))
    assert expected in str(caught.value)


def test_ids_without_a_question_and_folders_without_labels(tmp_path: Path) -> None:
    labels = "prompt_id,model_id,label\n5,0,1\n6,0,1\n"
    folder = write(tmp_path / "a", train=labels, question_order="prompt_id,prompt\n5,Five?\n")
    with pytest.raises(
        DataError, match=r"train\.csv, row 2: prompt_id '6' is not in question_order\.csv\."
    ):
        read_embedllm(folder)
    with pytest.raises(
        DataError, match=r"has neither train\.csv nor val\.csv nor test\.csv \(found: labels\.csv\)"
    ):
        read_embedllm(write(tmp_path / "b", labels=labels))
