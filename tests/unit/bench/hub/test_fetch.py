"""Against a real server on this machine that answers as the hub does: revisions, pages of files,
redirects, ranges."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from graphrouter.bench.hub import PUBLIC, fetch_dataset
from graphrouter.bench.hub.fetch import compute_checksum
from graphrouter.exceptions import DataError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = PUBLIC["embedllm"].repo
TRAIN = b"prompt_id,model_id,label\n" + b"1,2,0\n" * 50_000
FILES = {
    "train.csv": TRAIN,
    "val.csv": b"small\n",
    "test.csv": b"",
    "README.md": b"not wanted",
    "data/ünlike x.csv": b"no",
}
LARGE = {"train.csv"}


@dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT, "refs/pr/1": COMMIT})
    served: dict[str, bytes] = field(default_factory=dict)
    """Contents that differ from what the list of files promises."""
    breaks_after: int | None = None
    """Bytes after which a large download breaks off."""
    ignores_ranges: bool = False
    tree: Any = None
    """What is listed in place of the files."""
    status: int | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request."""
    endpoint: str = ""

    def downloads(self) -> list[tuple[str, str | None]]:
        return [
            (path.rpartition(f"{COMMIT}/")[2], span)
            for path, span in self.requests
            if "/resolve/" in path
        ]

    def listing(self) -> list[dict[str, Any]]:
        if self.tree is not None:
            return self.tree
        return [
            {"type": "directory", "path": "data", "size": 0, "oid": "d"},
            *(entry_of(*file) for file in self.files.items()),
        ]


