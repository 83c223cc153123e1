"""Figures of a run as a page, and held against those of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MOST_GROWTH = 2.0
"""A ratio that grew by more is a change for the worse, and not what else the machine did."""


class BenchError(ValueError):
    """Figures that cannot be compared."""


def read_result(path: Path) -> dict[str, Any]:
    """The bench.json of an earlier run.

    Raises:
        BenchError: It cannot be read, or is something else.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        is_sound = (
            isinstance(result["settings"], dict)
            and all(float(ratio) > 0 for _, ratio in _ratios(result))
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{path} is no bench.json: {error!r}") from None
    if not is_sound:
        raise BenchError(f"{path} is no bench.json: a ratio is not above 0, or settings are none")
    return result


def _ratios(result: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], float]]:
    """Each ratio by its measure and its yardstick."""
    for name, found in result["measures"].items():
        for yardstick, ratio in found["over"].items():
            yield (name, yardstick), ratio


def render(result: Mapping[str, Any]) -> list[str]:
    """Lines of Markdown."""
    settings, made_with = (
        ", ".join(f"{name} {value}" for name, value in result[key].items())
        for key in ("settings", "made_with")
    )
    lines = [
        f"One thread. {settings}. {made_with}.",
        "",
        "| measure | value | as a multiple of its yardstick |",
        "|---|---|---|",
    ]
    for name, found in result["measures"].items():
        known = found.get("yardsticks_ms", {})
        over = ", ".join(
            f"{ratio:.3g} x {yard}" + (f" ({known[yard]:,.1f} ms)" if yard in known else "")
            for yard, ratio in found["over"].items()
        )
        more = found.get("predictions_a_second")
        extra = f" ({more:,.0f} predictions a second)" if more else ""
        lines.append(f"| {name} | {found['value']:.4g}{extra} | {over} |")
    return lines


def compare(new: Mapping[str, Any], old: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Lines of Markdown, and a line for each ratio that more than doubled.

    Raises:
        BenchError: The runs are of other data, or have no ratio in common.
    """
    if new["settings"] != old["settings"]:
        raise BenchError(
            f"the runs are not of the same data: {old['settings']} before, {new['settings']} now"
        )
    before, now = dict(_ratios(old)), dict(_ratios(new))
    common = [key for key in now if key in before]
    if not common:
        raise BenchError("the runs have no ratio in common")
    lines = ["", "| measure | yardstick | before | now | growth |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {yard} | {before[name, yard]:.3g} | {now[name, yard]:.3g} "
        f"| {now[name, yard] / before[name, yard]:.2f} |"
        for name, yard in common
    ]
    alone = sorted(" / ".join(key) for key in before.keys() ^ now.keys())
    lines += [f"\nIn one of the two runs alone: {', '.join(alone)}."] if alone else []
    slower = [
        f"{name} / {yard}: {before[name, yard]:.3g} before, {now[name, yard]:.3g} now"
        for name, yard in common
        if now[name, yard] > MOST_GROWTH * before[name, yard]
    ]
    return lines, slower
