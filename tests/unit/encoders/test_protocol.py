"""What every encoder promises, asked of each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.config import EncoderConfig
from graphrouter.encoders import (
    CachedEncoder,
    TextEncoder,
    check_encoder,
    check_is_encoder,
    create_encoder,
    restore_encoder,
)
from graphrouter.exceptions import ConfigError, DataError, EncoderError

TEXTS = [
    "Prove that the square root of two is irrational.",
    "Write a Python function that reverses a linked list, without recursion. " * 20,
    "¿Cuál es la capital de Perú?",
    "",
    "def f(x):\n    return x + 1",
    "Prove that the square root of two is irrational.",
]


@pytest.fixture(
    scope="module",
    params=["hashing", "wordllama", "wordllama-64", "sentence-transformers", "cached"],
)
def encoder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TextEncoder:
    if request.param == "sentence-transformers":
        return create_encoder(
            EncoderConfig(
                name="sentence-transformers", path=str(request.getfixturevalue("minilm_folder"))
            )
        )
    if request.param == "wordllama-64":
        return create_encoder(EncoderConfig(dimension=64))
    if request.param == "cached":
        return create_encoder(EncoderConfig(cache_dir=str(tmp_path_factory.mktemp("cache"))))
    return create_encoder(EncoderConfig(name=request.param))


def tolerance(encoder: TextEncoder) -> float:
    """Transformers pad their batches; all others are exact."""
    return 1e-6 if encoder.id.startswith("sentence-transformers") else 0.0


def test_rows_have_unit_length_and_empty_text_is_zero(encoder: TextEncoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), encoder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0, 1, 1], atol=1e-5)


def test_no_text_gives_no_row(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_a_row_does_not_depend_on_batch_mates_or_order(encoder: TextEncoder) -> None:
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    backwards = encoder.encode(TEXTS[::-1])[::-1]
    np.testing.assert_allclose(alone, together, rtol=0, atol=tolerance(encoder))
    np.testing.assert_allclose(backwards, together, rtol=0, atol=tolerance(encoder))


def test_like_texts_are_nearer_than_unlike_ones(encoder: TextEncoder) -> None:
    root, same, other = encoder.encode(
        [TEXTS[0], "Show that the square root of two is not rational.", TEXTS[4]]
    )
    assert root @ same > root @ other + 0.1


@pytest.mark.parametrize(
    "text", ["word " * 200_000, "\ud800 half a surrogate", "\x00", "漢字" * 50_000, " \n\t "]
)
def test_odd_texts_give_finite_rows(encoder: TextEncoder, text: str) -> None:
    vector = encoder.encode([text])
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5) or not vector.any()


@pytest.mark.parametrize("texts", ["a single string", [None], [b"bytes"], ["fine", 3]])
def test_something_else_than_texts_is_refused(encoder: TextEncoder, texts: object) -> None:
    with pytest.raises(DataError, match=r"^texts"):
        encoder.encode(texts)  # type: ignore[arg-type]


def test_the_same_settings_give_the_same_encoder(encoder: TextEncoder) -> None:
    check_encoder(encoder, id=encoder.id, revision=encoder.revision, dimension=encoder.dimension)


@pytest.mark.parametrize(
    "changed", [{"id": "wordllama/other"}, {"revision": "000000000000"}, {"dimension": 7}]
)
def test_another_encoder_is_refused_by_name(
    encoder: TextEncoder, changed: dict[str, object]
) -> None:
    expected = {
        "id": encoder.id,
        "revision": encoder.revision,
        "dimension": encoder.dimension,
    } | changed
    with pytest.raises(EncoderError) as caught:
        check_encoder(encoder, **expected)  # type: ignore[arg-type]
    message = str(caught.value)
    assert (
        f"is {encoder.id!r} revision {encoder.revision!r} with {encoder.dimension} dimensions"
        in message
    )
    assert (
        f"expected {expected['id']!r} revision {expected['revision']!r} with "
        f"{expected['dimension']} dimensions" in message
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"dimension": 100},
            r"encoder.dimension = 100 is not accepted by wordllama; expected one of \(64, 128, "
            r"256\)",
        ),
        (
            {"path": "somewhere"},
            "encoder.path = 'somewhere' is for sentence-transformers; wordllama has none",
        ),
        ({"name": "sentence-transformers"}, "needs encoder.path"),
    ],
)
def test_settings_that_do_not_go_together(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_encoder(EncoderConfig.model_validate(values))


def test_max_chars_and_cache_dir_reach_the_encoder(tmp_path: Path) -> None:
    config = EncoderConfig(name="hashing", dimension=32, max_chars=100, cache_dir=str(tmp_path))
    encoder = create_encoder(config)
    assert isinstance(encoder, CachedEncoder)
    assert encoder.path.parent == tmp_path
    begin, end = "begin " * 20, "end " * 20
    middle_a, middle_b = encoder.encode([begin + "apple " * 50 + end, begin + "pear " * 50 + end])
    np.testing.assert_array_equal(middle_a, middle_b)


@given(st.lists(st.text(max_size=60), max_size=8))
def test_hashing_promises_hold_for_any_texts(texts: list[str]) -> None:
    encoder = create_encoder(EncoderConfig(name="hashing", dimension=32))
    vectors = encoder.encode(texts)
    norms = np.linalg.norm(vectors, axis=1)
    assert np.all(np.isclose(norms, 1.0, atol=1e-5) | (norms == 0))
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_array_equal(encoder.encode([text])[0], vector)


@pytest.fixture
def real_prompts(shared_data: Callable[[str], Path]) -> list[str]:
    import pandas as pd

    return pd.read_parquet(shared_data("zeroeval") / "queries.parquet")["prompt"].head(300).tolist()


def test_default_encoder_on_real_prompts(real_prompts: list[str]) -> None:
    encoder = create_encoder(EncoderConfig())
    vectors = encoder.encode(real_prompts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(real_prompts[7:8]), vectors[7:8])


class OwnEncoder:
    """All that an encoder needs, and no settings."""

    id = "mine/lengths"
    revision = "7"
    dimension = 2

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> np.ndarray:
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32).reshape(-1, 2)


class TestOwnEncoder:
    def test_it_is_an_encoder_and_may_be_cached(self, tmp_path: Path) -> None:
        encoder: TextEncoder = OwnEncoder()
        check_is_encoder(encoder)
        cached = CachedEncoder(encoder, tmp_path)
        assert cached.config is None
        for _ in range(2):
            np.testing.assert_array_equal(cached.encode(["abc", ""]), [[3, 1], [0, 1]])

    def test_something_else_is_refused_with_what_it_lacks(self) -> None:
        with pytest.raises(EncoderError, match="is a str without id, revision, dimension; expec"):
            check_is_encoder("wordllama")

    def test_it_is_given_back_when_a_router_is_restored(self) -> None:
        encoder = OwnEncoder()
        asked = {"id": "mine/lengths", "revision": "7", "dimension": 2}
        assert restore_encoder(encoder, EncoderConfig(), **asked) is encoder  # type: ignore[arg-type]
        with pytest.raises(EncoderError, match="expected 'mine/lengths' revision '8'"):
            restore_encoder(encoder, None, id="mine/lengths", revision="8", dimension=2)

    @pytest.mark.parametrize(
        ("config", "why"), [(None, "none was saved"), (EncoderConfig(), "its settings make 'wordl")]
    )
    def test_without_it_the_error_names_it_and_says_what_to_do(
        self, config: EncoderConfig | None, why: str
    ) -> None:
        with pytest.raises(EncoderError, match=why) as caught:
            restore_encoder(None, config, id="mine/lengths", revision="7", dimension=2)
        assert "'mine/lengths' revision '7' with 2 dimensions" in str(caught.value)
        assert "load_router(FOLDER, encoder=...)" in str(caught.value)
