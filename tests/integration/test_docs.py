"""README and docs say what is true: blocks run, links and paths lead somewhere, names exist.

A fence is python, bash, console (commands after `$ ` and exactly what they print), csv (written to
the file that the line above names), yaml (written so too where a file is named, else settings or
named routes), text, mermaid or bibtex. A block that cannot run here has `<!-- not run: reason -->`
on the line above.
"""

from __future__ import annotations

import ast
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import graphrouter as gr
from graphrouter import judging
from graphrouter.bench.baselines import BASELINES, QUICK
from graphrouter.bench.evaluation import METRICS
from graphrouter.bench.evaluation.benchmark import Plan, build_results_table
from graphrouter.bench.evaluation.benchmark.benchmark_run import build_cells_table
from graphrouter.cli.app import app, run
from graphrouter.config import TrainConfig, parse_config
from graphrouter.data.columns import TABLES, list_columns
from graphrouter.policy import PRESETS
from graphrouter.router import fitting
from graphrouter.scoring.effects import EffectInterval
from graphrouter.training import lightning_module, trainer
from graphrouter.training.prepare import TrainingTables

ROOT = Path(__file__).resolve().parents[2]
WALKS = [ROOT / "README.md", ROOT / "docs" / "quickstart.md"]
"""Pages that start from nothing; the others start from what these leave."""
LONG = [
    ROOT / "docs" / f"{name}.md"
    for name in ("newcomer-benchmark", "sequential", "tracking", "tuning")
]
"""They train again and again, 15 to 35 s each; what they show has tests of its own."""
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [
    *GUIDES,
    *(
        ROOT / name
        for name in ("CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "experiments/README.md")
    ),
]
RUN, SHOWN = {"python", "bash", "console", "csv", "yaml"}, {"text", "mermaid", "bibtex"}
MOST_NOT_RUN = 2
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
_FILE = re.compile(r"`([\w./-]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    above: str
    """The last line that is not empty above the block."""
    line: int

    @property
    def file(self) -> str | None:
        """What the line above names, which the block is written to; None without one."""
        found = _FILE.fullmatch(self.above)
        return found[1] if found else None

    @property
    def reason(self) -> str | None:
        """Why the block is not run; None where it is."""
        found = _NOT_RUN.fullmatch(self.above)
        return found[1] if found else None


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    blocks = []
    for match in _BLOCK.finditer(text):
        before = text[: match.start()]
        above = before.rstrip().rsplit("\n", 1)[-1]
        blocks.append(Block(match[1], match[2], above, before.count("\n") + 1))
    return blocks


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def page_ids(pages: list[Path], slow: Sequence[Path] = ()) -> dict[str, Any]:
    values = [
        pytest.param(page, marks=pytest.mark.slow) if page in slow else page for page in pages
    ]
    return {"argvalues": values, "ids": [str(page.relative_to(ROOT)) for page in pages]}


@pytest.fixture(scope="module")
def left_by_readme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the quickstart leaves: the folders `world` and `artifacts/mine`, made here with as
    little training as can be."""
    folder = tmp_path_factory.mktemp("docs")
    data = gr.simulate(num_queries=300).data
    data.save(folder / "world")
    config = gr.load_config(overrides=["training.max_epochs=1", "training.steps_per_epoch=2"])
    gr.GraphRouter.fit(data, config).save(folder / "artifacts" / "mine")
    return folder


@pytest.fixture(params=["short", pytest.param("whole", marks=pytest.mark.slow)])
def _epochs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One epoch or two of two steps, and intervals as they are at the start, for pages show how to
    train and not what comes of it; `make test-all` has all there is of both too."""
    if request.param != "short":
        return
    for module in (lightning_module, trainer):
        monkeypatch.setattr(module, "steps_per_epoch", lambda num_queries, settings: 2)
    fit_network = trainer.fit_network

    def fit_briefly(
        tables: TrainingTables, config: TrainConfig, **options: Any
    ) -> trainer.FittedNetwork:
        fewer = {"max_epochs": min(config.training.max_epochs, 2)}
        training = config.training.model_copy(update=fewer)
        return fit_network(tables, config.model_copy(update={"training": training}), **options)

    monkeypatch.setattr(trainer, "fit_network", fit_briefly)
    monkeypatch.setattr(fitting, "fit_effect_interval", lambda *_, **__: EffectInterval())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _epochs: None) -> Path:
    """An empty working directory with a copy of the clone's folders that commands read, and the
    commands on the path."""
    for name in ("configs", "data", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "120")
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
    ):  # a library that starts a thread a core slows the tests beside it
        monkeypatch.setenv(name, "1")
    return tmp_path


