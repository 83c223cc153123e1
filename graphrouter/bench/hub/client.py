"""Talks to a dataset hub.

Which commit a revision is, which files it has, and their bytes from any position.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from graphrouter.bench.hub.sources import RemoteFile
from graphrouter.exceptions import DataError

_TIMEOUT_S = 30.0


class HubClient:
    """Requests to one hub for one dataset repository; use it as a context."""

    def __init__(self, endpoint: str, repo: str) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.repo = repo
        # identity: a compressed answer would have neither the size nor the ranges of the file
        headers = {"Accept-Encoding": "identity", "User-Agent": "graphrouter"}
        self._http = httpx2.Client(follow_redirects=True, timeout=_TIMEOUT_S, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def find_commit(self, revision: str) -> str:
        """The full id of the commit that a branch, tag or abbreviated id stands for now.

        Raises:
            DataError: The hub cannot be reached, or has no such repository or revision.
        """
        answer = self._get_json(
            f"/api/datasets/{self.repo}/revision/{quote(revision, safe='')}",
            f"revision {revision!r}",
        )[0]
        commit = answer.get("sha") if isinstance(answer, dict) else None
        if not isinstance(commit, str) or not commit.isalnum():
            raise DataError(
                f"{self.endpoint} answered {str(answer)[:80]!r} for {self.repo}; expected an "
                "object with 'sha'."
            )
        return commit

    def list_files(self, commit: str) -> list[RemoteFile]:
        """All files of a commit.

        Raises:
            DataError: The hub cannot be reached, or its list has an unknown form.
        """
        files: list[RemoteFile] = []
        page: str | None = f"/api/datasets/{self.repo}/tree/{commit}?recursive=true"
        while page is not None:
            entries, page = self._get_json(page, "its list of files")
            if not isinstance(entries, list):
                raise DataError(
                    f"{self.endpoint} answered {str(entries)[:80]!r} for {self.repo}; expected a "
                    "list of files."
                )
            files += [
                _read_entry(entry, self.repo) for entry in entries if entry.get("type") == "file"
            ]
        return files

    @contextmanager
    def open(
        self, file: RemoteFile, commit: str, *, start: int
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The position where the bytes really begin, and the bytes in pieces.

        It is 0 where the hub ignores the range.

        Raises:
            DataError: The hub cannot be reached, has no such file, or the connection breaks.
        """
        url = f"{self.endpoint}/datasets/{self.repo}/resolve/{commit}/{quote(file.path)}"
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            with self._http.stream("GET", url, headers=headers) as response:
                self._check(response, file.path)
                yield self._find_first_byte(response, start, file.path), response.iter_raw()
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._describe_break(error, file.path) from None

    def _get_json(self, path: str, what: str) -> tuple[Any, str | None]:
        """What the hub answers, and the address of the next page if there is one."""
        url = path if path.startswith("http") else self.endpoint + path
        try:
            response = self._http.get(url)
            self._check(response, what)
            return response.json(), response.links.get("next", {}).get("url")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise self._describe_break(error, what) from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise DataError(
                f"{self.endpoint} answered no JSON for {what} of {self.repo}. Is it a dataset hub?"
            ) from None

    def _find_first_byte(self, response: httpx2.Response, start: int, path: str) -> int:
        if response.status_code != httpx2.codes.PARTIAL_CONTENT:
            return 0
        said = response.headers.get("Content-Range", "")
        if not said.startswith(f"bytes {start}-"):
            raise DataError(
                f"{self.endpoint} answered the range {said!r} for {path}; expected the bytes from "
                f"{start:,} on."
            )
        return start

    def _check(self, response: httpx2.Response, what: str) -> None:
        if response.is_success:
            return
        status = response.status_code
        advice = {
            401: "The repository is private or gone.",
            403: "The repository asks for an account that accepted its terms: download it in the "
            "browser.",
            404: "Check --revision, and whether the repository still exists.",
            429: "Too many requests: wait a while and run the same command again.",
        }.get(status, "Run the same command again later.")
        raise DataError(f"{self.endpoint} answered {status} for {what} of {self.repo}. {advice}")

    def _describe_break(self, error: Exception, what: str) -> DataError:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        if isinstance(
            error,
            httpx2.ConnectError
            | httpx2.ConnectTimeout
            | httpx2.UnsupportedProtocol
            | httpx2.InvalidURL,
        ):
            return DataError(
                f"Cannot reach {self.endpoint}: {reason}. Check the network, --endpoint and "
                "HF_ENDPOINT."
            )
        return DataError(
            f"The connection to {self.endpoint} broke at {what} of {self.repo}: {reason}. The "
            "same command goes on from there."
        )


def _read_entry(entry: dict[str, Any], repo: str) -> RemoteFile:
    """One entry of the hub's list.

    Large files lie in LFS and carry a SHA-256, small ones a git id.
    """
    try:
        path, large = entry["path"], entry.get("lfs")
        num_bytes, checksum = (
            (large["size"], large["oid"]) if large else (entry["size"], entry["oid"])
        )
    except (KeyError, TypeError):
        raise DataError(
            f"The hub lists {str(entry)[:80]!r} for {repo}; expected path, size and oid."
        ) from None
    return RemoteFile(path, num_bytes, "sha256" if large else "git-sha1", checksum)
