"""What stands where: the blocks of a section, the same for HTML and Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphrouter.bench.evaluation.budget_curves import BudgetCurve
from graphrouter.bench.evaluation.measures import Unmeasured
from graphrouter.bench.evaluation.promise_trials import PromiseTrial
from graphrouter.bench.evaluation.report.content import Report, Section
from graphrouter.bench.evaluation.report.grids import (
    OUTCOME_MARK,
    Grid,
    build_addition_grid,
    build_call_grid,
    build_chosen_grid,
    build_example_grid,
    build_failed_grid,
    build_figure_grid,
    build_frontier_grid,
    build_loss_grid,
    build_reliability_grid,
    build_single_model_grid,
    build_task_grid,
)
from graphrouter.bench.evaluation.report.on_request_grids import (
    build_budget_grid,
    build_promise_grid,
)
from graphrouter.wording import count_of

SETTING_TITLES = {"task_known": "task known", "task_hidden": "task hidden"}
_WEIGHTS = {
    "performance_first": "only effect counts",
    "balanced": "effect and scaled cost weigh the same",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A headline with what stands below it, in this order."""

    title: str
    text: tuple[str, ...] = ()
    plot: Literal["frontier", "calls", "budgets", "reliability"] | None = None
    grids: tuple[Grid, ...] = ()
    notes: tuple[str, ...] = ()


def name_section(report: Report, section: Section) -> str:
    """Dataset and setting."""
    return f"{report.dataset}, {SETTING_TITLES[section.setting]}"


def lay_out(report: Report, section: Section) -> tuple[Block, ...]:
    """The blocks of one section, below its verdict."""
    return (
        _frontier(report, section),
        *((_calls(report, section),) if section.calls else ()),
        *((_budgets(report, section.budgets),) if section.budgets is not None else ()),
        *((_promises(section.promises),) if section.promises is not None else ()),
        _figures(report, section),
        _additions(report, section),
        _reliability(section),
        _breakdown(report, section),
        _losses(report, section),
        _examples(report, section),
        *((Block("Failed", grids=(build_failed_grid(report.failed),)),) if report.failed else ()),
    )


def _frontier(report: Report, section: Section) -> Block:
    if section.frontiers is None:
        return Block("Effect against cost", (f"No frontier: {section.why_no_frontier}.",))
    text = (
        "Mean effect that each router reaches at a mean cost a query, over all trade-offs between "
        "the two: higher and further "
        "left is better. Points are single models. The shaded range, from the cheapest model's "
        "mean cost to 1.5 times the best "
        "single model's, is that of the area."
    )
    sees, router = section.sees_outcomes, report.router
    grids = (
        build_frontier_grid(section.frontiers, router=router, sees_outcomes=sees),
        build_single_model_grid(section.frontiers),
    )
    return Block("Effect against cost", (text,), "frontier", grids, _outcome_notes(section))


def _calls(report: Report, section: Section) -> Block:
    text = (
        "What plans and cascades reach at a mean cost a query, a point for each trade-off between "
        "effect and cost, and below it how many calls a query that takes. "
        f"{report.router} makes one, whatever the trade-off. A call that was looked at and not "
        "kept counts and is paid for."
    )
    grid = build_call_grid(section.calls, router=report.router, sees_outcomes=section.sees_outcomes)
    return Block("Calls a query", (text,), "calls", (grid,), _outcome_notes(section))


def _budgets(report: Report, curve: BudgetCurve | Unmeasured) -> Block:
    title = "A budget over the batch"
    if isinstance(curve, Unmeasured):
        return Block(title, (f"Not measured: {curve.reason}.",))
    text = (
        f"What {report.router} reaches where all {curve.num_queries:,} queries share a budget, "
        "means a query. A budget is kept by expected costs; spent is what the choices were billed. "
        "Beside it what the dollars spent reach in single calls by one trade-off, with the best "
        "single model on as many queries as they pay for and the cheapest on the others, and with "
        "the best choices that know every outcome and bill. A batch is decided by one price of a "
        "dollar, so it comes close to single calls; what it adds is that expected costs keep the "
        "budget. Differences are paired, in brackets 95 % intervals; ▲ surely above, ▼ surely "
        "below."
    )
    return Block(title, (text,), "budgets", (build_budget_grid(curve),))


