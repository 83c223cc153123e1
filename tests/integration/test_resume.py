"""A run that is killed and resumed ends with the figures of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_TRAIN = """
import json, sys
import graphrouter as gr
data = gr.simulate(num_queries=120, num_models=4, seed=1).data
settings = ["training.max_epochs=4", "training.steps_per_epoch=4", "training.patience=4"]
config = gr.load_config(overrides=settings)
router = gr.GraphRouter.fit(data, config, work_dir=sys.argv[1])
predictions = router.predict(["How many legs have 3 cats?", "Translate 'tree'."])
print(json.dumps({"metrics": router.provenance.metrics, "effect": predictions.effect.tolist()}))
"""


def _start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", _TRAIN, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _finish(process: subprocess.Popen[str]) -> dict[str, object]:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    result: dict[str, object] = json.loads(output.strip().splitlines()[-1])
    return result


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_figures_of_an_uninterrupted_one(tmp_path: Path) -> None:
    reference = _finish(_start(tmp_path / "whole"))
    killed = _start(tmp_path / "killed")
    checkpoint = tmp_path / "killed" / "last.ckpt"
    deadline = time.monotonic() + 200
    while not checkpoint.is_file() and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    assert checkpoint.is_file()
    resumed = _finish(_start(tmp_path / "killed"))
    assert resumed == reference
    assert _finish(_start(tmp_path / "killed")) == reference, (
        "a finished run is not trained again, and gives the same"
    )
