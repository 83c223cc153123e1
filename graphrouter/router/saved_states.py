"""States in an artifact: what is derived from the support, kept for loading not to compute it.

They are kept bit for bit, with a digest of all that they were made of. Where that does not agree
with what lies beside them, or another release made them, they are computed anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphrouter.artifact import ArtifactContents
from graphrouter.features.bills import Bills
from graphrouter.features.prompts import Float32Array
from graphrouter.features.token_rates import TokenRates
from graphrouter.features.views import place_view
from graphrouter.router.learned import Learned
from graphrouter.router.outcome_covariance import OutcomeCovariance
from graphrouter.router.parts import Positions, Support
from graphrouter.router.states import States, complete_states, note_outcome_covariance, read_texts
from graphrouter.scoring.operations import Array
from graphrouter.scoring.state import BaseState, SupportMessages, SupportState, TaskEvidence
from graphrouter.scoring.tastes import Tastes
from graphrouter.scoring.view_state import ViewState

GROUP = "states"
"""Name of the group of tensors, and of the key of the manifest."""
STATES_VERSION = 3
"""To be raised with every change of code after which `make_states` gives other numbers or other
fields: states that an older release saved are then computed anew."""

_FILES = ("weights", "transforms", "pool", "tasks", "support_queries", "support_outcomes")
_KEYS = ("config", "features", "spend_unit", "channels", "models_before_bills")
"""What states are made of: files, and keys of the manifest."""
_CHARS, _TOKENS, _PLACES = "num_chars", "tokens.", "positions."
_TOGETHER, _BILLS = "outcome_covariance.", "bills."
_VIEWS = "views."
_EVIDENCE, _MESSAGES, _USUAL = "task_evidence.", "messages.values.", "familiarity.usual"
_TASTES = "tastes."
_POSITIONS = (
    "messages.model",
    "messages.row_start",
    "task_of_query",
    *(f"{_TASTES}{name}" for name in ("team", "kind_start", "kind_task")),
)
"""int64; all else is float64."""
_NARROW = (np.uint8, np.int16, np.int32, np.float32)
_logger = logging.getLogger(__name__)


def pack_states(states: States) -> dict[str, Array]:
    """The states as tensors by name, each as narrow as keeps its bits.

    The embeddings of the prompts are not among them: they lie in the artifact already.
    """
    support, values = states.support, np.asarray(states.support.messages.values)
    tensors = {
        **{f"base.{name}": part for name, part in support.base._asdict().items()},
        "messages.model": support.messages.model,
        "messages.row_start": support.messages.row_start,
        # By column: those of quantities that nobody logged hold next to nothing.
        **{f"{_MESSAGES}{i}": column for i, column in enumerate(values.T)},
        **{name: part for name, part in support._asdict().items() if isinstance(part, np.ndarray)},
        _USUAL: states.familiarity.usual,
    }
    if support.task_evidence is not None:
        found = support.task_evidence._asdict()
        tensors |= {f"{_EVIDENCE}{name}": tensor for name, tensor in found.items()}
    if support.tastes is not None:
        tensors |= {f"{_TASTES}{name}": part for name, part in support.tastes._asdict().items()}
    for number, view in enumerate(support.views):
        tensors |= {f"{_VIEWS}{number}.{name}": part for name, part in view._asdict().items()}
        del tensors[f"{_VIEWS}{number}.text"]
    del tensors["query_text"]
    return {name: _narrow(tensor) for name, tensor in tensors.items()}


def sign_states(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest, with what its states were made of.

    Args:
        manifest: With the entries of the files.
    """
    made_of = {name: manifest["files"][name]["sha256"] for name in _FILES}
    made_of |= {key: manifest[key] for key in _KEYS}
    text = json.dumps(made_of, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {**manifest, GROUP: {"version": STATES_VERSION, "made_of": digest}}


def pack_derived(
    learned: Learned, support: Support, covariance: OutcomeCovariance
) -> dict[str, Array]:
    """What serving needs beside the states, as arrays by name.

    That is what was counted in the texts of a support, whose outcomes there are, what their bills
    say, and how they go together.
    """
    tokens = support.count_tokens()._asdict()
    bills = support.read_bills(learned.transforms.channels).to_arrays()
    return {
        **{f"{_BILLS}{name}": part for name, part in bills.items()},
        **{f"{_TOGETHER}{name}": values for name, values in covariance._asdict().items()},
        **{f"{_PLACES}{name}": _narrow(at) for name, at in support.positions._asdict().items()},
        _CHARS: _narrow(support.raw.num_chars.astype(np.float64)),
        **{f"{_TOKENS}{name}": np.asarray(value) for name, value in tokens.items()},
    }


def read_counts(saved: Mapping[str, Array]) -> Float32Array | None:
    """The characters of the prompts by kind that were saved; None where they were not."""
    return saved[_CHARS].astype(np.float32) if _CHARS in saved else None


def find_states(folder: Path, contents: ArtifactContents) -> dict[str, Array] | None:
    """What lies in an artifact for `read_states`; None where it is of no use, which is logged.

    Args:
        folder: Where it lies, for messages.
        contents: Of the artifact.
    """
    said, tensors = contents.manifest.get(GROUP), contents.tensors.get(GROUP)
    if said is None or tensors is None:
        _logger.info("%s holds no states: they are computed. Save it again to keep them.", folder)
        return None
    right = sign_states(contents.manifest)[GROUP]
    if said.get("version") != right["version"]:
        _logger.info(
            "The states in %s are of version %s, and this release makes version %s: they are "
            "computed anew. Save it again to keep them.",
            folder,
            said.get("version"),
            right["version"],
        )
        return None
    if said != right:
        _logger.warning(
            "The states in %s were made of other contents than lie beside them: they are computed "
            "anew. Save it again to keep them.",
            folder,
        )
        return None
    return dict(tensors)


def read_states(saved: dict[str, Array], learned: Learned, support: Support) -> States:
    """The states that were saved; the support is told of what else was.

    Args:
        saved: From `find_states`; a state that is read is taken out of it, so that a large one is
            not twice in memory.
        learned: What was read from the artifact.
        support: What was read from it.

    Raises:
        KeyError: A part of them is lacking.
        ValueError: A part of them is of another shape, or names what is not in the support.
    """
    if f"{_PLACES}query" in saved:
        support.note_positions(
            Positions(*(saved[f"{_PLACES}{name}"].astype(np.int64) for name in Positions._fields))
        )
    of_bills = (name for name in saved if name.startswith(_BILLS))
    bills = {name.removeprefix(_BILLS): np.array(saved[name]) for name in of_bills}
    if bills:
        of = learned.transforms.channels, support.old_models
        support.note_bills(Bills.from_arrays(bills, support.pool.names, *of))
    if f"{_TOKENS}rates" in saved:
        told: Any = [saved[f"{_TOKENS}{name}"] for name in TokenRates._fields]
        tokens: Any = [part if part.ndim else float(part) for part in told]
        support.note_tokens(TokenRates(*tokens))
    state = _unpack_state(saved, learned, support)
    states = complete_states(state, learned, support, _widen(saved, _USUAL))
    if f"{_TOGETHER}named" in saved:
        covariance = (saved[f"{_TOGETHER}{name}"] for name in OutcomeCovariance._fields)
        note_outcome_covariance(support, states, OutcomeCovariance(*covariance))
    return states


def _unpack_state(tensors: dict[str, Array], learned: Learned, support: Support) -> SupportState:
    """The state of the support of its tensors."""
    model, row_start = (_widen(tensors, f"messages.{name}") for name in ("model", "row_start"))
    width = sum(name.startswith(_MESSAGES) for name in tensors)
    columns = (tensors.pop(f"{_MESSAGES}{i}") for i in range(width))
    shape = len(support.pool), width
    messages = SupportMessages.of_columns(model, row_start, columns, shape)
    evidence = [f"{_EVIDENCE}{name}" for name in TaskEvidence._fields]
    parts: dict[str, Any] = {
        "base": BaseState(*(_widen(tensors, f"base.{name}") for name in BaseState._fields)),
        "messages": messages,
        "query_text": read_texts(learned, support),
        "task_evidence": TaskEvidence(*(_widen(tensors, name) for name in evidence))
        if any(name in tensors for name in evidence)
        else None,
        "views": _unpack_views(tensors, learned, support),
    }
    parts["tastes"] = parts["terms"] = None
    if f"{_TASTES}shift" in tensors:
        parts["tastes"] = Tastes(*(_widen(tensors, f"{_TASTES}{name}") for name in Tastes._fields))
    for name in SupportState._fields:
        if name not in parts:
            parts[name] = _widen(tensors, name)
    state = SupportState(**parts)
    _check(state, support)
    return state


def _unpack_views(
    tensors: dict[str, Array], learned: Learned, support: Support
) -> tuple[ViewState, ...]:
    """What the support says along each view."""
    views, count = [], len(support.query_table)
    for number, (name, of) in enumerate(learned.transforms.features.views.items()):
        at = f"{_VIEWS}{number}."
        kept = {
            part: _widen(tensors, f"{at}{part}") for part in ViewState._fields if part != "text"
        }
        rows = kept["rows"].astype(np.int64)
        text = place_view(of, support.raw.views.get(name), count).text[rows]
        views.append(ViewState(**{**kept, "rows": rows, "text": text}))
    return tuple(views)


def _check(state: SupportState, support: Support) -> None:
    """Check that a state is of a support of this size.

    Raises:
        ValueError: It is not.
    """
    num_queries, num_edges = len(support.query_table), len(support.outcome_table)
    num_tasks, num_models = len(support.task_table), len(support.pool)
    sizes = {
        "messages.model": (state.messages.model.shape, (num_edges,)),
        "messages.row_start": (state.messages.row_start.shape, (num_queries + 1,)),
        "messages.values": (state.messages.values.shape[:1], (num_edges,)),
        "key": (state.key.shape[:1], (num_queries,)),
        "task_of_query": (state.task_of_query.shape, (num_queries,)),
        "base.surprise": (state.base.surprise.shape[1:], (num_queries,)),
        "base.skill": (state.base.skill.shape[1:], (num_tasks + 1, num_models)),
        "model": (state.model.shape[:1], (num_models,)),
        "task": (state.task.shape[:1], (num_tasks,)),
    }
    if state.tastes is not None:
        people = support.people
        num_askers = 0 if people is None else len(people.team_of)
        sizes |= {
            "tastes.shift": (state.tastes.shift.shape, (num_askers, num_models)),
            "tastes.kind_start": (state.tastes.kind_start.shape, (num_askers + 1,)),
            "tastes.kind": (state.tastes.kind.shape[1:], (num_models,)),
        }
    for name, (received, expected) in sizes.items():
        if tuple(received) != expected:
            raise ValueError(f"{name} in its states: {tuple(received)}, expected {expected}")
    ends = state.messages.row_start[[0, -1]].tolist()
    is_sound = (
        ends == [0, num_edges]
        and bool((np.diff(state.messages.row_start) >= 0).all())
        and _lies_below(state.messages.model, num_models)
        and _lies_below(state.task_of_query, num_tasks + 1)
    )
    if not is_sound:
        raise ValueError("its states name queries, models or tasks that are not in its support")


def _lies_below(positions: Array, size: int) -> bool:
    return bool(((positions >= 0) & (positions < size)).all())


def _narrow(array: Array) -> Array:
    """The same numbers, bit for bit once widened, in fewer bytes where that can be."""
    array = np.asarray(array, order="C")
    bits = array.view(np.int64)
    for dtype in _NARROW:
        with np.errstate(invalid="ignore", over="ignore"):
            narrow = array.astype(dtype)
        if np.array_equal(narrow.astype(array.dtype).view(np.int64), bits):
            return narrow
    return array


def _widen(arrays: dict[str, Array], name: str) -> Array:
    """An array as `make_states` gives it, taken out: in full precision, in memory of its own."""
    dtype = np.int64 if name in _POSITIONS else np.float64
    return np.array(arrays.pop(name), dtype=dtype, order="C")
