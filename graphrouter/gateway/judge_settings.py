"""Judges of answers that nobody has graded: which, of how many, for how much, how far believed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from graphrouter.documented_model import DocumentedModel
from graphrouter.exceptions import ConfigError, GraphRouterError
from graphrouter.files import to_path
from graphrouter.grades import Judge
from graphrouter.judging import ExactMatch, RegexMatch, SchemaMatch
from graphrouter.judging.answer_parts import AnswerJudge
from graphrouter.text_files import read_plain_file
from graphrouter.wording import name_some, show_value, suggest

__all__ = ["JudgeSettings", "load_judges"]

_KINDS = ("model", "schema", "pattern", "expected")


class JudgeSettings(DocumentedModel):
    r"""A judge: a model with a rubric, a JSON schema, a pattern, or expected answers by prompt.

    Example:
        >>> JudgeSettings(name="dates", pattern=r"\d{4}-\d{2}-\d{2}", share=0.1).kind
        'pattern'
    """

    name: str = Field(min_length=1, max_length=100, description="Grades are given as judge:NAME.")
    share: float = Field(
        gt=0, le=1, description="Of the ungraded decisions that it may judge, on average."
    )
    tasks: tuple[str, ...] = Field((), description="Decisions of these tasks alone; all without.")
    reliability: str = Field(
        "rates:0.9,0.1",
        description="How often it passes right and wrong answers, as graphrouter.Judge.parse reads "
        "it, until enough of its answers were graded by others too.",
    )
    after_s: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="Seconds that others have to grade an answer before it is judged.",
    )
    checks: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of its answers that others have graded meanwhile and that are judged "
        "all the same, to learn how reliable it is.",
    )
    model: str | None = Field(None, min_length=1, description="Of the file of upstreams.")
    rubric: str | None = Field(None, min_length=1, description="What a good answer is, in words.")
    usd_per_day: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Dollars that the model may cost on a day."
    )
    json_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="JSON schema that the answer has to fit."
    )
    pattern: str | None = Field(
        None, min_length=1, description="Regular expression to be found in the answer."
    )
    expected: dict[str, str | list[str]] | None = Field(
        None, min_length=1, description="Right answers by prompt; other prompts are not judged."
    )

    @field_validator("reliability")
    @classmethod
    def _can_be_read(cls, text: str) -> str:
        try:
            Judge.parse(text)
        except GraphRouterError as error:
            raise ValueError(str(error)) from None
        return text

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> JudgeSettings:
        stated = [kind for kind in _KINDS if self._find(kind) is not None]
        if len(stated) != 1:
            raise ValueError(f"expected one of {', '.join(_KINDS)}; it states {len(stated)}")
        is_model = self.model is not None
        if is_model != (self.rubric is not None) or is_model != (self.usd_per_day is not None):
            raise ValueError("expected model, rubric and usd_per_day together, or none of them")
        return self

    def _find(self, kind: str) -> Any:
        return self.json_schema if kind == "schema" else getattr(self, kind)

    @property
    def kind(self) -> str:
        """One of model, schema, pattern, expected."""
        return next(kind for kind in _KINDS if self._find(kind) is not None)

    @property
    def grader(self) -> str:
        """Who its grades are of, in the store."""
        return f"judge:{self.name}"

    def may_judge(self, task: str | None, prompt: str | None) -> bool:
        """Whether a decision is one of its own.

        Args:
            task: Of the decision.
            prompt: What was routed by.
        """
        if self.expected is not None and prompt not in self.expected:
            return False
        return not self.tasks or task in self.tasks

    def make_judge(self) -> AnswerJudge | None:
        """The judge of prompt and answer; None for a model, which is asked.

        Raises:
            DataError: Its pattern, schema or what is expected cannot be used.
        """
        if self.json_schema is not None:
            return SchemaMatch(self.json_schema)
        if self.pattern is not None:
            return RegexMatch(self.pattern)
        if self.expected is not None:
            judges = {
                prompt: ExactMatch(right, part="final") for prompt, right in self.expected.items()
            }
            return lambda prompt, answer: judges[prompt](prompt, answer)
        return None


def load_judges(file: str | Path, models: Collection[str]) -> tuple[JudgeSettings, ...]:
    """The judges of a YAML or JSON file: a list of settings under `judges`.

    Args:
        file: YAML, or JSON by its suffix.
        models: Of the file of upstreams.

    Raises:
        ConfigError: There is no such file, or a judge is not accepted.
    """
    path = to_path(file, "a file of judges", ConfigError)
    values = read_plain_file(path, refuse=ConfigError)
    stated = values.get("judges") if isinstance(values, Mapping) and len(values) == 1 else None
    if not isinstance(stated, list) or not stated:
        raise ConfigError(
            f"{path.name} holds {show_value(values)}; expected a list of judges under judges."
        )
    found = [_read(each, f"{path.name}: judge {number}") for number, each in enumerate(stated, 1)]
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{path.name}: two judges are called {name_some(twice)}. Rename one.")
    for each in found:
        if each.model is not None and each.model not in models:
            hint = suggest(each.model, models, "The file has: ")
            raise ConfigError(
                f"{path.name}: {each.model!r} has no address in the file of upstreams. {hint}"
            )
    return tuple(found)


def _read(values: object, where: str) -> JudgeSettings:
    settings = JudgeSettings.parse(values, source=where)
    try:
        settings.make_judge()
    except GraphRouterError as error:
        raise ConfigError(f"{where}: {error}") from None
    return settings