def entry_of(path: str, contents: bytes) -> dict[str, Any]:
    git = hashlib.sha1(f"blob {len(contents)}\0".encode() + contents).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(contents), "oid": git}
    if path in LARGE:
        entry["lfs"] = {
            "oid": hashlib.sha256(contents).hexdigest(),
            "size": len(contents),
            "pointerSize": 131,
        }
    return entry


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        hub, url = self.hub, urlsplit(self.path)
        hub.requests.append((url.path, self.headers["Range"]))
        if hub.status is not None:
            self.send_error(hub.status)
        elif found := re.fullmatch(f"/api/datasets/{REPO}/revision/(.+)", url.path):
            commit = hub.revisions.get(unquote(found[1]))
            self.send_json({"id": REPO, "sha": commit}) if commit else self.send_error(404)
        elif url.path == f"/api/datasets/{REPO}/tree/{COMMIT}":
            listing, half = hub.listing(), len(hub.listing()) // 2
            if "cursor" in url.query:
                self.send_json(listing[half:])
            else:
                link = f'<{hub.endpoint}{url.path}?recursive=true&cursor=x>; rel="next"'
                self.send_json(listing[:half], link=link)
        elif found := re.fullmatch(f"/datasets/{REPO}/resolve/{COMMIT}/(.+)", url.path):
            path = unquote(found[1])
            if path in LARGE:
                self.send_response(302)
                self.send_header("Location", f"{hub.endpoint}/cdn/{path}")
                self.end_headers()
            else:
                self.send_contents(hub.served.get(path, hub.files[path]))
        elif url.path.startswith("/cdn/"):
            path = url.path.removeprefix("/cdn/")
            self.send_contents(hub.served.get(path, hub.files[path]), breaks_after=hub.breaks_after)
        else:
            self.send_error(404)

    def send_json(self, value: Any, *, link: str | None = None) -> None:
        self.send_response(200)
        if link:
            self.send_header("Link", link)
        body = json.dumps(value).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_contents(self, contents: bytes, *, breaks_after: int | None = None) -> None:
        span = self.headers["Range"]
        start = (
            0
            if span is None or self.hub.ignores_ranges
            else int(span.removeprefix("bytes=").removesuffix("-"))
        )
        rest = contents[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(contents) - 1}/{len(contents)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[:breaks_after])

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the tests look at the requests themselves."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HF_ENDPOINT",
    ):
        monkeypatch.delenv(name, raising=False)
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("HubHandler", (Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


def contents_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "SOURCE.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


WANTED = {name: FILES[name] for name in ("train.csv", "val.csv", "test.csv")}


def test_what_is_wanted_arrives_pinned_to_a_commit(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    result = fetch_dataset(
        "embedllm",
        tmp_path / "new",
        endpoint=hub.endpoint + "/",
        progress=lambda *told: seen.append(told),
    )
    assert contents_of(tmp_path / "new") == WANTED
    assert (result.repo, result.commit, result.num_files, result.num_downloaded) == (
        REPO,
        COMMIT,
        3,
        3,
    )
    assert result.num_bytes == len(TRAIN) + 6
    assert ("train.csv", 0, len(TRAIN)) in seen
    assert [told for told in seen if told[0] == "train.csv"][-1] == (
        "train.csv",
        len(TRAIN),
        len(TRAIN),
    )
    source = json.loads((tmp_path / "new" / "SOURCE.json").read_text())
    assert (source["repo"], source["revision"], source["commit"]) == (REPO, "main", COMMIT)
    assert source["files"][0] == {
        "path": "train.csv",
        "num_bytes": len(TRAIN),
        "algorithm": "sha256",
        "checksum": hashlib.sha256(TRAIN).hexdigest(),
    }
    assert {file["algorithm"] for file in source["files"][1:]} == {"git-sha1"}
    assert sorted(path for path, _ in hub.downloads()) == ["test.csv", "train.csv", "val.csv"]


def test_a_second_run_asks_for_nothing(hub: Hub, tmp_path: Path) -> None:
    fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    hub.requests.clear()
    hub.revisions["main"] = "f" * 40  # the folder stays at its commit
    result = fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    assert (result.num_downloaded, result.commit) == (0, COMMIT)
    assert hub.requests == []


def test_only_a_damaged_file_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    (tmp_path / "val.csv").write_bytes(b"smalI\n")
    (tmp_path / "test.csv").unlink()
    hub.requests.clear()
    result = fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    assert result.num_downloaded == 2
    assert sorted(path for path, _ in hub.downloads()) == ["test.csv", "val.csv"]
    assert contents_of(tmp_path) == WANTED


def test_an_interrupted_download_goes_on_where_it_broke(hub: Hub, tmp_path: Path) -> None:
    hub.breaks_after = 100_000
    with pytest.raises(
        DataError,
        match=r"broke at train\.csv of RZ412/EmbedLLM.*The same command goes on from there\.$",
    ):
        fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    assert not (tmp_path / "train.csv").exists()
    there = (tmp_path / "train.csv.part").stat().st_size
    assert 0 < there <= 100_000
    hub.breaks_after = None
    hub.requests.clear()
    fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    assert contents_of(tmp_path) == WANTED
    assert [span for path, span in hub.requests if path == "/cdn/train.csv"] == [f"bytes={there}-"]
    assert not any("/revision/" in path for path, _ in hub.requests)


@pytest.mark.parametrize("ignores_ranges", [True, False])
def test_a_part_of_any_length_is_brought_to_the_end(
    hub: Hub, tmp_path: Path, ignores_ranges: bool
) -> None:
    hub.ignores_ranges = ignores_ranges
    for part in (TRAIN[:1000], TRAIN, TRAIN + b"too long"):
        fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
        (tmp_path / "train.csv").unlink()
        (tmp_path / "train.csv.part").write_bytes(part)
        fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
        assert contents_of(tmp_path) == WANTED


@pytest.mark.parametrize("name", ["train.csv", "val.csv"])
def test_corrupt_contents_leave_nothing(hub: Hub, tmp_path: Path, name: str) -> None:
    hub.served[name] = bytes(reversed(FILES[name]))
    with pytest.raises(
        DataError,
        match=rf"{name} of .* checksum .* What arrived was deleted; run the same command again\.$",
    ):
        fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    assert not (tmp_path / name).exists()
    assert not (tmp_path / f"{name}.part").exists()
    hub.served.clear()
    fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    assert contents_of(tmp_path) == WANTED


def test_a_wrong_part_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    (tmp_path / "train.csv").rename(tmp_path / "train.csv.part")
    (tmp_path / "train.csv.part").write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match="checksum"):
        fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    assert contents_of(tmp_path) == WANTED


def test_a_file_that_ends_early_is_kept_as_a_part(hub: Hub, tmp_path: Path) -> None:
    hub.served["val.csv"] = b"sma"
    with pytest.raises(
        DataError,
        match=r"val\.csv of RZ412/EmbedLLM ended after 3 of 6 bytes\. The same command goes on",
    ):
        fetch_dataset("embedllm", tmp_path, endpoint=hub.endpoint)
    assert (tmp_path / "val.csv.part").read_bytes() == b"sma"


def test_the_endpoint_comes_from_the_environment(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    assert fetch_dataset("embedllm", tmp_path, revision="refs/pr/1").num_downloaded == 3


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "private or gone"), (404, "Check --revision"), (429, "wait a while"), (500, "later")],
)
def test_a_refusal_is_told_in_one_line(hub: Hub, tmp_path: Path, status: int, advice: str) -> None:
    hub.status = status
    with pytest.raises(
        DataError, match=f"answered {status} for revision 'main' of {REPO}.*{advice}"
    ):
        fetch_dataset("embedllm", tmp_path / "new", endpoint=hub.endpoint)
    assert not (tmp_path / "new").exists()


