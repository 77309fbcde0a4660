"""One file of tensors and plain values: written aside, then renamed, so that the file there is always whole. No pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from sgdsl.train.errors import run_error

FORMAT = 1
INFO = "sgdsl"


def save(path: Path, tensors: Mapping[str, Tensor], info: Mapping[str, object]) -> None:
    """Tensors as safetensors, `info` as JSON in its header: one file, so that they can never disagree. Raises OSError."""
    aside = path.with_name(path.name + ".new")
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with open(aside, "wb") as file:
            file.write(serialise(ready, {INFO: json.dumps({"format": FORMAT, **info})}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def load(path: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save` wrote. Raises RunError: E0662."""
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            info = json.loads((file.metadata() or {})[INFO])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except FileNotFoundError:
        message = f"there are no weights in `{path.parent.parent}`: the run was stopped before its first checkpoint"
        raise run_error("E0662", message, hint="train it again: sgdsl run MODEL.sgm --out FOLDER --force") from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise run_error("E0662", f"cannot read `{path}`: {str(error).splitlines()[0]}") from None
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise run_error("E0662", f"`{path}` was written by another version of sgdsl")
    return tensors, info


def write_text(path: Path, text: str) -> None:
    """A text file, written aside and renamed. Raises OSError."""
    aside = path.with_name(path.name + ".new")
    try:
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, indent=2, default=str) + "\n")
