"""YAML that nobody means is refused before it takes the memory of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import graphrouter as gr
from graphrouter.exceptions import ConfigError
from graphrouter.files import parse_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "unfolds to more than 100,000 values"),
        ("a: &a [*a]", "unfolds to more than 100,000 values"),
        ("[" * 20_000, "nested too deeply"),
        ("seed: 2026-13-45", "month must be in"),
        ("seed: " + "9" * 5_000, "digits"),
    ],
)
def test_yaml_that_nobody_means_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(yaml.YAMLError, match=reason):
        parse_yaml(text)
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"is no valid YAML .*{reason}"):
        gr.load_config(tmp_path / "mine.yaml")


def test_aliases_that_somebody_means_are_read() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: {d: *a}") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": [1, 2]},
    }
