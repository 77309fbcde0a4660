"""The tables of a report: settings, rows and labels, the result with its source, confusion, warnings, where a run comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from sgdsl.catalog.settings import SECTIONS
from sgdsl.report.confusion import Confusion
from sgdsl.report.markup import Child, Markup, element, joined, table
from sgdsl.report.material import Material
from sgdsl.train.closer import closer
from sgdsl.train.dataset import Array
from sgdsl.train.diagnosis import Diagnosis
from sgdsl.train.measures import named, shown

KNOWN = frozenset({"model", "source", "rows", "scores", "bound", "bound_error", "samples", "baseline", "validation"})
BESIDE = frozenset({"labels", "seconds", "pictures", "diagnosis"})  # of result.json, shown elsewhere in the page
CLOSER = frozenset({"likelihood", "beliefs", "disentanglement", "generation"})  # in the words of the run's own table
MOST_ENTRIES = 200
MOST_CLASSES = 24
NUMBERS = frozenset({1, 2, 3, 4, 5, 6})


def result_table(result: Mapping[str, Any]) -> Markup:
    """The measures of result.json in the words of the table of a run; what this version does not know by its name there."""
    scores, alone = result.get("scores", {}), result.get("baseline", {})
    rows: list[tuple[Child, ...]] = [
        (measure(n, s), score(s), score(alone[n]) if n in alone else "–", f"{s['rows']:,}") for n, s in scores.items()
    ]
    checked = result.get("validation", {})
    rows += [(f"{measure(n, s)}, validation labels", score(s), "–", f"{s['rows']:,}") for n, s in checked.items()]
    if result.get("bound") is not None:
        error = result.get("bound_error")
        spread = f" ± {error:.2f}" if error is not None else ""
        name = f"log p of a row, nats (importance sampled, {result.get('samples', '?')} draws)"
        rows.append((name, signed(f"{result['bound']:.2f}{spread}"), "–", f"{result.get('rows', 0):,}"))
    rows += [(name, signed(value), "–", "–") for name, value, _ in closer(result)]
    others = {k: v for k, v in result.items() if k not in KNOWN | BESIDE | CLOSER}
    rows += [(name, value, "–", "–") for name, value in list(entries(others))[:MOST_ENTRIES]]
    source = f"Held-out rows of {result.get('source', 'an unnamed source')}, labels hidden"
    heads = ("measure", "this model", "labels alone", "rows")
    return table(source, heads, rows, NUMBERS) if rows else element("p", "No rows were held out.")


def measure(name: str, found: Mapping[str, Any]) -> str:
    return named(found["kind"], name)


def score(found: Mapping[str, Any]) -> str:
    return signed(shown(found["kind"], found["value"]))


def signed(number: str) -> str:
    """With a minus sign for a hyphen."""
    return number.replace("-", "−")


def entries(found: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Whatever a file of results holds, as names and values: nested names joined, numbers in five figures."""
    match found:
        case Mapping():
            for key, value in found.items():
                yield from entries(value, f"{path}, {key}" if path else str(key))
        case list() if any(isinstance(v, Mapping | list) for v in found):
            for i, value in enumerate(found):
                yield from entries(value, f"{path} [{i}]")
        case list():
            yield path, ", ".join(written(v) for v in found) or "none"
        case _:
            yield path, written(found)


