"""Hostile and broken input: always diagnostics, never another exception, and in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.frontend.parse import parser
from sgdsl.frontend.read import read_source
from tests.frontend.reading import M2, codes, read

CHAIN = 4000


@pytest.fixture(autouse=True)
def built_parser() -> None:
    """Its building is not what is timed."""
    parser()


def refused(raw: bytes, folder: Path) -> list[str]:
    """The codes for a file of these bytes."""
    path = folder / "hostile.sgm"
    path.write_bytes(raw)
    try:
        text = read_source(path).text
    except DiagnosticError as error:
        return [d.code for d in error.diagnostics]
    return codes(text)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "E0108"),
        (b"\n  \n", "E0108"),
        (b"\xef\xbb\xbf", "E0108"),
        (bytes(range(256)) * 50, "E0105"),
        (b"model a\0b", "E0105"),
        (b"model a \x1b[31m", "E0105"),
        (M2.encode("utf-16"), "E0105"),
        (M2.encode("utf-16-be"), "E0105"),
        (M2.encode("utf-32"), "E0105"),
        ('model a "é"'.encode("latin-1"), "E0105"),
        (b"model a\n" + b"# x\n" * 80_000, "E0106"),
        (b"model a\nlet h = " + b"(" * 20_000, "E0107"),
        (b"model a\nlet h = " + b")" * 20_000, "E0102"),
        (b"model a\nlet h = " + b"-" * 60_000 + b"1", "E0107"),
        (b"model a\nlet h = " + b"1+" * 60_000 + b"1", "E0107"),
        (b"model a\nlet h = f" + b"(1)" * 20_000, "E0107"),
        (b"model a\nlet h = f" + b".a" * 50_000, "E0107"),
        (b"model a\nconst k = " + b"9" * 200_000, "E0111"),
        (b"model a\nconst k = 1e400", "E0111"),
        (b"model a\n" + b'"' * 100_000, "E0101"),
        (b"a" * 250_000, "E0101"),
    ],
    ids=lambda v: v if isinstance(v, str) else repr(v[:16]),
)
def test_bytes_that_are_no_model(raw: bytes, code: str, tmp_path: Path) -> None:
    """Protects from tracebacks and long waits on whatever is given as a file."""
    start = time.process_time()
    assert refused(raw, tmp_path) == [code]
    assert time.process_time() - start < 20


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Protects files that Windows' editors wrote."""
    path = tmp_path / "bom.sgm"
    path.write_bytes(b"\xef\xbb\xbf" + M2.replace("\n", "\r\n").encode())
    assert read(read_source(path).text).name == "m2"


@pytest.mark.parametrize("path", ["missing.sgm", "", ".", "a\0b", "x/" * 3000])
def test_paths_that_are_no_file(path: str) -> None:
    """Protects from OSError and ValueError for paths."""
    with pytest.raises(DiagnosticError, match="E0109"):
        read_source(path)


@pytest.mark.parametrize(
    ("shape", "code"),
    [("[0]", "E0303"), ("[-2]", "E0303"), ("[100000000000]", "E0303"), ("[10000, 10000]", "E0303"),
     ("[1e300]", "E0303"), ("[2.5]", "E0303"), ("[]", "E0101"), ("[1 / 0]", "E0312"), ('["a"]', "E0312"),
     ("[__import__]", "E0312")],
)  # fmt: skip
def test_shapes_that_cannot_be(shape: str, code: str) -> None:
    """Protects memory, and arithmetic with what is no number."""
    assert codes(M2.replace("real[50]", "real" + shape)) == [code]


@pytest.mark.parametrize(
    "slip",
    ["x; import os", '__import__("os")', "let h = __import__", "let h = x.__class__", "latent __class__ : real; 1",
     "let h = exec(x)", 'data mnist(root = __import__("os"))', "let h = (lambda: 0)()", "latent \u00e9 : real"],
)  # fmt: skip
def test_names_that_try_to_be_code(slip: str) -> None:
    """Protects the emitted text: nothing but legal, resolved names reaches it."""
    assert codes(M2 + slip + "\n")


@pytest.mark.parametrize("name", ["__class__", "self", "torch", "class", "None", "import_os", "print"])
def test_python_words_are_plain_names(name: str) -> None:
    """Protects models whose variables are called like Python's words: the emitter renames them."""
    assert read(M2.replace(" z", f" {name}").replace("(z", f"({name}")).nodes[-1].name == name


def test_many_mistakes_are_cut_short() -> None:
    """Protects the terminal, and time: a phase ends after 50 errors."""
    assert len(codes("model a\n" + "junk\n" * 40_000)) == 50
    assert len(codes("model a\nlatent z : real\n" + "".join(f"p(z | a{i}) = Normal\n" for i in range(5000)))) == 50


@pytest.mark.parametrize(
    "text",
    [
        "latent z : real\nlet h0 = z\n" + "".join(f"let h{i + 1} = h{i}\n" for i in range(CHAIN)),
        "".join(f"latent z{i} : real\n" for i in range(CHAIN)),
        "latent z : real\nlet h = [" + "1," * 20_000 + "1]\n",
        "const c0 = 1\n" + "".join(f"const c{i + 1} = c{i} + 1\n" for i in range(CHAIN)),
    ],
    ids=["lets", "nodes", "list", "consts"],
)
def test_long_chains_do_not_overflow_the_stack(text: str) -> None:
    """Protects long but right files: no recursion over what refers to what."""
    assert read("model long\n" + text).name == "long"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("const c0 = 9\n" + "".join(f"const c{i + 1} = c{i} * c{i}\n" for i in range(CHAIN)), "E0312"),
        ("net h0 = mlp(3)\n" + "".join(f"net h{i + 1} = h{i} >> mlp(3)\n" for i in range(5000)), "E0107"),
        ("".join(f"let h{i} = h{(i + 1) % 5000}\n" for i in range(5000)), "E0406"),
    ],
    ids=["consts", "nets", "lets"],
)
def test_long_chains_that_are_wrong(text: str, code: str) -> None:
    """Protects from numbers that grow without end, deep nets, and long cycles."""
    assert codes("model long\n" + text)[0] == code
