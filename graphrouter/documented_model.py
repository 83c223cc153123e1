"""Named values that refuse unknown names: the base of settings, model cards and policies."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError


class DocumentedModel(BaseModel):
    """A frozen set of named values that refuses unknown names; its help describes every field."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

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


class Problem(NamedTuple):
    """The first thing that a settings class refused."""

    key: str
    """Dotted name of the setting, empty when several settings contradict one another."""
    received: Any
    message: str
    is_unknown: bool
    """Whether there is no such setting."""


def first_problem(error: ValidationError) -> Problem:
    """What to tell the user of a refused settings object: one thing, in words."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    return Problem(
        key,
        first["input"],
        first["msg"].removeprefix("Value error, "),
        first["type"] == "extra_forbidden",
    )
