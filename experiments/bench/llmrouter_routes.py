"""Routes by a router of LLMRouter 0.4: for `beside_llmrouter`, in an environment of its own.

Usage: python llmrouter_routes.py FOLDER knn|graph

FOLDER holds what `beside_llmrouter.export` writes. It trains the router, says `ready`, and then
answers each line of the standard input, a prompt's number, with a line of JSON: processor seconds
of `route_single` as users call it, `as_is`, and with the model that it reads for each prompt kept
in memory, `kept`.

Nothing of the library is changed on disk. Its text encoder, a Longformer whose weights it
downloads, is replaced in memory by a look-up of vectors, and so is `transformers`, which it imports
for that.
"""

import contextlib
import functools
import io
import json
import sys
import time
import types
from importlib import import_module
from pathlib import Path
from typing import Any

ROUTERS = {
    "knn": ("knnrouter", "KNNRouter", "KNNRouterTrainer"),
    "graph": ("graphrouter", "GraphRouter", "GraphTrainer"),
}


def main() -> None:
    """Trains, says so, and answers until the standard input ends."""
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    said = sys.stdout
    with contextlib.redirect_stdout(io.StringIO()):  # the library prints at every step
        router, module = train(folder, kind)
        look_up_vectors(module, folder)
    said.write("ready\n")
    said.flush()
    prompts = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    for line in sys.stdin:
        query = {"query": prompts[int(line)]}
        with contextlib.redirect_stdout(io.StringIO()):
            found = {"as_is": measure(router, query)}
            with kept_in_memory(module, kind):
                measure(router, query)  # reads the model
                found["kept"] = measure(router, query)
        said.write(json.dumps(found) + "\n")
        said.flush()


def train(folder: Path, kind: str) -> tuple[Any, types.ModuleType]:
    """The trained router, and the module that it is of."""
    sys.modules["transformers"] = placeholder("transformers")
    package, router_name, trainer_name = ROUTERS[kind]
    parts = import_module(f"llmrouter.models.{package}")
    router = getattr(parts, router_name)(str(folder / f"{kind}.yaml"))
    getattr(parts, trainer_name)(router, device="cpu").train()
    return router, import_module(f"llmrouter.models.{package}.router")


def placeholder(name: str) -> types.ModuleType:
    """A module of which anything can be imported, to no use."""
    module = types.ModuleType(name)

    def find(wanted: str) -> type:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        return type(wanted, (), {})

    module.__getattr__ = find  # type: ignore[method-assign]
    return module


def look_up_vectors(module: types.ModuleType, folder: Path) -> None:
    """Exchange its encoder for a look-up."""
    import numpy as np
    import torch

    prompts = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    vectors = torch.from_numpy(np.load(folder / "prompts.npy"))
    known = dict(zip(prompts, vectors, strict=True))
    module.get_longformer_embedding = known.__getitem__  # type: ignore[attr-defined]


@contextlib.contextmanager
def kept_in_memory(module: types.ModuleType, kind: str) -> Any:
    """What is read from disk inside is read once."""
    import torch

    place, name = (module, "load_model") if kind == "knn" else (torch, "load")
    read = getattr(place, name)
    setattr(place, name, functools.lru_cache(lambda path, **_: read(path)))
    try:
        yield
    finally:
        setattr(place, name, read)


def measure(router: Any, query: dict[str, str]) -> float:
    """Processor seconds of a route."""
    start = time.process_time()
    router.route_single(query)
    return time.process_time() - start


if __name__ == "__main__":
    main()
