"""Episodic training with Lightning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.training.trainer import FittedNetwork, fit_network

__all__ = [
    "FittedNetwork",
    "fit_network",
]

_MODULE_OF = {
    "FittedNetwork": "graphrouter.training.trainer",
    "fit_network": "graphrouter.training.trainer",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
