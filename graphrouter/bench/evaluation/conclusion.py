"""What an evaluation says in words: is the router worth its place, and what else to use.

Drawn from the paired intervals of three figures: log loss (does it predict better?), and `area_log`
and `reward_balanced` (does it route better?); without costs the reward of performance_first stands
in for the latter two. A baseline is *beaten* in one of the two respects when the evaluated router
is surely better there: an interval excludes zero in its favour, and none to its disadvantage.
Baselines stand in the order of their simplicity, as in the catalogue, so the first that is not
beaten is the simplest to use. Where queries have the outcomes of one model only, choices cannot be
compared: the verdict is then on predictions alone, and recommends nobody. Where a baseline surely
knows something that the router misses, a further sentence says so (see `additions`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from graphrouter.bench.baselines import BASELINES
from graphrouter.bench.baselines.methods.cascades import SEQUENTIAL
from graphrouter.bench.evaluation.additions import find_additions, say_what_is_left
from graphrouter.bench.evaluation.bootstrap import Interval
from graphrouter.bench.evaluation.evaluate import FEWEST_QUERIES
from graphrouter.bench.evaluation.metric_catalogue import METRICS, Metric
from graphrouter.bench.evaluation.results import Evaluation, SettingName, SettingResult
from graphrouter.bench.evaluation.router_output import ORACLE
from graphrouter.wording import count_of

Mark = Literal["better", "worse", ""]
PREDICTION = ("log_loss",)
ROUTING = ("area_log", "reward_balanced")
ROUTING_WITHOUT_COST = ("reward_performance_first",)
NEGLIGIBLE, NEGLIGIBLE_SHARE = 5e-5, 5e-4
"""Smaller differences show as 0: four digits, or a tenth of a per cent."""
_RESPECT = {"predicts": "prediction", "routes": "choice"}
_APPLIES: Mapping[SettingName, str] = {
    "task_known": "Where you name the task of each prompt",
    "task_hidden": "Where you do not name tasks",
}
SPARSE_SHARE = 0.9
"""With a smaller share of queries on which choices can differ, a verdict says so."""
NUM_NAMED = 4
"""Of a longer list of routers only so many are named."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A verdict: one sentence, and what it leaves out."""

    kind: Literal["use_router", "use_baseline", "mixed", "open"]
    """`mixed`: better in one respect, not in the other. `open`: there was nothing to compare
    with, or choices cannot be compared."""
    sentence: str
    details: tuple[str, ...] = ()
    recommended: str | None = None
    """The baseline that does instead; None where none does."""
    applies: str = ""
    """When it applies, where there are two settings; empty where there is one."""

    @property
    def text(self) -> str:
        """All of it in one line."""
        said = " ".join((self.sentence, *self.details))
        return f"{self.applies}: {said}" if self.applies else said


def find_mark(difference: Interval, metric: Metric) -> Mark:
    """Whether a difference is surely better, surely worse, or neither.

    The difference is the evaluated router minus a baseline.

    A difference that is 0 at the digits shown is neither: it may be certain, but nobody would
    notice it.
    """
    if not difference.excludes_zero or abs(difference.value) < (
        NEGLIGIBLE_SHARE if metric.is_share else NEGLIGIBLE
    ):
        return ""
    return "better" if (difference.high < 0) == metric.lower_is_better else "worse"


def find_cascades(names: Collection[str]) -> frozenset[str]:
    """Those of the names that look at answers of the models that they call."""
    return frozenset(
        name
        for name in names
        if name == SEQUENTIAL or (name in BASELINES and BASELINES[name].reads_answers)
    )


def list_rivals(result: SettingResult, sees_outcomes: Collection[str]) -> list[str]:
    """Baselines that could be used instead, simplest first: each method once.

    Args:
        result: Figures of one setting.
        sees_outcomes: Routers that look at outcomes, besides the oracle.
    """
    excluded = {ORACLE, *sees_outcomes, *result.same_as}
    return [name for name in result.paired if name not in excluded]


