"""Every command that reads a file answers odd content with one line and status 2."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.cli.conftest import Invoke

TEXT = st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
TABLE = st.lists(
    st.lists(st.sampled_from(["prompt", "model", "effect", "", "1", "x", '"', "\x00", "é"])),
    max_size=4,
).map(lambda rows: "\n".join(",".join(row) for row in rows).encode())
CONTENT = st.one_of(st.binary(max_size=60), TEXT, TABLE)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CONTENT, st.sampled_from([".csv", ".jsonl", ".parquet", ".csv.gz", ".yaml", ".json"]))
def test_odd_content_is_refused_in_one_line(
    artifact: Path, tmp_path: Path, invoke: Invoke, content: bytes, suffix: str
) -> None:
    file, out = tmp_path / f"given{suffix}", tmp_path / "out.csv"
    file.write_bytes(content)
    for words in (
        ("predict", artifact, file, "--out", out),
        ("pool", "check", artifact, file),
        ("pool", "add", artifact, file, "--out", tmp_path / "wider"),
        ("data", "validate", tmp_path),
        ("train", tmp_path / "nowhere", "--config", file, "--out", tmp_path / "new"),
    ):
        status, shown, errors = invoke(*words)
        if status == 0:  # some of it is a table of prompts
            assert words[0] == "predict"
            out.unlink()
            continue
        assert (status, shown) == (2, ""), words
        said = errors.strip().splitlines()
        assert said[-1].startswith("Error: ")
        assert all(line.startswith("Warning: ") for line in said[:-1]), errors
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "nothing is left behind"
    file.unlink()
