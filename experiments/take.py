"""Copies the figures of a finished run into the folder of an experiment.

Six digits each: what is committed stays small.

Usage:
    python experiments/take.py RUN/results.json [MORE.json ...] experiments/NAME/results
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def take(files: Sequence[Path], folder: Path) -> None:
    """Write each file to `folder` under its name, its figures rounded."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        plain = _rounded(json.loads(file.read_text(encoding="utf-8")))
        (folder / file.name).write_text(
            json.dumps(plain, separators=(",", ":")) + "\n", encoding="utf-8"
        )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(
            "Expected files and a folder: python experiments/take.py RUN.json "
            "experiments/NAME/results"
        )
    *names, target = map(Path, sys.argv[1:])
    take(names, target)