def _promises(trials: tuple[PromiseTrial, ...] | Unmeasured) -> Block:
    title = "Promises"
    if isinstance(trials, Unmeasured):
        return Block(title, (f"Not measured: {trials.reason}.",))
    first = trials[0]
    text = (
        "The cheapest trade-off that keeps a share of the effect of the best single model, "
        f"promised at a confidence of {first.confidence:.0%} by one half of "
        "the graded queries and held against the other half, "
        f"{count_of(first.num_tested, 'query')}: the share of effect that was kept there and the "
        "share of cost that was saved, with 95 % intervals. ▼ marks a promise that is surely "
        "broken."
    )
    coverage = (
        "How often such a promise is broken: the calibrating half stands for all queries there "
        f"are, {first.coverage.num_samples} samples of {first.coverage.num_queries:,} of its "
        "queries for the graded ones. Without a test is the cheapest trade-off that keeps the "
        "share on a sample."
    )
    refused = [f"{each.keep:.0%}: {each.refusal}" for each in trials if each.refusal is not None]
    excluded = (
        (f"Ruled out, since few queries have outcomes of them: {', '.join(first.excluded)}.",)
        if first.excluded
        else ()
    )
    notes = (*refused, *excluded)
    return Block(title, (text, coverage), grids=(build_promise_grid(trials),), notes=notes)


def _figures(report: Report, section: Section) -> Block:
    text = (
        f"Below each figure the difference {report.router} minus that router, on the same "
        "queries; in brackets 95 % intervals. "
        f"▲ {report.router} is surely better, ▼ surely worse: the interval of the difference "
        "excludes zero. Where nothing "
        "differs, one mark in twenty still comes by chance."
    )
    sees, router = section.sees_outcomes, report.router
    grids = (
        build_figure_grid(
            section.headline, caption="Main figures", router=router, sees_outcomes=sees
        ),
        build_figure_grid(
            section.others,
            caption="All other figures",
            router=router,
            sees_outcomes=sees,
            is_folded=True,
        ),
    )
    notes = dict.fromkeys(
        (
            *_outcome_notes(section),
            *section.headline.notes[1:],
            *section.others.notes[1:],
            *section.gaps,
        )
    )
    return Block("Figures", (text,), None, grids, tuple(notes))


def _additions(report: Report, section: Section) -> Block:
    title = "What is left"
    if not section.additions:
        return Block(title, (section.what_is_left,))
    text = (
        "What tells models apart on a prompt are deviations: what is left of an outcome without "
        "the level of the model in the task and the ease of the prompt for all. Deviation R2 is "
        f"the share of them that is predicted. Where the deviations of {report.router} are "
        "averaged with those of a baseline, it gains what the baseline knows and it does not. "
        "▼ marks what is surely left: an interval above zero, at least .0005 and a tenth of what "
        f"{report.router} explains."
    )
    grid = build_addition_grid(section.additions, router=report.router)
    return Block(title, (section.what_is_left, text), grids=(grid,))


def _reliability(section: Section) -> Block:
    if not section.reliability:
        return Block("Reliability", ("Nobody here predicts an effect.",))
    text = (
        "What happened where a router expected a given effect: on the diagonal its "
        "expectations can be taken at their word."
    )
    return Block(
        "Reliability",
        (text,),
        "reliability",
        (build_reliability_grid(section.reliability, shown=section.shown_first),),
    )


def _breakdown(report: Report, section: Section) -> Block:
    presets = "; ".join(f"{each.preset}: {_WEIGHTS[each.preset]}" for each in section.breakdowns)
    counts = " Choices are counted over all splits together." if report.num_splits > 1 else ""
    text = f"What {report.router} reaches where, and which models it chooses ({presets}).{counts}"
    grids = tuple(
        grid(each, router=report.router)
        for each in section.breakdowns
        for grid in (build_task_grid, build_chosen_grid)
    )
    return Block("By task and by model chosen", (text,), grids=grids)


def _losses(report: Report, section: Section) -> Block:
    title = f"Where {report.router} loses"
    if not section.rivals:
        return Block(title, ("There is no baseline to lose to.",))
    rivals = " and ".join(section.rivals)
    if not section.losses:
        return Block(
            title,
            (
                f"Nowhere: in no task and with no model chosen has {rivals} more reward "
                f"({section.loss_preset}).",
            ),
        )
    text = (
        f"Tasks and chosen models with a lower mean reward ({section.loss_preset}) than "
        f"{rivals} on the same queries, the "
        "largest total first. ▼ marks losses whose interval excludes zero; the others may be "
        "luck. Groups of fewer than "
        "ten queries have no interval."
    )
    return Block(title, (text,), grids=(build_loss_grid(section.losses),))


def _examples(report: Report, section: Section) -> Block:
    if not section.examples:
        return Block(
            "Examples",
            (f"On no query did another model do better than the choice of {report.router}.",),
        )
    text = (
        f"Queries on which {report.router} lost most reward ({section.loss_preset}) to the best "
        "choice; of equals, those that "
        "most models get right."
    )
    return Block("Examples", (text,), grids=(build_example_grid(section.examples),))


def _outcome_notes(section: Section) -> tuple[str, ...]:
    return (
        f"{OUTCOME_MARK.strip()} looks at outcomes that nobody has in advance (oracle), or at "
        "answers (cascades).",
    )
