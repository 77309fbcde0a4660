"""How the front end reports: a mistake comes in as words and a place, a diagnostic goes into the sink or up the stack."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from sgdsl.base.diagnostics import Diagnostic, DiagnosticError, Label, Sink
from sgdsl.base.source import Source, Span

ENOUGH = 50


class Refused(Exception):
    """Raised inside a phase where a statement cannot be understood further; caught once a statement or argument.
    `diagnostic` None: what is wrong was reported before."""

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message if diagnostic else "")


def refusal(
    code: str,
    message: str,
    span: Span,
    under: str = "",
    *,
    hint: str = "",
    labels: Iterable[Label] = (),
    notes: Iterable[str] = (),
) -> Refused:
    """An exception to raise; names of any length are cut."""
    return Refused(Diagnostic(code, _cut(message), span, under, tuple(labels), tuple(notes), _cut(hint)))


def _cut(words: str) -> str:
    return words if len(words) <= 400 else f"{words[:200]} … {words[-100:]}"


def report(sink: Sink, refused: Refused, source: Source | None = None) -> None:
    """Keep a refusal in the sink. After 50 errors the phase is over: DiagnosticError."""
    found = refused.diagnostic
    if found is None:
        return
    if source is not None:
        found = Diagnostic(
            found.code,
            found.message,
            found.span,
            found.under,
            found.labels,
            found.notes,
            found.hint,
            found.severity,
            source,
        )
    sink.add(found)
    if sum(d.severity == "error" for d in sink.found) >= ENOUGH:
        sink.barrier()


def fatal(code: str, message: str, span: Span | None, source: Source | None, hint: str = "") -> DiagnosticError:
    """The only error there is: nothing else can be said about this text."""
    return DiagnosticError([Diagnostic(code, message, span, hint=hint, source=source)])


def closest(
    name: str, candidates: Iterable[str], synonyms: dict[str, str] | None = None, cutoff: float = 0.6
) -> str | None:
    """What the writer meant: a synonym, or the name most like it; None where nothing is near."""
    names = list(candidates)
    meant = (synonyms or {}).get(name.lower())
    if meant in names:
        return meant
    folded = {n.lower(): n for n in names}
    if name.lower() in folded:
        return folded[name.lower()]
    near = get_close_matches(name[:100], names, 1, cutoff)
    return near[0] if near else None


def did_you_mean(name: str, candidates: Iterable[str], otherwise: str, synonyms: dict[str, str] | None = None) -> str:
    """The hint of an unknown name."""
    meant = closest(name, candidates, synonyms)
    return f"did you mean `{meant}`?" if meant else otherwise


def listed(names: Iterable[str], last: str = "and") -> str:
    """`a`, `b` and `c`"""
    quoted = [f"`{n}`" for n in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}" if quoted else "none"
