"""The options of a policy, made from its settings: a further field is a further option."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

from graphrouter.exceptions import PolicyError, UnknownModelError
from graphrouter.policy import Policy, parse_policy
from graphrouter.policy_settings import PolicySetting, list_settings
from graphrouter.policy_words import read_pairs

POLICY_FILES = (".yaml", ".yml", ".json")
_PANEL = "Policy"
_POLICY = "policy"
_FILE = "policy_file"
_MOMENT = "moment"
_SECONDS = "a model and its seconds, such as tarn-grand=4"
_OF_POLICY = "The policy "
"""How messages begin that are about what a policy says."""


def add_policy_options(
    command: Callable[..., None], *, kind: type[Policy] = Policy
) -> Callable[..., None]:
    """The command with an option for each setting, in the place of its parameter `policy`.

    And with one for a file of settings. It is called with the policy that they make. A command with
    a parameter `moment` gets the options of what the moment brings as well.

    Args:
        command: Has a keyword-only parameter `policy`, and perhaps `moment`: a `MomentWords`.
        kind: The class of the policy, where it is one with more settings.

    Raises:
        PolicyError: When the command is run, if a value is not accepted.
    """
    settings = list_settings(kind)
    own = inspect.signature(command, eval_str=True)

    @wraps(command)
    def run(**values: Any) -> None:
        given = {setting.name: _to_plain(values.pop(setting.name)) for setting in settings}
        file = values.pop(_FILE)
        policy = _make_policy(given, file, kind)
        if _MOMENT in own.parameters:
            values[_MOMENT] = _read_moment(*(values.pop(each.name) for each in _MOMENT_PARAMETERS))
        try:
            command(**values, policy=policy)
        except (PolicyError, UnknownModelError) as error:
            if file is not None and str(error).startswith(_OF_POLICY):
                raise type(error)(f"{file}: {error}") from None
            raise

    parameters: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        if parameter.name == _POLICY:
            parameters += [_make_file_parameter(), *(_make_parameter(each) for each in settings)]
        elif parameter.name == _MOMENT:
            parameters += _MOMENT_PARAMETERS
        else:
            parameters.append(parameter)
    # Typer reads the signature, not the code.
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


class MomentWords(TypedDict):
    """What the moment brings, as arguments of `Router.route` and `Moment.of`."""

    extra_latency_s: dict[str, float]
    unavailable: list[str]


def _make_moment_parameter(name: str, option: str, metavar: str, text: str) -> inspect.Parameter:
    made = typer.Option(
        option, metavar=metavar, help=text, rich_help_panel=_PANEL, show_default=False
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[list[str] | None, made],
    )


_MOMENT_PARAMETERS = (
    _make_moment_parameter(
        "extra_latency",
        "--extra-latency",
        "MODEL=S",
        "Seconds that a model takes longer just now, such as tarn-grand=4. Repeat for more.",
    ),
    _make_moment_parameter(
        "unavailable",
        "--unavailable",
        "MODEL",
        "Model that cannot be called just now, as a fallback neither. Repeat for more.",
    ),
)


def _read_moment(extra: list[str] | None, unavailable: list[str] | None) -> MomentWords:
    """What the options say; whether seconds make sense and models are there, others check.

    Raises:
        PolicyError: A word is no MODEL=S.
    """
    try:
        pairs = read_pairs(extra or (), expected=_SECONDS, of_last=True)
    except ValueError as error:
        raise PolicyError(f"--extra-latency {error}.") from None
    seconds = {}
    for model, text in pairs.items():
        try:
            seconds[model] = float(text)
        except ValueError:
            received = f"{model}={text}"
            raise PolicyError(
                f"--extra-latency received {received!r}; expected {_SECONDS}."
            ) from None
    return {"extra_latency_s": seconds, "unavailable": list(unavailable or ())}


def _make_parameter(setting: PolicySetting) -> inspect.Parameter:
    """The setting as a parameter that typer makes an option of; None where it is not given."""
    make_enum: Any = StrEnum  # typer takes lists of words as an enum alone; mypy wants it literal
    words = {word: word for word in setting.choices}
    of_one: Any = make_enum(setting.name, words) if words else setting.kind
    of_value: Any = list[of_one] if setting.is_list else of_one
    option = typer.Option(
        setting.option_name,
        metavar=setting.option.metavar,
        help=f"{setting.help} Repeat for more." if setting.is_list else setting.help,
        rich_help_panel=_PANEL,
        show_default=False,
    )
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[of_value | None, option],
    )


def _make_file_parameter() -> inspect.Parameter:
    """The parameter of a file that holds settings."""
    option = typer.Option(
        "--policy",
        metavar="FILE",
        help="Settings of a policy as .yaml or .json, such as graphrouter promise writes; options "
        "add to them.",
        rich_help_panel=_PANEL,
        show_default=False,
    )
    return inspect.Parameter(
        _FILE,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Path | None, option],
    )


def _make_policy(given: Mapping[str, Any], file: Path | None, kind: type[Policy]) -> Policy:
    """The policy of the options, and of a file of settings where there is one.

    Raises:
        PolicyError: A setting is not accepted, set twice, or contradicts another; where it stands
            in the file, the file is named.
    """
    if file is None:
        return parse_policy(given, kind)
    stored = read_policy_file(file)
    twice = [name for name in stored if given.get(name) is not None]
    if twice:
        raise PolicyError(
            f"{file} sets {twice[0]}, and the options set it too; expected it once. Leave one of "
            "the two out."
        )
    try:
        return parse_policy({**given, **stored}, kind, source=f"{file} and the options")
    except PolicyError:
        parse_policy(stored, kind, source=str(file))  # what is wrong without options is of the file
        raise


def read_policy_file(file: Path) -> dict[str, Any]:
    """The settings in a file.

    Raises:
        PolicyError: It is not there, or holds no settings.
    """
    from graphrouter.text_files import read_plain_file  # here: YAML

    values = read_plain_file(file, refuse=PolicyError)
    if not isinstance(values, dict):
        raise PolicyError(
            f"{file} holds a {type(values).__name__}; expected settings of a policy by their "
            "names, such as cost_weight: 0.2."
        )
    return values


def _to_plain(value: Any) -> Any:
    """The value of an option as `parse_policy` takes it; typer gives words as members of enums."""
    if isinstance(value, list):
        return [_to_plain(item) for item in value]
    return value.value if isinstance(value, StrEnum) else value
