"""Every file in configs/ is read, and says what its commands do."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from graphrouter.bench.tuning.search_space import build_default_space, load_space, write_space_yaml
from graphrouter.cli.demo import make_demo_config
from graphrouter.cli.settings import format_settings
from graphrouter.config import TrainConfig, load_config, parse_config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SPACE = CONFIGS / "search_space.yaml"
FILES = sorted(path for path in CONFIGS.glob("*") if path != SPACE)


def test_there_are_configs() -> None:
    assert {"default.yaml", "demo.yaml", "fast.yaml", "sentence-transformers.yaml"} <= {
        path.name for path in FILES
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_parses_and_explains_itself(path: Path) -> None:
    config = load_config(path)
    assert (config == TrainConfig()) == (path.name == "default.yaml")
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_default_lists_every_setting_as_the_package_has_it() -> None:
    text = (CONFIGS / "default.yaml").read_text(encoding="utf-8")
    assert text == format_settings(TrainConfig()), (
        "write it again with: graphrouter config > configs/default.yaml"
    )


def test_search_space_is_the_default_one_as_the_package_has_it() -> None:
    assert load_space(SPACE) == build_default_space()
    assert SPACE.read_text(encoding="utf-8") == write_space_yaml(build_default_space()), (
        "write it again with: graphrouter tune --list-space > configs/search_space.yaml"
    )


def test_demo_file_is_what_the_demo_uses() -> None:
    assert load_config(CONFIGS / "demo.yaml") == make_demo_config()


def test_settings_yaml_reads_back_as_the_same_settings() -> None:
    config = load_config(
        overrides=[
            "seed=7",
            "encoder.name=hashing",
            "encoder.cache_dir='a: b'",
            "training.weight_decay=1e-7",
            "split.by=model",
        ]
    )
    assert parse_config(yaml.safe_load(format_settings(config))) == config


def test_every_line_of_settings_yaml_has_a_comment() -> None:
    assert all("# " in line for line in format_settings(TrainConfig()).splitlines())
