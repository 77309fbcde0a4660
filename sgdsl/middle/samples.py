"""How many samples a model needs, and whether its labels train q: the model and its estimators come in, S goes out."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsl.base.diagnostics import Diagnostic, Sink
from sgdsl.middle import ir
from sgdsl.middle.estimators import Choice, Weighed, patterns, weigh
from sgdsl.middle.graphs import Graphs

SEVERAL = 8  # samples where weights vary or a node is scored


def samples(
    model: ir.Model,
    graphs: Graphs,
    draws: tuple[str, ...],
    choices: Mapping[str, Choice],
    settings: Mapping[str, object],
    sink: Sink,
) -> int:
    """S: as set, at least 2 where a node is scored against the other samples; auto: 1 where every weight is constant
    and nothing is scored, else SEVERAL. Adds W0501 for labels that do not train q, W0502 for labels weighed with one sample."""
    varying = _last_varying(model, graphs, draws, choices)
    scored = [choices[v] for v in draws if choices[v].name == "score"]
    left_out = any(dict(c.options)["baseline"] == "loo" for c in scored)
    _warn_untrained(model, graphs, draws, choices, settings, sink)
    if not isinstance(settings["samples"], int):
        return SEVERAL if varying or scored else 1
    wanted = max(settings["samples"], 2 if left_out else 1)
    if wanted == 1 and varying:
        node = varying.before[0]
        sink.add(
            Diagnostic("W0502", f"the label of `{node}` is weighed with one sample", model.factor("q", node).span, "",
                       (), ("with S = 1 the label does not condition the latents before it",),
                       f"set samples to more than 1, or let {', '.join(varying.drawn)} come after `{node}` in q", "warning")
        )  # fmt: skip
    return wanted


def _last_varying(
    model: ir.Model, graphs: Graphs, draws: tuple[str, ...], choices: Mapping[str, Choice]
) -> Weighed | None:
    """The last pattern of labels with weights that vary from sample to sample."""
    below = graphs.q.descendants(*(v for v in draws if choices[v].drawn))
    for known in reversed(patterns(model)):
        if len(known) == 1 and known[0] not in below:
            continue
        weighed = weigh(graphs, draws, choices, known)
        if weighed.drawn:
            return weighed
    return None


def _warn_untrained(
    model: ir.Model,
    graphs: Graphs,
    draws: tuple[str, ...],
    choices: Mapping[str, Choice],
    settings: Mapping[str, object],
    sink: Sink,
) -> None:
    if settings["alpha"] != 0:
        return
    unknown = set(draws)
    for node in (n for n in model.nodes if n.role == "supervised"):
        if settings["bound"] != "snis" or not unknown.intersection(graphs.parents("q", node.name)):
            factor = model.factor("q", node.name)
            sink.add(
                Diagnostic("W0501", f"labels do not train the q factor of `{node.name}`", factor.span, "not trained by labels",
                           (), ("α is 0, and log q of the label cancels out of the bound",), "set alpha above 0", "warning")
            )  # fmt: skip