def test_a_page_that_is_no_hub(hub: Hub, tmp_path: Path) -> None:
    hub.files["html"] = b"<html>"
    with pytest.raises(
        DataError, match=r"answered no JSON for revision 'main' of .*\. Is it a dataset hub\?$"
    ):
        fetch_dataset("embedllm", tmp_path / "new", endpoint=f"{hub.endpoint}/cdn/html?")
    hub.revisions["main"] = "../.."
    with pytest.raises(DataError, match="expected an object with 'sha'"):
        fetch_dataset("embedllm", tmp_path / "new", endpoint=hub.endpoint)
    assert not (tmp_path / "new").exists()


def test_an_unknown_revision(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="answered 404 for revision 'v9'"):
        fetch_dataset("embedllm", tmp_path / "new", endpoint=hub.endpoint, revision="v9")
    assert not (tmp_path / "new").exists()


def test_unreachable_hubs_and_unknown_names(hub: Hub, tmp_path: Path) -> None:
    for endpoint in ("http://127.0.0.1:9", "nowhere", "http://"):
        with pytest.raises(
            DataError, match=r"^Cannot reach .*Check the network, --endpoint and HF_ENDPOINT\.$"
        ):
            fetch_dataset("embedllm", tmp_path / "new", endpoint=endpoint)
    with pytest.raises(DataError, match=r"Unknown public dataset 'llmrouter'\. Known: embedllm, "):
        fetch_dataset("llmrouter", tmp_path / "new", endpoint=hub.endpoint)
    assert not (tmp_path / "new").exists()
    assert hub.requests == []


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (
            [{"type": "file", "path": "../train.csv", "size": 1, "oid": "a"}],
            "leads out of the folder",
        ),
        (
            [{"type": "file", "path": "/train.csv", "size": 1, "oid": "a"}],
            "leads out of the folder",
        ),
        (
            [{"type": "file", "path": "train.csv", "size": "big", "oid": "a"}],
            "listed with size 'big'",
        ),
        ([{"type": "file", "path": "train.csv"}], "expected path, size and oid"),
        (
            [{"type": "file", "path": "other.csv", "size": 1, "oid": "a"}],
            "has no file like train.csv or val.csv",
        ),
        ([], "(found: nothing)"),
    ],
)
def test_a_list_of_files_that_cannot_be_used(
    hub: Hub, tmp_path: Path, tree: Any, expected: str
) -> None:
    hub.tree = tree
    with pytest.raises(DataError) as caught:
        fetch_dataset("embedllm", tmp_path / "new", endpoint=hub.endpoint)
    assert expected in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_folders_of_others_are_left_alone(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.csv").write_text("mine")
    with pytest.raises(
        DataError, match=r"holds something that was not fetched \(there is no SOURCE\.json\)"
    ):
        fetch_dataset("embedllm", tmp_path / "mine", endpoint=hub.endpoint)
    fetch_dataset("embedllm", tmp_path / "other", endpoint=hub.endpoint)
    for name, revision in (("sprout", "main"), ("embedllm", "v2")):
        with pytest.raises(
            DataError,
            match=rf"holds {REPO} at main \(0123456789ab\), not .* at {revision}\. Name another",
        ):
            fetch_dataset(name, tmp_path / "other", endpoint=hub.endpoint, revision=revision)
    assert (
        fetch_dataset(
            "embedllm", tmp_path / "other", endpoint=hub.endpoint, revision=COMMIT
        ).num_downloaded
        == 0
    )
    (tmp_path / "other" / "SOURCE.json").write_text("{")
    with pytest.raises(DataError, match=r"SOURCE\.json is damaged\. Delete"):
        fetch_dataset("embedllm", tmp_path / "other", endpoint=hub.endpoint)


def test_a_known_git_id(tmp_path: Path) -> None:
    file = tmp_path / "hello"
    file.write_bytes(b"hello\n")
    assert (
        compute_checksum(file, "git-sha1") == "ce013625030ba8dba906f756967f9e9ca394464a"
    )  # git hash-object
    assert compute_checksum(file, "sha256") == hashlib.sha256(b"hello\n").hexdigest()


def test_what_to_do_next_names_the_reader() -> None:
    from graphrouter.bench.formats import READERS

    for name, public in PUBLIC.items():
        assert name in READERS
        lines = public.suggest_next(name, Path("my downloads"))
        converts = [line for line in lines if line.startswith("graphrouter data convert")]
        assert converts == (
            [f"graphrouter data convert --from {name} 'my downloads' --out data/{name}"]
            if public.converts
            else []
        )
        assert lines
