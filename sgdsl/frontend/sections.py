"""`objective`, `train` and `data` of a file and of the command line come in; checked ir.Settings go out (E06)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sgdsl.base.diagnostics import Diagnostic, Label, Sink
from sgdsl.base.source import NOWHERE, Source, Span
from sgdsl.catalog.datasets import DATASETS, DatasetRow
from sgdsl.catalog.settings import EXCLUSIVE, SECTIONS, SettingRow
from sgdsl.frontend import syntax
from sgdsl.frontend.draft import Constants
from sgdsl.frontend.parse import parse_value
from sgdsl.frontend.read import check_text
from sgdsl.frontend.report import Refused, did_you_mean, refusal, report
from sgdsl.frontend.values import value_of
from sgdsl.middle import ir

_OVERRIDE = re.compile(r"\s*(\w+)\s*\.\s*(\w+)\s*=\s*(?=\S)")
_SYNONYMS = {
    "learning_rate": "lr", "batch_size": "batch", "batchsize": "batch", "epoch": "epochs", "grad_clip": "clip",
    "optim": "optimizer", "optimiser": "optimizer", "num_samples": "samples", "k": "samples", "early_stopping": "patience",
    "ema": "average", "binarize": "binarise", "path": "root", "dir": "root", "folder": "root", "rate": "labels",
    "n_labels": "labels", "num_labels": "labels", "wd": "weight_decay", "rho": "supervision_rate", "dtype": "precision",
    "elbo": "bound", "loss": "bound", "val": "validation",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """A setting and where it was written: in the file (source None) or in a flag of the command line."""

    value: ir.Setting
    name: Span
    source: Source | None


@dataclass(slots=True)
class Settings:
    """Collects the settings of a file; `found` by section and name."""

    source: Source
    sink: Sink
    consts: Constants
    nodes: Mapping[str, ir.Node]
    found: dict[str, dict[str, Written]] = field(default_factory=lambda: {s: {} for s in SECTIONS})
    bind: dict[str, str] = field(default_factory=dict)
    line: syntax.Data | None = None

    def read(self, statements: Iterable[syntax.Statement]) -> None:
        """The settings of the file."""
        for statement in statements:
            match statement:
                case syntax.Section(name, settings, _):
                    for setting in settings:
                        self._keep(name, setting.name, setting.value, None)
                case syntax.Data():
                    self._data_line(statement)
                case _:
                    pass

    def override(self, flags: Iterable[str]) -> None:
        """Settings of the command line, `train.lr=1e-3`; their diagnostics point into the flag."""
        for flag in flags:
            source = Source(f"--set {flag[:80]}", flag)
            check_text(source)
            try:
                self._flag(source)
            except Refused as refused:
                report(self.sink, refused, source)
        self._check_exclusive()
        self._warn_labels()
        if self.line is not None and (dataset := DATASETS.get(self.line.name.text)):
            self._check_needs(dataset, self.line)

    def section(self, name: str) -> tuple[ir.Setting, ...]:
        return tuple(w.value for w in self.found[name].values())

    def data(self) -> ir.Data | None:
        if self.line is None:  # flags alone: the rows come from elsewhere
            found = self.section("data")
            return ir.Data("", found, tuple(self.bind.items())) if found or self.bind else None
        return ir.Data(self.line.name.text, self.section("data"), tuple(self.bind.items()), self.line.span)

    def _flag(self, source: Source) -> None:
        text = source.text
        match = _OVERRIDE.match(text)
        whole = Span(0, len(text))
        if match is None:
            raise refusal("E0607", "a setting is given as SECTION.NAME=VALUE", whole, "not a setting",
                          hint="for example train.lr=1e-3, objective.samples=4, data.labels=200")  # fmt: skip
        section = match.group(1)
        if section not in SECTIONS:
            raise refusal("E0601", f"there is no section `{section}`", Span(*match.span(1)), "not a section",
                          hint=did_you_mean(section, SECTIONS, "sections: objective, train, data"))  # fmt: skip
        if (
            section == "data"
            and self.line is None
            and not (_row(SECTIONS[section], match.group(2)) or match.group(2) in self.nodes)
        ):
            hint = f"add a line such as `data mnist`; without one: {', '.join(r.name for r in SECTIONS[section])}, or a node"
            raise refusal("E0607", f"the file has no `data` line to give `{match.group(2)}` to", whole, hint=hint)
        value = parse_value(source, Span(match.end(), len(text.rstrip())))
        self._keep(section, syntax.Name(match.group(2), Span(*match.span(2))), value, source)

    def _data_line(self, line: syntax.Data) -> None:
        if self.line is not None:
            label = Label(self.line.span, "the first")
            report(self.sink, refusal("E0603", "a second `data` line", line.span, "the second", labels=[label],
                                      hint="a file has one default data set"))  # fmt: skip
            return
        self.line = line
        if line.name.text not in DATASETS:
            hint = did_you_mean(line.name.text, DATASETS, f"data sets: {', '.join(DATASETS)}")
            message = f"there is no data set `{line.name.text}`"
            report(self.sink, refusal("E0604", message, line.name.span, "not a data set", hint=hint))
            return
        for arg in line.args:
            if arg.name is None:
                message = "options of `data` are written `name = value`"
                report(self.sink, refusal("E0601", message, arg.span, "no name", hint="for example labels = 100"))
            else:
                self._keep("data", arg.name, arg.value, None)

    def _keep(self, section: str, name: syntax.Name, value: syntax.Expr, source: Source | None) -> None:
        """Check one setting and keep it; one from the command line replaces one of the file."""
        try:
            dataset = DATASETS.get(self.line.name.text) if self.line and section == "data" else None
            row = dataset.option(name.text) if dataset else _row(SECTIONS[section], name.text)
            if row is None and section == "data" and name.text in self.nodes:
                self._bind(name, value, dataset, source)
                return
            before = self.found[section].get(name.text)
            if before is not None and before.source is None and source is None:
                raise refusal(
                    "E0603", f"`{name.text}` is set twice", name.span, "again", labels=[Label(before.name, "first")]
                )
            if row is None:
                raise self._unknown(section, name, dataset)
            found = value_of(row, value, self.consts, self.nodes)
            span = name.span.to(value.span) if source is None else NOWHERE
            if source is not None:
                self._make_room(section, name.text)
            self.found[section][name.text] = Written(ir.Setting(name.text, found, span), name.span, source)
        except Refused as refused:
            report(self.sink, refused, source)

    def _make_room(self, section: str, name: str) -> None:
        """A flag also replaces what the file says by the other of two names."""
        for pair in EXCLUSIVE[section]:
            for other in pair:
                before = self.found[section].get(other)
                if name in pair and before is not None and before.source is None:
                    del self.found[section][other]

    def _unknown(self, section: str, name: syntax.Name, dataset: DatasetRow | None) -> Refused:
        rows = (*(dataset.options if dataset else ()), *SECTIONS[section])
        candidates = [r.name for r in rows] + (list(self.nodes) if section == "data" else [])
        elsewhere = next((s for s, rows in SECTIONS.items() if s != section and _row(rows, name.text)), None)
        hint = f"`{name.text}` belongs to `{elsewhere}`" if elsewhere else (
            did_you_mean(name.text, candidates, f"settings: {', '.join(candidates[:20])}", _SYNONYMS))  # fmt: skip
        return refusal("E0601", f"`{section}` has no setting `{name.text}`", name.span, "not a setting", hint=hint)

    def _bind(self, name: syntax.Name, value: syntax.Expr, dataset: DatasetRow | None, source: Source | None) -> None:
        """`c = y`: the node c reads the field y."""
        if name.text in self.bind and source is None:
            raise refusal("E0603", f"`{name.text}` is bound twice", name.span, "again")
        match value:
            case syntax.Name(text, _) | syntax.Text(text, _):
                pass
            case _:
                raise refusal("E0605", f"the node `{name.text}` is bound to a field by its name", value.span, "no field",
                              hint=f"for example `{name.text} = y`")  # fmt: skip
        if self.nodes[name.text].role == "latent":
            raise refusal("E0605", f"`{name.text}` is latent: it reads no data", name.span, "latent",
                          labels=[Label(self.nodes[name.text].span, "declared here")])  # fmt: skip
        if dataset is not None and dataset.fields and text not in dataset.fields:
            raise refusal("E0605", f"`{dataset.name}` has no field `{text}`", value.span, "no field",
                          hint=did_you_mean(text, dataset.fields, f"fields: {', '.join(dataset.fields)}"))  # fmt: skip
        self.bind[name.text] = text

    def _check_exclusive(self) -> None:
        for section, pairs in EXCLUSIVE.items():
            for pair in pairs:
                both = [self.found[section][n] for n in pair if n in self.found[section]]
                if len(both) == 2:
                    first, second = sorted(both, key=lambda w: (w.source is not None, w.name.start))
                    labels = [Label(first.name, "and this")] if first.source is second.source else []
                    message = f"`{pair[0]}` and `{pair[1]}` say the same thing twice"
                    hint = "keep one of them"
                    wrong = refusal("E0606", message, second.name, "exclude each other", labels=labels, hint=hint)
                    report(self.sink, wrong, second.source)

    def _check_needs(self, dataset: DatasetRow, line: syntax.Data) -> None:
        for name in dataset.needs:
            if name not in self.found["data"]:
                hint = f'write `data {dataset.name}({name} = "…")`'
                message = f"`{dataset.name}` needs the option `{name}`"
                report(self.sink, refusal("E0604", message, line.span, f"no `{name}`", hint=hint))

    def _warn_labels(self) -> None:
        """W0601: no row, or every row, has a label."""
        written = self.found["data"].get("labels")
        if written is None:
            return
        value = written.value.value
        shares = value if isinstance(value, tuple) else (("", value),)
        for node, share in shares:
            if share == 0 or (isinstance(share, float) and share == 1):
                what = f" of `{node}`" if node else ""
                message = f"{'no row has' if share == 0 else 'every row has'} a label{what}"
                hint = "declare the node latent" if share == 0 else "declare the node observed, or hide labels: 0.5"
                self.sink.add(
                    Diagnostic("W0601", message, written.name, "labels", (), (), hint, "warning", written.source)
                )


def _row(rows: Iterable[SettingRow], name: str) -> SettingRow | None:
    return next((r for r in rows if r.name == name), None)
