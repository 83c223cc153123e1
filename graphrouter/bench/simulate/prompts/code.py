"""Templates of the programming tasks: writing code and reading it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphrouter.bench.simulate.prompts.draft import (
    Draft,
    Facet,
    TaskSpec,
    draw_between,
    join_bullets,
    pick,
    pick_by_level,
    pick_some,
    scale,
)

# Goals go from easy to hard.
_TEXT_GOALS = (
    "counts the vowels of a sentence", "turns a title into a slug", "removes duplicate words but keeps their order",
    "finds the longest word of each line", "swaps first and last names in a list of people", "wraps a paragraph at a given width",
    "converts snake_case keys to camelCase", "parses key=value pairs with quoted values", "aligns the columns of a plain-text table",
    "expands tabs, nested quotes and backslash escapes", "splits a Markdown file into nested sections",
    "diffs two paragraphs word by word", "tokenises arithmetic with unary minus and comments",
    "parses a small templating language with loops and filters", "reformats right-to-left and combining Unicode text",
)  # fmt: skip
_SQL_GOALS = (
    "list all customers of one city", "count the orders of each month", "find products that were never sold",
    "show the newest invoice of every client", "sum the revenue by region and quarter", "find the second highest salary a department",
    "compute a running balance for each account", "find users with three logins in a row", "pivot weekly sales into columns",
    "rank sellers within regions, ties included", "fill the gaps in a daily series", "find overlapping reservations of a room",
    "walk a management hierarchy recursively", "compute retention by signup cohort",
    "sessionise click events with a half-hour gap and attribute revenue to the first touch",
)  # fmt: skip
_ALGORITHM_GOALS = (
    "reverses a list in place", "checks whether brackets are balanced", "finds two numbers with a given sum",
    "merges two sorted lists", "returns the k most frequent items", "rotates a square matrix", "finds the longest common prefix",
    "computes the edit distance of two words", "finds the shortest path in a grid with walls", "evaluates a postfix expression",
    "finds all cycles of a directed graph", "packs intervals into the fewest rooms", "solves a knapsack with dependent items",
    "maintains range sums under updates in logarithmic time", "finds a maximum matching in a bipartite graph",
    "builds a persistent suffix automaton",
)  # fmt: skip
_SHELL_GOALS = (
    "prints the size of each folder", "renames all .jpeg files to .jpg", "deletes log files older than a week",
    "counts the lines of every Python file", "finds the ten largest files", "replaces a word in all configuration files",
    "backs up a folder with a date in the name", "watches a log and reports each new error once",
    "checks which hosts of a list answer on port 443", "rotates archives and keeps one a month",
    "splits a huge CSV by the value of its third column", "retries a flaky command with growing pauses and a lock file",
    "rolls a deployment back when a health check fails, with traps for every signal",
)  # fmt: skip
_WEB_GOALS = (
    "shows a button that counts clicks", "validates an email field while typing", "toggles a dark theme and remembers it",
    "filters a table by a search box", "loads a list with a spinner and an error state", "makes a modal dialog that traps the focus",
    "debounces a search against an API", "renders an accessible date picker", "virtualises a list of 100,000 rows",
    "implements optimistic updates with rollback", "synchronises form state across tabs",
    "streams partial responses and cancels stale ones without a race",
)  # fmt: skip
_CODE_RULES = (
    "Add type annotations.", "Write a docstring with an example.", "Include three unit tests.", "Do not use any library.",
    "It must run in linear time.", "Handle empty input.", "Raise a clear error on bad input.", "Avoid recursion.",
    "Keep memory use constant.", "Make it safe for concurrent callers.", "Support Unicode correctly.", "Explain the complexity.",
    "Keep it under thirty lines.",
)  # fmt: skip
_SQL_RULES = (
    "No subqueries.", "Use window functions.", "It must use an index on the date.", "Treat missing values as zero.", "Comment each step.",
    "Make it portable.", "Include the table definitions.", "No common table expressions.", "Order the result.", "Break ties by name.",
)  # fmt: skip
_SHELL_RULES = (
    "File names may hold spaces.", "Print what would be done first.", "Make every step idempotent.", "Stop at the first error.",
    "Take the folder as an argument.", "Do not call Python or Perl.", "Log to standard error.", "Return distinct exit codes.",
)  # fmt: skip
_VARIABLES = ("total", "count", "acc", "seen", "best", "left", "items", "carry", "score", "depth")
_WORDS = (
    "lantern",
    "maple",
    "orbit",
    "pepper",
    "quartz",
    "saddle",
    "tundra",
    "velvet",
    "walnut",
    "zephyr",
    "banana",
    "kayak",
)


def _writing(
    rng: np.random.Generator,
    level: float,
    openers: Sequence[str],
    *,
    goals: Sequence[str],
    rules: Sequence[str] = _CODE_RULES,
) -> Draft:
    """A programming job: a goal near the level, and more rules to keep the higher it is."""
    goal = pick_by_level(rng, goals, level)
    constraints = pick_some(rng, rules, scale(level, 0, 5) + draw_between(rng, 0, 1))
    style = rng.random()
    listed = join_bullets(constraints) if constraints and style < 0.4 else " ".join(constraints)
    joint = "\n" if listed.startswith("-") else " "
    return Draft(
        f"{pick(rng, openers).format(goal)}{joint}{listed}".strip(),
        110 + 200 * level + 35 * len(constraints),
    )


def _text_code(rng: np.random.Generator, level: float) -> Draft:
    openers = (
        "Write a Python function that {}.",
        "I need Python code which {}.",
        "Python: a function that {}.",
    )
    return _writing(rng, level, openers, goals=_TEXT_GOALS)


def _sql(rng: np.random.Generator, level: float) -> Draft:
    entity = pick(
        rng,
        (
            "a bookshop",
            "a bike rental",
            "a hospital ward",
            "an online game",
            "a parcel service",
            "a gym chain",
        ),
    )
    dialect = pick(rng, ("PostgreSQL", "SQLite", "MySQL", "standard SQL"))
    openers = (
        f"In {dialect}, for the database of {entity}: {{}}.",
        f"Write a {dialect} query for {entity} to {{}}.",
    )
    return _writing(rng, level, openers, goals=_SQL_GOALS, rules=_SQL_RULES)


def _algorithms(rng: np.random.Generator, level: float) -> Draft:
    language = pick(rng, ("Python", "Rust", "Go", "Java", "C++"))
    openers = (
        f"Implement a function in {language} that {{}}.",
        f"Give me {language} code that {{}}.",
        f"{language}: code that {{}}.",
    )
    return _writing(rng, level, openers, goals=_ALGORITHM_GOALS)


def _shell(rng: np.random.Generator, level: float) -> Draft:
    shell = pick(rng, ("Bash", "POSIX shell", "PowerShell"))
    openers = (f"Write a {shell} script that {{}}.", f"I need a {shell} script; it {{}}.")
    return _writing(rng, level, openers, goals=_SHELL_GOALS, rules=_SHELL_RULES)


def _web(rng: np.random.Generator, level: float) -> Draft:
    stack = pick(
        rng,
        (
            "TypeScript and React",
            "plain JavaScript",
            "Vue",
            "Svelte",
            "TypeScript without a framework",
        ),
    )
    openers = (
        f"With {stack}, write a component that {{}}.",
        f"Build this with {stack}: a widget that {{}}.",
    )
    return _writing(rng, level, openers, goals=_WEB_GOALS)


def _ask(rng: np.random.Generator, lines: Sequence[str], *, call: str) -> Draft:
    code = "\n".join(lines)
    ask = pick(
        rng,
        (
            f"What does `{call}` return?",
            f"Predict the value of `{call}`.",
            f"Work out `{call}` by hand.",
            f"What is the result of `{call}`, and why?",
        ),
    )
    after = rng.random() < 0.5
    prompt = f"```python\n{code}\n```\n{ask}" if after else f"{ask}\n```python\n{code}\n```"
    return Draft(prompt, 30 + 14 * len(lines) + (60 if "why" in ask else 0))


def _loops(rng: np.random.Generator, level: float) -> Draft:
    a, b, c = pick_some(rng, _VARIABLES, 3)
    body = [
        f"        {a} += i * {draw_between(rng, 2, 7)}",
        f"        {b} = ({b} + {a}) % {draw_between(rng, 5, 31)}",
        f"        if i % {draw_between(rng, 2, 5)} == {draw_between(rng, 0, 1)}:\n            {c} ^= {a}",
        f"        if {b} > {draw_between(rng, 3, 12)}:\n            continue",
        f"        for j in range(i, {draw_between(rng, 4, 9)}):\n            {c} -= j * {draw_between(rng, 1, 3)}",
        f"        while {c} > {draw_between(rng, 20, 90)}:\n            {c} //= 2",
        f"        {a}, {b} = {b}, {a} - {c}",
    ]
    chosen = [body[0], *pick_some(rng, body[1:], scale(level, 0, 6))]
    lines = [
        "def f(n):",
        f"    {a} = {b} = {c} = {draw_between(rng, 0, 4)}",
        "    for i in range(n):",
        *chosen,
        f"    return {a} + {b} - {c}",
    ]
    return _ask(rng, lines, call=f"f({scale(level, 3, 9) + draw_between(rng, 0, 2)})")


def _recursion(rng: np.random.Generator, level: float) -> Draft:
    step, base = draw_between(rng, 1, 3), draw_between(rng, 1, 3)
    lines = [
        "def g(n, k=1):",
        f"    if n <= {base}:",
        f"        return k + {draw_between(rng, 0, 6)}",
    ]
    branches = [
        f"    if n % {draw_between(rng, 2, 4)} == 0:\n        return g(n // 2, k + {draw_between(rng, 1, 4)}) * {draw_between(rng, 2, 3)}",
        f"    if k > {draw_between(rng, 3, 6)}:\n        return g(n - {step}, {draw_between(rng, 0, 1)}) - n",
        f"    left = g(n - {draw_between(rng, 1, 2)}, k)\n    if left % 2:\n        return left + g(n - {draw_between(rng, 2, 4)}, left % {draw_between(rng, 3, 7)})",
    ]
    lines += pick_some(rng, branches, scale(level, 0, 3))
    lines.append(
        f"    return g(n - {step}, k * {draw_between(rng, 1, 3)}) + {draw_between(rng, 1, 9)}"
    )
    return _ask(rng, lines, call=f"g({scale(level, 4, 12) + draw_between(rng, 0, 3)})")


def _strings(rng: np.random.Generator, level: float) -> Draft:
    word = pick(rng, _WORDS)
    moves = [
        f"    s = s[{draw_between(rng, 1, 3)}:] + s[:{draw_between(rng, 1, 3)}]",
        f"    s = s.replace({pick(rng, word)!r}, {pick(rng, pick(rng, _WORDS))!r})",
        "    s = s[::-1]",
        f"    s = ''.join(c.upper() if i % {draw_between(rng, 2, 4)} else c for i, c in enumerate(s))",
        f"    s = ''.join(sorted(s, key=lambda c: (ord(c) * {draw_between(rng, 3, 17)}) % {draw_between(rng, 7, 29)}))",
        f"    s = ''.join(chr((ord(c) - 97 + {draw_between(rng, 1, 25)}) % 26 + 97) if c.islower() else c for c in s)",
        f"    s = s[::{draw_between(rng, 2, 3)}] + s[{draw_between(rng, 1, 2)}::{draw_between(rng, 2, 3)}]",
    ]
    lines = ["def h(s):", *pick_some(rng, moves, scale(level, 1, 7)), "    return s"]
    return _ask(
        rng, lines, call=f"h({word!r})" if level < 0.7 else f"h({word!r} + {pick(rng, _WORDS)!r})"
    )


def _mappings(rng: np.random.Generator, level: float) -> Draft:
    words = pick_some(rng, _WORDS, scale(level, 3, 7))
    moves = [
        f"    d = {{k: v for k, v in d.items() if v != {draw_between(rng, 3, 8)}}}",
        "    d = {v: k for k, v in d.items()}",
        "    for k in list(d):\n        d.setdefault(str(k)[:1], []) if str(k)[:1] in 'kmo' else d.pop(k, None)",
        f"    d = dict(sorted(d.items(), key=lambda p: str(p[1])[-1])[:{draw_between(rng, 2, 4)}])",
        "    d |= {str(k) * 2: len(str(k)) for k in list(d)[1:]}",
    ]
    lines = [
        "def m(words):",
        "    d = {w: len(w) for w in words}",
        *pick_some(rng, moves, scale(level, 0, 5)),
        "    return list(d.items())",
    ]
    return _ask(rng, lines, call=f"m({words!r})")


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        "code_writing",
        "Write a program, a query or a script from a description; judged by whether it runs and meets every constraint.",
        (
            Facet("text_code", "Python text processing", _text_code),
            Facet("sql", "SQL", _sql),
            Facet("algorithms", "algorithms", _algorithms),
            Facet("shell", "shell scripts", _shell),
            Facet("web", "web components", _web),
        ),
        hardness=0.1,
    ),
    TaskSpec(
        "code_reading",
        "Predict what a short Python function returns for a given input by following it step by step.",
        (
            Facet("loops", "tracing loops", _loops),
            Facet("recursion", "tracing recursion", _recursion),
            Facet("strings", "tracing string operations", _strings),
            Facet("mappings", "tracing dictionaries", _mappings),
        ),
        hardness=0.3,
        spread=1.2,
    ),
)
