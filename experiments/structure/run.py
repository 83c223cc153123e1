"""The way of a prompt and of a dataset: which files and functions of the package they pass.

Usage: python experiments/structure/run.py [--files] [--cold]

Counts what runs, by a profiler's events: `route` of one prompt on a loaded router, and `fit` on a
small simulated dataset. Crossings are calls from one package of graphrouter into another. With
--cold the first `fit` of the process counts, with what its imports call; the bodies of modules and
classes count in neither case.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NamedTuple

import graphrouter as gr

ROOT = Path(gr.__file__).resolve().parent
PROMPT = "Prove that 17 is prime."


class Way(NamedTuple):
    """What was passed on a way."""

    files: list[str]
    num_functions: int
    packages: list[str]
    num_crossings: int


def trace(action: Callable[[], Any]) -> Way:
    """Files, functions and packages of graphrouter that `action` passes."""
    functions: set[tuple[str, str, int]] = set()
    crossings: set[tuple[str, str]] = set()

    def place(frame: FrameType | None) -> str | None:
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(f"{ROOT}/"):
                return file[len(str(ROOT)) + 1 :]
            frame = frame.f_back
        return None

    def watch(frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        is_function = frame.f_code.co_flags & inspect.CO_OPTIMIZED  # no body of a module or class
        if event != "call" or not is_function or not file.startswith(f"{ROOT}/"):
            return
        name = file[len(str(ROOT)) + 1 :]
        functions.add((name, frame.f_code.co_name, frame.f_code.co_firstlineno))
        caller = place(frame.f_back)
        if caller is not None and package_of(caller) != package_of(name):
            crossings.add((caller, name))

    sys.setprofile(watch)
    try:
        action()
    finally:
        sys.setprofile(None)
    files = sorted({file for file, *_ in functions})
    return Way(files, len(functions), sorted({package_of(file) for file in files}), len(crossings))


def package_of(file: str) -> str:
    """The package below graphrouter that a file is in; `graphrouter` for the top level."""
    return file.partition("/")[0] if "/" in file else "graphrouter"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", action="store_true", help="List the files.")
    parser.add_argument(
        "--cold", action="store_true", help="Count the first fit, imports included."
    )
    options = parser.parse_args()
    data = gr.simulate(num_queries=120, num_models=4).data
    config = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=2"])
    first = trace(lambda: gr.GraphRouter.fit(data, config))
    fitted = first if options.cold else trace(lambda: gr.GraphRouter.fit(data, config))
    trained = gr.GraphRouter.fit(data, config)
    with TemporaryDirectory() as folder:
        trained.save(folder)
        router = gr.load_router(folder)
    routed = trace(lambda: router.route(PROMPT))
    for name, way in (("route", routed), ("fit", fitted)):
        print(
            f"{name}: {way.num_functions} functions in {len(way.files)} files of "
            f"{len(way.packages)} packages "
            f"({', '.join(way.packages)}), {way.num_crossings} crossings"
        )
        if options.files:
            print("".join(f"  {file}\n" for file in way.files), end="")


if __name__ == "__main__":
    main()
