"""Weights of the models that a model uses: a fresh module and its program come in; the weights of their runs are in it after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from sgdsl import driver
from sgdsl.base.diagnostics import Diagnostic, DiagnosticError
from sgdsl.driver import Program, ir
from sgdsl.runtime.used import SubModel
from sgdsl.train import checkpoint, run_folder
from sgdsl.train.errors import RunError


def load_used(module: nn.Module, program: Program) -> None:
    """Each used model takes the weights of the run that its `use` line names, those of models inside it among them. Raises
    RunError: E0662, E0663, E0670 where the run is of another model, E0671 where its weights have other names or shapes."""
    for use in program.model.uses:
        _load(module, program.model, use)


def check_used(program: Program) -> None:
    """That the runs are there and of the files, without their weights. Raises RunError: E0662, E0663, E0670."""
    _check(program.model)


def _check(model: ir.Model) -> None:
    for use in model.uses:
        if use.weights:
            _checked_folder(model, use)
        else:
            _check(use.model)


def _checked_folder(model: ir.Model, use: ir.Use) -> run_folder.Folder:
    try:
        folder = run_folder.find_folder(Path(use.weights))
        _check_model(folder, model, use)
    except RunError as error:
        raise RunError(_placed(d, model, use) for d in error.diagnostics) from None
    return folder


def _load(module: nn.Module, model: ir.Model, use: ir.Use) -> None:
    found = next((m for m in module.children() if isinstance(m, SubModel) and use.name == m.NAME), None)
    if found is None:  # nothing calls it
        return
    if not use.weights:
        for inner in use.model.uses:
            _load(found, use.model, inner)
        return
    folder = _checked_folder(model, use)
    try:
        _fill(found, checkpoint.load(folder.weights)[0], model, use)
    except RunError as error:
        raise RunError(_placed(d, model, use) for d in error.diagnostics) from None


def _placed(found: Diagnostic, model: ir.Model, use: ir.Use) -> Diagnostic:
    """At the `use` line."""
    if found.span is not None:
        return found
    return replace(found, span=use.span, under="its weights", source=model.source)


def _check_model(folder: run_folder.Folder, model: ir.Model, use: ir.Use) -> None:
    """The run's nodes, lets, nets and factors are those of the used file; comments, layout and settings may differ."""
    path, overrides = run_folder.saved(folder.path)
    try:
        theirs = driver.check(driver.read(path), overrides).model
    except DiagnosticError as error:
        raise _refused("E0662", f"`{folder.path}` is not whole: {str(error).splitlines()[0]}", model, use) from None
    other = _difference(theirs, use.model)
    if other:
        raise _refused("E0670", f"`{folder.path}` is a run of another model than `{use.file}`: {other}", model, use,
                       "train the file again, or name the run of this one")  # fmt: skip


def _difference(run: ir.Model, file: ir.Model) -> str:
    """The first thing in which two models differ, in words; "" where their factors are the same functions."""
    for what in ("nodes", "lets", "nets"):
        before, after = ({n.name: n for n in getattr(m, what)} for m in (run, file))
        for name in dict.fromkeys((*before, *after)):
            if before.get(name) != after.get(name):
                return f"the {what[:-1]} `{name}`"
    theirs, ours = ({(f.side, f.id): replace(f, estimator=None) for f in (*m.p, *m.q)} for m in (run, file))
    for name, factor in {**theirs, **ours}.items():
        if theirs.get(name) != ours.get(name):
            return factor.head
    if run.statements != file.statements:
        return "the order of its lines"
    inner = [(a.name, _difference(a.model, b.model)) for a, b in zip(run.uses, file.uses, strict=False)]
    return next((f"{found} of `{name}`" for name, found in inner if found), "")


def _fill(module: SubModel, tensors: dict[str, Tensor], model: ir.Model, use: ir.Use) -> None:
    for name, tensor in module.state_dict(keep_vars=True).items():
        there = tensors.get(name)
        if there is None or there.shape != tensor.shape:
            has = "is missing" if there is None else f"is {list(there.shape)}, not {list(tensor.shape)}"
            raise _refused("E0671", f"the weight `{name}` of `{use.weights}` {has}", model, use)
        with torch.no_grad():
            tensor.copy_(there)


def _refused(code: str, message: str, model: ir.Model, use: ir.Use, hint: str = "") -> RunError:
    return RunError([Diagnostic(code, message, use.span, "its weights", (), (), hint, "error", model.source)])
