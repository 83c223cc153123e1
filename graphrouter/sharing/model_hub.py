"""Artifacts on a hub of models with the API of Hugging Face's, by its own client.

The client finds address and token as its users know it: HF_ENDPOINT, HF_TOKEN, `hf auth login`.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrouter.artifact import check_writable, copy_artifact, is_registry_uri, read_manifest
from graphrouter.artifact_files import MANIFEST, read_entries
from graphrouter.exceptions import ArtifactError
from graphrouter.extras import require_extra
from graphrouter.sharing.artifact_card import describe_artifact

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_CARD = "README.md"
_OWN = ["*.safetensors", "*.parquet"]
"""What an artifact is made of, beside the manifest: of older versions it leaves the hub."""


def push_artifact(
    folder: str | Path,
    repo: str,
    *,
    private: bool = True,
    with_prompts: bool = False,
    endpoint: str | None = None,
) -> str:
    """Put the present version of an artifact on a hub, with its card as README.md.

    One commit, so that readers see the version of before or this one. Older versions in the folder
    stay at home.

    Args:
        folder: The artifact.
        repo: `OWNER/NAME`; made where it is not there.
        private: Whether a repository that is made is seen by its owner alone.
        with_prompts: Also give away the training prompts in clear text.
        endpoint: Address of the hub; HF_ENDPOINT or the public hub by default.

    Returns:
        The address of the commit.

    Raises:
        ArtifactError: There is no artifact in `folder`, or it is damaged, or the hub cannot be
            reached or refuses.
        MissingExtraError: The extra `hub` is not installed.
    """
    require_extra("hub", "huggingface_hub", purpose="Artifacts on a hub")
    if is_registry_uri(folder):
        raise ArtifactError(f"{folder} lies in MLflow. Save it to a folder and push that.")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "artifact"
        _copy(Path(folder), copy, with_prompts=with_prompts)
        (copy / _CARD).write_text(describe_artifact(copy, place=repo), encoding="utf-8")
        with warnings.catch_warnings(), _asking(repo, endpoint) as hub:
            hub.create_repo(repo, private=private, exist_ok=True)
            # The client takes Parquet for a dataset that went astray.
            warnings.filterwarnings("ignore", message=".*about to commit a data file")
            done = hub.upload_folder(
                repo_id=repo,
                folder_path=copy,
                delete_patterns=_OWN,
                commit_message=f"artifact {read_manifest(copy)['checksum'][:12]}",
            )
    return str(done.commit_url)


def pull_artifact(
    repo: str, folder: str | Path, *, revision: str | None = None, endpoint: str | None = None
) -> Path:
    """Fetch an artifact from a hub into a new or empty folder; every byte is checked.

    Only what its manifest names is fetched, so a repository may hold other files.

    Args:
        repo: `OWNER/NAME`.
        folder: Where it shall lie. Nothing is there until all of it is.
        revision: A branch, tag or commit; the newest by default.
        endpoint: Address of the hub; HF_ENDPOINT or the public hub by default.

    Returns:
        `folder`.

    Raises:
        ArtifactError: `folder` is not new or empty, or the repository holds no artifact, or a
            damaged one, or the hub cannot be reached or has no such repository or revision.
        MissingExtraError: The extra `hub` is not installed.
    """
    require_extra("hub", "huggingface_hub", purpose="Artifacts on a hub")
    folder = Path(folder)
    check_writable(folder)
    if (folder / MANIFEST).exists():
        raise ArtifactError(
            f"{folder} holds an artifact already. Pull into a new folder, and compare or replace."
        )
    with tempfile.TemporaryDirectory() as scratch:
        fetched = Path(scratch)
        with _asking(repo, endpoint) as hub:
            commit = hub.model_info(repo, revision=revision).sha

            def fetch(name: str) -> None:
                hub.hf_hub_download(repo, name, revision=commit, local_dir=fetched)

            fetch(MANIFEST)
            manifest = read_manifest(fetched)
            for entry in read_entries(manifest, fetched / MANIFEST).values():
                fetch(entry.file)
        copy_artifact(fetched, folder)
    return folder


def _copy(folder: Path, target: Path, *, with_prompts: bool) -> None:
    if with_prompts or "support_queries" not in read_manifest(folder)["files"]:
        copy_artifact(folder, target)
        return
    from graphrouter.router.loading import load_router

    load_router(folder).save(target, evidence=False)


@contextmanager
def _asking(repo: str, endpoint: str | None) -> Iterator[HfApi]:
    """A client, whose errors become one line."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    hub = HfApi(endpoint=endpoint, library_name="graphrouter")
    try:
        yield hub
    except HFValidationError as error:
        raise ArtifactError(
            f"Received repository {repo!r}; expected OWNER/NAME of letters, digits, '-', '_' and "
            f"'.' ({_first_line(error)})."
        ) from None
    except HfHubHTTPError as error:
        raise ArtifactError(_explain(repo, hub.endpoint, error)) from error
    except (OSError, RuntimeError, HTTPError) as error:  # RuntimeError: of one file of several
        why = _first_line(error.__cause__ or error)
        raise ArtifactError(
            f"Could not talk to {hub.endpoint} ({why}). Check the network, and HF_ENDPOINT."
        ) from error


def _explain(repo: str, endpoint: str, error: Any) -> str:
    status = getattr(error.response, "status_code", None)
    advice = {
        401: "Log in: hf auth login, or set HF_TOKEN.",
        403: "The token may not write there: take one that may, or a repository of your own.",
        404: "Check name and revision; private ones need a token (hf auth login, or HF_TOKEN).",
        429: "Wait and try again.",
    }.get(status or 0, "Try again later.")
    return f"{endpoint} answered {status} for {repo}: {_first_line(error)}. {advice}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
