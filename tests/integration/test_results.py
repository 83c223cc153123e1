"""Published tables are what the committed results say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "experiments" / "first_results" / "table.py"


def _printed(*arguments: str) -> str:
    return subprocess.run([sys.executable, str(TABLE), *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_the_readme_shows_the_committed_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.split("<!-- results:start -->")[1].split("<!-- results:end -->")[0]
    assert block.strip() == _printed("--summary")


def test_the_results_page_is_up_to_date() -> None:
    assert (TABLE.parent / "README.md").read_text(encoding="utf-8").strip() == _printed()