def run_blocks(page: Path) -> None:
    """Runs the blocks of a page in order; its Python blocks share their names."""
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks_of(page):
        where = f"{page.name}, line {block.line}"
        if block.reason is not None:
            continue
        if block.language == "python":
            exec(
                compile("\n" * block.line + block.text, str(page), "exec", dont_inherit=True), names
            )
        elif block.language == "bash":
            for command in block.text.splitlines():
                assert run_command(command) == 0, f"{where}: {command}"
        elif block.language == "console":
            check_session(block.text, where)
        elif block.language == "csv" or (block.language == "yaml" and block.file):
            assert block.file is not None, where
            file = Path(block.file)
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "yaml":
            values = yaml.safe_load(block.text)
            if "routes" in values:
                gr.Routes(**values, source=where)
            else:
                parse_config(values, source=where)


def is_plain(command: str) -> bool:
    """Whether it is a graphrouter command that needs no shell."""
    return command.startswith("graphrouter ") and not set("|<>&;$") & set(command)


def run_command(command: str) -> int:
    """The exit status of one line of a bash block. A plain graphrouter command runs here: a process
    spends seconds on imports."""
    if is_plain(command):
        return run(shlex.split(command, comments=True)[1:])
    return subprocess.run(["bash", "-c", command], timeout=120, check=False).returncode


def check_session(text: str, where: str) -> None:
    """Each command of a session prints exactly what stands below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        assert show(command) == expected, f"{where}: {command}"


def show(command: str) -> str:
    """What a command of a session prints, its errors too; a plain one runs here, like those of bash
    blocks."""
    if is_plain(command):
        shown = io.StringIO()
        with redirect_stdout(shown), redirect_stderr(shown):
            run(shlex.split(command, comments=True)[1:])
        return shown.getvalue()
    return subprocess.run(
        ["bash", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    ).stdout


def check_leftovers(place: Path) -> None:
    """What a walk through a page leaves in the clone is ignored by git."""
    left = [
        f"{path.name}/" if path.is_dir() else path.name  # git takes a name for that of a file
        for path in sorted(place.iterdir())
        if path.name not in ("configs", "data", "examples")
    ]
    words = ["git", "-C", str(ROOT), "check-ignore", "--no-index", *left]
    ignored = subprocess.run(words, capture_output=True, text=True, check=False)
    assert set(left) - set(ignored.stdout.splitlines()) == set(), "name it in .gitignore"


@pytest.mark.parametrize("page", **page_ids(WALKS))
def test_a_walk_runs_and_leaves_what_the_docs_start_from(page: Path, place: Path) -> None:
    run_blocks(page)
    check_leftovers(place)
    assert len(gr.load_dataset("world").queries) == 300
    assert len(gr.load_router("artifacts/mine").models) == 12


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize(
    "page", **page_ids([page for page in GUIDES if page not in WALKS], slow=LONG)
)
def test_docs_page_runs(page: Path, place: Path, left_by_readme: Path) -> None:
    shutil.copytree(left_by_readme, place, dirs_exist_ok=True)
    run_blocks(page)


@pytest.mark.parametrize("script", **page_ids(sorted((ROOT / "examples").glob("*.py"))))
def test_example_script_runs_and_is_short(
    script: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 50
    monkeypatch.setattr(sys, "argv", [script.name])
    runpy.run_path(str(script), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("page", **page_ids(GUIDES))
def test_every_fence_is_run_or_says_why_not(page: Path) -> None:
    blocks = blocks_of(page)
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks)
    assert {block.language for block in blocks} <= RUN | SHOWN
    assert sum(block.reason is not None for block in blocks) <= (
        MOST_NOT_RUN if page.name == "README.md" else 0
    )


def test_every_page_has_a_place_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    placed = re.findall(r"[\w-]+\.md", navigation)
    assert sorted(placed) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


def test_troubleshooting_quotes_what_is_said() -> None:
    """Each message in the first column stands in the code, piece by piece."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    files = (ROOT / "graphrouter").rglob("*.py")
    said = "\n".join(
        text for file in files for text in sentences_of(file.read_text(encoding="utf-8"))
    )
    quotes = [
        quote
        for cell in re.findall(r"^\| (`.+?) \|", page, flags=re.MULTILINE)
        for quote in re.findall(r"`([^`]+)`", cell)
        if not quote.startswith(("pip", "libgomp"))
    ]
    assert len(quotes) > 15
    assert [quote for quote in quotes if quote not in said] == []


