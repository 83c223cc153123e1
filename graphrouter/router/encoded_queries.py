"""Queries as the network reads them, and what of them it cannot read since it has met none such."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from graphrouter.encoders import TextEncoder
from graphrouter.exceptions import DataError
from graphrouter.features.prompts import Float32Array, PromptReading, PromptTransform
from graphrouter.features.tables import RawFeatures
from graphrouter.features.token_rates import count_chars
from graphrouter.features.views import (
    CONTEXT,
    RawViews,
    list_encoders,
    name_embedding,
    place_view,
    read_views,
)
from graphrouter.router.learned import Learned
from graphrouter.router.parts import Support
from graphrouter.scoring.forecaster import EncodedQueries, EncodedView
from graphrouter.types import IntArray, Queries
from graphrouter.wording import suggest

_logger = logging.getLogger(__name__)


def encode_queries(
    learned: Learned,
    encoder: TextEncoder,
    queries: Queries,
    tasks: Mapping[str, int],
    reading: PromptReading | None = None,
    asker: IntArray | None = None,
) -> EncodedQueries:
    """The queries in numbers, each by itself, in double precision.

    Args:
        learned: With the transforms of training.
        encoder: Of the texts.
        queries: With all that is known of them.
        tasks: Positions of the known tasks.
        reading: Of the prompts, where they were read already.
        asker: (num_queries,) who asks each, as `Targets.asker`.
    """
    reading = reading or PromptReading.of(queries.prompts, encoder)
    has_views = bool(learned.transforms.features.views)
    return _place(
        learned,
        reading,
        count_chars(queries.prompts),
        np.array([-1 if name is None else tasks.get(name, -1) for name in queries.tasks], np.int64),
        read_views(encoder, queries, reading.embeddings) if has_views else {},
        asker,
    )


def encode_solved(
    learned: Learned, raw: RawFeatures, asker: IntArray | None = None
) -> EncodedQueries:
    """Solved queries in numbers, as `encode_queries` has them, by what a router keeps of them.

    That are the features of their texts and of what goes with them; contexts are not kept, nor
    embeddings as they came, nor the texts themselves where a router is saved without evidence.

    Args:
        learned: With the transforms of training.
        raw: Of the queries.
        asker: (num_queries,) who asks each, as `Targets.asker`.
    """
    reading = PromptReading(raw.prompts, raw.surface)
    return _place(learned, reading, raw.num_chars, raw.query_task, raw.views, asker)


def _place(
    learned: Learned,
    reading: PromptReading,
    num_chars: Float32Array,
    task: IntArray,
    views: RawViews,
    asker: IntArray | None,
) -> EncodedQueries:
    """What was read of queries, under the transforms of training; of views those it has met."""
    transforms = learned.transforms.features
    text, surface, principal = transforms.prompts.place(*reading)
    placed = (place_view(by, views.get(name), len(task)) for name, by in transforms.views.items())
    return EncodedQueries(
        text=text.astype(np.float64),
        principal=principal.astype(np.float64),
        task=task,
        num_chars=num_chars.astype(np.float64),
        surface=surface.astype(np.float64),
        asker=asker,
        views=tuple(EncodedView(*(part.astype(np.float64) for part in view)) for view in placed),
    )


class UnreadViews:
    """Tells of users, contexts and embeddings that a router has learned nothing of."""

    def __init__(self) -> None:
        """Nobody is told yet."""
        self._told: set[str] = set()

    def check(
        self, queries: Queries, views: Mapping[str, PromptTransform], support: Support
    ) -> None:
        """Say once that users, contexts or embeddings are not read, where none at all were learned.

        Args:
            queries: What is asked.
            views: What was learned, by name.
            support: What was solved, where users, and views of too few queries, are met.

        Raises:
            DataError: An embedding is of an encoder that training has not met, though it has met
                others, or of another length than its vectors had there.
        """
        if queries.names_people and support.people is None:
            self._tell("users", is_met=False)
        if CONTEXT not in views and any(context is not None for context in queries.contexts):
            self._tell("contexts", is_met=CONTEXT in support.raw.views)
        if all(embedding is None for embedding in queries.embeddings):
            return
        known, met = list_encoders(views), list_encoders(support.raw.views)
        for row, embedding in enumerate(queries.embeddings):
            if embedding is None:
                continue
            where = "embedding" if len(queries) == 1 else f"embeddings[{row}]"
            name, is_met = name_embedding(embedding.encoder), embedding.encoder in met
            if not known:
                self._tell("embeddings", is_met=bool(met))
                if not is_met:
                    continue
            elif embedding.encoder not in known:
                hint = suggest(embedding.encoder, known, "It knows: ")
                count = "too few" if is_met else "none"
                raise DataError(
                    f"{where} is of the encoder {embedding.encoder!r}, of which the "
                    f"router has met {count} in training. {hint} Leave it out, or train on queries "
                    "that have it."
                )
            unfit = None if name in views else support.raw.views[name]
            length = len(views[name].mean) if unfit is None else unfit.vectors.shape[1]
            if len(embedding.vector) != length:
                raise DataError(
                    f"{where} has {len(embedding.vector)} numbers; the router was "
                    f"trained on {length} of the encoder {embedding.encoder!r}. Give a vector of "
                    "the same encoder, under its name."
                )

    def _tell(self, what: str, *, is_met: bool) -> None:
        if what not in self._told:
            self._told.add(what)
            _logger.warning(
                "The router was trained on %s %s, so they change nothing. Train it on queries "
                "that have some.",
                "too few queries with" if is_met else "queries without",
                what,
            )
