"""The page as a whole: a run's material comes in, one HTML document that needs no other file goes out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import torch

from sgdsl.backend.dot import dot
from sgdsl.backend.draw import DrawError, draw
from sgdsl.report.charts import curves
from sgdsl.report.confusion import confusions
from sgdsl.report.decode import Decoder
from sgdsl.report.explorer import explorer
from sgdsl.report.formulas import objectives_html
from sgdsl.report.grids import grids, order
from sgdsl.report.markup import Child, Markup, element, joined
from sgdsl.report.material import Material
from sgdsl.report.sheets import samples, traversals
from sgdsl.report.tables import (
    carried_table,
    census_table,
    confusion_table,
    measure,
    result_table,
    rows_table,
    run_table,
    score,
    settings_table,
    warnings_list,
)
from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.feed import read
from sgdsl.train.progress import clock

MOST_SHOWN = 3  # observed nodes in the grids
MOST_MOVED = 4  # nodes with traversals


@dataclass(frozen=True, slots=True)
class Section:
    """`key`: its address in the page."""

    key: str
    title: str
    parts: Sequence[Child]


def page(material: Material) -> str:
    """The text of report.html."""
    sections = [s for s in _sections(material) if any(s.parts)]
    links = [element("li", element("a", s.title, href=f"#{s.key}")) for s in sections]
    body = joined(
        (
            element("a", "Skip to the content", href="#content", class_="skip"),
            _header(material),
            element("nav", element("ul", *links), aria_label="Sections"),
            element("main", *(_section(s) for s in sections), id="content", tabindex=-1),
            _footer(material),
            element("script", Markup(_own("page.js"))),
        )
    )
    return f"<!DOCTYPE html>\n{element('html', _head(material), element('body', body), lang='en')}\n"


def _own(name: str) -> str:
    return files("sgdsl.report").joinpath(name).read_text(encoding="utf-8")


def _head(material: Material) -> Markup:
    """No request leaves the page and no script but its own runs: the browser is told so."""
    digest = base64.b64encode(hashlib.sha256(_own("page.js").encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{material.run.name}: report"),
        element("style", Markup(_own("page.css"))),
    )


def _header(material: Material) -> Markup:
    model, config = material.program.model, material.run.config
    labels = ", ".join(f"{count:,} labels of {node}" for node, count in config["rows"]["labels"].items())
    trained = config["rows"]["labelled"] + config["rows"]["unlabelled"]
    seconds = material.facts.get("seconds")
    facts = [config["source"], f"{trained:,} training rows", labels, f"trained in {clock(seconds)}" if seconds else ""]
    theme = element("button", "Theme: auto", type="button", id="theme", class_="script")
    return element(
        "header",
        element("div", element("h1", model.name), theme, class_="top"),
        element("p", model.doc, class_="doc") if model.doc else None,
        element("p", "; ".join(f for f in facts if f), class_="note"),
        _figures(material),
    )


def _figures(material: Material) -> Markup | None:
    """The numbers to know first."""
    if material.result is None:
        return None
    found = []
    for name, value in material.result.get("scores", {}).items():
        alone = material.result.get("baseline", {}).get(name)
        found.append((measure(name, value), score(value), f"labels alone {score(alone)}" if alone else ""))
    if material.result.get("bound") is not None:
        found.append(("log p of a held-out row", f"{material.result['bound']:.2f}", "nats"))
    if material.diagnosis is not None:
        found.append(("warnings", str(len(material.diagnosis.warnings)), "of training"))
    boxes = [element("div", element("dt", n), element("dd", v, element("small", b))) for n, v, b in found]
    return element("dl", *boxes, class_="figures")


def _section(section: Section) -> Markup:
    key = f"{section.key}-title"
    return element("section", element("h2", section.title, id=key), *section.parts, id=section.key, aria_labelledby=key)


def _sections(material: Material) -> list[Section]:
    decoder, reason = _decoder(material)
    return [
        Section("model", "The model", (_graph(material), _source(material))),
        Section("result", "Result", _result(material)),
        *_pictured(material, decoder, reason),
        Section("training", "Training", _training(material)),
        Section("objective", "The objective", (objectives_html(material.page),)),
        Section("rows", "Rows and labels", (rows_table(material), census_table(material))),
        Section("settings", "Settings and the run", _settings(material)),
    ]


def _graph(material: Material) -> Markup:
    """White is latent, grey observed, half grey sometimes known."""
    try:
        text = draw(dot(material.program.model), "svg").decode()
    except DrawError as error:
        return element("p", f"Graphviz could not draw the graph: {error}", class_="note")
    picture = Markup(
        re.sub(
            r"\sxmlns(:xlink)?=\"[^\"]*\"|\sxml:space=\"[^\"]*\"|<!--.*?-->", "", text[text.index("<svg") :], flags=re.S
        )
    )
    alt = f"Graph of {material.run.name}: black edges generate, red dashed edges infer."
    legend = (
        "White: latent. Grey: observed or given. Half grey: known in some rows. "
        "Black edges generate (p), red dashed edges infer (q)."
    )
    return element(
        "figure", element("div", picture, class_="graph", role="img", aria_label=alt), element("figcaption", legend)
    )


def _source(material: Material) -> Markup:
    code = element("pre", element("code", material.program.source.text), tabindex=0, aria_label="the .sgm file")
    return element("details", element("summary", "The file"), code, open=True)


def _result(material: Material) -> list[Child]:
    found: list[Child] = []
    if material.result is None:
        found.append(element("p", "This run was not evaluated: it has no result.json.", class_="note"))
    else:
        found.append(result_table(material.result))
    if material.ready is not None:
        found += [confusion_table(c) for c in confusions(material.run, material.ready)]
    else:
        found.append(element("p", f"No confusion matrix, samples or analogies: {material.reason}.", class_="note"))
    if material.diagnosis is not None:
        found += [carried_table(material.diagnosis), element("h3", "Warnings"), warnings_list(material.diagnosis)]
    if material.result is not None:
        raw = element(
            "pre", json.dumps(material.result, indent=2, ensure_ascii=False), tabindex=0, aria_label="result.json"
        )
        found.append(element("details", element("summary", "result.json"), raw))
    return found


def _pictured(material: Material, decoder: Decoder | None, reason: str) -> list[Section]:
    """The sections that ask the trained model."""
    sheets = samples(material.run, material.ready) if material.ready is not None else []
    drawn = Section("samples", "Samples and analogies", sheets)
    if decoder is None:
        return [Section("explore", "Explore", (element("p", reason, class_="note"),)), drawn]
    label = next(iter(decoder.finite()), "")
    orders = sorted((order(decoder, label, n) for n in decoder.sliding()), key=lambda o: -o.strength)[:MOST_MOVED]
    words = (
        "Each slider moves one cell of a node by standard deviations of its prior. All other nodes are at their means along p, "
        f"finite ones at the likeliest value{_held(decoder)}. Cells that change the picture most come first."
    )
    along = element("p", "One cell moves at a time, from −2.5 to 2.5 standard deviations of its prior.", class_="note")
    return [
        Section("explore", "Explore", (element("p", words), explorer(decoder, grids(decoder)))),
        drawn,
        Section("traversals", "Traversals", (along, *traversals(decoder, orders, label))),
    ]


def _held(decoder: Decoder) -> str:
    names = list(decoder.given)
    verb = "is" if len(names) == 1 else "are"
    return f"; {' and '.join(names)} {verb} that of the first held-out row" if names else ""


def _decoder(material: Material) -> tuple[Decoder | None, str]:
    """A decoder, or why there is none."""
    nodes = material.run.module.NODES
    shown = tuple(n for n, i in nodes.items() if i.role == "observed" and i.family_p)[:MOST_SHOWN]
    wanted = [n for n, i in nodes.items() if i.role == "given"]
    given: dict[str, torch.Tensor] = {}
    if wanted:
        if material.ready is None:
            return None, f"No sliders: {' and '.join(wanted)} would need values, and {material.reason}."
        rows = material.ready.dataset.test if len(material.ready.dataset.test) else material.ready.dataset.train
        index = torch.tensor(rows[:1], device=material.run.device)
        columns = material.ready.table.columns
        given = {n: read(columns[n], index, None)[0].to(_dtype(nodes[n])) for n in wanted}
    decoder = Decoder(material.run.module, given, shown)
    if not decoder.sliding():
        return None, "No sliders: nothing that is observed depends on a node of real numbers."
    return decoder, ""


def _dtype(info: NodeInfo) -> torch.dtype:
    return torch.int64 if info.integer else torch.get_default_dtype()


def _training(material: Material) -> list[Child]:
    if not material.records:
        return [element("p", "No epoch was recorded.", class_="note")]
    last = material.records[-1]
    words = f"{last['epoch']:,} epochs, {last['step']:,} steps; bounds are means over the steps of an epoch."
    return [element("p", words), element("div", *curves(material.records), class_="plots")]


def _settings(material: Material) -> list[Child]:
    return [settings_table(material.run.config["settings"]), run_table(material.facts)]


def _footer(material: Material) -> Markup:
    version = (material.facts.get("versions") or {}).get("sgdsl")
    made = f"Made by sgdsl {version or ''}".rstrip()
    return element("footer", f"{made} from {material.run.folder.name}. This file needs no network.")
