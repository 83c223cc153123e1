"""Pictures as files and in notebooks: what stands in them, in grey, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from graphrouter.bench.pictures import Picture
from graphrouter.bench.pictures.picture import FORMATS, Heights
from graphrouter.bench.pictures.picture_style import (
    AREA,
    BASELINE,
    NARROW,
    ORACLE_LINE,
    ROUTER,
    WIDE,
    Size,
    label_points,
    show_dollars,
)
from graphrouter.exceptions import DataError

HOSTILE = "<script>alert(1)</script> $x^2$ 模型"


def make_picture(title: str = "Two models") -> Picture:
    def draw(figure: Figure, size: Size) -> None:
        axes = figure.subplots()
        axes.bar([title, "grand"], [0.25, 0.75])
        axes.set_xlabel(size.name)

    rows = ((title, 0.25), ("grand", None))
    return Picture(title, f"{title} is worse.", draw, ("model", "effect"), rows, Heights(3, 4))


def test_an_svg_holds_its_text_as_text_and_names_itself() -> None:
    svg = make_picture().to_svg()
    assert svg.startswith("<svg ")
    assert 'aria-label="Two models"' in svg
    assert ">grand</text>" in svg
    assert ">wide</text>" in svg


def test_the_same_data_gives_the_same_files() -> None:
    assert make_picture().to_svg() == make_picture().to_svg()
    assert make_picture().to_png() == make_picture().to_png()


def test_a_page_has_both_widths_the_figures_and_nothing_from_elsewhere() -> None:
    page = make_picture().to_html()
    assert page.count("<svg ") == 2
    assert ">wide</text>" in page
    assert ">narrow</text>" in page
    assert "<td>0.25</td>" in page
    assert "<td>-</td>" in page  # unknown
    assert len(page) < 300_000
    bare = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"https?://", re.sub(r"<!--.*?-->|<!DOCTYPE[^>]*>", "", bare))


@pytest.mark.parametrize("suffix", FORMATS)
def test_names_from_data_are_shown_and_never_run(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"picture{suffix}"
    make_picture(HOSTILE).save(file)
    content = file.read_bytes()
    assert b"<script>alert" not in content
    if suffix != ".png":
        assert "模型" in content.decode()
        assert "$x^2$" in content.decode()  # no mathematics is read into it


def test_a_png_is_as_wide_as_its_size_says() -> None:
    def width(png: bytes) -> int:
        return int.from_bytes(png[16:20], "big")

    picture = make_picture()
    assert width(picture.to_png(WIDE)) == round(160 * WIDE.width)
    assert width(picture.to_png(NARROW)) == round(160 * NARROW.width)


def test_a_figure_of_matplotlib_is_the_users() -> None:
    figure = make_picture().figure()
    assert isinstance(figure, Figure)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [0.25, 0.75]
    assert figure.get_suptitle() == "Two models"


def test_it_shows_itself_in_a_notebook() -> None:
    html = make_picture("a < b")._repr_html_()
    assert html.count("<svg ") == 1
    assert "a &lt; b is worse." in html


def test_another_format_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"suffix '.pdf' names no format.*\.png, \.svg, \.html"):
        make_picture().save(tmp_path / "picture.pdf")
    assert list(tmp_path.iterdir()) == []


def test_series_differ_without_their_colours() -> None:
    lines = [ROUTER, BASELINE, ORACLE_LINE]
    assert len({str(line["linestyle"]) for line in lines}) == len(lines)
    grey = [
        float(np.dot(to_rgb(color), [0.299, 0.587, 0.114])) for color in (ROUTER["color"], AREA)
    ]
    assert abs(grey[0] - grey[1]) > 0.4  # a line on its area


def test_names_cover_neither_points_nor_each_other() -> None:
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    places = [(0.5, 0.5), (0.52, 0.5), (0.1, 0.9)]
    assert label_points(axes, places, ["one", "two", "three"]) == ["one", "two", "three"]
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the line to the point
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        assert not any(box.contains(*point) for point in axes.transData.transform(places))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0.0, "$0"), (0.000123, "$0.00012"), (9.999, "$10.00"), (1e6, "$1,000,000")],
)
def test_dollars_have_no_powers_of_ten(amount: float, shown: str) -> None:
    assert show_dollars(amount) == shown
