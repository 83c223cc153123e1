"""A picture: drawn for a screen and for a telephone, with the figures behind it in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

from graphrouter.bench.evaluation.report.html_page import render_page
from graphrouter.bench.pictures.picture_style import NARROW, WIDE, Size, apply_style
from graphrouter.exceptions import DataError
from graphrouter.extras import require_extra
from graphrouter.files import replace_file, to_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "Heights", "Picture"]

FORMATS = (".png", ".svg", ".html")
"""What a picture can be written as, by the suffix of the file."""
_PACKAGE = "graphrouter.bench.pictures"
_TITLE_CHARS = 76


class Heights(NamedTuple):
    """How high a picture is, in inches, at the width of a screen and of a telephone."""

    wide: float
    narrow: float

    def at(self, size: Size) -> float:
        """The height at this width."""
        return self.narrow if size.is_narrow else self.wide


@dataclass(frozen=True, repr=False, eq=False)
class Picture:
    """What is to be seen, how it is drawn, and the figures behind it. Shows itself in a notebook.

    Example:
        >>> def draw(figure, size):
        ...     axes = figure.subplots()
        ...     _ = axes.bar(["nano", "grand"], [0.4, 0.9])
        >>> bars = Picture("Two models", "grand is better.", draw, ("model", "effect"),
        ...     (("nano", 0.4), ("grand", 0.9)), Heights(3.0, 3.0))
        >>> bars, "<svg" in bars.to_svg()
        (Picture('Two models'), True)
    """

    title: str
    says: str
    """What it shows, in a sentence or two, for who reads it and for who cannot see it."""
    draw: Callable[[Figure, Size], None]
    """Draws into an empty figure of a size."""
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    """The figures behind it, a value for each of `columns`; None where unknown."""
    heights: Heights

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title!r})"

    def _repr_html_(self) -> str:
        says = f"<figcaption>{escape(self.says)}</figcaption>"
        return f'<figure style="max-width: 60em">{self.to_svg()}{says}</figure>'

    def figure(self, size: Size = WIDE, *, has_title: bool = True) -> Figure:
        """A figure of matplotlib, yours to change.

        Args:
            size: `WIDE` or `NARROW`.
            has_title: Whether the title stands in it.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        require_extra("bench", "matplotlib", purpose="A picture")
        from matplotlib.figure import Figure

        with apply_style(size.font, salt=size.name):
            made = Figure(figsize=(size.width, self.heights.at(size)), layout="constrained")
            if has_title:
                text = fill(self.title, _TITLE_CHARS // 2 if size.is_narrow else _TITLE_CHARS)
                made.suptitle(text, x=0.01, ha="left", fontweight="bold")
            self.draw(made, size)
        return made

    def to_svg(self, size: Size = WIDE, *, has_title: bool = True) -> str:
        """The picture as an `svg` element, whose text is text; the same for the same data.

        Args:
            size: `WIDE` or `NARROW`.
            has_title: Whether the title stands in it.
        """
        written = StringIO()
        self._write(written, "svg", size, has_title=has_title)
        text = written.getvalue()
        return _describe(text[text.index("<svg") :], self.title)

    def to_png(self, size: Size = WIDE) -> bytes:
        """The picture as a PNG file.

        Args:
            size: `WIDE` or `NARROW`.
        """
        written = BytesIO()
        self._write(written, "png", size)
        return written.getvalue()

    def to_html(self) -> str:
        """A page that needs nothing else: the picture for a screen and for a telephone, its table.

        It has no script of its own; `render_page` says what it lets nobody do.
        """
        wide, narrow = (self.to_svg(size, has_title=False) for size in (WIDE, NARROW))
        values = {"picture": self, "wide": wide, "narrow": narrow}
        return render_page("picture.html.jinja", values, package=_PACKAGE, has_plots=False)

    def save(self, file: str | Path) -> None:
        """Write the picture to `file`, whole or not at all, in the format of its suffix.

        Args:
            file: One of `FORMATS`.

        Raises:
            DataError: The suffix names no format.
        """
        path = to_path(file, "a picture", DataError)
        if path.suffix not in FORMATS:
            raise DataError(
                f"Cannot write {path}: the suffix {path.suffix!r} names no format of pictures. "
                f"Use one of {', '.join(FORMATS)}."
            )
        if path.suffix == ".png":
            content = self.to_png()
        else:
            content = (self.to_svg() if path.suffix == ".svg" else self.to_html()).encode()
        replace_file(path, partial(_write_bytes, content))

    def _write(self, target: Any, form: str, size: Size, *, has_title: bool = True) -> None:
        made = self.figure(size, has_title=has_title)
        with apply_style(size.font, salt=size.name):
            # Without a date the same data gives the same file.
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            made.savefig(target, format=form, metadata=nothing if form == "svg" else None)


def _describe(svg: str, title: str) -> str:
    """The element with the name that a screen reader says, and as wide as there is room."""
    from html import escape

    return svg.replace(
        "<svg ",
        f'<svg role="img" aria-label="{escape(title)}" style="max-width:100%;height:auto" ',
        1,
    )


def _write_bytes(content: bytes, file: Path) -> None:
    file.write_bytes(content)
