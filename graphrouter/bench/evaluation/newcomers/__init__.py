"""How well routers know models, or a task, that nobody trained them on.

After more and more outcomes.
"""

from graphrouter.bench.evaluation.newcomers.newcomer_cells import (
    REFERENCE,
    RETRAINED,
    SUGGESTED,
    NewcomerCell,
    NewcomerResult,
)
from graphrouter.bench.evaluation.newcomers.newcomer_page import (
    render_newcomers_html,
    render_newcomers_markdown,
)
from graphrouter.bench.evaluation.newcomers.newcomer_results import NewcomerEvaluation, give_verdict
from graphrouter.bench.evaluation.newcomers.newcomer_run import (
    DEFAULT_ROUTERS,
    NewcomerPlan,
    collect,
    find_failures,
    open_cells,
    plan_newcomers,
    run_cells,
)
from graphrouter.bench.evaluation.newcomers.shots import DEFAULT_SHOTS, parse_shots

__all__ = [
    "DEFAULT_ROUTERS",
    "DEFAULT_SHOTS",
    "REFERENCE",
    "RETRAINED",
    "SUGGESTED",
    "NewcomerCell",
    "NewcomerEvaluation",
    "NewcomerPlan",
    "NewcomerResult",
    "collect",
    "find_failures",
    "give_verdict",
    "open_cells",
    "parse_shots",
    "plan_newcomers",
    "render_newcomers_html",
    "render_newcomers_markdown",
    "run_cells",
]
