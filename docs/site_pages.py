"""What the site has beside the pages of this folder: public names, linked files, and llms.txt.

Pages link to files of the repository (`../experiments/...`, `../configs/default.yaml`), as they are
read on a code host too. Each such file becomes a page below `repository/`, and links are turned to
it, so that a built site is whole. Each package that lists public names has a page of them below
`api/`. MkDocs calls the functions named `on_...`.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE, API = "repository", "api"
LARGEST = "graphrouter.GraphRouter"
"""The name of the first page of the API that has a page of its own, lest that be too heavy."""
SEARCHED = 300
"""Characters of a section that the search finds; headings it finds whole."""
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_LANGUAGES = {".py": "python", ".yaml": "yaml"}

_navigation: list[Navigation] = []


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The settings, with the page of each package below *Python API*."""
    names = [LARGEST, *(name for name in public_names() if name != "graphrouter")]
    for section in config.nav or []:
        for entry in section.get("Look up", []) if isinstance(section, dict) else []:
            if isinstance(entry, dict) and "Python API" in entry:
                entry["Python API"] += [
                    {name.removeprefix("graphrouter."): f"{API}/{name}.md"} for name in names
                ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the site, with those of the repository that pages lead to, near or far."""
    text = f"# {LARGEST}\n\n::: {LARGEST}\n"
    files.append(File.generated(config, f"{API}/{LARGEST}.md", content=text))
    for package, names in public_names().items():
        if package != "graphrouter":
            text = describe_package(package, names)
            files.append(File.generated(config, f"{API}/{package}.md", content=text))
    known = {
        f"docs/{file.src_uri}" for file in files.documentation_pages() if not file.generated_by
    }
    waiting = sorted(known)
    while waiting:
        origin = waiting.pop()
        if not origin.endswith(".md"):
            continue
        for target in _targets(origin, (ROOT / origin).read_text(encoding="utf-8")):
            if target not in known and (ROOT / target).is_file():
                known.add(target)
                waiting.append(target)
                if not target.startswith("docs/"):
                    place = _place(target)
                    text = _as_page(target)
                    files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its links to files of the repository turned to their pages of the site."""
    del config, files
    place = page.file.src_uri
    origin = _origin(place)

    def turn(match: re.Match[str]) -> str:
        path, hash_, anchor = match[2].partition("#")
        target = _resolve(origin, path)
        if target is None:
            return match[0]
        found = os.path.relpath(_place(target), PurePosixPath(place).parent)
        return f"{match[1]}{found}{hash_}{anchor}{match[3]}"

    pieces, end = [], 0
    for fence in _FENCE.finditer(markdown):
        pieces += [_LINK.sub(turn, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*pieces, _LINK.sub(turn, markdown[end:])])


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """The navigation, which is kept for llms.txt."""
    del config, files
    _navigation[:] = [nav]
    return nav


def on_post_build(config: MkDocsConfig) -> None:
    """Write llms.txt, and make the index of the search light."""
    site = Path(config.site_dir)
    _write_overview(site, config)
    _lighten_search(site / "search" / "search_index.json")


def _write_overview(site: Path, config: MkDocsConfig) -> None:
    """Write llms.txt, an overview for language models, and the sources that it names."""
    lines = [f"# {config.site_name}", "", f"> {' '.join(str(config.site_description).split())}"]
    for title, pages in _sections(_navigation[0]):
        lines += ["", f"## {title}", ""]
        for page in pages:
            source = page.file.src_uri
            if page.file.generated_by:
                continue
            text = page.file.content_string
            lines.append(f"- [{page.title}]({source}): {first_sentence(text)}")
            (site / source).write_text(text, encoding="utf-8")
    (site / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lighten_search(file: Path) -> None:
    """Keep the beginning of each section of the pages, and nothing of files of the repository.

    Every page loads the index, and whole it is the largest part of all.
    """
    index = json.loads(file.read_text(encoding="utf-8"))
    kept = [
        {**part, "text": part["text"][: 60 if part["location"].startswith(f"{API}/") else SEARCHED]}
        for part in index["docs"]
        if not part["location"].startswith(f"{ELSEWHERE}/")
    ]
    text = json.dumps({**index, "docs": kept}, separators=(",", ":"))
    file.write_text(text, encoding="utf-8")


def first_sentence(text: str) -> str:
    """The first sentence below the title of a page, in plain words."""
    paragraphs = [part for part in text.split("\n\n")[1:] if re.match(r"[\w`*\[\"]", part)]
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", " ".join(paragraphs[0].split()))
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`*\"])", plain)[0]


def public_names() -> dict[str, list[str]]:
    """The public names of each package that lists any, by the package's name."""
    found = {}
    for file in sorted((ROOT / "graphrouter").rglob("__init__.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if any(isinstance(name, ast.Name) and name.id == "__all__" for name in targets):
                names = ast.literal_eval(node.value)
                if names:
                    found[".".join(file.parent.relative_to(ROOT).parts)] = names
    return dict(sorted(found.items()))


def describe_package(package: str, names: list[str]) -> str:
    """The page of a package: its names but for those that the first page of the API has."""
    own = [name for name in names if name not in public_names()["graphrouter"]]
    moved = [name for name in names if name not in own]
    text = f"# {package}\n\n"
    if moved:
        text += f"On [the first page](../api.md): {', '.join(moved)}.\n\n"
    folder = ROOT.joinpath(*package.split("."))
    hidden = [name for name in own if (folder / f"{name}.py").is_file()]
    shown = [name for name in own if name not in hidden]
    options = f"show_root_heading: false\n      members: {shown}"
    text += f"::: {package}\n    options:\n      {options}\n"
    # A function named like its module is looked for within it.
    return text + "".join(f"\n::: {package}.{name}.{name}\n" for name in hidden)


def _sections(nav: Navigation) -> Iterator[tuple[str, list[Page]]]:
    pages = [item for item in nav.items if item.is_page]
    yield "First page", pages  # type: ignore[misc]
    for item in nav.items:
        if item.is_section:
            yield item.title, list(_pages_below(item))


def _pages_below(item: Any) -> Iterator[Page]:
    for child in item.children:
        if child.is_page:
            yield child
        else:
            yield from _pages_below(child)


def _targets(origin: str, text: str) -> Iterator[str]:
    """The files of the repository that a page links to."""
    for match in _LINK.finditer(_FENCE.sub("", text)):
        target = _resolve(origin, match[2].partition("#")[0])
        if target is not None:
            yield target


def _resolve(origin: str, path: str) -> str | None:
    """The file of the repository that a link of a file means; None for one that leads elsewhere."""
    if not path or ":" in path:
        return None
    target = os.path.normpath(PurePosixPath(origin).parent / path)
    return target if (ROOT / target).is_file() else None


def _place(path: str) -> str:
    """Where a file of the repository stands among the sources of the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    name = path.replace("README.md", "readme.md")  # MkDocs takes README.md for an index
    return f"{ELSEWHERE}/{name}" if name.endswith(".md") else f"{ELSEWHERE}/{name}.md"


def _origin(place: str) -> str:
    """The file of the repository that a source of the site is made of."""
    if not place.startswith(f"{ELSEWHERE}/"):
        return f"docs/{place}"
    path = place.removeprefix(f"{ELSEWHERE}/").replace("readme.md", "README.md")
    return path if (ROOT / path).is_file() else path.removesuffix(".md")


def _as_page(path: str) -> str:
    """The text of a file as a page: Markdown as it is, a notebook as its cells, else a block."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    if path.endswith(".ipynb"):
        cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
        return "\n\n".join(
            source if kind == "markdown" else f"```python\n{source}\n```" for kind, source in cells
        )
    language = _LANGUAGES.get(Path(path).suffix, "text")
    return f"# {path}\n\n```{language}\n{text.rstrip()}\n```\n"
