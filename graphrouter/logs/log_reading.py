"""A log in any form that is known, as a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from graphrouter.exceptions import DataError
from graphrouter.logs.answer_tables import read_answer_table
from graphrouter.logs.chat_logs import read_chat_log
from graphrouter.logs.helicone_logs import read_helicone_log
from graphrouter.logs.langfuse_logs import read_langfuse_log
from graphrouter.logs.litellm_logs import SPEND_TABLE, read_litellm_log
from graphrouter.logs.log_dataset import ConvertedLog, TaskSource, assemble_log
from graphrouter.logs.log_records import is_database, read_records
from graphrouter.logs.logged_calls import LoggedCall, LogReader, Record, SkippedCall, parse_member
from graphrouter.logs.masking import Mask, mask_call
from graphrouter.logs.mlflow_logs import is_tracking_server, read_mlflow_log, search_traces
from graphrouter.wording import suggest

__all__ = ["LOG_FORMS", "find_form", "read_log"]

LOG_FORMS: Mapping[str, LogReader] = MappingProxyType(
    {
        "openai": read_chat_log,
        "anthropic": read_chat_log,
        "litellm": read_litellm_log,
        "langfuse": read_langfuse_log,
        "mlflow": read_mlflow_log,
        "helicone": read_helicone_log,
        "table": read_answer_table,
    }
)
"""How the records of each form are read, by its name."""


_MARKS: Mapping[str, tuple[frozenset[str], ...]] = MappingProxyType(
    {
        "litellm": (frozenset({"custom_llm_provider"}), frozenset({"model_group"})),
        "helicone": (frozenset({"request_body", "response_status"}),),
        "mlflow": (frozenset({"info", "data"}),),
        "langfuse": (
            *(frozenset({each, "input"}) for each in ("traceId", "trace_id")),
            *(frozenset({each, "observations"}) for each in ("trace", "scores")),
        ),
        "anthropic": (frozenset({"custom_id", "params"}), frozenset({"custom_id", "result"})),
        "openai": (
            frozenset({"request", "response"}),
            frozenset({"custom_id", "body"}),
            frozenset({"custom_id", "response"}),
        ),
        "table": (frozenset({"prompt", "model"}),),
    }
)
"""Members that stand together in the records of a form alone, or of none that comes after it."""


def find_form(record: Record) -> str | None:
    """The form of a log by one of its records; None where it looks like none.

    Example:
        >>> find_form({"request_id": "1", "model_group": "small", "spend": 0.1})
        'litellm'
    """
    marks = ((form, each) for form, marks in _MARKS.items() for each in marks)
    form = next((form for form, mark in marks if mark <= record.keys()), None)
    answer = parse_member(record.get("response"))
    if form == "openai" and isinstance(answer, Mapping) and answer.get("type") == "message":
        return "anthropic"
    return form


def read_log(
    form: str,
    source: str | Path,
    *,
    table: str = SPEND_TABLE,
    grade: str | None = None,
    tasks: TaskSource | None = None,
    mask: Mask | None = None,
    keep_answers: bool = False,
    users: str | None = None,
) -> ConvertedLog:
    r"""The dataset of a log, with counts of what was left out and why.

    Args:
        form: A name of `LOG_FORMS`.
        source: A file, a folder of files, the address of a PostgreSQL database, or, for mlflow, of
            a tracking server.
        table: Of the database.
        grade: Which score is the grade, and its scale; see `GradeScale.parse`. Without it the only
            score there is.
        tasks: Where tasks come from; metadata, tags or clusters, whichever there is first, without.
        mask: Takes every text of a chat and its answer, and gives it back without what is personal.
        keep_answers: Keep what models said, in the column `answer`.
        users: Key of the metadata that says who asked; nobody is named without it.

    Raises:
        DataError: There is no such form, nothing can be read, or nothing is left.

    Example:
        >>> import json, tempfile
        >>> lines = [
        ...     {"prompt": "1 + 1?", "model": "nano", "feedback": "up", "cost": 0.1},
        ...     {"prompt": "1 + 1?", "model": "grand", "cost": 0.5},
        ... ]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "log.jsonl"
        ...     _ = file.write_text("\n".join(map(json.dumps, lines)))
        ...     found = read_log("table", file, tasks=TaskSource("none"))
        >>> found.data.outcomes["effect"].tolist(), found.num_calls
        ([1.0, nan], 2)
    """
    reader = LOG_FORMS.get(form)
    if reader is None:
        raise DataError(f"There is no log form {form!r}. {suggest(form, LOG_FORMS, 'There are: ')}")
    calls: list[LoggedCall] = []
    skipped: Counter[str] = Counter()
    for found in reader(_find_records(form, source, table)):
        if isinstance(found, SkippedCall):
            skipped[found.reason] += 1
        else:
            calls.append(found if mask is None else mask_call(found, mask))
    is_address = isinstance(source, str) and "://" in source
    return assemble_log(
        calls,
        skipped,
        name=form if is_address else Path(source).stem,
        source="the log" if is_address else Path(source).name,
        grade=grade,
        tasks=tasks,
        keep_answers=keep_answers,
        users=users,
    )


def _find_records(form: str, source: str | Path, table: str) -> Iterable[Record]:
    address = source if isinstance(source, str) and "://" in source else None
    if address is None or is_database(address):
        return read_records(source, table=table)
    if form == "mlflow" and is_tracking_server(address):
        return search_traces(address)
    raise DataError("The source is an address; expected a file, a folder or postgresql://...")
