"""The page as a whole: a run's material comes in, one HTML document that needs no other file goes out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sgdsl.backend.dot import dot
from sgdsl.backend.draw import DrawError, draw
from sgdsl.report.charts import curves
from sgdsl.report.confusion import confusions
from sgdsl.report.decode import Decoder
from sgdsl.report.explorer import explorer
from sgdsl.report.formulas import objectives_html
from sgdsl.report.frame import footer, head, header, own
from sgdsl.report.grids import grids, orders_of
from sgdsl.report.markup import Child, Markup, element, joined
from sgdsl.report.material import Material
from sgdsl.report.sheets import samples, traversals
from sgdsl.report.tables import (
    carried_table,
    census_table,
    confusion_table,
    result_table,
    rows_table,
    run_table,
    settings_table,
    warnings_list,
)
from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.feed import read

MOST_SHOWN = 3  # observed nodes in the grids
WIDE = 260  # points of a graph that stands above the file, not beside it
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
            header(material),
            element("nav", element("ul", *links), aria_label="Sections"),
            element("main", *(_section(s) for s in sections), id="content", tabindex=-1),
            footer(material),
            element("script", Markup(own("page.js"))),
        )
    )
    return f"<!DOCTYPE html>\n{element('html', head(material), element('body', body), lang='en')}\n"


def _section(section: Section) -> Markup:
    key = f"{section.key}-title"
    return element("section", element("h2", section.title, id=key), *section.parts, id=section.key, aria_labelledby=key)


def _sections(material: Material) -> list[Section]:
    decoder, reason = _decoder(material)
    return [
        Section("model", "The model", (_beside(_graph(material), _source(material)),)),
        Section("result", "Result", _result(material)),
        *_pictured(material, decoder, reason),
        Section("training", "Training", _training(material)),
        Section("objective", "The objective", (objectives_html(material.page),)),
        Section("rows", "Rows and labels", (rows_table(material), census_table(material))),
        Section("settings", "Settings and the run", _settings(material)),
    ]


def _beside(graph: Markup, source: Markup) -> Markup:
    """Side by side where the graph is narrow."""
    width = re.search(r'<svg width="(\d+)', graph)
    wide = width is not None and int(width[1]) > WIDE
    return element("div", graph, source, class_="beside wide" if wide else "beside")


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
    found = orders_of(decoder)
    label = next(iter(found))
    words = (
        "Each slider moves one cell of a node by standard deviations of its prior. All other nodes are at their means along p, "
        f"finite ones at the likeliest value{_held(decoder)}. Cells that change the picture most come first."
    )
    along = element("p", "One cell moves at a time, from −2.5 to 2.5 standard deviations of its prior.", class_="note")
    return [
        Section("explore", "Explore", (element("p", words), explorer(decoder, grids(decoder, found)))),
        drawn,
        Section("traversals", "Traversals", (along, *traversals(decoder, found[label][:MOST_MOVED], label))),
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
    decoder = Decoder(material.run.module, given, shown, material.run.config.get("classes", {}))
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
