"""sentence-transformers: an identity that does not depend on the folder, and errors that say what
to do."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from graphrouter.encoders.sentence_transformer import SentenceTransformerEncoder
from graphrouter.exceptions import EncoderError, MissingExtraError


def test_identity_is_of_the_weights_not_of_their_place(
    minilm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = SentenceTransformerEncoder(str(minilm_folder))
    copy = SentenceTransformerEncoder(str(shutil.copytree(minilm_folder, tmp_path / "model")))
    assert (encoder.id, encoder.dimension) == ("sentence-transformers/model", 384)
    assert (copy.id, copy.revision) == (encoder.id, encoder.revision)
    assert capsys.readouterr().err == ""  # no bar of the library's own
    np.testing.assert_array_equal(copy.encode(["Boil an egg."]), encoder.encode(["Boil an egg."]))


def test_a_missing_folder_is_refused_without_asking_the_hub(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(EncoderError, match="No model folder at .*nowhere"):
        SentenceTransformerEncoder(str(tmp_path / "nowhere"))


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    with pytest.raises(
        EncoderError, match="cannot be loaded: .* Is it a sentence-transformers model"
    ):
        SentenceTransformerEncoder(str(tmp_path))


def test_an_unreachable_hub_is_one_line_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("sentence_transformers")
    asked: list[bool] = []

    def unreachable(path: str, *, local_files_only: bool = False) -> None:
        asked.append(local_files_only)
        raise OSError(f"cannot reach the hub\nfor {path}")

    monkeypatch.setattr(library, "SentenceTransformer", unreachable)
    with pytest.raises(
        EncoderError,
        match="'org/name' cannot be loaded: cannot reach the hub for org/name. Check the name",
    ):
        SentenceTransformerEncoder("org/name")
    assert asked == [True, False]  # the local cache first


def test_without_the_extra_the_error_carries_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(
        MissingExtraError, match=r"pip install 'graphrouter\[sentence-transformers\]'"
    ):
        SentenceTransformerEncoder("org/name")
