"""Any saved router, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphrouter.artifact import BASELINE, artifact_folder, lock_artifact, read_manifest
from graphrouter.encoders import TextEncoder
from graphrouter.exceptions import ArtifactError
from graphrouter.files import to_path
from graphrouter.locks import WAIT_S
from graphrouter.router.graph_router import GraphRouter
from graphrouter.router.protocol import Router
from graphrouter.scoring.search_index import check_recall
from graphrouter.upward_imports import load_part


def load_router(
    folder: str | Path,
    *,
    encoder: TextEncoder | None = None,
    search_recall: float | None = None,
) -> Router:
    """The router that was saved in `folder`: a graph router or a baseline.

    Args:
        folder: An artifact, or where one lies in MLflow: `models:/name/version`,
            `models:/name@alias` or `runs:/id/path`, in the store that `MLFLOW_TRACKING_URI` names.
        encoder: Text encoder to use in place of the one that the settings of the artifact make; it
            must be the same. Needed where the router was fitted with an encoder of your own.
        search_recall: Share of the similar solved queries to find on average, from 0.5 to below 1,
            by an index (extra `index`) that looks at a part of a large support; all are compared
            without it, and where they are fewer than 16,384. It is no part of the artifact. Of a
            baseline it changes nothing.

    Example:
        >>> import graphrouter as gr
        >>> from tempfile import TemporaryDirectory
        >>> router = gr.GraphRouter.fit(gr.simulate(num_queries=60).data, instant=True)
        >>> with TemporaryDirectory() as folder:
        ...     router.save(folder)
        ...     load_router(folder).models == router.models
        True

    Raises:
        ArtifactError: There is no artifact, or it is damaged, edited or of another format version.
        EncoderError: The text encoder is not the one that the router was trained with.
        ConfigError: `search_recall` is out of range.
        MissingExtraError: It lies in MLflow, which is not installed, or Faiss is not.
    """
    check_recall(search_recall)
    with artifact_folder(folder) as found:
        manifest = read_manifest(found)
        if manifest.get("kind") != BASELINE:
            return GraphRouter.load(found, encoder=encoder, search_recall=search_recall)
        baselines: dict[str, type[Router]] = load_part("baselines").BASELINES
        name = str(manifest.get("baseline"))
        if name not in baselines:
            raise ArtifactError(
                f"{folder} holds the baseline {name!r}, which is not in the catalogue of this "
                "release. "
                "Load it with the class that saved it."
            )
        return baselines[name].load(found, encoder=encoder)


def change_router(
    folder: str | Path,
    change: Callable[[Any], Router],
    *,
    encoder: TextEncoder | None = None,
    wait_s: float = WAIT_S,
) -> Router:
    """Read the router at `folder`, change it, save it there, and return the changed router.

    Nobody else changes the artifact meanwhile, in whatever process, so no change is lost. Others go
    on reading it. The artifact stays as it is where `change` raises.

    Args:
        folder: The artifact.
        change: The changed router of the one that lies there now.
        encoder: As in `load_router`.
        wait_s: How long to wait for others who are changing it.

    Example:
        >>> import graphrouter as gr
        >>> from tempfile import TemporaryDirectory
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = gr.GraphRouter.fit(data, instant=True)
        >>> with TemporaryDirectory() as folder:
        ...     router.save(folder)
        ...     len(gr.change_router(folder, lambda it: it.remove_model(it.models[0])).models)
        2

    Raises:
        ArtifactError: As `load_router`, or it lies in MLflow, where a version is never changed.
        BusyError: Another process is changing the artifact, and did not end in time.
    """
    place = to_path(folder, "an artifact", ArtifactError)
    with lock_artifact(place, wait_s=wait_s):
        changed = change(load_router(place, encoder=encoder))
        changed.save(place)
    return changed
