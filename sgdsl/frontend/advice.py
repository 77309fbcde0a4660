"""What the parser stumbled over comes in; one diagnostic that says what could stand there goes out."""

from __future__ import annotations

import re

from lark import Token

from sgdsl.base.source import Span
from sgdsl.frontend.report import Refused, closest, refusal

_STATEMENTS = (
    "model", "const", "given", "observed", "supervised", "latent", "let", "net", "p", "q", "data", "objective", "train",
    "for", "use",
)  # fmt: skip
_SYNONYMS = {
    "hidden": "latent", "param": "const", "parameter": "const", "def": "let", "var": "latent", "label": "supervised",
    "visible": "observed", "network": "net", "dataset": "data", "condition": "given", "input": "given",
    "optimizer": "train", "import": "use", "include": "use", "loss": "objective", "training": "train",
}  # fmt: skip
_WORDS = {
    "NAME": "a name", "NUMBER": "a number", "STRING": "a string", "EQUAL": "`=`", "LPAR": "`(`", "RPAR": "`)`",
    "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`", "RBRACE": "`}`", "COMMA": "`,`", "COLON": "`:`", "VBAR": "`|`",
    "PLUS": "`+`", "MINUS": "`-`", "STAR": "`*`", "SLASH": "`/`", "DOT": "`.`", "_BY": "`by`", "_IN": "`in`",
    "PARTIAL": "`partial`", "AUTO": "`auto`", "$END": "the end of the line", "_NL": "a new line", "ALL": "`*`",
    "__ANON_0": "`..`", "__ANON_1": "`>>`",
}  # fmt: skip
_OPERATORS = frozenset(("PLUS", "MINUS", "STAR", "SLASH", "DOT", "__ANON_0", "__ANON_1", "LSQB"))
_VALUE = frozenset(("NAME", "NUMBER", "STRING", "LPAR", "LSQB", "MINUS"))
_CHARACTERS = {
    "~": "a distribution is written `p(x | z) = Normal(…)`",
    "^": "write `square(x)`, or a product",
    "'": 'strings stand in double quotes, `"…"`',
    "“": 'strings stand in double quotes, `"…"`',
    "”": 'strings stand in double quotes, `"…"`',
    "−": "this is U+2212: write the minus of the keyboard, `-`",
    "–": "this is a dash: write the minus of the keyboard, `-`",
    "·": "write `*`",
    "×": "write `*`",
    "≫": "write `>>`",
    "»": "write `>>`",
    ";": "a statement ends with its line",
    "\u00a0": "this is a no-break space: write a blank",
    "%": "comments start with `#`",
    "!": "comments start with `#`",
    "@": "there are no decorators",
    "<": "write `count(a, b)` for a range, `clamp(x, lo, hi)` for a bound",
    "∣": "write `|`",
    "│": "write `|`",
    "＝": "write `=`",
}


def wrong_character(flat: str, at: int) -> Refused:
    """E0104 for a character that the language does not have."""
    found = flat[at]
    shown = f"`{found}`" if found.isprintable() and not found.isspace() else f"U+{ord(found):04X}"
    hint = _CHARACTERS.get(found, "names are ASCII letters, digits and `_`" if found.isalnum() else "")
    return refusal("E0104", f"{shown} means nothing here", Span(at, at + 1), "not part of the language", hint=hint)


def wrong_token(flat: str, statement: Span, token: Token, expected: frozenset[str]) -> Refused:
    """E0101 (or E0111 for a number like `1.` or `.5`) for a word or sign in the wrong place."""
    at = statement.end if token.type == "$END" else statement.start + (token.start_pos or 0)
    text = "" if token.type == "$END" else str(token)
    if token.type == "_NL":
        text = ""
    span = Span(at, at + max(1, len(text)))
    if at == statement.start:
        return _no_statement(flat, statement, span, text)
    if number := _cut_number(flat, at):
        return refusal("E0111", f"`{flat[number.start : number.end]}` is no number", number, "digits on both sides",
                       hint="write `1.0` and `0.5`")  # fmt: skip
    wanted = _expected(expected)
    found = f"`{text}`" if text else "the end of the line"
    hint = _hint(flat, statement, at, text, expected)
    return refusal("E0101", f"expected {wanted}, not {found}", span, f"expected {wanted}", hint=hint)


