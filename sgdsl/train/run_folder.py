"""The run folder: a name and a program come in; files that say exactly what was run go out (design: ecosystem.md)."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from sgdsl.driver import Program, ir
from sgdsl.train.checkpoint import write_json, write_text
from sgdsl.train.errors import run_error

FORMAT = 1
PACKAGES = ("sgdsl", "torch", "lightning-fabric", "numpy", "safetensors")


@dataclass(frozen=True, slots=True)
class Folder:
    """Where each file of a run is."""

    path: Path

    @property
    def run(self) -> Path:
        return self.path / "run.json"

    @property
    def diagnosis(self) -> Path:
        return self.path / "diagnosis.json"

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def model(self) -> Path:
        return self.path / "model.sgm"

    @property
    def used(self) -> Path:
        return self.path / "used"

    @property
    def emitted(self) -> Path:
        return self.path / "model.py"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoints" / "last.safetensors"

    @property
    def weights(self) -> Path:
        return self.path / "checkpoints" / "weights.safetensors"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def result(self) -> Path:
        return self.path / "result.json"


def make_folder(name: str, out: Path | None, force: bool) -> Folder:
    """An empty folder of its own: `out`, or the first free runs/NAME-N. Raises RunError: E0660, E0661."""
    try:
        path = _free(name) if out is None else _asked(out, force)
        for part in ("checkpoints", "samples"):
            (path / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise run_error("E0661", f"cannot make the run folder `{error.filename or out}`: {error.strerror}") from None
    return Folder(path)


def _free(name: str) -> Path:
    """Two runs that start at once get two folders: mkdir decides."""
    number = 1
    while True:
        path = Path("runs") / f"{name}-{number}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return path


def _asked(out: Path, force: bool) -> Path:
    """`force` replaces a run folder; anything else that is there is left alone."""
    if out.exists() and not out.is_dir():
        raise run_error("E0660", f"`{out}` is there and is no folder", hint="choose another --out")
    if out.is_dir() and any(out.iterdir()):
        if not (out / "run.json").is_file():
            raise run_error(
                "E0660", f"`{out}` is there and is no run folder: it is not replaced", hint="choose another --out"
            )
        if not force:
            raise run_error(
                "E0660", f"the run folder `{out}` is there", hint="--force replaces it, --resume goes on with it"
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    return out


def find_folder(path: Path) -> Folder:
    """A run folder that is there. Raises RunError: E0663."""
    folder = Folder(path)
    if not folder.run.is_file():
        what = "has no run.json: it is no run folder" if path.is_dir() else "is no folder"
        raise run_error("E0663", f"`{path}` {what}", hint="sgdsl run prints the folder that it makes")
    return folder


def saved(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The .sgm file of a run and the settings of its command line: what to compile to go on with it."""
    folder = find_folder(Path(path))
    return folder.model, tuple(read_json(folder.run).get("overrides", ()))


def read_json(path: Path) -> dict[str, Any]:
    """A file of the run folder. Raises RunError: E0662."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise run_error("E0662", f"cannot read `{path}`: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict):
        raise run_error("E0662", f"cannot read `{path}`: it holds no object")
    return found


def begin(folder: Folder, program: Program, config: Mapping[str, object], facts: Mapping[str, object]) -> None:
    """Writes everything that is known before the first step. `facts`: arguments, overrides, seed, fingerprint, …"""
    write_text(folder.model, program.source.text)
    _keep_used(folder, program)
    write_text(folder.emitted, program.text)
    write_json(folder.config, config)
    write_json(folder.run, {"format": FORMAT, **_surroundings(), **facts, "status": "running", "exit": None})


def resume(folder: Folder, program: Program, config: Mapping[str, object], facts: Mapping[str, object]) -> None:
    """A run goes on: its program and settings as they are now, and when."""
    before = read_json(folder.run)
    resumed = [*before.get("resumed", ()), now()]
    write_text(folder.model, program.source.text)
    _keep_used(folder, program)
    write_text(folder.emitted, program.text)
    write_json(folder.config, config)
    write_json(folder.run, {**before, **_surroundings(), **facts, "started": before.get("started"), "resumed": resumed,
                            "status": "running", "exit": None})  # fmt: skip


def _keep_used(folder: Folder, program: Program) -> None:
    """The files of used models, named as the compiler looks for them in a run folder (frontend/read.py)."""
    for name, model in used_models(program.model).items():
        folder.used.mkdir(exist_ok=True)
        write_text(folder.used / f"{name}.sgm", model.source.text)


def used_models(model: ir.Model, above: str = "") -> dict[str, ir.Model]:
    """Every model that a model uses, those inside others too, by its names from the outside in, joined by points."""
    found: dict[str, ir.Model] = {}
    for use in model.uses:
        found |= {above + use.name: use.model, **used_models(use.model, f"{above}{use.name}.")}
    return found


def finish(folder: Folder, status: str, code: int, **facts: object) -> None:
    """How it ended, and its exit code."""
    write_json(folder.run, {**read_json(folder.run), **facts, "status": status, "exit": code, "finished": now()})


def cut_metrics(folder: Folder, step: int) -> None:
    """Keeps the records up to a checkpoint's step: later ones will be written again."""
    if folder.metrics.exists():
        lines = folder.metrics.read_text(encoding="utf-8").splitlines()
        write_text(folder.metrics, "".join(line + "\n" for line in lines if _step(line) <= step))


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line cut short


def append_record(folder: Folder, record: Mapping[str, object]) -> None:
    with open(folder.metrics, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read_records(folder: Folder) -> list[dict[str, Any]]:
    """The records of all epochs."""
    if not folder.metrics.exists():
        return []
    return [
        json.loads(line)
        for line in folder.metrics.read_text(encoding="utf-8").splitlines()
        if _step(line) < float("inf")
    ]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _surroundings() -> dict[str, object]:
    """Versions, machine and the state of the git repository that the command was run in."""
    return {
        "started": now(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "machine": {"platform": platform.platform(), "threads": torch.get_num_threads()},
        "git": _git(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, object] | None:
    """Commit and whether files differ from it; None outside a repository."""
    commit = _said(("rev-parse", "HEAD"))
    return None if commit is None else {"commit": commit.strip(), "changed": bool(_said(("status", "--porcelain")))}


def _said(words: Iterable[str]) -> str | None:
    try:
        done = subprocess.run(("git", *words), capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None
