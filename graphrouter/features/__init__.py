"""Rows to numbers, the same for training and serving, by transforms fitted on training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.features.tables import FittedTransforms, RawFeatures, encode_raw

__all__ = [
    "FittedTransforms",
    "RawFeatures",
    "encode_raw",
]

_MODULE_OF = {
    "FittedTransforms": "graphrouter.features.tables",
    "RawFeatures": "graphrouter.features.tables",
    "encode_raw": "graphrouter.features.tables",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
