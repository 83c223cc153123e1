"""Sequential routing on real outcomes: what grades tell, and what plans bring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.bench.observations import Observations


@pytest.mark.slow
def test_real_outcomes_tell_of_each_other_and_plans_beat_cascades(
    shared_data: Callable[[str], Path],
) -> None:
    data = gr.load_dataset(shared_data("routerbench_subset"))
    router = gr.GraphRouter.fit(data, gr.load_config(), instant=True)
    seen = Observations.of(data, list(router.provenance.split.test))
    effect = seen.outcomes.effect[:, [seen.outcomes.models.index(model) for model in router.models]]
    plain = router.predict(seen.queries).effect
    losses = []
    for told in range(3):
        known = [{router.models[i]: gr.Grade(float(row[i])) for i in range(told)} for row in effect]
        after = router.predict(seen.queries.with_known(known)).effect
        rest = np.isfinite(effect[:, 3:])
        chance, truth = np.clip(after[:, 3:], 1e-6, 1 - 1e-6)[rest], effect[:, 3:][rest]
        losses.append(-np.mean(truth * np.log(chance) + (1 - truth) * np.log1p(-chance)))
    assert losses[0] > losses[1] + 0.01 > losses[2] + 0.02
    assert np.array_equal(router.predict(seen.queries).effect, plain)

    found = router.evaluate(data, judge="auc:0.8", num_draws=20)
    for setting in found.settings.values():
        area = {name: each["area_log"].value for name, each in setting.routers.items()}
        own = area["graphrouter_sequential"]
        assert own > area["cascade_routing"]
        for other in ("graphrouter", "frugal_gpt", "auto_mix", "routerbench_cascade"):
            assert own > area[other] + 0.01
