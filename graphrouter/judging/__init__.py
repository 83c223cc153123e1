"""Judges of answers that need no model: matches, words in common, JSON, tests of code, agreement.

Each is called as `judge(prompt, answer)` and gives a score in [0, 1], as `router.run` takes it. How
far a judge is to be believed, `graphrouter.Judge` says.

Example:
    >>> from graphrouter.judging import NumericMatch
    >>> NumericMatch(42)("6 times 7?", "The answer is **42**.")
    1.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphrouter.lazy import load_lazily

if TYPE_CHECKING:
    from graphrouter.judging.agreement import Agreement, RunningAgreement, agree, read_text, vote
    from graphrouter.judging.answer_parts import AnswerJudge
    from graphrouter.judging.choice_match import ChoiceMatch, read_choice
    from graphrouter.judging.exact_match import ExactMatch, RegexMatch
    from graphrouter.judging.judges_by_prompt import ByPrompt, by_prompt
    from graphrouter.judging.numeric_match import NumericMatch, read_number
    from graphrouter.judging.passes_tests import PassesTests, list_protections
    from graphrouter.judging.schema_match import SchemaMatch
    from graphrouter.judging.word_overlap import Rouge, WordF1

__all__ = [
    "Agreement",
    "AnswerJudge",
    "ByPrompt",
    "ChoiceMatch",
    "ExactMatch",
    "NumericMatch",
    "PassesTests",
    "RegexMatch",
    "Rouge",
    "RunningAgreement",
    "SchemaMatch",
    "WordF1",
    "agree",
    "by_prompt",
    "list_protections",
    "read_choice",
    "read_number",
    "read_text",
    "vote",
]

_MODULE_OF = {
    "Agreement": "graphrouter.judging.agreement",
    "AnswerJudge": "graphrouter.judging.answer_parts",
    "ByPrompt": "graphrouter.judging.judges_by_prompt",
    "ChoiceMatch": "graphrouter.judging.choice_match",
    "ExactMatch": "graphrouter.judging.exact_match",
    "NumericMatch": "graphrouter.judging.numeric_match",
    "PassesTests": "graphrouter.judging.passes_tests",
    "RegexMatch": "graphrouter.judging.exact_match",
    "Rouge": "graphrouter.judging.word_overlap",
    "RunningAgreement": "graphrouter.judging.agreement",
    "SchemaMatch": "graphrouter.judging.schema_match",
    "WordF1": "graphrouter.judging.word_overlap",
    "agree": "graphrouter.judging.agreement",
    "by_prompt": "graphrouter.judging.judges_by_prompt",
    "list_protections": "graphrouter.judging.passes_tests",
    "read_choice": "graphrouter.judging.choice_match",
    "read_number": "graphrouter.judging.numeric_match",
    "read_text": "graphrouter.judging.agreement",
    "vote": "graphrouter.judging.agreement",
}
__getattr__, __dir__ = load_lazily(__name__, _MODULE_OF)
