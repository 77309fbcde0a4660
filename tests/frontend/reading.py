"""How the tests of the front end read a program: text in, the IR or the codes of its diagnostics out."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsl.base.diagnostics import Diagnostic, DiagnosticError, Sink
from sgdsl.base.source import Source
from sgdsl.frontend.check import check
from sgdsl.frontend.lower import lower
from sgdsl.frontend.parse import parse
from sgdsl.middle import ir

M2 = """model m2 "Digit y, style z."

observed   x : unit[1, 28, 28]
supervised y : class(10)
latent     z : real[50]

p(y)        = Categorical
p(z)        = Normal
p(x | y, z) = Bernoulli(mlp(500, 500))

q(y | x)    = Categorical(mlp(500, 500))
q(z | x, y) = Normal(mlp(500, 500))

data mnist(labels = 100)
train { epochs = 100, batch = 128 }
"""


def read(text: str, overrides: Sequence[str] = ()) -> ir.Model:
    """The checked IR. Raises DiagnosticError."""
    source = Source("test.sgm", text)
    sink = Sink(source)
    tree = parse(source, sink)
    sink.barrier()
    draft = lower(tree, source, sink, overrides)
    sink.barrier()
    model = check(draft, sink)
    sink.barrier()
    return model


def wrong(text: str, overrides: Sequence[str] = ()) -> tuple[Diagnostic, ...]:
    """The diagnostics of a program that must be refused."""
    try:
        read(text, overrides)
    except DiagnosticError as error:
        return error.diagnostics
    raise AssertionError("no mistake was found")


def codes(text: str, overrides: Sequence[str] = ()) -> list[str]:
    """The codes of a program that must be refused."""
    return [d.code for d in wrong(text, overrides)]