def written(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return signed(f"{value:.5g}")
        case _:
            return str(value)


def carried_table(diagnosis: Diagnosis) -> Markup | None:
    """What each inferred node carries, and how many draws count."""
    rows = [(element("i", n), a.role, a.words(), signed(f"{a.kl:.2f}")) for n, a in diagnosis.nodes.items()]
    weights = [(f"{n} known", w.words(), signed(f"{w.log_q_labels:.3g}")) for n, w in diagnosis.weights.items()]
    nodes = table("What each inferred node carries", ("node", "role", "active", "KL, nats a row"), rows, frozenset({3}))
    heads = ("rows with", "draws that count", "log q of the labels")
    counted = table("Importance weights in the last epoch", heads, weights, frozenset({2})) if weights else None
    return joined((nodes if rows else None, counted))


def warnings_list(diagnosis: Diagnosis) -> Markup:
    """Each warning with its evidence and a way out."""
    if not diagnosis.warnings:
        return element("p", "Training gave no warnings.")
    found = [
        element(
            "li", element("b", w.code), " ", w.message, element("br"), w.evidence, element("br"), f"Way out: {w.hint}"
        )
        for w in diagnosis.warnings
    ]
    return element("ul", *found, class_="warnings")


def confusion_table(found: Confusion) -> Markup:
    """Rows are true classes, columns what the model believes; the darker, the larger the share of its row."""
    right, total = int(found.counts.trace()), int(found.counts.sum())
    caption = f"{found.node}: true class down, believed across; {total - right:,} of {total:,} wrong"
    head = element("tr", element("td", ""), *(element("th", n, scope="col") for n in found.names))
    body = [
        element("tr", element("th", n, scope="row"), *_cells(line, i))
        for i, (n, line) in enumerate(zip(found.names, found.counts, strict=True))
    ]
    made = element(
        "table", element("caption", caption), element("thead", head), element("tbody", *body), class_="confusion"
    )
    return element("div", made, class_="scroll", tabindex=0, role="region", aria_label=f"confusion of {found.node}")


def _cells(line: Array, true: int) -> list[Markup]:
    shares = line / max(int(line.sum()), 1)
    return [
        element(
            "td", f"{count}" if count else "·", class_="right" if i == true else "wrong", style=f"--share:{share:.3f}"
        )
        for i, (count, share) in enumerate(zip(line.tolist(), shares.tolist(), strict=True))
    ]


def rows_table(material: Material) -> Markup:
    """How many rows there were of what."""
    rows = material.run.config["rows"]
    source = material.run.config["source"]
    found = [
        ("training rows with a label", rows["labelled"]),
        ("training rows without", rows["unlabelled"]),
        ("rows held out for validation", rows["validation"]),
        ("rows held out for the result", rows["held_out"]),
    ]
    labels = [(f"labels of {node} seen in training", count) for node, count in rows["labels"].items()]
    named = [(name, f"{count:,}") for name, count in found + labels]
    return table(f"Rows: {source}", ("what", "count"), named, frozenset({1}))


def census_table(material: Material) -> Markup | None:
    """The labels of each finite supervised node seen in training, by class."""
    ready = material.ready
    if ready is None:
        return element("p", f"No census of labels by class: {material.reason}.", class_="note")
    made = []
    for node, mask in ready.split.granted.items():
        info = material.run.module.NODES[node]
        if not 2 <= info.classes <= MOST_CLASSES or not mask.any():
            continue
        values = ready.table.columns[node].values.cpu().numpy()[mask].astype(int) - info.first
        counts = np.bincount(values.flatten(), minlength=info.classes)
        heads = ("class", *material.run.value_names(node))
        row = ("labels", *(f"{c:,}" for c in counts))
        made.append(table(f"Labels of {node} by class", heads, [row], frozenset(range(1, len(heads)))))
    return joined(made)


def settings_table(settings: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Every setting of the run, with what it means."""
    helps = {(section, row.name): row.help for section, rows in SECTIONS.items() for row in rows}
    rows = [
        (f"{section}.{name}", _setting(name, value), helps.get((section, name), ""))
        for section, found in settings.items()
        for name, value in found.items()
    ]
    return table("Settings", ("setting", "value", "meaning"), rows)


def _setting(name: str, value: object) -> str:
    """As the file would say it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} = {written(v)}" for k, v in value.items()) or "none"
    if value is None:
        return "none" if name == "clip" else "auto"
    return f"{value:g}" if isinstance(value, float) else str(value)


def run_table(facts: Mapping[str, Any]) -> Markup:
    """run.json: when, where, with what."""
    shown = {k: v for k, v in facts.items() if k not in ("format", "arguments", "overrides")}
    command = " ".join(("sgdsl", *map(str, facts.get("arguments", ()))))
    rows: Sequence[tuple[str, str]] = [("command", command)] if facts.get("arguments") else []
    return table("The run", ("what", "value"), list(chain(rows, entries(shown))))
