"""The default encoder: offline, quiet, quick on huge texts, and loud when its files are gone."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from graphrouter.encoders import WordLlamaEncoder
from graphrouter.encoders import text_encoder as module
from graphrouter.encoders.text_encoder import DEFAULT_MAX_CHARS
from graphrouter.exceptions import EncoderError


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


def test_of_a_million_characters_only_the_bound_is_tokenized(
    encoder: WordLlamaEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    class Counting:
        """The tokenizer, with what it was given."""

        def encode_batch_fast(self, texts: list[str], **options: bool) -> object:
            given.extend(texts)
            return tokenizer.encode_batch_fast(texts, **options)

    tokenizer = encoder._tokenizer
    monkeypatch.setattr(encoder, "_tokenizer", Counting())
    encoder.encode(["Summarise the following report. " * 31_250])
    assert [len(text) <= DEFAULT_MAX_CHARS for text in given] == [True]


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
