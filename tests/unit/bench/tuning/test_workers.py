"""Two processes on one study: both work, and together they do as many trials as were asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import graphrouter as gr
from graphrouter.bench.tuning.study_storage import build_sqlite_address

NUM_TRIALS = 6
WORKER = """
import json, sys, time
from pathlib import Path
import graphrouter as gr
from graphrouter.bench.tuning.search_space import FloatRange, SearchSpace
from graphrouter.bench.tuning import tune

folder, storage, mine, other = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
numbers = []

def wait_for_the_other(record):  # so that neither does everything before the other has begun
    numbers.append(record.number)
    (folder / mine).touch()
    while not (folder / other).exists():
        time.sleep(0.02)

config = gr.load_config(
    overrides=[
        "encoder.name=hashing", "encoder.dimension=32",
        "training.max_epochs=1", "training.steps_per_epoch=1",
    ]
)
space = SearchSpace.of({"network.dropout": FloatRange(low=0.0, high=0.5)})
data = gr.load_dataset(folder / "world")
result = tune(
    data, config, num_trials=int(sys.argv[5]), space=space, storage=storage,
    on_trial=wait_for_the_other,
)
params = [list(trial.params.values()) for trial in result.trials]
print(json.dumps({"mine": numbers, "params": params}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_two_processes_share_a_study(tmp_path: Path, kind: str) -> None:
    gr.simulate(num_queries=120, num_models=4, seed=3).data.save(tmp_path / "world")
    storage = (
        build_sqlite_address(tmp_path / "study.sqlite3")
        if kind == "sqlite"
        else f"journal:{tmp_path / 'study.log'}"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), storage, mine, other, str(NUM_TRIALS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for mine, other in (("a", "b"), ("b", "a"))
    ]
    try:
        told = [worker.communicate(timeout=200) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], [errors for _, errors in told]
    one, two = (json.loads(shown.splitlines()[-1]) for shown, _ in told)
    assert one["mine"]
    assert two["mine"]
    assert not set(one["mine"]) & set(two["mine"])
    assert len(one["mine"]) + len(two["mine"]) == NUM_TRIALS
    params = max(one["params"], two["params"], key=len)
    assert len(params) == len({tuple(each) for each in params}) == NUM_TRIALS, (
        "two workers must not try the same settings"
    )
