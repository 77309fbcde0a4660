"""What stands around the sections of a report: head with style and policy, title with the numbers to know first, foot."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from sgdsl.report.markup import Markup, element
from sgdsl.report.material import Material
from sgdsl.report.tables import measure, score, signed
from sgdsl.train.progress import clock


def own(name: str) -> str:
    return files("sgdsl.report").joinpath(name).read_text(encoding="utf-8")


def head(material: Material) -> Markup:
    """No request leaves the page and no script but its own runs: the browser is told so."""
    digest = base64.b64encode(hashlib.sha256(own("page.js").encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{material.run.name}: report"),
        element("style", Markup(own("page.css"))),
    )


def header(material: Material) -> Markup:
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
        found.append(("log p of a held-out row", signed(f"{material.result['bound']:.2f}"), "nats"))
    if material.diagnosis is not None:
        found.append(("warnings", str(len(material.diagnosis.warnings)), "of training"))
    boxes = [element("div", element("dt", n), element("dd", v, element("small", b))) for n, v, b in found]
    return element("dl", *boxes, class_="figures")


def footer(material: Material) -> Markup:
    version = (material.facts.get("versions") or {}).get("sgdsl")
    made = f"Made by sgdsl {version or ''}".rstrip()
    return element("footer", f"{made} from {material.run.folder.name}. This file needs no network.")
