"""`graphrouter feedback`: what graders have said, as a dataset or in an artifact."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from graphrouter.cli import options
from graphrouter.cli.render import say
from graphrouter.cli.stores import open_store
from graphrouter.wording import count_of, name_some

app = typer.Typer(help="Graded answers of a gateway's store.", no_args_is_help=True)


@app.command()
def export(
    store: options.StorePlace,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DATASET", help="Folder to write.", show_default=False),
    ],
) -> None:
    """Write the graded answers as a dataset: queries, models, outcomes and tasks.

    Grades whose prompt is not known, those of models that have changed since, and those with a
    context or an embedding that cannot be read are left out and counted.

    Example: graphrouter feedback export graphrouter.db --out data/graded
    """
    with open_store(store, "graphrouter feedback", must_exist=True) as opened:
        from graphrouter.gateway.store.feedback_dataset import read_feedback

        with opened.reader.connect() as connection:
            found = read_feedback(connection)
    found.dataset.save(out)
    left = "".join(
        f", {count_of(number, 'grade')} {why} left out"
        for number, why in (
            (found.num_unknown, "without their prompts"),
            (found.num_outdated, "of models before they changed"),
            (
                len(found.unreadable),
                f"with a context or embedding that cannot be read ({name_some(found.unreadable)})",
            ),
        )
        if number
    )
    say(f"Wrote {count_of(len(found.dataset.outcomes), 'outcome')} to {out}{left}.")


@app.command()
def apply(store: options.StorePlace, artifact: options.Artifact) -> None:
    """Add the graded answers to an artifact, so that gateways need not learn them when they start.

    What the artifact has learned from the store before is not added again.

    Example: graphrouter feedback apply graphrouter.db artifacts/mine
    """
    with open_store(store, "graphrouter feedback", must_exist=True) as opened:
        from graphrouter.gateway.memory import name_artifact
        from graphrouter.gateway.store.feedback_learner import (
            read_applied,
            teach_since,
            write_applied,
        )
        from graphrouter.gateway.store.stored_outcomes import read_lessons
        from graphrouter.router.loading import change_router

        with opened.reader.connect() as connection:
            after = read_applied(connection, name_artifact(artifact))
            lessons = read_lessons(connection, after=after)
            if not lessons.empty:
                change_router(artifact, lambda router: teach_since(router, connection, after))
        if not lessons.empty:
            write_applied(opened, name_artifact(artifact), int(lessons["number"].max()))
    say(f"{artifact} has learned {count_of(len(lessons), 'graded answer')}.")


@app.command("forget-user")
def forget_user(
    store: options.StorePlace,
    user: Annotated[
        str,
        typer.Argument(metavar="USER", help="As the grades named them.", show_default=False),
    ],
) -> None:
    """Delete the grades of a user and the prompts that they were of; decisions and costs stay.

    What an artifact has learned of the user goes by: graphrouter pool forget-user. Gateways that
    run know the user until they are started again.

    Example: graphrouter feedback forget-user graphrouter.db ann
    """
    with open_store(store, "graphrouter feedback", must_exist=True) as opened:
        from graphrouter.gateway.store import retention

        count = retention.forget_user(opened, user)
    say(f"{count_of(count, 'grade')} deleted.")


@app.command("delete-prompts")
def delete_prompts(
    store: options.StorePlace,
    older_than: Annotated[
        float,
        typer.Option(
            "--older-than",
            min=0,
            metavar="DAYS",
            help="Those that came more than so many days ago; 0 for all.",
            show_default=False,
        ),
    ],
) -> None:
    """Delete texts of prompts and their hashes; decisions, costs and grades stay.

    A grade whose prompt is gone teaches no router that is read from then on, so apply them first.

    Example: graphrouter feedback delete-prompts graphrouter.db --older-than 30
    """
    with open_store(store, "graphrouter feedback", must_exist=True) as opened:
        from graphrouter.gateway.store import retention

        count = retention.delete_prompts(opened, time.time() - older_than * retention.DAY_S)
    say(f"{count_of(count, 'prompt')} deleted.")
