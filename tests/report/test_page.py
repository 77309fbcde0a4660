"""The page as a document: well-formed, whole without any other file, escaped, and saying what the run's files say."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import numpy as np
import pytest

from sgdsl.cli.entry import run
from sgdsl.report.write import write_report
from sgdsl.train.closer import closer
from sgdsl.train.run import Run
from tests.report.conftest import DOC
from tests.train.small import TINY, Fit, clusters

MB = 1_000_000


def parsed(text: str) -> Element:
    """The document as a browser reads it; a mistake in it is an error here."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    tree = parser.parse(text)
    assert not parser.errors, parser.errors[:3]
    return tree


def words(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


@pytest.fixture(scope="module")
def tree(pictures: Path) -> Element:
    return parsed((pictures / "report.html").read_text())


def found(tree: Element, name: str) -> list[Element]:
    return list(tree.iter(name))


def test_it_is_well_formed_and_its_parts_are_there(tree: Element) -> None:
    """No parse error, no key twice, every link and label leads somewhere."""
    keys = [e.get("id") for e in tree.iter() if isinstance(e.tag, str) and e.get("id")]
    assert len(keys) == len(set(keys))
    for link in found(tree, "a"):
        if link.get("href"):
            assert str(link.get("href")).removeprefix("#") in keys
    assert {e.get("for") for e in found(tree, "label")} <= set(keys)
    sections = {e.get("id") for e in found(tree, "section")}
    assert {"model", "result", "explore", "samples", "traversals", "training", "objective", "settings"} <= sections
    assert all(e.get("alt") or e.get("hidden") is not None for e in found(tree, "img"))


def test_it_needs_no_other_file(pictures: Path, tree: Element) -> None:
    """Nothing is loaded from anywhere, and the browser is told to allow nothing but the page's own script."""
    text = (pictures / "report.html").read_text()
    for element in tree.iter():
        for name in ("src", "href", "{http://www.w3.org/1999/xlink}href", "srcset", "poster", "action"):
            value = element.get(name, "") if isinstance(element.tag, str) else ""
            assert value == "" or value.startswith(("data:image/png;base64,", "#")), value[:80]
    assert not found(tree, "link")
    assert not re.search(r"url\(|@import|https?://", text)
    (script,) = [e for e in found(tree, "script") if e.get("type") is None]
    digest = base64.b64encode(hashlib.sha256((script.text or "").encode()).digest()).decode()
    (policy,) = [e.get("content", "") for e in found(tree, "meta") if e.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy


def test_what_comes_from_a_file_is_text(tree: Element) -> None:
    """Tags in the model's words and in the name of the data file are shown, not obeyed."""
    (doc,) = [e for e in found(tree, "p") if e.get("class") == "doc"]
    assert words(doc) == DOC
    assert not list(doc)
    assert "<i>rows.npz" in words(found(tree, "header")[0])
    assert not [e for e in tree.iter() if isinstance(e.tag, str) and e.get("onerror")]


def test_it_says_what_the_result_says(pictures: Path, tree: Element) -> None:
    """Every measure of result.json with its source; the matrix has the same error off its diagonal."""
    result = json.loads((pictures / "result.json").read_text())
    (section,) = [e for e in found(tree, "section") if e.get("id") == "result"]
    shown = words(section)
    error = f"{100 * result['scores']['y']['value']:.2f} %"
    for value in (error, f"{100 * result['baseline']['y']['value']:.2f} %", f"{result['bound']:.2f}".replace("-", "−")):
        assert value in shown
    assert f"Held-out rows of {result['source']}" in shown
    (matrix,) = [e for e in found(section, "table") if e.get("class") == "confusion"]
    counts = np.array([[int(words(c).replace("·", "0")) for c in found(r, "td")] for r in found(matrix, "tr")[1:]])
    assert counts.sum() == 100
    assert 1 - counts.trace() / 100 == pytest.approx(result["scores"]["y"]["value"])


def test_the_closer_look_is_in_the_words_of_the_runs_table(pictures: Path, tree: Element) -> None:
    """Not the hundred entries of result.json below `beliefs`: those are folded away under it."""
    result = json.loads((pictures / "result.json").read_text())
    (section,) = [e for e in found(tree, "section") if e.get("id") == "result"]
    shown = {words(row[0]): words(row[1]) for row in found(found(section, "table")[0], "tr")}
    for name, value, _ in closer(result):
        assert shown[name] == value.replace("-", "−")
    assert "calibration error of y" in shown
    assert not [
        name for name in shown if name.startswith(("beliefs,", "likelihood,", "generation,", "disentanglement"))
    ]


def test_measures_of_other_versions_are_shown_by_their_names(pictures: Path, tmp_path: Path) -> None:
    """result.json may hold more than this version knows: numbers, tables, words, and tags among them."""
    copy = Path(shutil.copytree(pictures, tmp_path / "run"))
    result = json.loads((copy / "result.json").read_text())
    more = {"calibration": {"y": {"ece": 0.012345, "bins": [[0.5, 0.25], [0.75, 0.125]]}}, "<b>": "<u>x</u>"}
    (copy / "result.json").write_text(json.dumps({**result, **more}))
    made = parsed(write_report(Run.load(copy)).read_text())
    (section,) = [e for e in found(made, "section") if e.get("id") == "result"]
    rows = [[words(cell) for cell in row] for row in found(found(section, "table")[0], "tr")]
    shown = {row[0]: row[1] for row in rows}
    assert shown["calibration, y, ece"] == "0.012345"
    assert shown["calibration, y, bins [1]"] == "0.75, 0.125"
    assert shown["<b>"] == "<u>x</u>"
    assert not found(made, "u")


def test_the_objective_is_that_of_explain(tree: Element) -> None:
    """A section for each pattern of labels, with its formula."""
    (section,) = [e for e in found(tree, "section") if e.get("id") == "objective"]
    assert [words(e) for e in found(section, "h3")] == ["y unknown", "y known"]
    formulas = [words(e).replace("\u00a0", " ") for e in found(section, "div") if e.get("class") == "formula"]
    assert all("log p(x | y, z)" in f for f in formulas)
    assert "log q(y | x)" in formulas[1]


def test_the_command_writes_where_it_is_told(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """-o FILE.html; the same page as `sgdsl run` wrote; wrong use is 2."""
    out = tmp_path / "page.html"
    assert run(["report", str(pictures), "-o", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert out.read_text() == (pictures / "report.html").read_text()
    assert run(["report", str(pictures), "-o", str(tmp_path / "page.pdf")]) == 2
    assert run(["report", str(tmp_path)]) == 2


def test_a_run_whose_rows_are_gone_says_so(fitted: Fit, tmp_path: Path) -> None:
    """Trained on arrays: no matrix and no census, but the sliders, which need no rows."""
    done = fitted(clusters(), test=clusters(30, 1), out=tmp_path / "run")
    text = write_report(Run.load(done.folder)).read_text()
    tree = parsed(text)
    assert "trained on arrays, which are not kept" in text
    assert "was not evaluated" in text
    assert not [e for e in found(tree, "table") if e.get("class") == "confusion"]
    assert [e for e in found(tree, "input") if e.get("type") == "range"]


def test_given_nodes_have_the_values_of_a_row(fitted: Fit, tmp_path: Path) -> None:
    """Sliders hold a given node at the first held-out row; without rows there are none, and the page says why."""
    text = TINY.replace("latent     z", "given      b : class(2)\nlatent     z").replace("x | y, z", "x | y, z, b")
    data = {**clusters(), "b": np.arange(90) % 2}
    done = fitted(data, text=text, test={k: v[:30] for k, v in data.items()}, out=tmp_path / "run")
    whole = write_report(done).read_text()
    assert "b is that of the first held-out row" in whole
    assert 'type="range"' in whole
    bare = write_report(Run.load(done.folder)).read_text()
    assert "No sliders: b would need values" in bare
    assert 'type="range"' not in bare


def test_a_model_without_real_numbers_has_no_sliders(fitted: Fit, tmp_path: Path) -> None:
    """A mixture of finite nodes alone."""
    text = """model mixture
observed x : binary[8]
latent c : class(3)
p(c) = Categorical(learned)
p(x | c) = Bernoulli(table)
q(c | x) = Categorical(mlp(8))
train { epochs = 1, batch = 30 }
"""
    done = fitted({"x": clusters()["x"]}, text=text, out=tmp_path / "run")
    assert "No sliders" in words(parsed(write_report(done).read_text()))


def test_the_page_of_the_quick_start_is_below_5_mb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """models/digits.sgm, 28 × 28, ten classes: the budget of docs/report.md, and all of it is said."""
    monkeypatch.chdir(tmp_path)
    from sgdsl import driver
    from sgdsl.train.fit import fit

    source = driver.read(Path(__file__).parents[2] / "models" / "digits.sgm")
    done = fit(driver.compile_source(source, ("train.epochs=1",)), out=tmp_path / "run", quiet=True)
    path = write_report(done)
    assert path.stat().st_size < 5 * MB
    said = [words(e) for e in parsed(path.read_text()).iter("p") if "cost" in e.get("class", "")]
    assert said
    assert all(
        re.fullmatch(r"This grid: 9 × 9 steps × 10 values of y = 810 images of x \(28 × 28\), \d+ kB\.", s)
        for s in said
    )
