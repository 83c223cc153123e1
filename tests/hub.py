"""A stand-in for a hub of models on loopback: as much of its API as its own client asks for."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """What lies on it, and what was asked of it."""

    token: str | None = None
    """What clients have to show; None for anybody."""
    commits: dict[str, list[dict[str, bytes]]] = field(default_factory=dict)
    """Of each repository, the files of each commit."""
    private: dict[str, bool] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    """Uploaded apart, by SHA-256."""
    requests: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """What was asked that it has no answer to: a test looks that there is none."""
    endpoint: str = ""

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        commits = self.commits[repo]
        return commits[-1] if revision == "main" else commits[int(revision, 16) - 1]

    def commit_id(self, repo: str) -> str:
        return f"{len(self.commits[repo]):040x}"


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def do_PUT(self) -> None:
        self.answer()

    def answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        hub.requests.append(f"{self.command} {path}")
        uploads = path.startswith("/upload/")
        if hub.token and not uploads and self.headers["Authorization"] != f"Bearer {hub.token}":
            self.send_json({"error": "Invalid credentials"}, status=401)
        elif path == "/api/repos/create":
            self.create(json.loads(body))
        elif path == "/api/validate-yaml":
            self.send_json({"errors": [], "warnings": []})
        elif uploads:
            hub.large[path.removeprefix("/upload/")] = body
            self.send_contents(b"")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)", path):
            self.answer_repo(found[1], "revision/main", body)
        elif found := re.fullmatch(r"/(?:api/models/)?([^/]+/[^/]+?)(\.git)?/(.+)", path):
            self.answer_repo(found[1], found[3], body)
        else:
            self.send_unknown(path)

    def create(self, asked: dict[str, Any]) -> None:
        repo = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
        is_new = repo not in self.hub.commits
        self.hub.commits.setdefault(repo, [{".gitattributes": b"*.parquet filter=lfs\n"}])
        self.hub.private.setdefault(repo, asked.get("visibility") == "private")
        url = {"url": f"{self.hub.endpoint}/{repo}", "id": repo}
        self.send_json(url if is_new else {**url, "error": "exists"}, status=200 if is_new else 409)

    def answer_repo(self, repo: str, rest: str, body: bytes) -> None:
        hub = self.hub
        if repo not in hub.commits:
            self.send_json({"error": "no such repository"}, status=404, code="RepoNotFound")
        elif rest == "info/lfs/objects/batch":
            self.send_json({"transfer": "basic", "objects": [*self.place(json.loads(body))]})
        elif rest.startswith("preupload/"):
            files = json.loads(body)["files"]
            self.send_json({"files": [{**_choose_mode(f), "shouldIgnore": False} for f in files]})
        elif rest.startswith("commit/"):
            self.commit(repo, [json.loads(line) for line in body.splitlines()])
        elif rest.startswith("tree/"):
            files = hub.files(repo)
            self.send_json([_describe(*each) for each in files.items()])
        elif found := re.fullmatch(r"revision/(.+)", rest):
            self.send_revision(repo, found[1])
        elif found := re.fullmatch(r"resolve/([^/]+)/(.+)", rest):
            self.send_file(repo, *found.groups())
        else:
            self.send_unknown(f"{repo} {rest}")

    def place(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for each in asked["objects"]:
            href = f"{self.hub.endpoint}/upload/{each['oid']}"
            yield {**each, "authenticated": True, "actions": {"upload": {"href": href}}}

    def commit(self, repo: str, lines: list[dict[str, Any]]) -> None:
        files = dict(self.hub.files(repo))
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.hub.commits[repo].append(files)
        commit = self.hub.commit_id(repo)
        url = f"{self.hub.endpoint}/{repo}/commit/{commit}"
        self.send_json({"success": True, "commitOid": commit, "commitUrl": url})

    def send_revision(self, repo: str, revision: str) -> None:
        if revision != "main" and revision != self.hub.commit_id(repo):
            self.send_json({"error": "no such revision"}, status=404, code="RevisionNotFound")
            return
        files = [{"rfilename": name} for name in self.hub.files(repo)]
        self.send_json({"id": repo, "sha": self.hub.commit_id(repo), "siblings": files})

    def send_file(self, repo: str, revision: str, name: str) -> None:
        contents = self.hub.files(repo, revision).get(name)
        if contents is None:
            self.send_json({"error": "no such entry"}, status=404, code="EntryNotFound")
            return
        self.send_contents(
            contents,
            ETag=f'"{hashlib.sha256(contents).hexdigest()}"',
            **{"X-Repo-Commit": self.hub.commit_id(repo)},
        )

    def send_unknown(self, path: str) -> None:
        self.hub.unknown.append(f"{self.command} {path}")
        self.send_json({"error": "unknown"}, status=404)

    def send_json(self, value: Any, *, status: int = 200, code: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        self.send_contents(json.dumps(value).encode(), status=status, **headers)

    def send_contents(self, contents: bytes, *, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(contents)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(contents)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the tests look at the requests themselves."""


def _choose_mode(file: dict[str, Any]) -> dict[str, Any]:
    large = file["path"].endswith((".parquet", ".safetensors"))
    return {"path": file["path"], "uploadMode": "lfs" if large else "regular"}


def _describe(path: str, contents: bytes) -> dict[str, Any]:
    oid = hashlib.sha256(contents).hexdigest()
    return {"type": "file", "path": path, "size": len(contents), "oid": oid}


@contextmanager
def serve_hub(*, token: str | None = None) -> Iterator[Hub]:
    """A hub that answers for as long as the context lasts."""
    hub = Hub(token=token)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
