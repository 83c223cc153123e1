"""Measures how fast a graph router loads, answers, learns and trains, and in how much memory.

Usage:
    python -m experiments.bench.run [DATA] [--artifact ARTIFACT] [--out FOLDER] [--against OLD.json]

Without DATA it simulates a world. Because machines differ, and one machine from minute to minute,
each figure is divided by a yardstick that was measured between its own repeats. Seconds are those
of the processor, on one thread: what else runs on the machine does not count. The yardsticks:

    imports            a fresh process that imports pandas and torch
    encode + search    encoding the prompt alone, and the product of the embeddings of all solved
                       queries with it, which an exact search must do at the least
    encode + knn       encoding the prompt, and scikit-learn's exact kNN over the same embeddings,
                       where scikit-learn is there
    first answer       the process that loads and answers once, for the memory of one that goes on
                       to predict many prompts, which come in batches of 1,000
    one thread         as many routes by one thread, for routes by eight: seconds of the clock, for
                       which the machine must have nothing else to do
    one process        the same short prompts by one process, for those by two that have begun
    route              a route in the simulated world, for routes in worlds with two and four times
                       its queries or models, or a half and a quarter of its outcomes, which are
                       measured where no DATA is given
    LLMRouter 0.4      with --llmrouter: a route of its kNN router and of its graph router, without
                       encoding, as it is and with the model kept that it reads for each prompt
    gram               the product of the embeddings of all solved queries with themselves, one
                       entry a pair of coordinates

Writes bench.json, bench.md and its plots, bench.svg, to FOLDER. With --against it compares the
ratios with those of an earlier bench.json, and ends with exit status 1 where one has more than
doubled.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import graphrouter as gr
from experiments.bench.beside_llmrouter import make_environment
from experiments.bench.plots import draw
from experiments.bench.report import BenchError, compare, read_result, render

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
PEAK = """
import pathlib, resource, sys
said = pathlib.Path("/proc/self/status")
if said.exists():  # what the system says of children counts their parent in
    print(next(l for l in said.read_text().splitlines() if l.startswith("VmHWM")).split()[1])
else:
    unit = 1024 if sys.platform == "darwin" else 1
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit)
"""
IMPORTS = f"import pandas, torch\n{PEAK}"
ANSWER = f"""
import sys, time
import graphrouter as gr

router, start = gr.load_router(sys.argv[1]), time.process_time()
list(router.route("Hi.").evidence)
print(time.process_time() - start)
{PEAK}
"""

AT_ONCE = 1_000
STREAM = f"""
import sys
import pyarrow as pa
import graphrouter as gr

router, count, at_once = gr.load_router(sys.argv[1]), int(sys.argv[2]), {AT_ONCE}
batches = (
    pa.RecordBatch.from_pydict({{"query_id": [str(i) for i in ids],
                                 "prompt": [f"What is {{i}} plus {{i % 7}}?" for i in ids]}})
    for ids in (range(first, min(first + at_once, count)) for first in range(0, count, at_once))
)
for _ in router.predict_batches(batches):
    pass
{PEAK}
"""


def run_fresh(code: str, *arguments: str) -> tuple[float, float, float]:
    """Seconds of the processor and peak MiB of a process of its own, from its start to its end; and
    what else it says, or 0."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = _run([sys.executable, "-c", code, *arguments], capture_output=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    *told, peak = said.split()
    return seconds, int(peak) / 1024, float(told[0]) if told else 0.0


def _run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run(command, check=True, text=True, env=variables, **options)


