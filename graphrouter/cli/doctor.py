"""`graphrouter doctor`: is this installation whole, and what could it do beside?"""

from __future__ import annotations

import os
import platform
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated, Literal

import typer

from graphrouter import __version__
from graphrouter.cli import options
from graphrouter.cli.console import print_json
from graphrouter.cli.progress import show_working
from graphrouter.cli.render import make_table, say, show_table
from graphrouter.extras import EXTRAS, PURPOSES, is_installed
from graphrouter.wording import count_of, name_some

Status = Literal["ok", "absent", "odd", "broken"]
_EXTRA = re.compile(r"extra *== *['\"]([\w-]+)['\"]")
_REQUIREMENT = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])? *\(?([^)]*)\)?")
_SERVES_ALONE = "not there: this installation serves, and does not train"
_NUM_ROUTES = 20
_SLOW_ROUTE_S = 0.1
_TRIAL = {
    "prompt": ["What is 17 + 25?", "What is 17 + 25?", "Name three rivers.", "Name three rivers."],
    "model": ["small", "large", "small", "large"],
    "effect": [0.0, 1.0, 1.0, 1.0],
}


@dataclass(frozen=True)
class Finding:
    """What was looked at, and what was found."""

    name: str
    status: Status
    """`absent` is an extra that is not there; what is `odd` works, but should be looked at."""
    found: str
    mend: str = ""
    """What helps; empty where nothing has to be done."""


def doctor(
    as_json: options.Json = False,
    folder: Annotated[
        Path,
        typer.Option(
            "--folder",
            metavar="FOLDER",
            help="Where artifacts are to lie: is it writable, do locks hold there?",
        ),
    ] = Path(),
) -> None:
    """Check this installation: versions, extras, text encoder, files and locks, threads, speed.

    Exit status 1 says that something is broken; extras that are not there are no fault.

    Example: graphrouter doctor --folder artifacts
    """
    with show_working("Looking"):
        found = list(examine(folder))
    broken = [each for each in found if each.status == "broken"]
    if as_json:
        print_json({"version": __version__, "is_sound": not broken, "findings": found})
    else:
        _show(found, len(broken))
    if broken:
        raise typer.Exit(1)


def examine(folder: Path) -> Iterator[Finding]:
    """What there is to say of this installation, one thing after the other.

    Args:
        folder: Where artifacts are to lie.
    """
    if is_installed("packaging"):
        yield _examine_python()
        yield from _examine_packages()
    else:
        yield Finding("packages", "odd", "versions were not looked at", "pip install packaging")
    yield from _examine_extras()
    for name, look in _LOOKS.items():
        try:
            yield look(folder)
        except Exception as error:  # whatever it is, that is what was to be found out
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            yield Finding(name, "broken", what, "Read what it says; reinstall what it names.")


def _examine_python() -> Finding:
    from importlib.metadata import metadata

    from packaging.specifiers import SpecifierSet

    wanted = metadata("graphrouter")["Requires-Python"]
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if SpecifierSet(wanted).contains(platform.python_version()):
        return Finding("Python", "ok", f"{found} (allowed: {wanted})")
    return Finding("Python", "broken", found, f"Install Python {wanted}, and graphrouter there.")


def _examine_packages() -> Iterator[Finding]:
    """One finding of all packages of the core that are as they should be, one of each other."""
    needed = read_requirements()[""]
    odd = [found for name, wanted in needed.items() if (found := _examine_version(name, wanted))]
    yield Finding("packages", "ok", f"{len(needed) - len(odd)} of {len(needed)} as required")
    yield from odd


def _examine_version(name: str, wanted: str) -> Finding | None:
    """What is wrong with the version of a package; None where it is as required."""
    from packaging.specifiers import SpecifierSet

    try:
        found = version(name)
    except PackageNotFoundError:
        if not is_installed("torch"):
            return Finding(name, "odd", _SERVES_ALONE, "See docs/runtime.md.")
        return Finding(name, "broken", "not there", f"pip install '{name}{wanted}'")
    if SpecifierSet(wanted).contains(found, prereleases=True):
        return None
    what = f"{found}, and {wanted} is needed"
    return Finding(name, "broken", what, f"pip install '{name}{wanted}'")


def _examine_extras() -> Iterator[Finding]:
    wanted = read_requirements()
    for extra, modules in EXTRAS.items():
        name, line = f"extra {extra}", f"pip install 'graphrouter[{extra}]'"
        lacking = [package for module, package in modules.items() if not is_installed(module)]
        if lacking:
            what = f"{PURPOSES[extra]}; not there: {name_some(lacking)}"
            yield Finding(name, "absent", what, line)
            continue
        odd = [
            f"{package} {found.found}"
            for package in modules.values()
            if is_installed("packaging")
            and (found := _examine_version(package, wanted[extra].get(package.lower(), "")))
        ]
        status: Status = "broken" if odd else "ok"
        yield Finding(name, status, "; ".join([PURPOSES[extra], *odd]), line if odd else "")


