"""Perturbed prompts: exact small cases, what must never change, and that the seed and the prompt
decide everything."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.evaluation.perturbations import NUM_GIBBERISH_TOKENS, PERTURBATIONS

WORDS = [
    "planet",
    "silver",
    "window",
    "garden",
    "answer",
    "bridge",
    "castle",
    "dinner",
    "engine",
    "flower",
]
CODE = (
    "```python\nfor i in range(9):\n    total += i\n```",
    "`my list`",
    "$a - b = c$",
    "$$\nx + y\n$$",
    r"\(p and q\)",
    r"\frac",
    "https://example.org/some/Page?q=a,b",
    "os.path.join",
    "len(",
    "snake_case",
    "HashMap",
    "NaCl",
)
SPACING, CASES, MARKS = (
    ("double_spaces", "tabs", "line_ends"),
    ("lower_case", "upper_case", "title_case"),
    ("dropped_marks", "doubled_marks"),
)
ADDITIONS = (
    "polite_prefix",
    "role_prefix",
    *(name for name, item in PERTURBATIONS.items() if item.kind == "adversarial"),
)
texts = st.text(max_size=80) | st.lists(
    st.sampled_from([*WORDS, *CODE, "A.", "3.5", "Why?", "well,", '"so"', "\n"])
).map(" ".join)


def perturbed(name: str, prompt: str, *, seed: int = 0) -> str:
    return PERTURBATIONS[name].apply(prompt, seed=seed)


def differing(one: str, other: str) -> list[tuple[str, str]]:
    pairs = zip(one.split(), other.split(), strict=True)
    return [(old, new) for old, new in pairs if old != new]


def test_registry_knows_each_by_its_name_neutral_ones_first() -> None:
    assert all(name == item.name for name, item in PERTURBATIONS.items())
    assert len({item.title for item in PERTURBATIONS.values()}) == len(PERTURBATIONS)
    kinds = [item.kind for item in PERTURBATIONS.values()]
    assert kinds == ["neutral"] * 12 + ["adversarial"] * 5


@pytest.mark.parametrize(
    ("name", "prompt", "expected"),
    [
        ("lower_case", "Is Paris in FRANCE or not? A. Yes", "is paris in france or not? A. yes"),
        ("upper_case", "They've said I'm 'it'", "THEY'VE SAID I'M 'IT'"),
        ("title_case", "they've said i'm 'it'", "They've Said I'm 'It'"),
        ("upper_case", "Let x be a number of Planets", "LET x BE a NUMBER OF PLANETS"),
        ("title_case", "what do YOU think of NaCl", "What Do You Think Of NaCl"),
        (
            "typographic_marks",
            'He said "no", didn\'t he - or not?',
            "He said \u201cno\u201d, didn\u2019t he \u2013 or not?",
        ),
        ("typographic_marks", 'x = {"a": 5 - 3}', 'x = {"a": 5 - 3}'),
        (
            "dropped_marks",
            "Only one mark here: 3.5, e.g. A. or 1,000",
            "Only one mark here 3.5, e.g. A. or 1,000",
        ),
        ("doubled_marks", "Who wrote it?", "Who wrote it??"),
        ("double_spaces", "two words", "two  words"),
        ("tabs", "  two words", "  two\twords"),
    ],
)
def test_small_cases(name: str, prompt: str, expected: str) -> None:
    assert perturbed(name, prompt) == expected


def test_share_of_words_gets_one_typo_each_behind_the_first_letter() -> None:
    prompt = " ".join(WORDS * 10)
    changes = differing(prompt, perturbed("typos", prompt))
    assert len(changes) == 10  # a tenth of a hundred words
    for old, new in changes:
        assert new[0] == old[0]
        assert abs(len(new) - len(old)) <= 1
        if len(new) == len(old):
            assert (
                sorted(new) == sorted(old)
                or sum(a != b for a, b in zip(old, new, strict=True)) == 1
            )


def test_all_four_slips_happen() -> None:
    found = set()
    for seed in range(60):
        [(old, new)] = differing("planet", perturbed("typos", "planet", seed=seed))
        swapped = sorted(new) == sorted(old)
        found.add(
            "swapped"
            if swapped
            else {-1: "dropped", 0: "wrong key", 1: "doubled"}[len(new) - len(old)]
        )
    assert found == {"swapped", "dropped", "wrong key", "doubled"}


def test_half_of_the_spaces_change() -> None:
    prompt = " ".join(WORDS)
    assert perturbed("tabs", prompt).count("\t") == 4  # of 9
    assert perturbed("double_spaces", prompt).count("  ") == 4


def test_hostile_suffix_ends_in_gibberish() -> None:
    claim, _, gibberish = perturbed("hostile_suffix", "Who wrote Faust?").rpartition(". ")
    assert claim.startswith("Who wrote Faust?\n\n")
    assert len(gibberish.split()) == NUM_GIBBERISH_TOKENS
    assert all(3 <= len(token) <= 9 for token in gibberish.split())


@pytest.mark.parametrize("name", PERTURBATIONS)
@pytest.mark.parametrize("code", CODE)
def test_code_formulas_and_names_keep_every_character(name: str, code: str) -> None:
    prompt = (
        f'What does "this" mean, please: {code} and why does it - so to say - matter? Silver '
        "planets, golden gardens."
    )
    changed = perturbed(name, prompt)
    assert code in changed
    assert changed != prompt


@pytest.mark.parametrize("name", ["typos", "upper_case", "double_spaces", "dropped_marks"])
def test_open_fence_reaches_to_the_end(name: str) -> None:
    prompt = "```\nsome words, and more words"
    assert perturbed(name, prompt) == prompt


@pytest.mark.parametrize("name", PERTURBATIONS)
@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_prompt_stays(name: str, blank: str) -> None:
    assert perturbed(name, blank) == blank


@given(texts, st.integers(0, 3))
def test_what_must_stay(prompt: str, seed: int) -> None:
    if not prompt.strip():
        return
    for name in SPACING:
        assert perturbed(name, prompt, seed=seed).split() == prompt.split()
    for name in ADDITIONS:
        assert prompt in perturbed(name, prompt, seed=seed)
        assert len(perturbed(name, prompt, seed=seed)) > len(prompt)
    for name in MARKS:
        assert letters(perturbed(name, prompt, seed=seed)) == letters(prompt)


@given(st.text(st.characters(max_codepoint=126), max_size=80))
def test_case_changes_nothing_but_case(prompt: str) -> None:
    for name in CASES:
        assert perturbed(name, prompt).lower() == prompt.lower()


def letters(text: str) -> str:
    return "".join(character for character in text if character not in ",;:.!?")


@given(texts, st.integers(0, 3))
def test_prompt_and_seed_decide_everything(prompt: str, seed: int) -> None:
    for name in PERTURBATIONS:
        assert perturbed(name, prompt, seed=seed) == perturbed(name, prompt, seed=seed)


def test_other_seeds_and_other_prompts_draw_anew() -> None:
    prompt = " ".join(WORDS * 3)
    assert len({perturbed("typos", prompt, seed=seed) for seed in range(5)}) == 5
    assert len({suffix(WORDS[i : i + 2]) for i in range(5)}) == 5


def suffix(words: Sequence[str]) -> str:
    prompt = " ".join(words)
    return perturbed("hostile_suffix", prompt).removeprefix(prompt)


def test_same_seed_gives_the_same_text_in_every_process() -> None:
    # Python salts hash() anew in each process: a seed drawn from it would show here.
    assert (
        perturbed("typos", "The silver planet crossed the garden window")
        == "The silver planet crssed the garden window"
    )
