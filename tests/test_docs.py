"""Every code block of README and docs runs: sgm blocks compile, python blocks execute."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sgdsl import driver
from sgdsl.base.source import Source
from sgdsl.catalog.settings import SECTIONS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
BLOCKS = [
    pytest.param(language, text, page.parent, id=f"{page.stem}-{i}")
    for page in PAGES
    for i, (language, text) in enumerate(BLOCK.findall(page.read_text()))
    if language
]


@pytest.mark.parametrize(("language", "text", "folder"), BLOCKS)
def test_code_block(language: str, text: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader may paste any block: it must be right as it stands."""
    monkeypatch.chdir(tmp_path)
    match language:
        case "sgm":
            assert driver.compile_source(Source(str(folder / "block.sgm"), text)).text
        case "python":
            exec(compile(text, "block.py", "exec"), {})
        case _:
            raise AssertionError(f"no way to run a block of {language}")


def test_the_commands_of_the_readme_exist() -> None:
    """The two commands on the first screen are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for command in ("run", "test"):
        assert f"make {command}" in (ROOT / "README.md").read_text()
        assert re.search(rf"^{command}:", makefile, re.M)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_documented(section: str) -> None:
    """The page of settings names each row of the catalogue, its range and its meaning."""
    page = (ROOT / "docs" / "training.md").read_text()
    for row in SECTIONS[section]:
        lines = [line for line in page.splitlines() if line.startswith(f"| `{row.name}` |")]
        assert any(row.help.replace("|", "\\|") in line for line in lines), row.name
