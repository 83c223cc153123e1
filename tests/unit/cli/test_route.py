"""`graphrouter route`: the choice, what is shown of it, and the policies that the options make."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.bench.simulate.simulation import Simulation
from graphrouter.cli.render import choose_usd_form, shorten, show_decision
from graphrouter.config import TrainConfig
from graphrouter.data import RoutingDataset
from graphrouter.decision import Candidate, Decision, Evidence
from graphrouter.policy import Policy
from graphrouter.router.graph_router import GraphRouter

Invoke = Callable[..., tuple[int, str, str]]
PROMPT = "Translate 'good morning' into French."


def test_shows_the_choice_the_candidates_and_the_evidence(
    invoke: Invoke, artifact: Path, router: GraphRouter
) -> None:
    decision = router.route(PROMPT)
    status, shown, errors = invoke("route", artifact, PROMPT)
    assert (status, errors) == (0, "")
    assert shown.startswith(
        f"{decision.model}\n  expected effect {decision.effect:.3f} "
        f"({decision.effect_low:.2f}-{decision.effect_high:.2f}), "
    )
    assert all(model in shown for model in router.models)
    assert "Candidates (4 of 4)" in shown
    assert "0.5 x effect - 0.5 x scaled cost" in shown
    for item in decision.evidence:
        assert f"{item.similarity:.2f}" in shown
        assert f" of {len(item.effects)} solved it" in shown


def test_json_is_the_decision(invoke: Invoke, artifact: Path, router: GraphRouter) -> None:
    status, shown, errors = invoke(
        "route", artifact, PROMPT, "--task", "translation", "--preset", "cost_first", "--json"
    )
    assert (status, errors) == (0, "")
    decision = router.route(PROMPT, task="translation", policy=Policy.preset("cost_first"))
    found = json.loads(shown)
    assert found["model"] == decision.model
    assert found["cost_usd"] == pytest.approx(decision.cost_usd)
    assert [c["model"] for c in found["candidates"]] == [c.model for c in decision.candidates]
    assert [e["query_id"] for e in found["evidence"]] == [e.query_id for e in decision.evidence]
    assert found["policy"] == {"effect_weight": 0.2, "cost_weight": 0.8}


@pytest.mark.parametrize("text", ["", "one\ntwo\n", "x" * 100_000])
def test_a_prompt_from_standard_input(
    invoke: Invoke, artifact: Path, router: GraphRouter, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    status, shown, _ = invoke("route", artifact, "-", "--json")
    assert status == 0
    assert json.loads(shown)["effect"] == pytest.approx(router.route(text).effect, abs=1e-9)


def test_a_prompt_that_no_context_holds_is_refused(
    invoke: Invoke, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x" * 10_000_000))
    status, shown, errors = invoke("route", artifact, "-")
    assert (status, shown, errors.count("\n")) == (2, "", 1)
    assert "context of" in errors


def test_top_limits_what_is_shown(invoke: Invoke, artifact: Path) -> None:
    assert "Candidates (2 of 4)" in invoke("route", artifact, PROMPT, "--top", 2)[1]


def test_options_rule_models_out_and_say_why(
    invoke: Invoke, artifact: Path, router: GraphRouter
) -> None:
    first, second, *_ = router.models
    _, shown, _ = invoke(
        "route", artifact, PROMPT, "--exclude", first, "--exclude", second, "--json"
    )
    found = {c["model"]: c["rejected"] for c in json.loads(shown)["candidates"]}
    assert found[first] == found[second] == "in excluded"
    assert (
        json.loads(invoke("route", artifact, PROMPT, "--allow", second, "--json")[1])["model"]
        == second
    )
    assert "in excluded" in invoke("route", artifact, PROMPT, "--exclude", first)[1]


def test_nobody_satisfies_the_policy(invoke: Invoke, artifact: Path, router: GraphRouter) -> None:
    status, shown, errors = invoke("route", artifact, PROMPT, "--max-cost-usd", 0)
    assert (status, shown) == (2, "")
    assert errors.startswith("Error: No model satisfies the policy (")
    assert errors.count("\n") == 1
    last = router.models[-1]
    status, shown, _ = invoke(
        "route", artifact, PROMPT, "--max-cost-usd", 0, "--fallback", last, "--top", 1
    )
    assert status == 0
    assert shown.startswith(f"{last}\n")
    assert "This is the fallback" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--exclude", "gpt-none"], "'gpt-none', which is not in the pool"),
        (["--min-effect", "1.5"], "min_effect = 1.5"),
        (["--preset", "cheap"], "'cheap' is not one of"),
        (["--preset", "balanced", "--cost-weight", "1"], "both say what is maximised"),
        (["--effect-weight", "0", "--cost-weight", "0"], "both 0"),
    ],
)
def test_bad_policies_are_one_line(
    invoke: Invoke, artifact: Path, words: list[str], message: str
) -> None:
    status, shown, errors = invoke("route", artifact, PROMPT, *words)
    assert (status, shown) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1


def test_an_unknown_task_is_said(invoke: Invoke, artifact: Path) -> None:
    status, shown, errors = invoke("route", artifact, PROMPT, "--task", "translatoin", "--json")
    assert status == 0
    assert errors.startswith("Warning: The router has never seen the task 'translatoin'")
    assert "Did you mean 'translation'?" in errors
    assert shown == invoke("route", artifact, PROMPT, "--json")[1]


def test_a_router_without_costs_says_so(
    invoke: Invoke, simulation: Simulation, fast_config: TrainConfig, tmp_path: Path
) -> None:
    data = simulation.data
    effects = RoutingDataset.from_frames(
        queries=data.queries,
        models=data.models[["model"]],
        outcomes=data.outcomes[["query_id", "model", "effect"]],
        tasks=data.tasks,
    )
    GraphRouter.fit(effects, fast_config).save(tmp_path / "a")
    status, shown, errors = invoke("route", tmp_path / "a", PROMPT)
    assert status == 0
    assert "cost unknown" in shown
    assert "policy: the highest expected effect" in shown
    assert "USD/call" not in shown
    assert (
        errors
        == "Warning: This router cannot predict any cost; routing by expected effect alone.\n"
    )
    status, shown, errors = invoke("route", tmp_path / "a", PROMPT, "--preset", "balanced")
    assert (status, shown) == (2, "")  # a policy that was asked for is not replaced
    assert "cannot predict any" in errors


def test_risk_and_a_safe_model(invoke: Invoke, artifact: Path, router: GraphRouter) -> None:
    words = ("--preset", "performance_first", "--risk", "upper")
    found = json.loads(invoke("route", artifact, PROMPT, *words, "--json")[1])
    ends = {
        c["model"]: (c["effect_low"], c["effect"], c["effect_high"]) for c in found["candidates"]
    }
    assert all(low <= effect <= high for low, effect, high in ends.values())
    assert found["model"] == max(ends, key=lambda model: ends[model][2])
    assert (found["effect_low"], found["effect_high"]) == ends[found["model"]][::2]
    assert found["policy"]["risk"] == "upper"
    safe = next(model for model in router.models if model != found["model"])
    status, shown, _ = invoke(
        "route", artifact, PROMPT, *words, "--safe-model", safe, "--max-doubt", 0
    )
    assert status == 0
    assert shown.startswith(f"{safe}\n")
    assert f"This is the safe model: too little is known of {found['model']}, " in " ".join(
        shown.split()
    )
    low, effect, high = ends[safe]
    assert f"{effect:.3f} ({low:.2f}-{high:.2f})" in shown
    assert "effect (80 %)" in shown
    assert f"familiarity {found['familiarity']:.2f}" in shown
    status, shown, _ = invoke(
        "route", artifact, "请用简单的语言解释量子力学中的不确定性原理。", *words,
        "--safe-model", safe, "--min-familiarity", 0.05, "--max-doubt", 1,
    )  # fmt: skip
    assert status == 0
    assert shown.startswith(f"{safe}\n")
    assert "familiarity 0.00: unlike the solved prompts" in shown
    assert "This is the safe model: the prompt is less familiar than 0.05." in shown
    status, shown, errors = invoke("route", artifact, PROMPT, "--risk", "high")
    assert (status, shown) == (2, "")
    assert "'lower', 'expected', 'upper'" in errors


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.00012, 0.5], ["0.00012", "0.50000"]),
        ([3.0, 1250.0], ["3.00", "1,250.00"]),
        ([None, 0.0, 0.02], ["0.020"]),
        ([], []),
        ([1e-12], ["0.00000000"]),
    ],
)
def test_dollars_are_comparable_and_never_scientific(
    values: list[float | None], shown: list[str]
) -> None:
    form = choose_usd_form(values)
    assert [format(value, form) for value in values if value] == shown


@given(st.text(), st.integers(min_value=8, max_value=80))
def test_one_line_is_printable_and_short(text: str, width: int) -> None:
    shown = shorten(text, width)
    assert len(shown) <= width
    assert shown.isprintable()


def test_one_line_marks_what_was_cut() -> None:
    assert shorten("a  b\x1b[31m\nc", 20) == "a b [31m c"
    assert shorten("abcdefghij", 8) == "abcde..."
    assert shorten("x" + " " * 1000, 8) == "x..."


def decision_with(effects: dict[str, float]) -> Decision:
    candidates = tuple(
        Candidate(model, 0.5, None, None, None, 0.5) for model in ("[red]a", "b", "c", "d")
    )
    evidence = (Evidence("q", "a [bold]prompt[/bold]", None, 0.5, effects),)
    return Decision("[red]a", 0.5, None, candidates, evidence)


@pytest.mark.parametrize(
    ("share", "line"),
    [(1.0, ""), (0.5, "half by the models' levels"), (0.0, "by the models' levels in the task")],
)
def test_a_choice_by_levels_says_so(
    capsys: pytest.CaptureFixture[str], share: float, line: str
) -> None:
    decision = dataclasses.replace(decision_with({"b": 1.0}), deviation_share=share)
    show_decision(decision, "anything", top=3)
    shown = capsys.readouterr().out
    assert line in shown
    assert ("levels" in shown) == (share < 1)


@pytest.mark.parametrize(
    ("effects", "line"),
    [
        ({"[red]a": 1.0, "b": 0.0, "c": 0.5}, "2 of 3 solved it: [red]a, c\n"),
        (
            {"[red]a": 0.49, "b": 1.0, "c": 1.0, "d": 1.0},
            "3 of 4 solved it: b, c, d; [red]a did not\n",
        ),
        ({"b": 1.0}, "1 of 1 solved it: b; [red]a was not run\n"),
        ({"[red]a": 0.0}, "0 of 1 solved it; [red]a did not\n"),
    ],
)
def test_evidence_says_who_solved_it(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    effects: dict[str, float],
    line: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    show_decision(decision_with(effects), "anything", top=3)
    shown = "\n".join(text.rstrip() for text in capsys.readouterr().out.splitlines()) + "\n"
    assert f"-> {line}" in shown
    assert "a [bold]prompt[/bold]" in shown


def test_the_fallback_is_shown_even_below_the_top(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    decision = decision_with({})
    candidates = tuple(
        replace(c, utility=None, rejected=f"no {c.model}") for c in decision.candidates
    )
    show_decision(
        replace(decision, model="d", candidates=candidates, used_fallback=True), "anything", top=1
    )
    shown = capsys.readouterr().out
    assert "Candidates (2 of 4)" in shown
    assert "(d: no d)" in shown
    assert "no b" not in shown


@pytest.fixture(scope="module")
def stating(router: GraphRouter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact whose cards state a region and watt hours; the last one only a region."""
    changed = router
    for i, card in enumerate(router.pool):
        more = {"region": "eu" if i % 2 else "us", "energy_wh": 0.5 * (i + 1)}
        more |= {"energy_wh": None} if i == len(router.pool) - 1 else {}
        changed = changed.update_card(card.model_copy(update=more))
    changed.save(folder := tmp_path_factory.mktemp("stating") / "artifact")
    return folder


