"""The form of a file: keywords and names, lines and brackets, comments."""

from __future__ import annotations

import pytest

from sgdsl.base.diagnostics import Sink
from sgdsl.base.source import Source
from sgdsl.frontend.parse import parse
from tests.frontend.reading import M2, read


@pytest.mark.parametrize("word", ["latent", "p", "q", "by", "model", "data", "train", "forward", "lambda", "partial"])
def test_keywords_may_be_names(word: str) -> None:
    """Protects that keywords are keywords only where the grammar asks for one."""
    model = read(f"model t\nobserved {word} : real[2]\nlatent z : real\np({word} | z) = Normal(mlp(3))\n"
                 f"let a = {word} * 2\nq(z | {word}) = Normal(mlp(3)({word}))\n")  # fmt: skip
    assert model.q[0].given == (word,)


@pytest.mark.parametrize("name", ["latentx", "inner", "byte", "models", "pq", "in_", "lets", "autos"])
def test_words_that_start_like_keywords_are_names(name: str) -> None:
    """Protects the word boundary of every keyword."""
    model = read(f"model t\nlatent {name} : real\nq({name}) = Normal(0, 1) by reparam\n")
    assert model.nodes[0].name == name


def test_a_statement_may_go_on_inside_brackets() -> None:
    """Protects newlines and comments inside ( ) and [ ], commas and lines inside { }, and Windows' line ends."""
    text = (
        "model t # doc\r\nobserved x : real[\r\n 4, # rows\r\n 5]\r\nlatent z : real\r\n"
        "p(x |\r\n  z) = Normal(\r\n mlp(3))\r\ntrain {\r\n epochs = 3, batch = 4\r\n\r\n # c\r\n lr = 1e-2\r\n}\r\n"
    )
    model = read(text)
    assert model.nodes[0].type.shape == (4, 5)
    assert model.p[0].text == "p(x | z) = Normal(mlp(3))"
    assert [(s.name, s.value) for s in model.train] == [("epochs", 3), ("batch", 4), ("lr", 0.01)]


def test_comments_are_kept() -> None:
    """Protects what the formatter will need, and `#` inside of strings."""
    source = Source("c.sgm", 'model c "a # b"  # one\n# two\nlatent z : real # three\n')
    tree = parse(source, Sink(source))
    assert [c.text for c in tree.comments] == ["# one", "# two", "# three"]
    assert [source.text[c.span.start : c.span.end] for c in tree.comments] == ["# one", "# two", "# three"]
    assert tree.model is not None
    assert tree.model.doc == "a # b"


def test_places_are_exact() -> None:
    """Protects every caret: the place of a statement is its text, wherever it stands."""
    source = Source("m2.sgm", M2)
    for statement in parse(source, Sink(source)).statements:
        text = M2[statement.span.start : statement.span.end]
        assert text == text.strip()
        assert text in M2.split("\n")


def test_a_broken_line_does_not_hide_the_next() -> None:
    """Protects recovery: what follows a broken statement is read."""
    source = Source("m2.sgm", M2.replace("p(z)        = Normal", "p(z)        = Normal("))
    sink = Sink(source)
    assert len(parse(source, sink).statements) == 9
    assert [d.code for d in sink.found] == ["E0102"]