def read_requirements() -> dict[str, dict[str, str]]:
    """The allowed versions of each package, in small letters, by extra; "" is the core."""
    found: dict[str, dict[str, str]] = {"": {}, **{extra: {} for extra in EXTRAS}}
    for line in requires("graphrouter") or []:
        extra = _EXTRA.search(line)
        for name, wanted in _REQUIREMENT.findall(line.partition(";")[0].strip()):
            found.setdefault(extra[1] if extra else "", {})[name.lower()] = wanted
    return found


def _examine_encoder(folder: Path) -> Finding:
    del folder
    from graphrouter.config import EncoderConfig
    from graphrouter.encoders import create_encoder

    start = time.perf_counter()
    config = EncoderConfig()
    vectors = create_encoder(config).encode(["What is 17 + 25?"])
    taken_s = time.perf_counter() - start
    what = f"{config.name}, {vectors.shape[1]} dimensions, loaded in {taken_s:.1f} s"
    return Finding("text encoder", "ok", what)


def _examine_writing(folder: Path) -> Finding:
    place = _nearest(folder)
    with tempfile.TemporaryDirectory(prefix=".graphrouter.", dir=place) as inside:
        (Path(inside) / "trial").write_text("trial", encoding="utf-8")
    return Finding("writing", "ok", f"{place} can be written to")


def _examine_locks(folder: Path) -> Finding:
    from graphrouter.locks import HELD, lock_folder

    place = _nearest(folder)
    with (
        tempfile.TemporaryDirectory(prefix=".graphrouter.", dir=place) as inside,
        lock_folder(Path(inside)),
    ):
        by_file = (Path(inside) / HELD).exists()
        held = _is_refused_elsewhere(Path(inside))
    if not held:
        what = "a lock was given to two at once"
        return Finding("locks", "broken", what, "Let one process alone change artifacts there.")
    kind = "by a file, since flock is not seen by all" if by_file else "by flock"
    return Finding("locks", "ok", f"they hold at {place}, {kind}")


def _is_refused_elsewhere(folder: Path) -> bool:
    """Whether a lock that this thread has is refused to another one."""
    from concurrent.futures import ThreadPoolExecutor

    from graphrouter.exceptions import BusyError
    from graphrouter.locks import lock_folder

    def take() -> bool:
        try:
            with lock_folder(folder, wait_s=0):
                return False
        except BusyError:
            return True

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(take).result()


def _examine_threads(folder: Path) -> Finding:
    del folder
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = {n: v for n in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if (v := os.environ.get(n))}
    stated = ", ".join(f"{name}={value}" for name, value in told.items()) or "none stated"
    return Finding("threads", "ok", f"{count_of(cores or 1, 'core')}; {stated}")


def _examine_torch(folder: Path) -> Finding:
    del folder
    if not is_installed("torch"):
        return Finding(
            "torch", "absent", "not there: serves, does not train", "See docs/runtime.md."
        )
    import torch

    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    with_gpu = f"{cuda} CUDA devices" if cuda else "no CUDA device, none is needed"
    return Finding(
        "torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads, {with_gpu}"
    )


def _examine_speed(folder: Path) -> Finding:
    del folder
    if not is_installed("torch"):
        return Finding("one route", "absent", "not tried: it takes torch to make a router")
    from graphrouter.router.graph_router import GraphRouter

    router = GraphRouter.fit(_TRIAL, instant=True)
    router.route("What is 23 * 19?")
    taken = []
    for _ in range(_NUM_ROUTES):
        start = time.perf_counter()
        router.route("What is 23 * 19?")
        taken.append(time.perf_counter() - start)
    median = sorted(taken)[_NUM_ROUTES // 2]
    what = f"{1e3 * median:.1f} ms, the median of {_NUM_ROUTES} with 2 solved prompts"
    if median > _SLOW_ROUTE_S:
        return Finding("one route", "odd", what, "Set OMP_NUM_THREADS=1 where the machine is busy.")
    return Finding("one route", "ok", what)


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    place = folder.absolute()
    return next(path for path in (place, *place.parents) if path.is_dir())


_LOOKS: dict[str, Callable[[Path], Finding]] = {
    "text encoder": _examine_encoder,
    "writing": _examine_writing,
    "locks": _examine_locks,
    "threads": _examine_threads,
    "torch": _examine_torch,
    "one route": _examine_speed,
}


def _show(found: list[Finding], num_broken: int) -> None:
    table = make_table(f"graphrouter {__version__}", "state", "of", "found", text_columns=3)
    for each in found:
        style = {"ok": None, "absent": "dim", "odd": "yellow", "broken": "bold red"}[each.status]
        text = f"{each.found}\n{each.mend}" if each.mend else each.found
        table.add_row(each.status, each.name, text, style=style)
    show_table(table)
    if num_broken:
        say(f"{count_of(num_broken, 'thing', 'is broken', 'are broken')}.", style="bold")
    else:
        say("Sound: everything that the core needs is there.", style="bold")
