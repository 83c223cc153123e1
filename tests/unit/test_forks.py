"""Every use of a router works in a process forked from one that has run torch on several threads.

Each case runs in processes of its own; a child that hangs is killed and fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import graphrouter as gr

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on this system")

SETTINGS = ["training.max_epochs=1", "training.steps_per_epoch=2", "encoder.name=hashing"]
PATIENCE_S = 120
"""A child ends within a second on an idle machine; one that hangs never does."""

PREAMBLE = f"""
import os, signal, sys, time, warnings
import graphrouter as gr

settings = gr.load_config(overrides={SETTINGS})
data = gr.simulate(num_queries=80, num_models=3, seed=0).data
card = gr.ModelCard(model="newcomer", input_usd_per_mtok=1.0, output_usd_per_mtok=2.0)

def use_pool():
    import torch
    torch.set_num_threads(2)  # also where the machine has one core
    torch.randn(400, 400) @ torch.randn(400, 400)
    torch.randn(600_000).tanh()

def fork(use):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            use()
            code = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            code = 1
        os._exit(code)
    until = time.monotonic() + {PATIENCE_S}
    while time.monotonic() < until:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            assert status == 0, f"the child ended with {{status}}"
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise SystemExit("the child hangs")
"""


def run(script: str) -> None:
    """Run a script after the preamble, with more than one thread."""
    env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", f"{PREAMBLE}\n{script}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_S,
        env=env | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_routers_work_in_a_forked_process(tmp_path: Path) -> None:
    """Of a parent that has trained, loaded and predicted: the graph router, and baselines."""
    run(f"""
import multiprocessing
from graphrouter.bench.baselines import BASELINES, fit_baselines

folder = {str(tmp_path)!r}
prompts = ["What is 2 + 2?"] * 40
warnings.simplefilter("ignore")  # baselines find few rows; Python warns of forks beside threads
names = ["knn", "linear", "irt_2pl", "uniroute_map", "gbt"]
baselines = fit_baselines(data, names, config=settings)
gr.GraphRouter.fit(data, settings).save(f"{{folder}}/graphrouter")
for name, baseline in baselines.items():
    baseline.save(f"{{folder}}/{{name}}")
router = gr.load_router(f"{{folder}}/graphrouter")
before = router.predict(prompts)
use_pool()

def read():
    assert router.predict(prompts).effect.tobytes() == before.effect.tobytes()
    loaded = gr.load_router(f"{{folder}}/graphrouter")
    assert loaded.predict(prompts).effect.tobytes() == before.effect.tobytes()

def change():
    more = router.add_model(card)
    assert more.route(prompts[0]).model in more.models
    assert more.remove_model("newcomer").predict(prompts).models == router.models
    router.suggest_probes(3)

def use_torch():
    import torch
    assert torch.get_num_threads() == 1
    torch.randn(600_000).tanh()

def train():
    several = settings.training.model_copy(update={{"num_threads": 2}})
    gr.GraphRouter.fit(data, settings.model_copy(update={{"training": several}}))

def use_baselines():
    for name, baseline in baselines.items():
        baseline.predict(prompts)
        gr.load_router(f"{{folder}}/{{name}}").predict(prompts)
    fit_baselines(data, list(baselines), config=settings)

for use in (read, change, use_torch, train, use_baselines, lambda: fork(read)):
    fork(use)
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.apply_async(router.add_model, [card]).get({PATIENCE_S})
""")


def test_a_child_that_imports_the_package_only_after_the_fork(tmp_path: Path) -> None:
    """Nothing is registered in its parent, which has run torch: routers compute on one thread."""
    gr.GraphRouter.fit(
        gr.simulate(num_queries=80, num_models=3, seed=0).data, gr.load_config(overrides=SETTINGS)
    ).save(tmp_path / "router")
    run(f"""
use_pool()

def use():
    import torch
    torch.set_num_threads(2)  # takes back what was registered
    gr.forks.threads_are_lost = False
    router = gr.load_router({str(tmp_path / "router")!r})
    router.add_model(card).route("What is 2 + 2?")
    gr.GraphRouter.fit(data, settings).suggest_probes(3)

fork(use)
""")


def test_the_gpu_of_the_parent_is_refused_or_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA that was in use before a fork is of no use after it."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    data = gr.simulate(num_queries=60, num_models=3, seed=0).data
    asked = gr.load_config(overrides=[*SETTINGS, "training.accelerator=gpu"])
    with pytest.raises(gr.GraphRouterError, match="Start it with the method spawn, or use cpu"):
        gr.GraphRouter.fit(data, asked)
    gr.GraphRouter.fit(data, gr.load_config(overrides=SETTINGS))
