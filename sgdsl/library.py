"""The library: a .sgm file or its text comes in; a model to look at, build and fit, and a trained run go out."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

import networkx as nx
from torch import nn

from sgdsl import driver
from sgdsl.backend.dot import View, dot
from sgdsl.backend.draw import FORMATS, draw
from sgdsl.backend.drawn import range_text
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.render import render
from sgdsl.base.source import Source
from sgdsl.catalog.settings import SECTIONS
from sgdsl.runtime.load import load as load_module
from sgdsl.train import fit as training
from sgdsl.train.compare import compare
from sgdsl.train.diagnosis import as_diagnostic
from sgdsl.train.edit import edit
from sgdsl.train.impute import impute
from sgdsl.train.predict import predict
from sgdsl.train.run import Run
from sgdsl.train.traverse import traverse

__all__ = [
    "Graph",
    "Model",
    "ModelError",
    "Run",
    "compare",
    "compile",
    "edit",
    "fit",
    "impute",
    "load",
    "predict",
    "traverse",
]


class ModelError(DiagnosticError):
    """A model that is wrong, as `sgdsl check` prints it; `diagnostics` are its mistakes."""

    def __init__(self, error: DiagnosticError, source: Source | None) -> None:
        super().__init__(error.diagnostics)
        self.source = source

    def __str__(self) -> str:
        return "\n" + "\n\n".join(render(d, source=self.source) for d in self.diagnostics)


@dataclass(frozen=True, slots=True)
class Graph:
    """The picture of a model; a notebook shows it. `dot`: its text."""

    dot: str

    @property
    def svg(self) -> str:
        """An <svg> element."""
        text = draw(self.dot, "svg").decode()
        return text[text.index("<svg") :]

    def save(self, path: str | PathLike[str]) -> None:
        """Writes FILE.svg, .png, .pdf or .dot. Raises ValueError for another ending."""
        file = Path(path)
        kind = next((f for f in FORMATS if file.suffix == f".{f}"), None)
        if kind is None and file.suffix not in (".dot", ".gv"):
            raise ValueError(f"cannot draw {file}: its name ends in none of .svg, .png, .pdf, .dot")
        file.write_bytes(draw(self.dot, kind) if kind else self.dot.encode())

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True, slots=True, repr=False)
class Model:
    """A checked and compiled model. `text`: its Python, which `build` runs."""

    program: driver.Program

    @property
    def name(self) -> str:
        return self.program.model.name

    @property
    def text(self) -> str:
        return self.program.text

    def build(self) -> nn.Module:
        """A fresh module with torch's initial weights. `forward(batch, draws)` gives each row's bound, [rows];
        `draw_q`, `draw_p`, `log_p` and `log_q` take mappings by node name of tensors [samples or 1, rows, *event]."""
        module = load_module(self.text, f"sgdsl_model_{self.name}_{zlib.crc32(self.text.encode()):08x}")
        built: nn.Module = module.Model()
        return built

    def alone(self) -> str:
        """One Python file that needs torch alone, as `sgdsl compile` writes it."""
        return driver.compile_alone(self.program)

    def graph(self, view: View = "both") -> Graph:
        """Its picture: generative edges solid, recognition dashed and red."""
        return Graph(dot(self.program.model, view))

    def dag(self, side: Literal["p", "q"]) -> nx.DiGraph:
        """The graph of p or q over all nodes, lets contracted: a frozen networkx DAG with an edge from each parent to its node;
        `role`, `type` and `loops`, such as ("t = 1..20",), are attributes of a node. In loops a node is all its copies;
        an edge to a later copy of the same node, which would close a cycle, is left out."""
        checked, graph = self.program.checked, nx.DiGraph()
        for n in checked.model.nodes:
            loops = tuple(range_text(checked.model, r.axis) for r in n.axes)
            graph.add_node(n.name, role=n.role, type=str(n.type), loops=loops)
        graph.add_edges_from((checked.graphs.p if side == "p" else checked.graphs.q).edges)
        return nx.freeze(graph)

    def explain(self) -> str:
        """For each pattern of labels, what is drawn, enumerated or weighed, and why."""
        return driver.explained(self.program.checked)

    def __repr__(self) -> str:
        model = self.program.model
        nodes = "\n".join(f"  {n.role:<10} {n.name} : {n.type}" for n in model.nodes)
        factors = "\n".join(f"  {f.text or f'{f.side}({f.node} | …)'}" for f in (*model.p, *model.q))
        return f'model {model.name} "{model.doc}"\n{nodes}\n{factors}'

    def _repr_svg_(self) -> str:
        return self.graph().svg

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Mapping[str, str]:
        return {"text/plain": repr(self), "image/svg+xml": self._repr_svg_()}


def compile(model: str | PathLike[str], **settings: object) -> Model:
    """A model from a path, or from text (anything of more than one line). `settings` replace those of the file by
    name: epochs=3, samples=8. Raises ModelError."""
    source: Source | None = None
    try:
        source = Source("<text>", model) if isinstance(model, str) and "\n" in model else driver.read(Path(model))
        return Model(driver.compile_source(source, _overrides(settings)))
    except DiagnosticError as error:
        raise ModelError(error, source) from None


def _overrides(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Names find their section; an unknown one goes to `train`, whose check says what is near."""
    sections = {row.name: section for section in reversed(SECTIONS) for row in SECTIONS[section]}
    return tuple(f"{sections.get(name, 'train')}.{name}={value}" for name, value in settings.items())


def fit(
    model: Model | str | PathLike[str],
    data: object = None,
    *,
    test: object = None,
    out: str | PathLike[str] | None = None,
    resume: str | PathLike[str] | None = None,
    force: bool = False,
    quiet: bool = False,
    **settings: object,
) -> Run:
    """Trains, and returns what can be asked: `posterior(x)`, `sample(n, y=3)`, `log_prob(x, y=None)`, `evaluate()`.

    `data`: None for the file's own `data` line; a path of a file or folder of any kind that is read; or a mapping of arrays
    by node name, [rows, *event], where unknown labels are NaN, −1, masked, or told by `y_known` [rows]. `test`: held-
    out rows likewise. `out`: the run folder, else runs/NAME-N. `settings` replace those of the file: epochs=3, seed=1.
    Raises ModelError, train.errors.DataError, train.errors.TrainingError.
    """
    ready = model if isinstance(model, Model) else compile(model)
    if settings:
        source = ready.program.source
        try:
            ready = Model(driver.compile_source(source, _overrides(settings)))
        except DiagnosticError as error:
            raise ModelError(error, source) from None
    folder, before = (Path(p) if p is not None else None for p in (out, resume))
    run = training.fit(ready.program, data, test=test, out=folder, resume=before, force=force, quiet=quiet)
    if not quiet:
        for found in run.warnings_of_training:
            print(render(as_diagnostic(found, ready.program)), file=sys.stderr)
    return run


def load(run: str | PathLike[str], data: object = None) -> Run:
    """A run folder's model, trained. `data`: as in `fit`, for `evaluate`."""
    return Run.load(Path(run), data)
