"""The study of start values from other sets: what is learned, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import graphrouter as gr
from experiments.meta_training import learning, table
from experiments.meta_training.cells import fit_from, read_start, write_start
from experiments.meta_training.learning import StartValues, learn_start_values
from experiments.meta_training.run import main
from graphrouter.nn.layers import list_structural
from graphrouter.nn.network import RoutingGNN
from graphrouter.router.fitting import training_tables
from graphrouter.router.training_view import TrainingView
from graphrouter.training.prepare import TrainingTables
from graphrouter.training.start import build_network

CONFIG = gr.load_config(
    overrides=[
        "encoder.name=hashing",
        "encoder.dimension=64",
        "training.batch_queries=16",
        "training.support_queries=64",
    ]
)


@pytest.fixture(scope="module")
def views() -> list[TrainingView]:
    return [
        TrainingView.of(gr.simulate(num_queries=150, num_models=3 + seed, seed=seed).data, CONFIG)
        for seed in range(2)
    ]


def learn(views: list[TrainingView]) -> StartValues:
    """From masses that are far too large, so that there is something to learn."""

    def spoil(tables: TrainingTables, config: gr.TrainConfig) -> RoutingGNN:
        net = build_network(tables, config)
        with torch.no_grad():
            net.get_parameter("base.ability_mass.log").add_(4.0)
        return net

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "build_network", spoil)
        return learn_start_values(
            [view.derive(training_tables) for view in views], CONFIG, num_rounds=5
        )


@pytest.fixture(scope="module")
def learned(views: list[TrainingView]) -> StartValues:
    return learn(views)


def test_structural_parameters_alone_are_learned_from_all_sets(
    views: list[TrainingView], learned: StartValues
) -> None:
    net = build_network(views[0].derive(training_tables), CONFIG)
    assert set(learned.parameters) == list_structural(net)
    assert len(learned.losses) == 2  # the start values, then after five rounds
    assert learned.losses[learned.best_check] == min(learned.losses)
    assert learned.best_check > 0
    before = {name: each.clone() for name, each in net.state_dict().items()}
    learned.put_into(net)
    moved = {name for name, each in net.state_dict().items() if not torch.equal(each, before[name])}
    assert moved <= set(learned.parameters)
    assert "base.ability_mass.log" in moved


def test_the_same_episodes_teach_the_same(
    views: list[TrainingView], learned: StartValues, tmp_path: Path
) -> None:
    again = learn(views)
    assert again.losses == learned.losses
    write_start(learned, tmp_path / "start.json")
    read = read_start(tmp_path / "start.json")
    assert read.losses == learned.losses
    for name, parameter in again.parameters.items():
        assert torch.equal(parameter, learned.parameters[name])
        assert torch.equal(parameter, read.parameters[name])


def test_start_values_of_the_package_give_the_router_of_the_package(
    views: list[TrainingView], learned: StartValues
) -> None:
    view = views[0]
    net = build_network(view.derive(training_tables), CONFIG)
    own = {name: net.get_parameter(name).detach() for name in list_structural(net)}
    prompts = view.data.queries["prompt"].tolist()[:5]
    expected = gr.GraphRouter.fit(view, instant=True).predict(prompts).effect
    from_own = fit_from(StartValues(own, (), 0), view).predict(prompts).effect
    assert from_own.tolist() == expected.tolist()
    assert fit_from(learned, view).predict(prompts).effect.tolist() != expected.tolist()


@pytest.mark.slow
def test_a_run_goes_on_where_it_ended_and_prints_its_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed, name in enumerate(("one", "two")):
        gr.simulate(num_queries=100, num_models=3, seed=seed).data.save(tmp_path / name)
    words = [str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "run")]
    words += ["--rounds", "5", "--seeds", "1", "--trained-seeds", "0"]
    main(words)
    shown, told = capsys.readouterr()
    assert told.count("is kept") == 2
    assert shown.count("| one |") == shown.count("| two |") == 5
    main(words)
    again, told = capsys.readouterr()
    assert (again, told) == (shown, "")
    with pytest.raises(SystemExit):
        main([words[0], *words[2:]])
    assert "one set alone leaves none to learn from" in capsys.readouterr().err


def test_the_page_is_what_the_committed_figures_say() -> None:
    shown = (Path(table.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert shown == "\n".join(table.page()) + "\n"