def test_costs_beyond_dollars_and_the_moment(
    invoke: Invoke, stating: Path, router: GraphRouter, tmp_path: Path
) -> None:
    first, second, third, last = router.models
    words = ("--usd-per-effect", "0.1", "--usd-per-second", "0.001", "--penalty", "energy_wh=0.02")
    now = ("--extra-latency", f"{first}=1000", "--unavailable", third)
    status, shown, errors = invoke("route", stating, PROMPT, *words, *now, "--json")
    assert (status, errors) == (0, "")
    found = json.loads(shown)
    assert found["model"] == second
    assert found["parts"]["penalties"] == {"energy_wh": pytest.approx(0.02)}
    assert found["parts"]["seconds"] > 0
    rejected = {c["model"]: c["rejected"] for c in found["candidates"] if c["rejected"]}
    assert rejected == {third: "unavailable now", last: "card does not state energy_wh"}
    assert next(c["latency_s"] for c in found["candidates"] if c["model"] == first) > 1000

    file = tmp_path / "policy.yaml"
    file.write_text("usd_per_effect: 0.1\nusd_per_second: 0.001\npenalties: {energy_wh: 0.02}\n")
    status, again, _ = invoke("route", stating, PROMPT, "--policy", file, *now, "--json")
    assert json.loads(again) == found
    shown = invoke("route", stating, PROMPT, *words, *now)[1]
    assert "a second costs 0.001 USD; less 0.02 a unit of energy_wh" in shown
    assert f"utility {found['candidates'][0]['utility']:.4f}: effect " in shown
    status, shown, _ = invoke("route", stating, PROMPT, "--require", "region=eu", "--json")
    assert status == 0
    assert json.loads(shown)["model"] in (second, last)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--require", "regoin=eu"), "no card of the pool states; expected a field that one does."),
        (("--require", "taste"), "requires.0 = 'taste' is not accepted"),
        (("--penalty", "energy_wh"), "penalties received 'energy_wh'; expected NAME=VALUE"),
        (("--penalty", "energy_wh=-1"), "penalties.energy_wh = '-1' is not accepted"),
        (("--penalty", "watts=1"), "penalties names the field 'watts', which no card of the pool"),
        (("--penalty", "region=1"), "states the text 'us' there; expected a number"),
        (("--usd-per-second", "-1"), "usd_per_second = -1.0 is not accepted"),
        (("--extra-latency", "grand"), "--extra-latency received 'grand'; expected a model and it"),
        (("--extra-latency", "x=soon"), "--extra-latency received 'x=soon'; expected a model and"),
        (("--extra-latency", "nobody=1"), "extra_latency_s names 'nobody', which is not in the po"),
        (("--unavailable", "nobody"), "unavailable names 'nobody', which is not in the pool"),
    ],
)
def test_bad_words_are_one_line(
    invoke: Invoke, stating: Path, words: tuple[str, ...], message: str
) -> None:
    status, shown, errors = invoke("route", stating, PROMPT, *words)
    assert (status, shown, errors.count("\n")) == (2, "", 1)
    assert message in errors


