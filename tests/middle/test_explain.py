"""`sgdsl explain MODEL`: golden pages of every shipped model. SGDSL_GOLDEN=write makes them anew."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest
from matplotlib.mathtext import MathTextParser

from sgdsl import driver
from sgdsl.middle import explain_text
from sgdsl.middle.explain import Page

ROOT = Path(__file__).parents[2]
MODELS = sorted((ROOT / "models").glob("*.sgm"))
GOLDEN = Path(__file__).parent / "explain"
LOOPS = [
    *sorted((ROOT / "models/loops").glob("*.sgm")),
    *sorted(GOLDEN.glob("*.sgm")),
]


def unplaced(page: Page) -> Page:
    """Emitted lines move with any change of the emitter: they are tested below, not kept."""
    return replace(page, terms=tuple(replace(t, emitted=0) for t in page.terms))


@pytest.mark.parametrize("path", [*MODELS, *LOOPS], ids=lambda p: p.stem)
def test_what_is_drawn_enumerated_and_weighed(path: Path) -> None:
    """The plan of a shipped model changes only on purpose, and the page says it in words."""
    checked = driver.check(driver.read(path))
    page = explain_text.page_text(unplaced(driver.page(checked))).replace(f"{ROOT}/", "")
    golden = GOLDEN / f"{path.stem}.txt"
    if os.environ.get("SGDSL_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(page)
    assert page == golden.read_text()


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("mnist", "y known: weights constant, exact"),
        ("mnist", "mean_s [ log p(y) + log p(z) + log p(x | y, z) − log q(z | x, y) ] + α log q(y | x)"),
        ("mnist", "networks a row: encode_y 1, encode_z 10, decode_x 10"),
        ("m1_m2", "y known: importance sampling over z1, S = 8; write y before z1 in q to avoid it"),
        ("vae", "every row: no weights, the bound is the ELBO"),
        ("gmvae", "c : enumerated, 10 cases, weighed by q"),
        ("adgm", "importance sampling over a, S = 4"),
        ("sdgm", "+ (1 + α) log mean_s w_s w_s = q(y | x, a)"),
        ("sdgm", "y known: importance sampling over a, S = 8; write y before a in q to avoid it"),
        ("ccvae", "importance sampling over z, a group for each i, since no factor of q reads two, S = 8"),
        ("ccvae", "Σ_{s[*]} Π_{i=1..3} w̄[i]_{s[i]} [ log p(x | z[*], rest) ]"),
        ("ccvae", "+ (1 + α) Σ_{i=1..3} log mean_s w[i]_s"),
        ("diva", "Σ_y q(y | zy) [ log p(y) + log p(zy | y) − log q(y | zy) ]"),
        ("diva", "decode_zd 6, decode_zy 10, decode_x 1·2"),
        ("diva", "+ α mean_s [ log q(d | zd) + log q(y | zy) ]"),
        ("scanvi", "+ α mean_s log q(y | z)"),
        ("vfae", "+ α mean_s log q(y | z1)"),
    ],
)
def test_the_pages_say_the_right_thing(model: str, sentence: str) -> None:
    """Golden files could be wrong all along: what the papers and objective.md say of these graphs is asserted in words."""
    path = ROOT / "models" / f"{model}.sgm"
    assert sentence in " ".join(driver.explained(driver.check(driver.read(path))).split())


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_lines_of_the_file_and_of_the_emitted_text(path: Path) -> None:
    """Each term is shown with the line that writes it and the line that computes it."""
    checked = driver.check(driver.read(path))
    source, program = path.read_text().split("\n"), driver.emit(checked)
    emitted = program.text.split("\n")
    for term in driver.page(checked).terms:
        factor = term.factor
        made_here = checked.model.factor(
            factor.side, factor.node.split("[")[0]
        ).made  # stands for the node's declaration
        name = factor.node.split("[")[0]
        start = rf" *\w+ +{name} " if made_here else rf" *{factor.side}\({re.escape(factor.node)}"
        assert re.match(start, source[term.line - 1])
        made = f'"{factor.side}({name}' if term.constant else f"log_{factor.side}_{name} ="
        assert emitted[term.emitted - 1].strip().startswith(made)
        assert term.constant or program.lines[term.emitted - 1] == term.line


@pytest.mark.parametrize("path", [*MODELS, *LOOPS], ids=lambda p: p.stem)
def test_latex_is_balanced(path: Path) -> None:
    """An align* a pattern: braces and brackets closed, cells aligned once a row, no character that LaTeX would not read."""
    checked = driver.check(driver.read(path))
    text, page = driver.explained_in_latex(checked), driver.page(checked)
    blocks = re.findall(r"\\begin\{align\*\}\n(.*?)\n\\end\{align\*\}", text, re.S)
    assert len(blocks) == len(page.patterns) == text.count("\\begin") == text.count("\\end")
    for block in blocks:
        assert block.count("\\bigl[") == block.count("\\bigr]")
        assert block.count("\\Bigl(") == block.count("\\Bigr)")
        for row in block.split(" \\\\\n"):
            depth = list(accumulate((c == "{") - (c == "}") for c in row))
            assert min(depth) >= 0
            assert depth[-1] == 0
            assert row.count("&") == 1
            assert row.isascii()
            assert "__" not in row.replace("\\_", "")


@pytest.mark.parametrize("path", [*MODELS, *LOOPS], ids=lambda p: p.stem)
def test_latex_is_read_by_a_renderer(path: Path) -> None:
    """Every row is mathematics to matplotlib's reader of TeX, which knows no align*: rows are given one by one."""
    parser = MathTextParser("path")
    for row in re.findall(r"^  (.*?)(?: \\\\)?$", driver.explained_in_latex(driver.check(driver.read(path))), re.M):
        plain = re.sub(r"\\[bB]ig[lr]", "", row.replace("&", "")).replace("\\text{", "\\mathrm{")
        parser.parse(f"${plain}$")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("dkf", "Σ_{t=2..20} [ log p(z[t] | z[t−1]) − log q(z[t] | z[t−1], h) ] + Σ_{t=1..20} log p(x[t] | z[t])"),
        ("dkf", "encode_z_1 1, encode_z_t_2_20 19, decode_z_t_2_20 19, decode_x 20"),
        ("lamps", "decode_reading 30"),
        ("lamps", "q(z | site, reading, age, kind) = Normal(mlp(256, 256))"),
        ("made", "q(skill[c, t] | later[c, t], gift[c], skill[c, t - 1]) = Normal(mlp(16))"),
        ("multi_mnist", "i=1..k: one pass of the 3 copies serves every k"),
        ("plate", "Π_{i=1..3} Σ_{y[i]} q(y[i] | x[i], c) q(v[i] | y[i], x[i])"),
        ("own_level", "k is a level of its own, 1..3, with the 3 copies at each value: p(z[i] | k) reads k"),
    ],
)
def test_loops_in_words(model: str, sentence: str) -> None:
    """What stands under which sum over copies, and how often networks run, by hand."""
    path = next(p for p in LOOPS if p.stem == model)
    assert sentence in " ".join(driver.explained(driver.check(driver.read(path))).split())


