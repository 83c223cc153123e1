"""What is published: a source archive and a wheel, built as they are for a release, hold what they
should, bear the version of the tag, and install alone and with each extra alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from graphrouter.extras import EXTRAS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CHECK = """
import importlib, sys, graphrouter
for module in sys.argv[1:]:
    importlib.import_module(module)
data = graphrouter.simulate(num_queries=80, num_models=3).data
router = graphrouter.GraphRouter.fit(data, instant=True)
print("chose", router.route("Which river is the longest?").model)
"""


def run(*words: str | Path, folder: Path, **environment: str) -> str:
    """Standard output of a program that has to end well."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """The files of the repository, as git has them."""
    listed = run("git", "ls-files", "--cached", folder=ROOT).splitlines()
    return {name for name in listed if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source archive, and the wheel that is built of it and not of the repository."""
    out = tmp_path_factory.mktemp("dist")
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT),
        folder=out,
    )
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def metadata(archives: tuple[Path, Path]) -> Message:
    """What the package index shows of the wheel."""
    with zipfile.ZipFile(archives[1]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_is_the_package_and_nothing_else(
    archives: tuple[Path, Path], tracked: set[str]
) -> None:
    with zipfile.ZipFile(archives[1]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {name for name in tracked if name.startswith("graphrouter/")}


def test_the_source_archive_is_the_repository(
    archives: tuple[Path, Path], tracked: set[str]
) -> None:
    with tarfile.open(archives[0]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert held - {"PKG-INFO"} == {name for name in tracked if not name.startswith(".github/")}


def test_the_index_is_told_what_the_project_says(metadata: Message) -> None:
    assert metadata["Name"] == "graphrouter"
    assert metadata["Summary"] == PROJECT["description"]
    assert set(metadata.get_all("Provides-Extra", [])) == {*EXTRAS, "dev"}
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).strip().startswith("# ")


def test_between_tags_a_version_is_one_of_development(metadata: Message) -> None:
    found = Version(metadata["Version"])
    assert found.local is None
    tags = run("git", "tag", "--points-at", "HEAD", folder=ROOT).split()
    assert found.is_devrelease != (f"v{found}" in tags)


@pytest.mark.parametrize(("tag", "version"), [("v1.2.3", "1.2.3"), ("v2.0.0rc1", "2.0.0rc1")])
def test_a_tag_is_the_version(tmp_path: Path, tag: str, version: str) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    git = ("git", "-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    run(*git, "init", "--quiet", folder=tmp_path)
    run(*git, "add", ".", folder=tmp_path)
    run(*git, "commit", "--quiet", "--message", "a release", folder=tmp_path)
    run(*git, "tag", tag, folder=tmp_path)
    assert run(sys.executable, "-m", "hatchling", "version", folder=tmp_path).strip() == version


def test_without_a_repository_there_is_a_version_all_the_same(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shown = run(
        *(sys.executable, "-m", "hatchling", "version"),
        folder=tmp_path,
        GIT_CEILING_DIRECTORIES=str(tmp_path.parent),
    )
    assert shown.strip() == "0.1.dev0"


def test_the_citation_is_whole() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert said["cff-version"] == "1.2.0"
    assert said["license"] == PROJECT["license"]
    assert {"title", "message", "authors"} <= set(said)
    (paper,) = said["references"]
    assert paper["url"] == "https://arxiv.org/abs/2410.03834"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, archives: tuple[Path, Path]) -> Path:
    """An environment with the wheel and nothing that it does not ask for."""
    folder = tmp_path_factory.mktemp("installed")
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "toml==0.10.2"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    if asked.returncode != 0:
        pytest.skip("no package index can be reached")
    run(sys.executable, "-m", "venv", "base", folder=folder)
    install(folder / "base", "torch==2.13.0")
    install(folder / "base", str(archives[1]))
    return folder / "base"


def install(environment: Path, what: str) -> None:
    pip = (environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install")
    run(*pip, "--quiet", "--constraint", ROOT / "constraints.txt", what, folder=environment)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_the_wheel_installs_with_each_extra_alone(
    base: Path, archives: tuple[Path, Path], extra: str
) -> None:
    environment = base.with_name(extra or "core")
    # links: the same files under a second name, which pip unlinks and never writes into
    shutil.copytree(base, environment, symlinks=True, copy_function=os.link)
    if extra:
        install(environment, f"{archives[1]}[{extra}]")
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "--disable-pip-version-check", "check", folder=environment)
    modules = EXTRAS.get(extra, {})
    assert run(python, "-c", CHECK, *modules, folder=environment).startswith("chose ")
    shutil.rmtree(environment)
