"""One root for all errors, each also the built-in that it specialises, each showing its message and
nothing else."""

from __future__ import annotations

import inspect

import pytest

from graphrouter import exceptions
from graphrouter.exceptions import GraphRouterError, MissingExtraError

BUILT_IN = {
    "DataError": ValueError,
    "ChatError": ValueError,
    "ConfigError": ValueError,
    "EncoderError": RuntimeError,
    "ArtifactError": RuntimeError,
    "BusyError": RuntimeError,
    "PolicyError": ValueError,
    "PromiseError": ValueError,
    "UnknownModelError": KeyError,
    "UnknownRouteError": KeyError,
    "TrainingError": RuntimeError,
    "NotApplicableError": ValueError,
    "RunError": RuntimeError,
    "StoreError": RuntimeError,
    "WorkerError": RuntimeError,
    "LeakageError": AssertionError,
    "ConformanceError": AssertionError,
    "MissingExtraError": ImportError,
}


def defined() -> dict[str, type[Exception]]:
    return {
        name: value
        for name, value in inspect.getmembers(exceptions, inspect.isclass)
        if value is not GraphRouterError
    }


def test_every_error_is_listed_here() -> None:
    assert set(defined()) == set(BUILT_IN)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_error_has_the_root_and_a_built_in(name: str) -> None:
    error = defined()[name]
    assert issubclass(error, GraphRouterError)
    assert issubclass(error, BUILT_IN[name])
    assert error.__doc__


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"MissingExtraError"}))
def test_the_message_is_shown_as_it_is(name: str) -> None:
    error = defined()[name]
    assert (
        str(error("Unknown model 'x'.")) == "Unknown model 'x'."
    )  # a KeyError by itself would show the quotes escaped
    assert str(error()) == ""


def test_a_missing_extra_carries_the_pip_line() -> None:
    error = MissingExtraError(
        "sentence_transformers", extra="sentence-transformers", purpose="This encoder"
    )
    assert str(error) == (
        "This encoder needs the package 'sentence_transformers', which is not installed. "
        "Install it with: pip install 'graphrouter[sentence-transformers]'"
    )
