"""The comparison of text encoders: mixtures weigh cosines, and a run does nothing twice."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from experiments.encoders import mixture, run
from experiments.encoders.mixture import SHARES, Mixture, make_encoders
from graphrouter.bench.evaluation.grid import prepared_split
from graphrouter.encoders import HashingEncoder, TextEncoder, WordLlamaEncoder


def test_the_cosine_of_a_mixture_is_the_mean_of_the_cosines_by_shares() -> None:
    parts: dict[str, TextEncoder] = {"static": WordLlamaEncoder(64), "hashing": HashingEncoder(32)}
    mixed = Mixture(parts, {"static": Fraction(1, 4), "hashing": Fraction(3, 4)})
    texts = ["Sort a list.", "Sort the list, please.", "Boil an egg."]
    vectors = mixed.encode(texts)
    assert (vectors.shape, vectors.dtype) == ((3, mixed.dimension), np.float32)
    static, hashed = (encoder.encode(texts) for encoder in parts.values())
    expected = (static @ static.T) / 4 + (hashed @ hashed.T) * 3 / 4
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-6)


def test_every_mixture_has_shares_that_make_a_whole() -> None:
    assert all(sum(shares.values()) == 1 for shares in SHARES.values())


def test_a_run_compares_and_does_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kept in (prepared_split._load, prepared_split._prepare, make_encoders):
        kept.cache_clear()
    few = {name: SHARES[name] for name in ("graphrouter", "hashing", "static_hashing")}
    for module in (mixture, run):  # without the one whose files are an extra
        monkeypatch.setattr(module, "SHARES", few)
    gr.simulate(num_queries=120, num_models=4, seed=7).data.save(tmp_path / "world")
    words = [str(tmp_path / "world"), "--seeds", "2", "--out", str(tmp_path / "run")]
    run.main(words)
    first = capsys.readouterr()
    assert first.err.count(": done, ") == 6
    assert (tmp_path / "run" / "world-development.json").is_file()
    assert "| static_hashing |" in first.out
    run.main(words)
    assert capsys.readouterr().err == ""
    make_encoders.cache_clear()