@pytest.mark.parametrize(
    "words",
    [
        ("--usd-per-effect", "0.1", "--preset", "cost_first"),
        ("--usd-per-effect", "0.1", "--cost-weight", "0.3"),
        ("--min-effect", "0.1", "--effect-weight", "0.3"),
        ("--min-effect", "0.1", "--preset", "balanced"),
        ("--preset", "balanced", "--cost-weight", "0.3"),
        ("--policy", "p.yaml", "--preset", "cost_first"),
        ("--policy", "p.yaml", "--cost-weight", "0.3"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("command", ["route", "assign", "promise"])
def test_two_settings_that_both_say_what_is_maximised_are_refused(
    invoke: Invoke,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("usd_per_effect: 0.01\n", encoding="utf-8")
    rest = {"route": [PROMPT], "assign": ["p.txt", "--budget-usd", "1"], "promise": ["data"]}
    status, shown, errors = invoke(command, artifact, *rest[command], *words)
    assert (status, shown) == (2, "")
    assert "both say what is maximised" in errors
    assert ("p.yaml and the options: " in errors) == ("p.yaml" in words)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("usd_per_effect: -1\n", (), "p.yaml: usd_per_effect = -1 is not accepted"),
        ("usd_per_efect: 1\n", (), "p.yaml: unknown setting 'usd_per_efect'. Did you mean"),
        ("preset: cheap\n", (), "p.yaml: unknown preset 'cheap'"),
        ("max_doubt: 0.2\n", (), "p.yaml: max_doubt says when a safe model is taken"),
        ("usd_per_effect: 1\nmin_effect: 1\n", ("--allow", "x"), "p.yaml: min_effect takes"),
        ("excluded: [nobody]\n", (), "p.yaml: The policy names 'nobody', which is not in the po"),
        ("max_cost_usd: 1\n", ("--max-cost-usd", "2"), "p.yaml sets max_cost_usd, and the opti"),
    ],
)
def test_what_is_wrong_in_a_file_of_settings_names_the_file(
    invoke: Invoke,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(text, encoding="utf-8")
    status, shown, errors = invoke("route", artifact, PROMPT, "--policy", "p.yaml", *options)
    assert (status, shown) == (2, "")
    assert errors.startswith(f"Error: {message}")
