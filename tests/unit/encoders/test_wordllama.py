"""The default encoder: offline, quiet, quick on huge texts, and loud when its files are gone."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graphrouter.encoders import WordLlamaEncoder
from graphrouter.encoders import wordllama as module
from graphrouter.encoders.text_encoder import DEFAULT_MAX_CHARS
from graphrouter.exceptions import EncoderError
from graphrouter.types import IntArray


@pytest.fixture(scope="module")
def encoder() -> WordLlamaEncoder:
    return WordLlamaEncoder()


def test_agrees_with_wordllama_itself(encoder: WordLlamaEncoder) -> None:
    from wordllama import WordLlama

    folder = module._find_wordllama()
    model = WordLlama.load("l2_supercat", cache_dir=folder, disable_download=True)
    text = "What is the derivative of x squared? What is it at x = 3?"
    expected = model.embed(text, norm=True)[0]
    np.testing.assert_allclose(encoder.encode([text])[0], expected, atol=1e-6)
    assert (folder / "weights").is_dir()


def test_smaller_dimensions_are_the_first_columns(encoder: WordLlamaEncoder) -> None:
    whole = encoder.encode(["Boil an egg."])[0, :64]
    small = WordLlamaEncoder(64)
    np.testing.assert_allclose(
        small.encode(["Boil an egg."])[0], whole / np.linalg.norm(whole), atol=1e-6
    )
    assert small.revision == encoder.revision


def test_encoders_of_a_process_share_what_they_read() -> None:
    first, second = WordLlamaEncoder(64), WordLlamaEncoder(64, max_chars=500)
    assert first._token_vectors is second._token_vectors


def list_tokens(tokenizer: module.WordTokenizer, texts: list[str]) -> list[list[int]]:
    return [tokens.tolist() for tokens in tokenizer.tokenize(texts)]


def test_of_a_million_characters_only_the_bound_is_tokenized(
    encoder: WordLlamaEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Counting:
        """The tokenizer, with what it was given."""

        def tokenize(self, texts: list[str]) -> list[IntArray]:
            asked.extend(texts)
            return tokenizer.tokenize(texts)

    tokenizer = encoder._tokenizer
    monkeypatch.setattr(encoder, "_tokenizer", Counting())
    encoder.encode(["Summarise the following report. " * 31_250])
    assert [len(text) <= DEFAULT_MAX_CHARS for text in asked] == [True]


def test_another_process_reads_the_files_itself(encoder: WordLlamaEncoder) -> None:
    sent = pickle.dumps(encoder)
    assert len(sent) < 1000
    again = pickle.loads(sent)
    assert (again.id, again.revision, again.config) == (
        encoder.id,
        encoder.revision,
        encoder.config,
    )
    np.testing.assert_array_equal(again.encode(["Hello"]), encoder.encode(["Hello"]))


ODD = ["", " ", "  ", "a ", "  a", "a  b ", "▁", "a▁b", "▁ \n", "a▁ ▁", "▁  \u3000", "x <s> y"]
ODD += ["</s>", "a\n b \n", "你好 "]


@example(texts=ODD)
@given(st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=60)), max_size=4))
def test_tokens_of_words_are_those_of_the_text(encoder: WordLlamaEncoder, texts: list[str]) -> None:
    tokenizer = encoder._tokenizer
    texts = [module.clip_texts([text], 1000)[0] for text in texts]
    whole = tokenizer._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    expected = [each.ids for each in whole]
    assert list_tokens(tokenizer, texts) == expected
    assert list_tokens(tokenizer, texts) == expected  # of words that are remembered


def test_few_short_words_are_remembered(
    encoder: WordLlamaEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = encoder._tokenizer
    fresh = module.WordTokenizer(tokenizer._tokenizer, b"")
    monkeypatch.setattr(module, "_MOST_WORDS", 3)
    text = f"one two {'x' * 40} one"
    assert list_tokens(fresh, [text]) == list_tokens(tokenizer, [text])
    assert set(fresh._known) == {" one", " two"}
    texts = ["three four", "five"]
    assert list_tokens(fresh, texts) == list_tokens(tokenizer, texts)
    assert len(fresh._known) <= 3


def test_a_vocabulary_with_tokens_of_several_words_is_not_cut(encoder: WordLlamaEncoder) -> None:
    inner = encoder._tokenizer._tokenizer
    words = '"\u2581\u2581of": 1, "\u2581 t", "o \u2581f"'.encode()
    phrases = '"\u2581of\u2581the": 1'.encode()
    assert module.WordTokenizer(inner, words)._cuts_words
    whole = module.WordTokenizer(inner, phrases)
    assert not whole._cuts_words
    texts = ["one of the"]
    assert list_tokens(whole, texts) == list_tokens(encoder._tokenizer, texts)


def test_widened_vectors_are_those_of_the_file() -> None:
    narrow = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float16)
    vectors = module.TokenVectors(narrow)
    for tokens in ([2], [0, 2, 5], [5, 1]):
        np.testing.assert_array_equal(
            vectors.take(np.array(tokens)), narrow[tokens].astype(np.float32)
        )


def test_loading_leaves_the_root_logger_alone() -> None:
    code = (
        "import logging; from graphrouter.encoders import WordLlamaEncoder; "
        "WordLlamaEncoder(64)\n"
        "root = logging.getLogger(); print(len(root.handlers), root.level)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["0", str(logging.WARNING)]
    assert done.stderr == ""


@pytest.fixture
def empty_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(module, "_find_wordllama", lambda: tmp_path)
    return tmp_path


def test_missing_weights_are_one_clear_error_without_a_download(empty_package: Path) -> None:
    with pytest.raises(
        EncoderError, match=r"holds 0 files weights.* Reinstall it with: pip install wordllama"
    ):
        WordLlamaEncoder()
