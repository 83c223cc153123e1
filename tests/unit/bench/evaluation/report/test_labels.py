"""Labels cover neither each other nor points."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.evaluation.report.labels import CHAR_WIDTH, LINE_HEIGHT, place_labels

WIDTH, HEIGHT = 600.0, 300.0
points = st.lists(st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT)), min_size=1, max_size=15)


def boxes(
    places: list[tuple[float, float]], texts: list[str]
) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each label that was placed."""
    found = []
    for (x, y), text, offset in zip(
        places, texts, place_labels(places, texts, width=WIDTH, height=HEIGHT), strict=True
    ):
        if offset is not None:
            half = len(text) * CHAR_WIDTH / 2
            found.append(
                (
                    x + offset.x - half,
                    y + offset.y - LINE_HEIGHT / 2,
                    x + offset.x + half,
                    y + offset.y + LINE_HEIGHT / 2,
                )
            )
    return found


@given(places=points, lengths=st.lists(st.integers(1, 30), min_size=15, max_size=15))
def test_no_two_labels_overlap_and_all_lie_inside(
    places: list[tuple[float, float]], lengths: list[int]
) -> None:
    found = boxes(places, ["x" * length for length, _ in zip(lengths, places, strict=False)])
    for left, top, right, bottom in found:
        assert left >= 0
        assert top >= 0
        assert right <= WIDTH
        assert bottom <= HEIGHT
        assert not any(left < x < right and top < y < bottom for x, y in places)
    for one, other in combinations(found, 2):
        assert one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]


def test_a_lone_label_stands_to_the_right_of_its_point() -> None:
    (offset,) = place_labels([(100, 100)], ["nano"], width=WIDTH, height=HEIGHT)
    assert offset is not None
    assert offset.y == 0
    assert offset.x > 0


def test_a_label_avoids_lines_if_it_can() -> None:
    line = [(x, 100.0) for x in range(0, 600, 2)]
    (offset,) = place_labels([(100, 100)], ["nano"], width=WIDTH, height=HEIGHT, avoid=line)
    assert offset is not None
    assert abs(offset.y) > LINE_HEIGHT / 2
    everywhere = [(float(x), float(y)) for x in range(0, 600, 5) for y in range(0, 300, 5)]
    (offset,) = place_labels([(100, 100)], ["nano"], width=WIDTH, height=HEIGHT, avoid=everywhere)
    assert offset is not None


def test_where_there_is_no_room_there_is_no_label() -> None:
    assert place_labels([(5, 5)], ["a name that is wider than the plot"], width=60, height=40) == [
        None
    ]