def _no_statement(flat: str, statement: Span, span: Span, text: str) -> Refused:
    """The first word of a line is none that a statement starts with."""
    word = re.match(r"\w*", flat[statement.start : statement.end])
    first = word.group() if word and word.group() else text
    place = Span(span.start, span.start + max(1, len(first)))
    rest = flat[place.end : statement.end].lstrip()
    glued = next((k for k in _STATEMENTS if len(k) > 2 and first.startswith(k) and first != k), None)
    meant = closest(first, [s for s in _STATEMENTS if len(s) > 1], _SYNONYMS, 0.7)
    if glued and rest[:1] in (":", "="):
        hint = f"did you mean `{glued} {first[len(glued) :]}`?"
    elif meant:
        hint = f"did you mean `{meant}`?"
    elif rest.startswith("="):
        hint = f"write `let {first} = …` for a value, `const {first} = …` for a number, `p({first}) = …` for a factor"
    elif rest.startswith(":"):
        hint = f"a declaration starts with its role: `latent {first} : …`, or given, observed, supervised"
    elif rest.startswith("~"):
        hint = f"a distribution is written `p({first}) = …`"
    else:
        hint = "a line starts with one of: model, const, given, observed, supervised, latent, let, net, p, q, data"
        hint += ", objective, train"
    return refusal("E0101", f"no statement starts with `{first}`", place, "not a statement", hint=hint)


def _cut_number(flat: str, at: int) -> Span | None:
    """The place of `1.` or `.5` around an offset."""
    for match in re.finditer(r"(?<![\w.])(?:\d+\.(?![\d.])|\.\d+)", flat[max(0, at - 20) : at + 20]):
        span = Span(max(0, at - 20) + match.start(), max(0, at - 20) + match.end())
        if span.start <= at <= span.end:
            return span
    return None


def _expected(expected: frozenset[str]) -> str:
    """What could stand here, in words: operators only where nothing else could."""
    if expected >= _VALUE:
        rest = sorted(_WORDS.get(e, e.lower()) for e in expected - _VALUE - _OPERATORS if e != "_NL")
        return _or(["an expression", *rest])
    useful = expected
    if "PLUS" in expected:  # behind an operand, where a longer expression is never the point
        useful = expected - _OPERATORS - {"LPAR", "ALL"}
    if "$END" in useful and "_NL" in useful:
        useful -= {"_NL"}
    return _or(sorted({_WORDS.get(e, f"`{e.lower()}`") for e in useful}))


def _or(words: list[str]) -> str:
    *most, last = words or ["the end of the line"]
    return f"{', '.join(most)} or {last}" if most else last


def _hint(flat: str, statement: Span, at: int, text: str, expected: frozenset[str]) -> str:
    """The usual reason for a mistake at this place."""
    before, line = flat[statement.start : at].rstrip(), flat[statement.start : statement.end]
    keyword = line.split(None, 1)[0].split("(")[0]
    if text == "," and keyword in ("p", "q") and "VBAR" in expected:
        return "a factor is of one node: write `p(x | y, z) = …` and `p(y | z) = …`"
    if text == "," and keyword in ("given", "observed", "supervised", "latent"):
        return "one declaration a line"
    if text == "=" and before.endswith("="):
        return "write one `=`"
    if text == "*" and before.endswith("*"):
        return "there is no power: write `square(x)`, or a product"
    if text and keyword in ("p", "q") and re.fullmatch(r"[A-Za-z_]\w*", text):
        meant = closest(text, ["by"], {"using": "by", "with": "by", "via": "by"})
        return f"did you mean `{meant}`?" if meant and "_BY" in expected else ""
    if keyword in ("objective", "train") and "LBRACE" in expected:
        return f"write `{keyword} {{ name = value, … }}`"
    if not text and "EQUAL" in expected and keyword in ("p", "q"):
        return "a factor needs a right-hand side: `= Normal(mlp(64))`"
    return ""
