"""Draws the pictures of the documentation from committed results.

Usage:
    python -m experiments.pictures.draw     # writes docs/pictures/*.svg
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from experiments.pictures import growth, idea, measured

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
PICTURES: dict[str, Callable[[], str]] = {
    "growth": growth.draw,
    "idea": idea.draw,
    "log-loss": measured.draw_log_loss,
    "newcomers": measured.draw_newcomers,
    "plans": measured.draw_plans,
    "promises": measured.draw_promises,
}
"""Each file in `docs/pictures`, without its suffix, and who draws it."""


def main() -> None:
    """Writes every picture."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
