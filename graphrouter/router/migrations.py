"""Artifacts of older formats, brought to the present one as they are read; nothing is rewritten.

Format 3 named the parameters of the network by where they were used; since format 4 they stand in
the part that owns them, and a part that is left out owns none. Format 5 holds more in the manifest
and in the tables; what an older artifact lacks gets the value that changes nothing. The networks of
formats 6 and 7 have one part more each, without which older ones were trained and go on predicting.
Format 8 may hold what goes with queries beside their texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from graphrouter.artifact import FORMAT_VERSION, ArtifactContents
from graphrouter.artifact_files import Arrays
from graphrouter.artifact_tables import to_frame
from graphrouter.config import Part
from graphrouter.scoring.decoding import AmountCalibration

_MOVED = {
    "slope_scale": "text_easiness.scale",
    "slope_mass.log": "easiness_slope.mass.log",
    "profile_mass.log": "profile.mass.log",
    "base.slope_mass.log": "base.slopes.mass.log",
    "readout.doubt.log": "readout.doubt.scale.log",
    "readout.doubt_by_query.weight": "readout.doubt.by_query.weight",
    "readout.doubt_by_query.bias": "readout.doubt.by_query.bias",
    "readout.from_query.weight": "readout.perceptron.from_query.weight",
    "readout.from_query.bias": "readout.perceptron.from_query.bias",
    "readout.from_model.weight": "readout.perceptron.from_model.weight",
    "readout.from_product.weight": "readout.perceptron.from_product.weight",
    "readout.from_terms.weight": "readout.perceptron.from_terms.weight",
    "readout.hidden.2.weight": "readout.perceptron.hidden.2.weight",
    "readout.hidden.2.bias": "readout.perceptron.hidden.2.bias",
    "readout.out.weight": "readout.perceptron.out.weight",
    "readout.out.bias": "readout.perceptron.out.bias",
}
_OWNED_BY = {
    "query_slopes": ("base.slopes.",),
    "text_easiness": ("text_easiness.", "easiness_slope."),
    "profile": ("profile.",),
    "similar_queries": ("path_attention.",),
    "doubt": ("readout.doubt.",),
    "perceptron": ("readout.perceptron.",),
}
"""Beginnings of the names of what a part owns. `cards` and `similar_residuals` own nothing of their
own."""


def migrate_contents(contents: ArtifactContents) -> ArtifactContents:
    """The contents of a graph router's artifact as the present format has them.

    Args:
        contents: Of format 3 to 7, or the present one, which is returned as it is.
    """
    while (version := contents.manifest["format_version"]) < FORMAT_VERSION:
        contents = _STEPS[version](contents)
        manifest = {**contents.manifest, "format_version": version + 1}
        contents = dataclasses.replace(contents, manifest=manifest)
    return contents


def _own_weights(contents: ArtifactContents) -> ArtifactContents:
    """Step 3 to 4: the weights under the names of the parts that own them."""
    left_out = contents.manifest["config"]["network"].get("leave_out", ())
    weights = rename_weights(contents.tensors["weights"], left_out)
    return dataclasses.replace(contents, tensors={**contents.tensors, "weights": weights})


def _add_defaults(contents: ArtifactContents) -> ArtifactContents:
    """Step 4 to 5: what artifacts hold since then, with the values that change nothing."""
    defaults: dict[str, Any] = {  # by key of the manifest
        "previous": None,
        "amount_calibration": dataclasses.asdict(AmountCalibration()),
        "models_before_bills": sorted(contents.tables["pool"]["model"]),
    }
    manifest = _leave_out({**defaults, **contents.manifest}, "text_prior")
    outcomes = to_frame(contents.tables["support_outcomes"])
    outcomes = outcomes.assign(num_runs=np.ones(len(outcomes)))  # each was one run
    tables = {**contents.tables, "support_outcomes": outcomes}
    return dataclasses.replace(contents, manifest=manifest, tables=tables)


def _solve_apart(contents: ArtifactContents) -> ArtifactContents:
    """Step 5 to 6: skills and texts one after the other, and who was asked as it was fitted."""
    manifest = _leave_out(_leave_out(contents.manifest, "text_skills"), "foretold_asking")
    return dataclasses.replace(contents, manifest=manifest)


def _attend_to_tasks(contents: ArtifactContents) -> ArtifactContents:
    """Step 6 to 7: tasks are told apart as it was learned."""
    return dataclasses.replace(
        contents, manifest=_leave_out(contents.manifest, "task_discriminant")
    )


def _add_views(contents: ArtifactContents) -> ArtifactContents:
    """Step 7 to 8: nothing goes with queries beside their texts."""
    return dataclasses.replace(contents, manifest={"views": {}, **contents.manifest})


def _leave_out(manifest: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """The manifest of a network without a part: trained without it, and predicting as before."""
    config = manifest["config"]
    left_out = sorted({*config["network"].get("leave_out", ()), part})
    network = {**config["network"], "leave_out": left_out}
    return {**manifest, "config": {**config, "network": network}}


_STEPS = {
    3: _own_weights,
    4: _add_defaults,
    5: _solve_apart,
    6: _attend_to_tasks,
    7: _add_views,
}
"""What brings an artifact to the next format, by the format that it has."""


def rename_weights(weights: Mapping[str, np.ndarray[Any, Any]], left_out: Iterable[str]) -> Arrays:
    """Weights of format 3 under their names of format 4.

    Args:
        weights: By name.
        left_out: Parts that the network was trained without; format 3 kept their idle weights.

    Example:
        >>> sorted(rename_weights({"slope_scale": np.ones((4, 1)), "base.x": np.ones(1)}, ()))
        ['base.x', 'text_easiness.scale']
    """
    idle = tuple(start for part in left_out for start in _OWNED_BY.get(part, ()))
    renamed = {_MOVED.get(name, name): tensor for name, tensor in weights.items()}
    return {name: tensor for name, tensor in renamed.items() if not name.startswith(idle)}
