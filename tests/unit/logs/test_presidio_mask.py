"""Presidio's own library as the mask, without a download."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import spacy

from graphrouter.exceptions import ConfigError, MissingExtraError
from graphrouter.extras import EXTRAS
from graphrouter.logs import load_mask


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **_: object) -> None:
        raise AssertionError(f"a look at the network: {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_what_patterns_find_is_hidden_and_sums_are_not() -> None:
    mask = load_mask("presidio")
    said = mask(
        "Mail ann.lee@example.co.uk or call +1 212-555-0143; card 4111 1111 1111 1111, "
        "IBAN DE89370400440532013000, from 192.168.2.17."
    )
    assert said == (
        "Mail <EMAIL_ADDRESS> or call <PHONE_NUMBER>; card <CREDIT_CARD>, "
        "IBAN <IBAN_CODE>, from <IP_ADDRESS>."
    )
    for kept in ("What is 12345678 * 987654321?", "def f(x):\n    return x + 1.25", ""):
        assert mask(kept) == kept


@pytest.mark.usefixtures("no_network")
def test_a_pipeline_finds_names(tmp_path: Path) -> None:
    """One that is saved here stands for those that are installed as packages."""
    pipeline = spacy.blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": "Lisa Moreau"}])  # type: ignore[attr-defined]
    pipeline.to_disk(tmp_path / "names")
    mask = load_mask(f"presidio:{tmp_path / 'names'}")
    assert mask("I am Lisa Moreau, who are you?") == "I am <PERSON>, who are you?"


@pytest.mark.parametrize("wrong", ["presidio:qq", "presidio:no_such_pipeline"])
def test_a_pipeline_that_is_not_there_is_said(wrong: str) -> None:
    with pytest.raises(ConfigError, match=f"--mask is '{wrong}', but spaCy has no such"):
        load_mask(wrong)


def test_without_the_extra_the_pip_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphrouter.extras.is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match=r"'graphrouter\[presidio\]'"):
        load_mask("presidio")
    assert set(EXTRAS["presidio"].values()) >= {"presidio-analyzer", "presidio-anonymizer"}
