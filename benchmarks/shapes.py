"""Shapes of models that grow: a number of nodes comes in, the text of a .sgm file with about as many nodes goes out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

Lines = list[str]


def _file(name: str, *parts: Iterable[str]) -> str:
    return "\n".join((f"model {name}", *(line for part in parts for line in part))) + "\n"


def binary_chain(nodes: int) -> str:
    """z₁ → z₂ → …, binary and enumerated, one x at the end."""
    lines: Lines = ["observed x : real[2]"]
    for i in range(nodes - 1):
        p, q = (f" | z{i - 1}", f" | z{i - 1}, x") if i else ("", " | x")
        lines += [
            f"latent z{i} : binary",
            f"p(z{i}{p}) = Bernoulli{'(table)' if i else ''}",
            f"q(z{i}{q}) = Bernoulli(linear)",
        ]
    return _file("binary_chain", lines, [f"p(x | z{nodes - 2}) = Normal(mlp(4))"])


def labelled_chain(nodes: int) -> str:
    """A hidden chain of classes, each with an observation, every fourth a label: sums run both ways."""
    lines: Lines = []
    for i in range(nodes // 2):
        role = "supervised" if i % 4 == 3 else "latent"
        p, q = (f" | z{i - 1}", f" | z{i - 1}, x{i}") if i else ("", " | x0")
        lines += [
            f"{role} z{i} : class(3)",
            f"observed x{i} : real",
            f"p(z{i}{p}) = Categorical{'(table)' if i else ''}",
        ]
        lines += [f"p(x{i} | z{i}) = Normal(table)", f"q(z{i}{q}) = Categorical(linear)"]
    return _file("labelled_chain", lines)


def normal_chain(nodes: int) -> str:
    """z₁ → z₂ → …, Normal, one x at the end."""
    lines: Lines = ["observed x : real[2]"]
    for i in range(nodes - 1):
        p, q = (f" | z{i - 1}", f" | z{i - 1}, x") if i else ("", " | x")
        lines += [
            f"latent z{i} : real[2]",
            f"p(z{i}{p}) = Normal{'(mlp(4))' if i else ''}",
            f"q(z{i}{q}) = Normal(mlp(4))",
        ]
    return _file("normal_chain", lines, [f"p(x | z{nodes - 2}) = Normal(mlp(4))"])


def plate(nodes: int) -> str:
    """Independent latents, an observation each."""
    lines: Lines = []
    for i in range(nodes // 2):
        lines += [f"latent z{i} : real", f"observed x{i} : real[2]", f"p(z{i}) = Normal"]
        lines += [f"p(x{i} | z{i}) = Normal(mlp(4))", f"q(z{i} | x{i}) = Normal(mlp(4))"]
    return _file("plate", lines)


def tree(nodes: int) -> str:
    """A binary tree of enumerated nodes above observations."""
    lines: Lines = []
    inner = nodes // 2
    for i in range(inner):
        above = (i - 1) // 2
        given = f" | z{above}" if i else ""
        lines += [
            f"latent z{i} : binary",
            f"observed x{i} : real",
            f"p(z{i}{given}) = Bernoulli{'(table)' if i else ''}",
        ]
        lines += [f"p(x{i} | z{i}) = Normal(table)", f"q(z{i}{given}{', ' if i else ' | '}x{i}) = Bernoulli(linear)"]
    return _file("tree", lines)


def sparse(nodes: int, seed: int = 0) -> str:
    """A random sparse graph: real, binary and class nodes, latents and labels, estimators mixed; up to two parents near by.
    A larger one continues a smaller one."""
    dice, lines = random.Random(seed), Lines()
    kinds = {"real[2]": "Normal", "binary": "Bernoulli", "class(3)": "Categorical"}
    inner = nodes // 2
    for i in range(inner):
        kind = dice.choice(list(kinds))
        family, role = kinds[kind], "supervised" if dice.random() < 0.1 else "latent"
        near = [f"v{j}" for j in range(max(0, i - 6), i)]
        p, q = (dice.sample(near, min(len(near), dice.randint(0, 2))) for _ in "pq")
        by = dice.choice(("", "", " by score", " by gumbel(0.5)")) if family != "Normal" else ""
        head = f" | {', '.join(p)}" if p else ""
        right = f"{family}(mlp(3))" if p else family
        lines += [f"{role} v{i} : {kind}", f"observed x{i} : real", f"p(v{i}{head}) = {right}"]
        lines += [f"p(x{i} | v{i}) = Normal(mlp(3))", f"q(v{i} | {', '.join((*q, f'x{i}'))}) = {family}(mlp(3)){by}"]
    return _file("sparse", lines)


def fan(nodes: int) -> str:
    """Independent latents and one x that reads them all."""
    lines: Lines = ["observed x : real[4]"]
    for i in range(nodes - 1):
        lines += [f"latent z{i} : real", f"p(z{i}) = Normal", f"q(z{i} | x) = Normal(linear)"]
    return _file("fan", lines, [f"p(x | {', '.join(f'z{i}' for i in range(nodes - 1))}) = Normal(mlp(4))"])


def labels(nodes: int) -> str:
    """Labels before their latents: known ones are exact."""
    lines: Lines = ["observed x : real[4]"]
    for i in range(nodes // 2):
        lines += [
            f"supervised y{i} : class(3)",
            f"latent z{i} : real",
            f"p(y{i}) = Categorical",
            f"p(z{i} | y{i}) = Normal(table)",
        ]
        lines += [f"q(y{i} | x) = Categorical(linear)", f"q(z{i} | x, y{i}) = Normal(linear)"]
    return _file("labels", lines, [f"p(x | {', '.join(f'z{i}' for i in range(nodes // 2))}) = Normal(mlp(4))"])


def weighed_labels(nodes: int) -> str:
    """Labels behind latents: a group of weights each, recombined where one x reads them all."""
    lines: Lines = ["observed x : real[4]"]
    for i in range(nodes // 2):
        lines += [f"supervised y{i} : binary", f"latent z{i} : real", f"p(y{i}) = Bernoulli", f"p(z{i}) = Normal"]
        lines += [f"q(z{i} | x) = Normal(linear)", f"q(y{i} | z{i}) = Bernoulli(linear)"]
    return _file("weighed_labels", lines, [f"p(x | {', '.join(f'z{i}' for i in range(nodes // 2))}) = Normal(mlp(4))"])


def lets(nodes: int) -> str:
    """A let between every latent and its observation, and lets of lets in runs of five."""
    lines: Lines = []
    for i in range(nodes // 3):
        over = f"h{i - 1} + z{i}" if i % 5 else f"2 * z{i}"
        lines += [f"latent z{i} : real[2]", f"observed x{i} : real[2]", f"p(z{i}) = Normal", f"let h{i} = tanh({over})"]
        lines += [f"p(x{i} | h{i}) = Normal(linear)", f"q(z{i} | x{i}) = Normal(linear)"]
    return _file("lets", lines)


def made(nodes: int) -> str:
    """A chain with an observation each and no q: the compiler makes it."""
    lines: Lines = []
    for i in range(nodes // 2):
        given = f" | z{i - 1}" if i else ""
        lines += [
            f"latent z{i} : real[2]",
            f"observed x{i} : real[2]",
            f"p(z{i}{given}) = Normal{'(linear)' if i else ''}",
        ]
        lines += [f"p(x{i} | z{i}) = Normal(linear)"]
    return _file("made", lines, ["q auto"])


SHAPES: dict[str, Callable[[int], str]] = {
    shape.__name__: shape
    for shape in (
        binary_chain, labelled_chain, normal_chain, plate, tree, sparse, fan, labels, weighed_labels, lets, made,
    )
}  # fmt: skip
