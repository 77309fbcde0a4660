"""Every tutorial runs from top to bottom in an empty folder: Python, model files, commands with the exit code they announce."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sgdsl.cli.entry import run

PAGES = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.md"))
BLOCK = re.compile(r"(?:^`(?P<file>[\w.-]+)`:\n\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```", re.M | re.S)
EXIT = re.compile(r"#\s*exits with (\d+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_reader_can_follow(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks build on each other; a block after a file's name is that file."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in BLOCK.finditer(page.read_text()):
        match block["language"]:
            case "python":
                exec(compile(block["text"], page.name, "exec"), names)
            case "sgm":
                assert block["file"], f"{page.name}: a model without a file's name above it"
                Path(block["file"]).write_text(block["text"])
            case "sh":
                for line in block["text"].splitlines():
                    command(line)
            case language:
                assert not language, f"no way to run a block of {language}"


def command(line: str) -> None:
    """One line of a shell, `sgdsl …`, in this process."""
    program, *arguments = shlex.split(line, comments=True)
    assert program == "sgdsl", line
    announced = EXIT.search(line)
    assert run(arguments) == int(announced[1] if announced else 0), line
