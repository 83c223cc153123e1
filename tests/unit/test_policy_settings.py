"""A setting of a policy is one field: options, parameters and the parser are made from it."""

from __future__ import annotations

from typing import get_args

import pytest
import typer
from pydantic import Field

from graphrouter.cli.console import console
from graphrouter.cli.policy_options import add_policy_options
from graphrouter.exceptions import PolicyError
from graphrouter.policy import PRESETS, Policy, PresetName, parse_policy
from graphrouter.policy_settings import list_settings
from graphrouter.tracking.answers import LIST_PARAMS, PARAMS, list_params


class Wider(Policy):
    """A policy with two settings more."""

    max_words: int | None = Field(None, gt=0, description="Most words of an answer.")
    regions: tuple[str, ...] = Field((), description="Where the model may run.")


def test_all_derive_from_the_fields() -> None:
    names = [setting.name for setting in list_settings()]
    assert names == ["preset", *Policy.model_fields]
    assert {*PARAMS, *LIST_PARAMS} == set(names)
    assert [s.help for s in list_settings()[1:]] == [
        field.description for field in Policy.model_fields.values()
    ]


def test_presets_are_those_of_the_package() -> None:
    assert list_settings()[0].choices == tuple(PRESETS) == get_args(PresetName)


def test_options_have_the_names_that_people_know() -> None:
    assert [setting.option_name for setting in list_settings()] == [
        "--preset",
        "--effect-weight",
        "--cost-weight",
        "--usd-per-effect",
        "--usd-per-second",
        "--penalty",
        "--max-cost-usd",
        "--min-effect",
        "--max-latency-s",
        "--max-ttft-s",
        "--allow",
        "--exclude",
        "--require",
        "--fallback",
        "--risk",
        "--safe-model",
        "--max-doubt",
        "--min-familiarity",
    ]
    metavars = {setting.name: setting.option.metavar for setting in list_settings()}
    assert metavars["preset"] == "NAME"
    assert metavars["risk"] == "END"
    assert {metavars[name] for name in ("allowed", "excluded", "fallback", "safe_model")} == {
        "MODEL"
    }


def test_a_further_setting_needs_a_field_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    single, lists = list_params(list_settings(Wider))
    assert single["max_words"] == "long"
    assert lists["regions"] == "string"

    assert parse_policy({"max_words": 5, "regions": ["eu"]}, Wider) == Wider(
        max_words=5, regions=("eu",)
    )
    with pytest.raises(PolicyError, match="max_words = 0"):
        parse_policy({"max_words": 0}, Wider)
    with pytest.raises(PolicyError, match="Policy: unknown setting 'max_words'"):
        parse_policy({"max_words": 5})

    received: list[Policy] = []

    def show(prompt: str, *, policy: Policy) -> None:
        received.append(policy)

    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(console, "_width", 100)
    app = typer.Typer()
    app.command()(add_policy_options(show, kind=Wider))
    app(["--help"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "--max-words" in shown
    assert "Most words of an answer." in shown
    assert "Where the model may run. Repeat for more." in shown
    words = ["hello", "--max-words", "7", "--regions", "eu", "--regions", "us", "--risk", "lower"]
    app(words, standalone_mode=False)
    assert received == [Wider(max_words=7, regions=("eu", "us"), risk="lower")]