def list_routing_metrics(result: SettingResult, router: str) -> tuple[str, ...]:
    """Names of the metrics by which the router's choices are measured.

    Empty when it has no figure for any.
    """
    for names in (ROUTING, ROUTING_WITHOUT_COST):
        known = tuple(name for name in names if np.isfinite(result.routers[router][name].value))
        if known:
            return known
    return ()


def conclude(
    evaluation: Evaluation,
    *,
    setting: SettingName = "task_known",
    sees_outcomes: Collection[str] | None = None,
) -> Conclusion:
    """The verdict on the evaluated router in one setting.

    Args:
        evaluation: What was found.
        setting: One of its settings.
        sees_outcomes: Routers that look at outcomes and are therefore never recommended, besides
            the oracle; by default the cascades of the catalogue.
    """
    result, router = evaluation.settings[setting], evaluation.router
    excluded = {
        ORACLE,
        *(find_cascades(result.paired) if sees_outcomes is None else sees_outcomes),
    }
    rivals = list_rivals(result, excluded)
    if not rivals:
        return Conclusion("open", f"{router} was compared with no baseline.")
    num_comparable = evaluation.coverage.num_comparable_queries
    can_choose = num_comparable >= FEWEST_QUERIES
    routing = list_routing_metrics(result, router) if can_choose else ()
    compared = _Compared(result, router, rivals, PREDICTION, routing)
    alternatives = [name for name in rivals if compared.is_equal(name)]
    if not can_choose:
        found = _judge_predictions(compared, evaluation)
    elif alternatives:
        found = _use_baseline(compared, alternatives)
    else:
        found = _use_router(compared)
    details = list(found.details)
    left = say_what_is_left(router, find_additions(result, router, rivals)) if can_choose else None
    if left is not None:
        details.append(left)
    if can_choose and num_comparable < SPARSE_SHARE * evaluation.num_queries:
        details.append(
            f"Choices differ on {num_comparable:,} of "
            f"{count_of(evaluation.num_queries, 'query')} only: the "
            "others have the outcome of one model."
        )
    for name in dict.fromkeys(result.same_as.values()):
        twins = [name, *(twin for twin, first in result.same_as.items() if first == name)]
        details.append(f"One method here, counted once: {join_names(twins, at_most=None)}.")
    left_out = [name for name in result.paired if name in excluded - {ORACLE}]
    if left_out:
        details.append(
            f"Not counted, since {'it looks' if len(left_out) == 1 else 'they look'} at answers: "
            f"{join_names(left_out)}."
        )
    applies = _APPLIES[setting] if len(evaluation.settings) > 1 else ""
    return replace(found, details=tuple(details), applies=applies)


def join_names(names: Sequence[str], *, at_most: int | None = NUM_NAMED) -> str:
    """The names in one phrase.

    Of many, the first few and the count of at least two more. None for `at_most` names them all.

    Example:
        >>> join_names(["knn", "rasch"]), join_names(["a", "b", "c", "d"], at_most=2)
        ('knn and rasch', 'a, b and 2 more')
    """
    shown = (
        list(names)
        if at_most is None or len(names) <= at_most + 1
        else [*names[:at_most], f"{len(names) - at_most} more"]
    )
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


