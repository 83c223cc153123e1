"""From a query and the cached states of a support to predictions: what serving computes, once.

Formulas here take arrays of NumPy and of torch alike (`operations_of`): the network calls them with
tensors, to learn, and a router that serves with arrays, so that it loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.scoring.forecaster import Forecaster
    from graphrouter.scoring.scorer import Scorer

__all__ = [
    "Forecaster",
    "Scorer",
]

_MODULE_OF = {
    "Forecaster": "graphrouter.scoring.forecaster",
    "Scorer": "graphrouter.scoring.scorer",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