@pytest.mark.parametrize("path", LOOPS, ids=lambda p: p.stem)
def test_lines_of_terms_in_loops(path: Path) -> None:
    """Each piece of a node's copies is shown with the line that writes it and the line that computes it."""
    checked = driver.check(driver.read(path))
    source, program = path.read_text().split("\n"), driver.emit(checked)
    for term, row in zip(checked.plan.terms, driver.page(checked).terms, strict=True):
        factor, line = checked.model.factor(term.side, term.node), source[row.line - 1].strip().replace(" ", "")
        if factor.made is None:
            assert line.startswith(f"{term.side}({factor.node}")
        else:
            assert line.startswith("qauto") or factor.node in line
        assert term.constant or program.lines[row.emitted - 1] == row.line


def test_the_page_for_programs() -> None:
    """Everything the text says, as plain JSON, expressions as a tree of kinds."""
    checked = driver.check(driver.read(ROOT / "models" / "sdgm.sgm"))
    data = json.loads(json.dumps(driver.explained_as_data(checked)))
    known = data["patterns"][1]
    assert known["evaluations"] == {"encode_a": 1, "encode_y": 8, "encode_z": 8, "decode_a": 8, "decode_x": 8}
    average, labels = known["objective"]["bound"]["addends"]
    assert (average["of"]["kind"], labels["of"]["kind"], labels["alpha"]) == ("average", "log", 1)
    assert known["objective"]["weights"][0]["factors"] == [
        {"kind": "density", "side": "q", "node": "y", "given": ["x", "a"]}
    ]
    assert all(line in driver.explained(checked) for line in known["text"])
