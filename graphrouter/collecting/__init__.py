"""Collecting graded answers: prompts times pool, within an allowance, never paid twice.

`collect` is what `graphrouter collect` runs. Judges are in `collecting_judges` (by what is expected
of a prompt, or a function), `rubric_judge` (a language model) and `people` (in the terminal, or on
a page).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.collecting.collecting_judges import ExpectedJudge, FunctionJudge
    from graphrouter.collecting.collection import Collected, Limits, Progress, collect
    from graphrouter.collecting.prompt_table import PromptRow, read_prompt_table, read_prompts
    from graphrouter.collecting.rubric_judge import RubricJudge

__all__ = [
    "Collected",
    "ExpectedJudge",
    "FunctionJudge",
    "Limits",
    "Progress",
    "PromptRow",
    "RubricJudge",
    "collect",
    "read_prompt_table",
    "read_prompts",
]

_MODULE_OF = {
    "Collected": "graphrouter.collecting.collection",
    "ExpectedJudge": "graphrouter.collecting.collecting_judges",
    "FunctionJudge": "graphrouter.collecting.collecting_judges",
    "Limits": "graphrouter.collecting.collection",
    "Progress": "graphrouter.collecting.collection",
    "PromptRow": "graphrouter.collecting.prompt_table",
    "RubricJudge": "graphrouter.collecting.rubric_judge",
    "collect": "graphrouter.collecting.collection",
    "read_prompt_table": "graphrouter.collecting.prompt_table",
    "read_prompts": "graphrouter.collecting.prompt_table",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