class _Compared(NamedTuple):
    """The evaluated router beside its rivals, in two respects."""

    result: SettingResult
    router: str
    rivals: list[str]
    """Baselines that could be used instead, simplest first."""
    prediction: tuple[str, ...]
    """Metrics of the first respect."""
    routing: tuple[str, ...]
    """Metrics of the second."""

    def stand(self, name: str, metrics: Sequence[str]) -> Mark | None:
        """How the router does against a rival by these metrics.

        None when none of them is known for both.
        """
        known = [m for m in metrics if np.isfinite(self.result.paired[name][m].value)]
        marks = {find_mark(self.result.paired[name][m], METRICS[m]) for m in known} - {""}
        if not known:
            return None
        return marks.pop() if len(marks) == 1 else ""

    def unbeaten(self, metrics: Sequence[str]) -> list[str]:
        """Rivals that the router is not surely better than."""
        return [name for name in self.rivals if self.stand(name, metrics) in ("", "worse")]

    def winners(self, metrics: Sequence[str], among: Sequence[str]) -> list[str]:
        """Rivals that are surely better than the router."""
        return [name for name in among if self.stand(name, metrics) == "worse"]

    def is_equal(self, name: str) -> bool:
        """True when a rival is not beaten in any respect in which both are known."""
        stands = (self.stand(name, self.prediction), self.stand(name, self.routing))
        # A router that only ranks cannot be measured as a predictor; one that never chooses cannot
        # be recommended.
        needed = stands[1] if self.routing else stands[0]
        return needed is not None and "better" not in stands

    def leads(self, name: str, metrics: Sequence[str]) -> bool:
        """True when the router's figure is better than a rival's by every known metric."""
        known = [m for m in metrics if np.isfinite(self.result.paired[name][m].value)]
        return bool(known) and all(
            (self.result.paired[name][m].value < 0) == METRICS[m].lower_is_better
            and self.result.paired[name][m].value != 0
            for m in known
        )

    def figures(self, name: str, metrics: Sequence[str]) -> str:
        """The router's figures against the rival's, as in "log loss 0.4500 against 0.4700".

        Empty where one has none.
        """
        mine, theirs = self.result.routers[self.router], self.result.routers[name]
        shown = [m for m in metrics if np.isfinite([mine[m].value, theirs[m].value]).all()]
        return ", ".join(
            f"{METRICS[m].title} {mine[m].value:.4f} against {theirs[m].value:.4f}" for m in shown
        )

    def next_best(self, metric: str) -> str:
        """The rival with the best figure."""
        sign = 1 if METRICS[metric].lower_is_better else -1
        figures = {name: sign * self.result.routers[name][metric].value for name in self.rivals}
        return min(
            self.rivals, key=lambda name: figures[name] if np.isfinite(figures[name]) else np.inf
        )


def _judge_predictions(compared: _Compared, evaluation: Evaluation) -> Conclusion:
    """The verdict where queries have the outcomes of one model each: on predictions alone."""
    num, num_queries = evaluation.coverage.num_comparable_queries, evaluation.num_queries
    why = (
        f"Choices cannot be compared: {num:,} of {count_of(num_queries, 'query')} have "
        f"outcomes of two "
        f"models or more (at least {FEWEST_QUERIES} are needed), and on the others every choice "
        "earns the same."
    )
    if all(compared.stand(name, compared.prediction) is None for name in compared.rivals):
        return Conclusion("open", why)
    unbeaten = compared.unbeaten(compared.prediction)
    clause = (
        _clause(compared, "predicts", compared.prediction, unbeaten)
        if unbeaten
        else f"predicts better than every baseline{_in_brackets(_nearest(compared, PREDICTION))}"
    )
    return Conclusion("open", why, (f"{compared.router} {clause}.", *_counts(compared)))


def _use_baseline(compared: _Compared, alternatives: list[str]) -> Conclusion:
    """The verdict when a baseline is as good.

    It names the simplest of those that are surely better, or else the simplest at all.
    """
    respects: Mapping[str, tuple[str, ...]] = {
        "predicts": compared.prediction,
        "routes": compared.routing,
    }
    better = [
        name
        for name in alternatives
        if any(compared.stand(name, m) == "worse" for m in respects.values())
    ]
    chosen = (better or alternatives)[0]
    figures = compared.figures(chosen, (*compared.prediction, *compared.routing))
    if better:
        does = " and ".join(
            verb for verb, metrics in respects.items() if compared.stand(chosen, metrics) == "worse"
        )
        sentence = (
            f"Use {chosen} here: it {does} better than {compared.router}{_in_brackets(figures)}."
        )
    else:
        sentence = (
            f"Use {chosen} here: {compared.router} is not surely better on this "
            f"data{_in_brackets(figures)}."
        )
    details = []
    if better and alternatives[0] != chosen:
        details.append(f"{alternatives[0]} is simpler still and not beaten either.")
    others = [name for name in alternatives if name not in (chosen, alternatives[0])]
    if others:
        details.append(f"Not beaten either: {join_names(others)}.")
    return Conclusion("use_baseline", sentence, (*details, *_counts(compared)), chosen)


