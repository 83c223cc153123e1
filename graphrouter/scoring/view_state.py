"""Views of queries as scores read them: what a support says along each, and those of targets.

A view is what goes with a query beside its text; see `features.views`, and `scoring.view_scores`
for what comes of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from graphrouter.scoring.operations import Array


class ViewState(NamedTuple):
    """What the support says along one view. M models, P coordinates, V support queries with it."""

    common: Array
    """(P + 1,) how easiness changes along the coordinates; last what having the view changes."""
    own: Array
    """(M, P + 1) the same of each model, beyond what changes for all."""
    rows: Array
    """(V,) int64 support queries that have the view."""
    text: Array
    """(V, dimension) their centred unit vectors."""
    sharpness: Array
    """() how fast solved queries lose their say with their distance, > 0."""
    residual_share: Array
    """() how much of what they say of models counts, >= 0; 0 where nothing is to be had."""
    surprise_share: Array
    """() how much of what they say of the easiness counts, >= 0."""


@dataclass(frozen=True, eq=False)
class TargetView:
    """A view of targets. B targets, K neighbours."""

    x: Array
    """(B, P) principal coordinates, NaN rows where a target does not have the view."""
    neighbours: Array
    """(B, K) int64 support queries that are alike in it, the most alike first."""
    cosine: Array
    """(B, K) their similarity, in [-1, 1]; NaN where there is no neighbour."""

    def take(self, rows: Any) -> TargetView:
        """The targets at some positions (int64), or of a slice."""
        return TargetView(*(getattr(self, field.name)[rows] for field in fields(self)))
