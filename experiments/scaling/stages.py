"""What a training takes by stage: seconds and peak memory, from tables on disk to an artifact.

Usage:
    python -m experiments.scaling.stages DATA [--out ARTIFACT] [--set KEY=VALUE ...] [--json FILE]

One thread. A stage within another is indented, and its share is in that of the outer one too. Each
stage is printed when it ends, so that a long run can be followed. Peaks are those of the process
within the stage, as Linux counts them (`VmHWM`, set back when a stage begins).
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import graphrouter as gr
from graphrouter.data import readers, splits
from graphrouter.router import fitting, graph_router
from graphrouter.training import lightning_module, prepare, trainer

WATCHED: tuple[tuple[Any, str], ...] = (
    (readers, "read_table"),
    (readers, "build_dataset"),
    (prepare, "check_split"),
    (prepare, "encode_raw"),
    (prepare, "_order_outcomes"),
    (prepare, "encode_outcomes"),
    (prepare, "read_tariff"),
    (fitting, "training_tables"),
    (trainer, "fit_network"),
    (trainer, "_is_worth_it"),
    (trainer, "_validate"),
    (lightning_module, "draw_episode"),
    (fitting, "fit_calibration"),
    (fitting, "fit_effect_interval"),
    (fitting, "_training_support"),
    (graph_router, "make_states"),
    (graph_router, "find_search"),
    (graph_router, "find_outcome_covariance"),
    (graph_router, "save_parts"),
)
"""Functions that are stages, each in the module that calls it by that name."""
_OFTEN = ("draw_episode",)
"""Those that run many times: told in sum."""


@dataclass
class Stage:
    """One stage: how long it took, of which kind of time, and what it needed."""

    name: str
    depth: int
    wall_s: float = 0.0
    process_s: float = 0.0
    system_s: float = 0.0
    peak_mib: float = 0.0
    after_mib: float = 0.0
    times: int = 1


@dataclass
class Watch:
    """The stages so far."""

    done: list[Stage] = field(default_factory=list)
    _open: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures what runs inside, and prints it unless it runs often."""
        if self._open:
            self._open[-1].peak_mib = max(self._open[-1].peak_mib, _read_mib("VmHWM"))
        stage = Stage(name, len(self._open))
        self._open.append(stage)
        _reset_peak()
        wall, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        try:
            yield
        finally:
            ended = resource.getrusage(resource.RUSAGE_SELF)
            stage.wall_s = time.perf_counter() - wall
            stage.process_s = ended.ru_utime - spent.ru_utime
            stage.system_s = ended.ru_stime - spent.ru_stime
            stage.peak_mib = max(stage.peak_mib, _read_mib("VmHWM"))
            stage.after_mib = _read_mib("VmRSS")
            self._open.pop()
            if self._open:
                self._open[-1].peak_mib = max(self._open[-1].peak_mib, stage.peak_mib)
            self._keep(stage)

    def _keep(self, stage: Stage) -> None:
        if stage.name not in _OFTEN:
            self.done.append(stage)
            _print(stage)
            return
        for before in self.done:
            if before.name == stage.name:
                before.wall_s += stage.wall_s
                before.process_s += stage.process_s
                before.system_s += stage.system_s
                before.times += 1
                before.peak_mib = max(before.peak_mib, stage.peak_mib)
                return
        self.done.append(stage)


def main() -> None:
    """Prints one line a stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    watch = Watch()
    for module, name in WATCHED:
        setattr(module, name, _watched(watch, name, getattr(module, name)))
    config = gr.load_config(overrides=options.set)
    with tempfile.TemporaryDirectory() as folder, watch.stage("all"):
        with watch.stage("load_dataset"):
            data = gr.load_dataset(options.data)
        with watch.stage("split_dataset"):
            split = splits.split_dataset(data, config.split)
        with watch.stage("fit"):
            router = gr.GraphRouter.fit(data, config, split=split)
        with watch.stage("save"):
            router.save(options.out or Path(folder) / "artifact")
    for stage in watch.done:
        if stage.name in _OFTEN:
            _print(stage)
    report = {
        "outcomes": len(data.outcomes),
        "queries": len(data.queries),
        "models": len(data.models),
        "metrics": {name: round(value, 6) for name, value in router.provenance.metrics.items()},
        "stages": [asdict(stage) for stage in watch.done],
    }
    print(json.dumps({name: report[name] for name in ("outcomes", "queries", "models", "metrics")}))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def _watched(watch: Watch, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with watch.stage(name):
            return function(*args, **kwargs)

    return run


def _print(stage: Stage) -> None:
    often = f" ({stage.times} times)" if stage.times > 1 else ""
    print(
        f"{'  ' * stage.depth + stage.name + often:<34}{stage.wall_s:9.1f} s"
        f"{stage.process_s:9.1f} s user{stage.system_s:7.1f} s system"
        f"{stage.peak_mib:8.0f} MiB peak{stage.after_mib:8.0f} after",
        flush=True,
    )


def _read_mib(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {name}: this script needs Linux.")


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    sys.exit(main())
