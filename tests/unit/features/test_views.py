"""Views of queries: missing is missing, a row does not depend on others, a transform survives."""

from __future__ import annotations

import numpy as np

from graphrouter.encoders import HashingEncoder
from graphrouter.encoders.text_encoder import encode_texts
from graphrouter.features.views import (
    NUM_COORDINATES,
    fit_views,
    join_views,
    pack_transforms,
    pack_views,
    place_view,
    read_views,
    take_transforms,
    unpack_views,
)
from graphrouter.types import Embedding, Queries

ENCODER = HashingEncoder(32)


def _queries(count: int = 90) -> Queries:
    rng = np.random.default_rng(0)
    return Queries.of(
        [f"What of {i}?" for i in range(count)],
        contexts=[
            [f"Of {i} it is said {i % 7}.", "More."] if i % 3 else None for i in range(count)
        ],
        embeddings=[
            Embedding.of(rng.normal(size=(5, 9)[i % 2]), ("left", "right")[i % 2])
            if i % 4
            else None
            for i in range(count)
        ],
    )


def _read(queries: Queries):  # type: ignore[no-untyped-def]
    return read_views(ENCODER, queries, encode_texts(ENCODER, list(queries.prompts)))


def test_what_a_query_does_not_have_is_nan_in_all_of_it() -> None:
    views = _read(_queries())
    assert list(views) == ["context", "context_fit", "embedding:left", "embedding:right"]
    for view in views.values():
        for part in view:
            if part.shape[1]:
                np.testing.assert_array_equal(np.isnan(part).all(axis=1), ~view.is_known)
                assert np.isfinite(part[view.is_known]).all()
    transforms = fit_views(views, slice(0, 60))
    placed = place_view(transforms["context"], views["context"], 90)
    np.testing.assert_array_equal(np.isnan(placed.x[:, 0]), ~views["context"].is_known)
    assert placed.x.shape[1] <= NUM_COORDINATES
    assert np.isnan(place_view(transforms["context"], None, 3).x).all()


def test_a_row_does_not_depend_on_the_others() -> None:
    queries = _queries()
    views = _read(queries)
    transforms = fit_views(views, slice(0, 60))
    alone = _read(queries.take([70]))
    for name, of in transforms.items():
        whole = place_view(of, views[name], 90)
        single = place_view(of, alone.get(name), 1)
        np.testing.assert_array_equal(single.x[0], whole.x[70])
        np.testing.assert_array_equal(single.text[0], whole.text[70])


def test_statistics_are_those_of_training_rows_that_have_the_view() -> None:
    views = _read(_queries())
    before = fit_views(views, slice(0, 60))
    changed = {name: view._replace(vectors=view.vectors.copy()) for name, view in views.items()}
    changed["embedding:left"].vectors[60:] = 7
    after = fit_views(changed, slice(0, 60))
    for name, array in pack_transforms(before).items():
        np.testing.assert_array_equal(array, pack_transforms(after)[name])
    one = {"context": views["context"].take(slice(0, 2))}
    assert fit_views(one, slice(0, 2)) == {}, "one row has it: nothing is to be learned"


def test_views_and_transforms_survive_packing_and_joining() -> None:
    views = _read(_queries())
    widths = {name: [part.shape[1] for part in view] for name, view in views.items()}
    again = unpack_views(pack_views(views), widths)
    for name, view in views.items():
        for part, found in zip(view, again[name], strict=True):
            np.testing.assert_array_equal(part, found)
    transforms = fit_views(views, slice(0, 60))
    arrays = {**pack_transforms(transforms), "other": np.zeros(1, np.float32)}
    found = take_transforms(arrays)
    assert list(arrays) == ["other"]
    assert list(found) == list(transforms)
    joined = join_views({}, 2, {"context": views["context"].take(slice(0, 3))}, 3)["context"]
    assert joined.is_known.tolist() == [False, False, False, True, True]
