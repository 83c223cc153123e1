"""Writers and readers of one artifact at once, some killed: what was lost, who could not read.

A script, since every process of it is a fork of one that has imported the libraries and used none.

    python tests/integration/side_by_side.py FOLDER ROUNDS SEED

A writer adds a word to the artifact and takes it down as acknowledged once the call has returned.
Half of them change under the lock, the others read without it and are refused where they come late.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from graphrouter.artifact import (
    KEPT_VERSIONS,
    ArtifactContents,
    Lineage,
    lock_artifact,
    read_artifact,
    write_artifact,
)
from graphrouter.exceptions import ArtifactError

NUM_WRITERS, NUM_READERS, NUM_CHANGES, NUM_KILLED = 8, 4, 2, 5


def contents_of(words: list[str]) -> ArtifactContents:
    """Contents of which every file changes with the words."""
    return ArtifactContents(
        {"kind": "test", "words": words},
        {"weights": {"count": np.full(3, float(len(words)))}},
        {"words": pd.DataFrame({"word": pd.Series(words, dtype="str")})},
    )


def read_words(folder: Path) -> tuple[list[str], str]:
    """The words, the same in all files, and the checksum of their version."""
    found = read_artifact(folder)
    words: list[str] = found.manifest["words"]
    if list(found.tables["words"]["word"]) != words:
        raise AssertionError("the table is of another version than the manifest")
    if found.tensors["weights"]["count"][0] != len(words):
        raise AssertionError("the tensors are of another version than the manifest")
    return words, found.manifest["checksum"]


def write(folder: Path, acknowledged: Path, name: str, *, under_lock: bool) -> None:
    for i in range(NUM_CHANGES):
        word = f"{name}.{i}"
        if under_lock:
            with lock_artifact(folder):
                write_artifact(folder, contents_of([*read_words(folder)[0], word]))
        else:
            change_without_lock(folder, word)
        descriptor = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{word}\n".encode())
        os.close(descriptor)


def change_without_lock(folder: Path, word: str) -> None:
    while True:
        lineage = Lineage()
        words, checksum = read_words(folder)
        lineage.note(folder, checksum)
        try:
            write_artifact(folder, contents_of([*words, word]), lineage=lineage)
        except ArtifactError as error:
            if "was changed after" not in str(error):
                raise
            time.sleep(random.uniform(0, 0.02))
        else:
            return


def read(folder: Path, stop: Path) -> None:
    seen: list[str] = []
    while not stop.exists():
        words, _ = read_words(folder)
        if words[: len(seen)] != seen:
            raise AssertionError(f"{seen} became {words}")
        seen = words


def start(what: Callable[[], None], errors: Path) -> int:
    """The process that does it; what goes wrong in it is written to `errors`."""
    process = os.fork()
    if process:
        return process
    status = 0
    try:
        torch.set_num_threads(1)
        logging.disable(logging.WARNING)  # that it waits
        random.seed()
        what()
    except BaseException as error:
        status = 1
        with errors.open("a", encoding="utf-8") as stream:
            stream.write(f"{type(error).__name__}: {error}\n")
    os._exit(status)


def wait_for(acknowledged: Path, num: int) -> None:
    """Wait until so many changes are acknowledged, but not for ever: the others may be done."""
    start_s = time.monotonic()
    while time.monotonic() - start_s < 2:
        if num == 0 or (acknowledged.exists() and len(acknowledged.read_bytes().split()) >= num):
            return
        time.sleep(0.005)


def run_round(folder: Path, rng: random.Random) -> dict[str, Any]:
    """What was acknowledged, what was lost, and what went wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    artifact, errors, stop = folder / "artifact", folder / "errors", folder / "stop"
    acknowledged, result = folder / "acknowledged", folder / "result"

    def begin() -> None:
        write_artifact(artifact, contents_of([]))

    os.waitpid(start(begin, errors), 0)
    writers = [
        start(
            lambda i=i: write(artifact, acknowledged, f"w{i}", under_lock=i % 2 == 0),  # type: ignore[misc]
            errors,
        )
        for i in range(NUM_WRITERS)
    ]
    readers = [start(lambda: read(artifact, stop), errors) for _ in range(NUM_READERS)]
    doomed = rng.sample(writers, NUM_KILLED) + rng.sample(readers, 1)
    for process, num_before in zip(
        doomed, sorted(rng.choices(range(8), k=len(doomed))), strict=True
    ):
        wait_for(acknowledged, num_before)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(process, signal.SIGKILL)  # not waited for yet, so it is there, dead or alive
    killed = sum(os.WIFSIGNALED(os.waitpid(process, 0)[1]) for process in writers)
    stop.touch()
    for process in readers:
        os.waitpid(process, 0)

    def look() -> None:
        words, _ = read_words(artifact)
        write_artifact(artifact, contents_of([*words, "last"]))  # the next one clears up
        names = [path.name for path in artifact.iterdir()]
        result.write_text(json.dumps({"words": words, "files": names}), encoding="utf-8")

    os.waitpid(start(look, errors), 0)
    told = acknowledged.read_text(encoding="utf-8").split() if acknowledged.exists() else []
    wrong = errors.read_text(encoding="utf-8").splitlines() if errors.exists() else []
    found = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
    words, files = found.get("words", []), found.get("files", [])
    if len(words) != len(set(words)):
        wrong.append(f"a word stands there twice: {words}")
    most = 3 * (KEPT_VERSIONS + 1)  # a manifest, tensors and a table each
    if len(files) > most or any(name.startswith(".") for name in files):
        wrong.append(f"files stay behind: {sorted(files)}")
    return {
        "acknowledged": len(told),
        "lost": sorted(set(told) - set(words)),
        "killed": killed,
        "wrong": wrong,
    }


def main() -> None:
    folder, rounds, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    found = [run_round(folder, rng) for _ in range(rounds)]
    told = {
        "rounds": len(found),
        "acknowledged": sum(each["acknowledged"] for each in found),
        "killed": sum(each["killed"] for each in found),
        "lost": [word for each in found for word in each["lost"]],
        "wrong": [text for each in found for text in each["wrong"]],
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