def _use_router(compared: _Compared) -> Conclusion:
    """The verdict when every baseline is beaten in one respect at least."""
    router = compared.router
    parts = {
        verb: (metrics, compared.unbeaten(metrics))
        for verb, metrics in (("predicts", compared.prediction), ("routes", compared.routing))
        if any(compared.stand(name, metrics) is not None for name in compared.rivals)
    }
    won = {verb: metrics for verb, (metrics, unbeaten) in parts.items() if not unbeaten}
    lost = {verb: part for verb, part in parts.items() if part[1]}
    if not parts:
        return Conclusion("open", f"{router} shares no figure with a baseline.")
    nearest = _in_brackets(*(_nearest(compared, metrics) for metrics in won.values()))
    clauses = " and ".join(
        _clause(compared, verb, metrics, names) for verb, (metrics, names) in lost.items()
    )
    if not lost:
        sentence = f"Use {router} here: it {' and '.join(won)} better than every baseline{nearest}."
        return Conclusion("use_router", sentence)
    if not won:
        sentence = f"No baseline is a match for {router} in both respects, but it {clauses}."
    else:
        sentence = (
            f"{router} {' and '.join(won)} better than every baseline{nearest}, but {clauses}."
        )
    # Measured in one respect alone, somebody simpler may do.
    alone = [
        f"For the {_RESPECT[verb]} alone, {names[0]} does." for verb, (_, names) in lost.items()
    ]
    return Conclusion("mixed", sentence, (*(alone if won else ()), *_counts(compared)))


def _in_brackets(*texts: str) -> str:
    """The texts that say anything, in one pair of brackets and with a space before it."""
    said = "; ".join(text for text in texts if text)
    return f" ({said})" if said else ""


def _nearest(compared: _Compared, metrics: Sequence[str]) -> str:
    """The router's first figure against that of the nearest rival."""
    nearest = compared.next_best(metrics[0])
    return f"{compared.figures(nearest, metrics[:1])} of the next, {nearest}"


def _clause(compared: _Compared, verb: str, metrics: Sequence[str], unbeaten: list[str]) -> str:
    """What the router does not do better, and than whom.

    Those that are surely better come first, then those with a better figure, then the simplest.
    """
    winners = compared.winners(metrics, unbeaten)
    # "No better" must be true of the one that is named: those that are ahead, if only by chance,
    # come before those that are behind, if only by chance.
    ahead = winners or [name for name in unbeaten if not compared.leads(name, metrics)]
    named = (ahead or unbeaten)[0]
    more = len(winners or unbeaten) - 1
    others = f" and {more} more" if more else ""
    figures = _in_brackets(compared.figures(named, metrics))
    if compared.leads(named, metrics):
        return f"does not surely {verb.removesuffix('s')} better than {named}{others}{figures}"
    return f"{verb} {'worse' if winners else 'no better'} than {named}{others}{figures}"


def _counts(compared: _Compared) -> tuple[str, ...]:
    """How many baselines are beaten in each respect.

    Nothing to add where they are few enough to be named.
    """
    if len(compared.rivals) <= NUM_NAMED:
        return ()
    beaten = {
        verb: sum(compared.stand(name, metrics) == "better" for name in compared.rivals)
        for verb, metrics in (("predicts", compared.prediction), ("routes", compared.routing))
        if metrics
    }
    clauses = " and ".join(f"{verb} surely better than {count}" for verb, count in beaten.items())
    return (f"Of {len(compared.rivals)} baselines, {compared.router} {clauses}.",)
