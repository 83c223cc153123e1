"""The file of upstreams: addresses, keys, names at the provider, and what is refused."""

from __future__ import annotations

import logging
from base64 import b64encode
from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.exceptions import ConfigError
from graphrouter.gateway import Deployment, load_upstreams
from graphrouter.gateway.upstreams import Upstream
from graphrouter.pool import ModelPool

POOL = ModelPool.of(
    [
        gr.ModelCard(model="nano"),
        gr.ModelCard(model="grand-high", base="grand", parameters={"reasoning_effort": "high"}),
    ]
)
KEYS = {"MINE": " secret\n"}


def load(tmp_path: Path, text: str) -> dict[str, tuple[Deployment, ...]]:
    file = tmp_path / "upstreams.yaml"
    file.write_text(text)
    return load_upstreams(file, POOL, KEYS)


def test_own_settings_stand_before_defaults_and_the_card(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
        defaults: {base_url: "http://127.0.0.1:1/v1/", api_key_env: MINE, parameters: {seed: 1}}
        upstreams:
          nano: {base_url: "https://example.com/v1", model: nano-2, timeout_s: 5, retries: 0}
        """,
    )
    (nano,), (grand,) = found["nano"], found["grand-high"]
    assert (nano.address, nano.timeout_s, nano.retries) == ("https://example.com/v1", 5.0, 0)
    assert nano.body == {"model": "nano-2", "seed": 1}
    assert grand.address == "http://127.0.0.1:1/v1"
    assert grand.body == {"model": "grand", "reasoning_effort": "high", "seed": 1}
    assert grand.headers == {"authorization": "Bearer secret"}
    assert "secret" not in repr(grand)


def test_user_and_password_of_an_address_are_sent_and_never_shown(tmp_path: Path) -> None:
    address = "https://me:sec%2Fret@example.com:8000/v1"
    (nano,) = load(tmp_path, f"upstreams: {{nano: {{base_url: '{address}'}}}}")["nano"]
    assert nano.address == "https://example.com:8000/v1"
    assert nano.headers == {"authorization": f"Basic {b64encode(b'me:sec/ret').decode()}"}
    upstream = Upstream(base_url=address)
    assert upstream.base_url == address
    for shown in (repr(nano), repr(upstream), upstream._repr_html_()):
        assert "example.com" in shown
        assert "sec" not in shown
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "upstreams: {nano: {base_url: 'ftp://me:secret@example.com/v1'}}")
    assert "'ftp://***@example.com/v1'" in str(refused.value)
    both = f"upstreams: {{nano: {{base_url: '{address}', api_key_env: MINE}}}}"
    with pytest.raises(ConfigError, match="both api_key_env and a user in base_url"):
        load(tmp_path, both)
    (found,) = load(tmp_path, both.replace("MINE", "MINE, protocol: anthropic"))["nano"]
    assert found.headers.keys() >= {"authorization", "x-api-key"}


@pytest.mark.parametrize(
    "text",
    [
        *(
            f"upstreams: {{nano: {{base_url: '{address}'}}}}"
            for address in (
                "https://me:pa/secret@h/v1",
                "https://me:12/secret@h/v1",
                "https://me:12#secret@h/v1",
                "https://me:secret#x@h/v1",
                "https://me:\u2100secret@h/v1",
                "https://me:a secret@h/v1",
                "me:a secret@h/v1",
                "secret@h/v1",
            )
        ),
        "upstreams: {nano: 'me:a secret@h/v1'}",
        "upstreams: {nano: ['https://me:a secret@h/v1']}",
        "upstreams: {'https://me:secret@h/v1': {}}",
        "'https://me:secret@h/v1': {}",
        "upstreams: {nano: {base_url: 'http://h', 'https://me:secret@h/v1': 1}}",
        "upstreams:\n  nano: {base_url: 'https://me:secret@h/v1'\n",
        "upstreams: {nano: {base_url: *secret}}",
        "{'https://me:secret@h/v1': 1, 'https://me:secret@h/v1': 2}",
        'upstreams: "secret \\ud800"',
    ],
)
def test_no_error_shows_a_password(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("up.yaml", "upstreams:\n  nano: {base_url: 'me:secret@h'\n", "YAML (line 3, column 1)"),
        ("up.json", '{"upstreams":\n "secret" 1}', "JSON (line 2, column 11)"),
        ("up.json", '{"secret": 1, "secret": 2}', "JSON (a value in it is not accepted, or"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_its_place(
    tmp_path: Path, name: str, text: str, place: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_upstreams(tmp_path / name, POOL, KEYS)
    assert place in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("login", ["@", ":@"])
def test_an_empty_login_is_none(tmp_path: Path, login: str) -> None:
    text = f"upstreams: {{nano: {{base_url: 'https://{login}h/v1', api_key_env: MINE}}}}"
    (keyed,) = load(tmp_path, text)["nano"]
    (bare,) = load(tmp_path, text.replace(", api_key_env: MINE", ""))["nano"]
    assert (keyed.address, keyed.headers) == ("https://h/v1", {"authorization": "Bearer secret"})
    assert (bare.address, bare.headers) == ("https://h/v1", {})


def test_an_at_in_a_path_is_no_login(tmp_path: Path) -> None:
    address = "https://example.com/run/@cf/meta"
    (nano,) = load(tmp_path, f"upstreams: {{nano: {{base_url: '{address}'}}}}")["nano"]
    assert (nano.address, nano.headers) == (address, {})


def test_models_without_an_address_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = load(tmp_path, "upstreams: {nano: {base_url: 'http://127.0.0.1:1'}}")
    assert list(found) == ["nano"]
    assert found["nano"][0].headers == {}
    assert "gives no address for grand-high; they are never chosen" in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5", "holds 5; expected a mapping with upstreams"),
        ("upstrems: {}", "unknown key 'upstrems'. Did you mean 'upstreams'"),
        ("upstreams: 5", "upstreams is 5; expected a mapping"),
        ("upstreams: {}", "gives no model of the pool an address"),
        ("upstreams: {nan: {}}", "'nan' is no model of the pool. Did you mean 'nano'"),
        ("upstreams: {nano: 5}", "nano is 5; expected a mapping, or a list"),
        ("upstreams: {nano: {}}", "nano: the setting 'base_url' is missing"),
        (
            "upstreams: {nano: {base_url: here}}",
            "base_url = 'here' is not accepted: expected an",
        ),
        ("upstreams: {nano: {base_url: 'ftp://a/b'}}", "expected an address such as https"),
        ("upstreams: {nano: {base_url: 'http://a:99999'}}", "65535; expected an address such"),
        ("upstreams: {nano: {base_url: 'http://a:port'}}", "'port'; expected an address such"),
        ("upstreams: {nano: {base_url: 'http://a b/v1'}}", "expected an address such as https"),
        (
            "upstreams: {nano: {base_url: 'http://a', api_key: x}}",
            "unknown setting 'api_key'. Did you mean 'api_key_env'",
        ),
        (
            "upstreams: {nano: {base_url: 'http://a', api_key_env: OTHER}}",
            "nano: the environment variable OTHER holds no key",
        ),
        ("upstreams: {nano: {base_url: 'http://a', retries: -1}}", "retries = -1 is not accepted"),
        ("upstreams: {nano: {base_url: 'http://a', timeout_s: 0}}", "timeout_s = 0 is not"),
        (
            "upstreams: {nano: {base_url: 'http://a', parameters: high}}",
            "parameters = 'high' is not accepted: expected a mapping",
        ),
        ("upstreams: {nano: [}", "is no valid YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none.yaml"):
        load_upstreams(tmp_path / "none.yaml", POOL, KEYS)
