"""A trained model: a run folder comes in; answers about rows, draws and held-out scores go out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.driver import Program
from sgdsl.runtime import ask
from sgdsl.runtime.batch import NodeInfo
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.means import Means
from sgdsl.runtime.queries import Queries
from sgdsl.train import checkpoint, diagnosis, run_folder
from sgdsl.train.bind import Rules, Table, bind
from sgdsl.train.copies import copies_of
from sgdsl.train.data import arrays
from sgdsl.train.dataset import Array, Dataset
from sgdsl.train.diagnosis import Diagnosis, Finding
from sgdsl.train.errors import RunError, run_error
from sgdsl.train.evaluate import Evaluation, evaluate, rows_tensor
from sgdsl.train.feed import read
from sgdsl.train.measure import hidden, portions
from sgdsl.train.naming import as_numbers, class_names, value_names
from sgdsl.train.prepare import Prepared, build, device_of
from sgdsl.train.repeats import joined, repeated
from sgdsl.train.sources import open_data, reopen

Question = tuple[dict[str, Tensor], dict[str, Tensor]]


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """`folder`: its files; `name`: the model's; `module`: the trained model in eval mode; `config`: config.json.
    `prepared`: the rows of a run that was trained here. `data`, `test`: what to evaluate on instead of the run's own data."""

    folder: Path
    name: str
    module: Queries
    config: Mapping[str, Any]
    prepared: Prepared | None = None
    program: Program | None = None
    data: object = None
    test: object = None

    @classmethod
    def load(cls, folder: Path | str, data: object = None, test: object = None) -> Run:
        """A run folder's model with its weights. Its model.sgm is compiled again: nothing in the folder is ever executed, so
        that a run may come from anywhere. `data`: as in `fit`, for `evaluate`. Raises RunError: E0662, E0663."""
        files = run_folder.find_folder(Path(folder))
        config = run_folder.read_json(files.config)
        path, overrides = run_folder.saved(files.path)
        try:
            program = driver.compile_source(driver.read(path), overrides)
            module = build(program.text, program.model.name)
            module.load_state_dict(checkpoint.load(files.weights)[0])
            missing = {"name", "settings", "scales", "origin", "source", "rows"} - config.keys()
            if missing:
                raise KeyError(f"config.json has no {sorted(missing)[0]}")
        except (DiagnosticError, KeyError, RuntimeError) as error:
            if isinstance(error, RunError):
                raise
            raise run_error("E0662", f"`{files.path}` is not whole: {str(error).splitlines()[0]}") from None
        module.to(device_of("auto")).eval()
        return cls(files.path, program.model.name, module, config, None, program, data, test)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, model {self.name})"

    @property
    def diagnosis(self) -> Diagnosis:
        """What its training was found to be like: what each inferred node carries, the importance weights of each pattern of
        labels, warnings. Raises RunError: E0662 where the folder has none, as when training did not end."""
        path = run_folder.Folder(self.folder).diagnosis
        try:
            return diagnosis.from_dict(run_folder.read_json(path))
        except (KeyError, TypeError, AttributeError):
            raise run_error("E0662", f"`{path}` is no diagnosis") from None

    @property
    def warnings_of_training(self) -> tuple[Finding, ...]:
        """Those of the diagnosis that were not printed before the first step."""
        said = self.prepared.warnings if self.prepared else ()
        return tuple(found for found in self.diagnosis.warnings if found not in said)

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    # --- on the data set ------------------------------------------------------------------------------------

    def evaluate(self, samples: int = 50) -> Evaluation:
        """Held-out rows, labels hidden: the error of each supervised node, and the mean importance-sampled log p of what is
        observed, with `samples` draws a row. Data given to `load` without a held-out part is evaluated as a whole."""
        dataset, table = self.rows()
        everything = self.prepared is None and self.data is not None and not len(dataset.test)
        rows = np.arange(dataset.rows) if everything else dataset.test
        others = None if everything else rows_tensor(dataset.train, self.device)
        return evaluate(self.module, self.name, dataset.source, table, rows_tensor(rows, self.device), samples, others)

    def rows(self) -> tuple[Dataset, Table]:
        """The data set and its columns, on the model's device."""
        if self.prepared is not None:
            return self.prepared.dataset, self.prepared.table
        if self.data is None:
            dataset = reopen(self.config["origin"])
        else:
            line = self.config["settings"]["data"]
            dataset, _ = open_data(self.data, self.test, line["name"], line["options"])
        optional = [n for n, info in self.module.NODES.items() if info.role == "supervised" or info.partial]
        return dataset, bind(dataset, self.module.NODES, self._rules(optional), self.module.RANGES).to(self.device)

    # --- questions ------------------------------------------------------------------------------------------

    @torch.no_grad()
    def posterior(self, /, *observed: object, samples: int = 32, **values: object) -> dict[str, Any]:
        """What the model believes about everything that is not given, by node. `posterior(x)`, `posterior(x = …, y = …)`,
        `posterior({"x": …, "y": …})`: arrays [rows, …] as in training; unknown labels are left out, NaN, −1 or masked.
        A finite node: probabilities [rows, …, values]; another: (mean, standard deviation), [rows, …] each. `samples`:
        draws that are averaged. Raises RunError: E0665; DataError."""
        parts = [
            ask.posterior(self.module, values, known, self.draws(), samples)
            for values, known in self._asked(observed, values, samples)
        ]
        return {name: joined([part[name] for part in parts]) for name in parts[0]}

    @torch.no_grad()
    def log_prob(self, /, *observed: object, samples: int = 50, **values: object) -> Array:
        """The importance-sampled log p of what is given, labels among them, in nats, [rows]."""
        parts = [
            ask.log_prob(self.module, values, known, self.draws(), samples)
            for values, known in self._asked(observed, values, samples)
        ]
        return np.asarray(torch.cat(parts).cpu().numpy())

    @torch.no_grad()
    def sample(
        self, n: int = 1, held: Mapping[str, object] | None = None, /, *, mean: bool = False, **given: object
    ) -> dict[str, Array]:
        """`n` draws of every node, [n, …], along p, given the nodes in `held` and `given`: one value for all (`y = 3`) or one
        a draw. A node with parents in p is conditioned on, by importance resampling. `mean`: every observed node's mean
        instead of a draw. Raises RunError: E0665; DataError."""
        values = self.clamped(n, {**(held or {}), **given})
        drawn = ask.sample(self.module, n, values, self.draws())
        if mean:
            seen = {name for name, info in self.module.NODES.items() if info.role == "observed"}
            kept = {name: value for name, value in drawn.items() if name not in seen}
            drawn = ask.sample(self.module, n, kept, Means(self.draws().generator))
        return {name: value.cpu().numpy() for name, value in drawn.items()}

    # --- from arrays to tensors -----------------------------------------------------------------------------

    def clamped(self, n: int, given: Mapping[str, object]) -> dict[str, Tensor]:
        """Values for nodes of any role, [n, *event]. Raises RunError: E0665; DataError."""
        nodes = self.module.NODES
        _counted("n", n)
        self.check_names(given)
        needed = [name for name, info in nodes.items() if info.role == "given" and name not in given]
        if needed:
            names, hint = " and ".join(f"`{name}`" for name in needed), ", ".join(f"{name} = …" for name in needed)
            verb = "is" if len(needed) == 1 else "are"
            raise run_error("E0665", f"{names} {verb} given: a sample needs a value", hint=f"write {hint}")
        return self.values_of(n, given)

    def values_of(self, n: int, given: Mapping[str, object]) -> dict[str, Tensor]:
        """Checked values of some nodes, [n, *event]: one for all or one a row, classes by name too. Raises as `clamped`."""
        nodes = self.module.NODES
        self.check_names(given)
        numbers = {name: as_numbers(name, value, class_names(self.config, name)) for name, value in given.items()}
        filled = {name: repeated(value, n, self._shape(name)) for name, value in numbers.items()}
        if not filled:
            return {}
        infos = {name: replace(nodes[name], role="observed", partial=False) for name in filled}
        table = bind(arrays(filled), infos, Rules({}, "none", self.config["scales"]), self.module.RANGES).to(
            self.device
        )
        index = torch.arange(n, device=self.device)
        return {name: _typed(read(column, index, None), nodes[name]) for name, column in table.columns.items()}

    def value_names(self, node: str) -> tuple[str, ...]:
        """A word for each value of a finite node: as the training data name it, else its number."""
        return value_names(self.module.NODES[node], class_names(self.config, node))

    def _shape(self, node: str) -> tuple[int, ...]:
        """[copies, …, *event] of a node."""
        info = self.module.NODES[node]
        return (*copies_of(info, self.module.RANGES), *info.event)

    def _asked(self, observed: tuple[object, ...], values: Mapping[str, object], samples: int) -> list[Question]:
        """Values [1, rows, *event] and masks [rows], some rows at a time."""
        _counted("samples", samples)
        match observed:
            case [Mapping() as named]:
                observed, values = (), {**named, **values}
        nodes = self.module.NODES
        names = [n for n, info in nodes.items() if info.role == "observed"]
        if len(observed) > len(names):
            raise run_error("E0665", f"{len(observed)} arrays, but {len(names)} observed nodes: {', '.join(names)}")
        whole = {**dict(zip(names, observed, strict=False)), **{k: v for k, v in values.items() if v is not None}}
        self.check_names(whole)
        optional = [n for n, info in nodes.items() if info.role == "supervised" or info.partial]
        table = bind(arrays(whole), nodes, replace(self._rules(optional), names={}), self.module.RANGES).to(self.device)
        batches = portions(torch.arange(table.rows, device=self.device), samples)
        return [self.batch(table, index, table.columns) for index in batches]

    def batch(self, table: Table, index: Tensor, seen: Collection[str]) -> Question:
        """Values [1, rows, *event] and masks [rows] of some rows of a table; of the labels, those of the nodes in `seen`."""
        nodes = self.module.NODES
        labels = {n: c for n, c in table.columns.items() if nodes[n].role == "supervised" and n in seen}
        found = hidden(self.module, table, index, None)
        found |= {n: _typed(read(c, index, None), nodes[n])[None] for n, c in labels.items()}
        return found, {n: c.known[index] for n, c in labels.items()}

    def _rules(self, optional: list[str]) -> Rules:
        data = self.config["settings"]["data"]
        return Rules(
            data["names"], data["binarise"], self.config["scales"], optional, data["greys"], self.config.get("classes")
        )

    def check_names(self, given: Iterable[str]) -> None:
        """Raises RunError E0665 for a name that is no node's."""
        for name in given:
            if name.removesuffix("_known") not in self.module.NODES:
                near = get_close_matches(name, list(self.module.NODES), 1)
                hint = f"did you mean `{near[0]}`?" if near else f"nodes: {', '.join(self.module.NODES)}"
                raise run_error("E0665", f"`{self.name}` has no node `{name}`", hint=hint)

    def draws(self) -> Draws:
        """Fresh noise, from torch's global generator: torch.manual_seed makes answers repeat."""
        seed = int(torch.randint(2**62, ()))
        return Draws(torch.Generator(self.device).manual_seed(seed))


def _counted(name: str, value: object) -> None:
    """Raises RunError E0665 for a number of draws that is none."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise run_error("E0665", f"{name} must be a whole number of at least 1, not {value!r}", hint=f"{name} = 16")


def _typed(value: Tensor, info: NodeInfo) -> Tensor:
    return value.to(torch.int64 if info.integer else torch.get_default_dtype())