def measure_fresh(artifact: Path, repeats: int, streamed: int) -> dict[str, Any]:
    """Loading in a fresh process to the first answer, beside imports alone; and the memory of many
    prompts that come in batches, beside that of one."""
    for code in (IMPORTS, ANSWER):  # what the disk has to read is read
        run_fresh(code, str(artifact))
    pairs = [(run_fresh(IMPORTS), run_fresh(ANSWER, str(artifact))) for _ in range(repeats)]
    (floor_s, floor_mib, _), (answer_s, answer_mib, first_s) = (
        [statistics.median(column) for column in zip(*side, strict=True)]
        for side in zip(*pairs, strict=True)
    )
    _, stream_mib, _ = run_fresh(STREAM, str(artifact), str(streamed))
    return {
        "load to first answer, s": {"value": answer_s, "over": {"imports": answer_s / floor_s}},
        "first route after loading, ms": {
            "value": first_s * 1e3,
            "over": {"imports": first_s / floor_s},
        },
        "peak memory, MiB": {"value": answer_mib, "over": {"imports": answer_mib / floor_mib}},
        f"peak memory of {streamed:,} streamed prompts, MiB": {
            "value": stream_mib,
            "over": {"first answer": stream_mib / answer_mib},
        },
    }


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures."""
    warm = folder / "warm.json"
    words = [
        *(["--data", str(options.data.resolve())] if options.data else []),
        *(["--artifact", str(options.artifact.resolve())] if options.artifact else []),
        *(
            ["--llmrouter", str(make_environment(options.llmrouter.absolute()))]
            if options.llmrouter
            else []
        ),
        *(f"--{name}={getattr(options, name)}" for name in ("queries", "models")),
        *(f"--{name}={getattr(options, name)}" for name in ("routes", "changes", "steps")),
    ]
    module = "experiments.bench.warm"
    _run([sys.executable, "-m", module, str(folder / "router"), str(warm), *words], cwd=ROOT)
    found: dict[str, Any] = json.loads(warm.read_text(encoding="utf-8"))
    artifact = options.artifact or folder / "router"
    fresh = measure_fresh(artifact.resolve(), options.loads, options.streamed)
    return {**found, "measures": {**fresh, **found["measures"]}}


def main(words: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 where a ratio has more than doubled, or 2 for bad input.

    Args:
        words: Of the command line; those of the process without it.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", nargs="?", type=Path, help="a dataset; a simulated world without it")
    add("--artifact", type=Path, help="a graph router of DATA; without it one is fitted, untrained")
    add("--out", type=Path, default=Path("runs/bench"), help="where bench.json and bench.md go")
    add("--against", type=Path, metavar="OLD.json", help="an earlier bench.json to compare with")
    add("--queries", type=_count, default=3000, help="queries of the simulated world")
    add("--models", type=_count, default=20, help="models of the simulated world")
    add("--routes", type=_count, default=300, help="prompts that are routed one by one")
    add("--changes", type=_count, default=7, help="changes of outcomes and prices of each kind")
    add("--loads", type=_count, default=5, help="fresh processes")
    add("--streamed", type=_count, default=20_000, help="prompts of which the memory is measured")
    add("--steps", type=int, default=10, help="training steps; 0 measures none")
    add(
        "--llmrouter",
        nargs="?",
        type=Path,
        const=Path("runs/llmrouter"),
        metavar="FOLDER",
        help="also beside LLMRouter 0.4, in an environment that is made in FOLDER: some minutes",
    )
    options = parser.parse_args(words)
    try:
        old = read_result(options.against) if options.against else None
        if options.data:
            gr.load_dataset(options.data)  # told at once, not after the imports of a process
        options.peer = options.llmrouter and make_environment(options.llmrouter.absolute())
        with TemporaryDirectory() as folder:
            result = measure(options, Path(folder))
        page = render(result)
        _write(options.out, result, page, draw(result))
        lines, slower = compare(result, old) if old else ([], [])
        _write(options.out, result, [*page, *lines], draw(result, old))
    except (BenchError, gr.GraphRouterError) as error:
        parser.error(str(error))
    except subprocess.CalledProcessError as error:
        parser.error(
            f"a process that measures ended with exit status {error.returncode}, see above"
        )
    print("\n".join([*page, *lines]))
    for line in slower:
        print(f"more than doubled: {line}", file=sys.stderr)
    return 1 if slower else 0


def _write(folder: Path, result: Mapping[str, Any], page: Sequence[str], plots: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    page = [*page, "", "![Ratios, and the growth of a route](bench.svg)", ""]
    (folder / "bench.md").write_text("\n".join(page), encoding="utf-8")
    (folder / "bench.svg").write_text(plots, encoding="utf-8")


def _count(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}; expected 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
