"""The commands of `graphrouter pool` that change a trained router; nothing is trained again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.inputs import read_card, read_outcomes
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import say_line
from graphrouter.cli.routers import open_to_change, save_router
from graphrouter.wording import count_of, name_some

if TYPE_CHECKING:
    from graphrouter.pool import ModelCard, ModelPool

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of a model of the pool.", show_default=False)
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="ARTIFACT",
        help="Write the changed router here; in place by default.",
        show_default=False,
    ),
]


def add(
    artifact: options.Artifact,
    card: Annotated[
        Path,
        typer.Argument(
            metavar="CARD",
            help="The model's card as .yaml or .json: model, description, prices.",
            show_default=False,
        ),
    ],
    outcomes: Annotated[
        Path | None,
        typer.Option(
            "--outcomes",
            metavar="FILE",
            help="Table with effect and query_id, or prompt (and task); perhaps cost_usd, tokens, "
            "latency_s.",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Forget the older outcomes of the model: it has changed behind its name.",
        ),
    ] = False,
    fill_prices: Annotated[
        bool,
        typer.Option(
            "--fill-prices",
            help="Take prices that the card does not state from the list of genai-prices.",
        ),
    ] = False,
    listed_as: Annotated[
        str | None,
        typer.Option(
            "--listed-as",
            metavar="NAME",
            help="The model's name in that list, MODEL or PROVIDER/MODEL; the card's by default. "
            "Implies --fill-prices.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
) -> None:
    """Add a model, or outcomes to one that is there; it is a candidate from the next prompt on.

    A card alone places a model by its description and price; twenty graded outcomes say far more.
    When the pool has the model already, what the card states is updated, the rest of it stays, and
    the outcomes are added.

    Example: graphrouter pool add artifacts/mine fresh.yaml --outcomes graded.csv
    """
    if replace and outcomes is None:
        raise typer.BadParameter(
            "--replace puts new outcomes in the place of older ones; give them with --outcomes FILE"
        )
    notes: list[str] = []
    wanted = read_card(card)
    if fill_prices or listed_as is not None:
        wanted, note = _fill_prices(wanted, listed_as)
        notes += [note] if note else []
    graded = None if outcomes is None else read_outcomes(outcomes, model=wanted.model)
    with open_to_change(artifact, out) as router:
        with show_working("Placing the model"):
            if wanted.model not in router.pool.index:
                changed = router.add_model(wanted, outcomes=graded)
            else:
                there = router.pool[wanted.model]
                differences = _list_differences(there, wanted)
                changed = router.update_card(_update(there, wanted)) if differences else router
                notes += differences
                if graded is not None:
                    changed = changed.add_outcomes(graded, replace=replace)
        notes += _name_siblings(changed.pool, wanted.model)
        bills = changed.bills.describe(changed.pool.prices).get(wanted.model, ())
        notes += [f"costs: {note}" for note in bills]
        count = 0 if graded is None else len(graded)
        forgotten = (
            "; older ones are forgotten" if replace and wanted.model in router.pool.index else ""
        )
        what = (
            f"{wanted.model} is in the pool of {count_of(len(changed.pool), 'model')}, with "
            f"{count_of(count, 'new outcome')}{forgotten}"
        )
        save_router(changed, out or artifact, what)
    for line in notes:
        say_line(line)


def _name_siblings(pool: ModelPool, model: str) -> list[str]:
    """A line that names the other settings of a model's base, where its card names one."""
    base = pool[model].base
    if base is None:
        return []
    others = [card.model for card in pool if base in (card.base, card.model)]
    shown = name_some([name for name in others if name != model])
    return [f"siblings: {shown or f'none; nobody else is {base} or a setting of it'}"]


def _update(card: ModelCard, stated: ModelCard) -> ModelCard:
    """The card with what the other one states; what it does not state stays."""
    return card.model_copy(update=stated.model_dump(exclude_unset=True))


def _list_differences(card: ModelCard, stated: ModelCard) -> list[str]:
    """A line for every field that an update changes."""
    there = card.model_dump()
    pairs = (
        (name, there.get(name), value)
        for name, value in stated.model_dump(exclude_unset=True).items()
    )
    return [f"{name}: {old!r} -> {new!r}" for name, old, new in pairs if old != new]


