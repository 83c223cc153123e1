"""Named values that refuse unknown names: the base of settings, model cards and policies."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from graphrouter.exceptions import ConfigError, GraphRouterError
from graphrouter.notebook import render_table
from graphrouter.wording import hide_login, show_value

if TYPE_CHECKING:  # pydantic has no public name for it
    from pydantic._internal._model_construction import ModelMetaclass as _ModelMetaclass
else:
    _ModelMetaclass = type(BaseModel)


class _RefusingClass(_ModelMetaclass):
    """Turns what pydantic refuses of a call into the class's own error.

    In the call and not in `__init__`: pydantic calls an `__init__` of one's own for nested values
    too, and their error would lose where it stands.
    """

    def __call__(cls: type[DocumentedModel], *args: object, **values: Any) -> Any:  # type: ignore[misc]  # noqa: N805
        if args:
            raise cls.refusal(
                f"{cls.__name__} received {show_value(args[0])} without a name; expected values by "
                f"name, such as {cls.__name__}({next(iter(list_fields(cls)))}=...)."
            )
        try:
            return super().__call__(**values)  # type: ignore[misc]
        except ValidationError as error:
            raise cls.refusal(explain_refusal(error, cls, source=cls.__name__)) from None


class DocumentedModel(BaseModel, metaclass=_RefusingClass):
    """A frozen set of named values that refuses unknown names; its help describes every field.

    Built by a call or by `parse`, it raises `refusal` with one line; pydantic's own methods, such
    as `model_validate`, raise pydantic's `ValidationError`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    refusal: ClassVar[type[GraphRouterError]] = ConfigError
    """The error of what is not accepted."""
    noun: ClassVar[str] = "setting"
    """What a field is called in messages."""
    addresses: ClassVar[frozenset[str]] = frozenset()
    """Fields of addresses, of which messages show neither user nor password."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Add the fields to the docstring, so that `help` says what they mean."""
        super().__pydantic_init_subclass__(**kwargs)
        fields = [
            f"    {field.alias or name}: {field.description}"
            for name, field in cls.model_fields.items()
        ]
        if fields and cls.__doc__:
            cls.__doc__ = "\n".join(
                [
                    cls.__doc__.rstrip(),
                    "",
                    "    Fields:",
                    *(f"    {line}" for line in fields),
                    "    ",
                ]
            )

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_truth_value(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic would read `true` as the number 1
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
            raise ValueError("expected a number, a word or null, neither true nor false")
        return value

    @classmethod
    def parse(cls, values: Any, *, source: str) -> Self:
        """The values of a mapping, checked.

        Args:
            values: By the names of the fields.
            source: Where they come from, for messages.

        Raises:
            GraphRouterError: `refusal` of the class: `values` is no mapping, a name is unknown or
                missing, or a value is not accepted.
        """
        if not isinstance(values, Mapping):
            raise cls.refusal(
                f"{source}: received {show_value(values)}; expected a mapping of {cls.noun}s."
            )
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise cls.refusal(explain_refusal(error, cls, source=source)) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed; unlike pydantic's, it checks what is changed.

        Raises:
            GraphRouterError: `refusal` of the class: a name is unknown, or a value is not accepted.
        """
        if update is None:
            return super().model_copy(deep=deep)
        names = {name: field.alias or name for name, field in type(self).model_fields.items()}
        given = {name: getattr(self, name) for name in self.model_fields_set} | dict(update)
        return type(self)(**{names.get(name, name): value for name, value in given.items()})

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, hide_login(value) if isinstance(value, str) else value

    def _repr_html_(self) -> str:
        return render_table(self._title(), (self.noun, "value"), _list_given(self))

    def _title(self) -> str:
        """What stands above it in a notebook."""
        return type(self).__name__

    def __setattr__(self, name: str, value: Any) -> None:
        raise self.refusal(
            f"{type(self).__name__}.{name} cannot be changed: the value is frozen. Make another "
            f"with model_copy(update={{{name!r}: ...}})."
        )


class Problem(NamedTuple):
    """The first thing that a settings class refused."""

    key: str
    """Dotted name of the setting, empty when several settings contradict one another."""
    received: Any
    message: str
    is_unknown: bool
    """Whether there is no such setting."""
    is_missing: bool
    """Whether a setting without a default was not given."""


def first_problem(error: ValidationError) -> Problem:
    """What to tell the user of a refused settings object: one thing, in words."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    return Problem(
        key,
        first["input"],
        first["msg"].removeprefix("Value error, "),
        first["type"] == "extra_forbidden",
        first["type"] == "missing",
    )


def explain_refusal(error: ValidationError, kind: type[DocumentedModel], *, source: str) -> str:
    """The first thing that was refused, in one line, with the nearest name for an unknown one."""
    problem = first_problem(error)
    if problem.is_unknown:
        hint = suggest_field(problem.key, kind)
        return f"{source}: unknown {kind.noun} {show_value(problem.key)}. {hint}"
    if problem.is_missing:
        return f"{source}: the {kind.noun} {problem.key!r} is missing; it has no default."
    if not problem.key:
        return f"{source}: {problem.message}."
    received = problem.received
    if problem.key in kind.addresses and isinstance(received, str):
        received = hide_login(received, is_address=True)
    is_read = isinstance(problem.received, bool) and source != kind.__name__
    hint = " YAML reads no, off, yes and on without quotes as that." if is_read else ""
    return (
        f"{source}: {problem.key} = {show_value(received)} is not accepted: "
        f"{problem.message}.{hint}"
    )


def _list_given(values: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Names and values of the fields that were given, those of groups with dots."""
    for name, field in type(values).model_fields.items():
        value = getattr(values, name)
        if isinstance(value, BaseModel):
            yield from _list_given(value, f"{prefix}{name}.")
        elif name in values.model_fields_set:
            shown = hide_login(value) if isinstance(value, str) else value
            yield f"{prefix}{field.alias or name}", shown


def list_fields(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields of a class and of the groups in it, in order."""
    for name, field in kind.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            yield from list_fields(group, f"{prefix}{name}.")
        else:
            yield f"{prefix}{field.alias or name}"


def suggest_field(key: str, kind: type[DocumentedModel]) -> str:
    """What to write in place of an unknown name, a sentence."""
    names = list(list_fields(kind))
    group, _, last = key.rpartition(".")
    groups = list(dict.fromkeys(name.partition(".")[0] for name in names if "." in name))
    if key in groups:
        return f"It is a group: {', '.join(name for name in names if name.startswith(f'{key}.'))}."
    by_last = {name.rpartition(".")[2]: name for name in reversed(names)}
    if last in by_last:  # the right name in the wrong group, or with no group
        return f"Did you mean {by_last[last]!r}?"
    close = difflib.get_close_matches(key, groups, n=1, cutoff=0.75) if not group else []
    close = close or difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    close = close or [
        by_last[name] for name in difflib.get_close_matches(last, list(by_last), n=1, cutoff=0.5)
    ]
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"{kind.noun.capitalize()}s: {', '.join(names)}."
