"""A cluster of PostgreSQL of the tests' own, on loopback, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql


def find_programs() -> Path | None:
    """The folder of `initdb` and its like; None where they are not installed."""
    folders = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


PROGRAMS = find_programs()


class Cluster:
    """A running cluster with no password."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def make_database(self, name: str, template: str = "template1") -> str:
        """URL of a new database, a copy of another one."""
        server = f"postgresql://tester@127.0.0.1:{self.port}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            words = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(words.format(sql.Identifier(name), sql.Identifier(template)))
        return f"{server}/{name}"

    def start(self) -> None:
        settings = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off"
        run(
            "pg_ctl",
            "-w",
            "-D",
            str(self.folder / "data"),
            "-o",
            settings,
            "-l",
            str(self.folder / "log"),
            "start",
        )

    def stop(self, how: str = "fast") -> None:
        run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-m", how, "stop")


def run(program: str, *words: str) -> None:
    """Run a program of PostgreSQL, which refuses to be run by root."""
    assert PROGRAMS is not None
    done = subprocess.run(
        [PROGRAMS / program, *words],
        user=find_user(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        cwd="/",
        check=False,
        text=True,
    )
    assert done.returncode == 0, f"{program} {' '.join(words)}: {done.stdout}"


def find_user() -> int | None:
    """Whom to run it as; None for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name: user.pw_uid for user in pwd.getpwall()}
    return names.get("postgres", names["nobody"])


@contextmanager
def start_cluster() -> Iterator[Cluster]:
    """A cluster that is gone when the context ends."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        if (user := find_user()) is not None:
            os.chown(folder, user, -1)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        run("initdb", "-D", str(folder / "data"), "-U", "tester", "-A", "trust", "-N")
        cluster = Cluster(folder, port)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")