def add_task(
    artifact: options.Artifact,
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="Name of the new task.", show_default=False)
    ],
    description: Annotated[
        str | None,
        typer.Option(
            "--description", metavar="TEXT", help="What its queries are about.", show_default=False
        ),
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(
            "--examples",
            metavar="FILE",
            help="Outcomes on its queries: table with model, effect and prompt; perhaps cost_usd, "
            "tokens, latency_s.",
            show_default=False,
        ),
    ] = None,
    out: Out = None,
) -> None:
    """Add a task that the router has never seen, by its description, outcomes, or both.

    The outcomes are on its queries. Afterwards prompts can be routed with its name.

    Example: graphrouter pool add-task artifacts/mine law --description "Questions about contracts."
    --examples graded.csv
    """
    graded = None if examples is None else read_outcomes(examples)
    with open_to_change(artifact, out) as router:
        with show_working("Placing the task"):
            changed = router.add_task(task, description=description, examples=graded)
        count = 0 if graded is None else len(graded)
        save_router(
            changed,
            out or artifact,
            f"{task} is one of {count_of(len(changed.known_tasks), 'task')}, with "
            f"{count_of(count, 'new outcome')}",
        )


def forget_user(
    artifact: options.Artifact,
    user: Annotated[
        str,
        typer.Argument(
            metavar="USER", help="Who asked, as the column user named them.", show_default=False
        ),
    ],
    out: Out = None,
) -> None:
    """Forget a user: queries, outcomes, and what was learned of the user's grades.

    Older versions of the artifact are deleted, since they hold the user too; the dataset that the
    router was trained on, and the store of a gateway, stay as they are. See: graphrouter feedback
    forget-user.

    Example: graphrouter pool forget-user artifacts/mine ann
    """
    with open_to_change(artifact, out) as router:
        changed = router.forget_user(user)
        before, after = (len(each.support.query_table) for each in (router, changed))
        count = count_of(before - after, "query")
        save_router(changed, out or artifact, f"{count} of the user forgotten")
    if out is not None:
        say_line(f"Kept        {artifact} holds the user still. Delete it, or leave --out away.")


def remove(artifact: options.Artifact, model: Model, out: Out = None) -> None:
    """Remove a model and its outcomes.

    Example: graphrouter pool remove artifacts/mine old-model
    """
    with open_to_change(artifact, out) as router:
        changed = router.remove_model(model)
        what = (
            f"{model} is out of the pool; {count_of(len(changed.pool), 'model', 'is', 'are')} left"
        )
        save_router(changed, out or artifact, what)


def set_price(
    artifact: options.Artifact,
    model: Model,
    input_usd_per_mtok: Annotated[
        float,
        typer.Option("--input", help="US dollars per million prompt tokens.", show_default=False),
    ],
    output_usd_per_mtok: Annotated[
        float,
        typer.Option(
            "--output", help="US dollars per million completion tokens.", show_default=False
        ),
    ],
    out: Out = None,
) -> None:
    """Set the prices of a model; the next decision counts with them.

    Example: graphrouter pool set-price artifacts/mine tarn-grand --input 1.5 --output 6
    """
    prices = {"input_usd_per_mtok": input_usd_per_mtok, "output_usd_per_mtok": output_usd_per_mtok}
    with open_to_change(artifact, out) as router:
        changed = router.set_price(model, **prices)
        save_router(
            changed,
            out or artifact,
            f"{model} costs {input_usd_per_mtok:g} and {output_usd_per_mtok:g} USD per million "
            "tokens",
        )


def _fill_prices(card: ModelCard, listed_as: str | None) -> tuple[ModelCard, str]:
    """The card with listed prices where it has none, and a line that says whose they are."""
    from graphrouter.prices import apply_listed_price, find_listed_price

    if card.has_price:
        return card, ""
    listed = find_listed_price(listed_as or card.model)
    filled = apply_listed_price(card, listed)
    prices = (
        f"{filled.input_usd_per_mtok:g} and {filled.output_usd_per_mtok:g} USD per million tokens"
    )
    return (
        filled,
        f"Prices      {prices}; what the card left open is that of {listed.name} in the list "
        f"{listed.source}",
    )
