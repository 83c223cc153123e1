"""The public datasets by name.

Where they lie, which files are wanted and what to do with them next.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from graphrouter.exceptions import DataError

SOURCE_FILE = "SOURCE.json"
"""Beside fetched files: where they come from."""
PICKLE_ADVICE = (
    "The files are pickles, which graphrouter does not open. Convert them first: "
    "docs/formats.md, section Pickles."
)


@dataclass(frozen=True)
class PublicDataset:
    """A dataset repository on the hub."""

    repo: str
    wanted: tuple[str, ...]
    """Shell patterns of the files to download; `*` crosses folders."""
    before: tuple[str, ...] = ()
    """Lines to read or run before `data convert`; {folder} stands for the download."""
    converts: bool = True
    """The download can be converted as it is, after what `before` says."""

    def suggest_next(self, name: str, folder: Path) -> list[str]:
        """What to do after the download, a line each."""
        place = shlex.quote(str(folder))
        lines = [line.format(folder=place) for line in self.before]
        if self.converts:
            lines.append(
                f"graphrouter data convert --from {name} {place} --out "
                f"{shlex.quote(f'data/{name}')}"
            )
        return lines


@dataclass(frozen=True)
class RemoteFile:
    """A file of a dataset repository.

    Raises:
        DataError: The path leads out of the folder that the file is meant for, or size and checksum
            have another form.
    """

    path: str
    num_bytes: int
    algorithm: str
    """sha256 (of the contents; large files) or git-sha1 (of the git blob; small files)."""
    checksum: str

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in self.path:
            raise DataError(
                f"The path {self.path!r} leads out of the folder that the files are fetched into."
            )
        if not isinstance(self.num_bytes, int) or not isinstance(self.checksum, str):
            raise DataError(
                f"{self.path} is listed with size {self.num_bytes!r} and checksum "
                f"{self.checksum!r}."
            )


PUBLIC: dict[str, PublicDataset] = {
    "embedllm": PublicDataset(
        "RZ412/EmbedLLM",
        ("train.csv", "val.csv", "test.csv", "question_order.csv", "model_order.csv"),
    ),
    "llmrouterbench": PublicDataset(
        "NPULH/LLMRouterBench",
        ("bench-release.tar.gz",),
        before=("tar -xzf {folder}/bench-release.tar.gz -C {folder}",),
    ),
    "routellm": PublicDataset("routellm/gpt4_judge_battles", ("*.parquet", "*.jsonl")),
    "routerarena": PublicDataset(
        "RouteWorks/RouterArena",
        ("*.parquet",),
        before=(
            "These are the queries; the outcomes lie in the prediction files of RouterArena's "
            "code repository.",
        ),
        converts=False,
    ),
    "routerbench": PublicDataset(
        "withmartian/routerbench",
        ("routerbench_0shot.pkl", "routerbench_5shot.pkl"),
        before=(PICKLE_ADVICE,),
        converts=False,
    ),
    "routereval": PublicDataset(
        "linggm/RouterEval", ("*router_dataset.zip",), before=(PICKLE_ADVICE,), converts=False
    ),
    "sprout": PublicDataset("CARROT-LLM-Routing/SPROUT", ("*.parquet",)),
}
"""LLMRouter is not among them: its data comes with its code repository."""