def sentences_of(code: str) -> list[str]:
    """The texts of a file, those of f-strings joined with nothing for what is filled in."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            found.append(
                "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            )
    return found


@pytest.mark.parametrize("page", **page_ids(PAGES))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = prose_of(page)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors_of(linked), f"{page.name} links to {target}"
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for path in re.findall(r"`([\w.-]+(?:/[\w.-]+)+/?)`", text):
        if path.partition("/")[0] in folders - {"artifacts"}:
            assert (ROOT / path).exists(), f"{page.name} names {path}"


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", **page_ids(PAGES))
def test_make_targets_exist(page: Path) -> None:
    targets = set(
        re.findall(
            r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
        )
    )
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^ *|&& )make ([a-z-]+)", text, flags=re.MULTILINE))
    assert named <= targets


def options_of(command: Any) -> set[str]:
    """The long options of a command and of all commands below it."""
    own = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    return own.union(
        {"--help"}, *(options_of(below) for below in getattr(command, "commands", {}).values())
    )


@pytest.mark.parametrize("page", **page_ids(GUIDES))
def test_commands_options_and_names_exist(page: Path) -> None:
    prose = prose_of(page)
    everything = typer.main.get_command(app)
    for words in (code.split()[1:] for code in re.findall(r"`(graphrouter [^`]+)`", prose)):
        command: Any = everything
        while hasattr(command, "commands") and words and not words[0].startswith("-"):
            assert words[0] in command.commands, f"{page.name}: graphrouter {' '.join(words)}"
            command, words = command.commands[words[0]], words[1:]
        named = {word for word in words if word.startswith("--")}
        assert named <= options_of(command), f"{page.name}: {words}"
    assert set(re.findall(r"`(--[a-z-]+)", prose)) <= options_of(everything)
    assert set(re.findall(r"\bgr\.([A-Za-z]\w*)", page.read_text(encoding="utf-8"))) <= set(
        gr.__all__
    )


@pytest.mark.parametrize(
    ("page", "names"),
    [
        (
            "docs/data.md",
            {*TABLES, *(column for table in TABLES for column in list_columns(table))},
        ),
        (
            "docs/policies.md",
            {*gr.Policy.model_fields, *PRESETS, *gr.Decision.__dataclass_fields__},
        ),
        ("docs/configuration.md", set(TrainConfig.model_fields)),
        ("docs/evaluation.md", {*METRICS, *QUICK, "oracle"}),
        ("docs/baselines.md", {*BASELINES}),
        (
            "docs/benchmark.md",
            {*build_results_table([]).columns, *build_cells_table(Plan((), {}, ROOT)).columns},
        ),
        ("docs/artifact.md", {"manifest.json"}),
        ("docs/judges.md", {*judging.__all__}),
    ],
)
def test_page_names_everything(page: str, names: set[str]) -> None:
    in_code = set(re.findall(r"`([^`\s]+)`", prose_of(ROOT / page)))
    assert names <= in_code


def test_baselines_page_follows_the_catalogue() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|(.+)$",
        (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert [name for name, _ in rows] == list(BASELINES)
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert f"`--baselines all` takes {len(BASELINES)}," in results
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"compare it with {len(BASELINES)} others" in readme
    for name, text in rows:
        papers = re.findall(r"\d{4}\.\d{5}", BASELINES[name].source)
        assert all(paper in text for paper in papers), name


def test_baselines_page_says_who_takes_in_new_models() -> None:
    text = (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8")
    section = text[text.index("\n## New models") : text.index("\n## How to use one")]
    rows = "".join(re.findall(r"^\|.+\n", section, flags=re.MULTILINE))
    refused = section[section.index("`NotApplicableError`") : section.index("A plainer rule")]
    takes = {name for name, kind in BASELINES.items() if kind.can_extend}
    assert set(re.findall(r"`(\w+)`", rows)) == takes
    assert set(re.findall(r"`(\w+)`", refused)) - {"NotApplicableError"} == set(BASELINES) - takes


def test_baselines_page_says_what_the_classes_declare() -> None:
    text = (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8")
    (readers,) = re.findall(
        r"^((?:`\w+`[^`]*)+?) read the task of a query", text, flags=re.MULTILINE
    )
    (cascades,) = re.findall(r"\*\*Cascades\*\* \((.+?)\) see the outcomes", text)
    for listed, flag in ((readers, "reads_tasks"), (cascades, "reads_answers")):
        declared = {name for name, kind in BASELINES.items() if getattr(kind, flag)}
        assert set(re.findall(r"`(\w+)`", listed)) == declared, flag
    needs = {
        name: row.rsplit("|", 2)[1].strip()
        for name, row in re.findall(r"^\| `(\w+)` (\|.+\|)$", text, flags=re.MULTILINE)
        if name in BASELINES
    }
    for name, kind in BASELINES.items():
        assert needs[name].startswith("costs") == kind.needs_costs, name
        assert ("`answer`" in needs[name]) == kind.needs_answers, name


SEEDS = (
    "RAGRouter", "M3", "Simple kNN", "PersonalizedRouter", "MasRouter", "RouterRetriever", "LTRR",
    "EllieSQL", "RouterBench", "CARROT", "UniRoute", "Avengers", "RouterDC", "RouteLLM", "EmbedLLM",
    "IRT-Router", "LLM Bandit", "MixLLM", "TagRouter", "Model-SAT", "Tryage", "MoDEM",
    "Composition of Experts", "Hybrid LLM", "FrugalGPT", "AutoMix", "Smoothie", "GraphRouter",
    "Arch-Router", "Router-R1", "FusionFactory", "LLMRouter", "LLMRouterBench", "RouterArena",
    "RouteFM", "RouteProfile", "EquiRouter", "SCOPE", "R2-Router", "ZeroRouter", "AgenticRouter",
    "TwinRouterBench", "LiteLLM", "vLLM", "Envoy", "MLflow", "Optuna",
)  # fmt: skip
"""Systems that the comparison has a row of."""


def test_comparison_says_of_every_system_what_runs_here() -> None:
    text = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    section = text[text.index("\n## Systems") : text.index("\n## What third parties")]
    rows = re.findall(r"^\| \[(.+?)\]\(\S+\) \|(.+)\|$", section, flags=re.MULTILINE)
    named = {name for names, _ in rows for name in re.split(r", | ", names)}
    listed = ", ".join(names for names, _ in rows)
    assert [seed for seed in SEEDS if seed not in named and seed not in listed] == []
    built = set()
    for system, cells in rows:
        taken, left_out, runs = (cell.strip() for cell in cells.split(" | "))
        assert taken, system
        assert left_out, system
        assert runs.startswith("no") or "](" in runs, f"{system}: what runs here is not linked"
        for names in re.findall(r"((?:`\w+`, )*`\w+`) of \[baselines\]", runs):
            built |= set(re.findall(r"`(\w+)`", names))
    assert built <= set(BASELINES), "the catalogue has no such baseline"
    published = {name for name, kind in BASELINES.items() if "arXiv" in kind.source}
    constant = {"largest_price"}  # a reference of a paper, not its method
    assert published - constant <= built, "a published method that runs here has no row"
    assert f"{len(BASELINES)} methods, most of them of papers" in text


def test_artifact_page_names_every_part(left_by_readme: Path) -> None:
    text = (ROOT / "docs" / "artifact.md").read_text(encoding="utf-8")
    for path in (left_by_readme / "artifacts" / "mine").iterdir():
        stem, *_, suffix = path.name.split(".")
        assert f"`{path.name}`" in text or f"`{stem}.*.{suffix}`" in text
    manifest = yaml.safe_load(
        (left_by_readme / "artifacts" / "mine" / "manifest.json").read_text(encoding="utf-8")
    )
    assert set(manifest) <= set(re.findall(r"`(\w+)`", text))
