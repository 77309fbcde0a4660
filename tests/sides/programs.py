"""Programs as double-precision modules with random weights, and their bounds by brute force: what these tests share."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from sgdsl import driver
from sgdsl.base.diagnostics import DiagnosticError
from sgdsl.base.source import Source
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.load import load


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def module(text: str, *overrides: str, seed: int = 0) -> Any:
    """A compiled program with every weight drawn anew, wide enough that no term is near zero."""
    program = driver.compile_source(Source("test.sgm", text), overrides)
    name = f"sides_{zlib.crc32((text + str(overrides)).encode()):08x}"
    model = load(program.text, name).Model().double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator)
    return model


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def mistakes(text: str) -> list[str]:
    try:
        return [d.code for d in driver.check(Source("test.sgm", text)).notes]
    except DiagnosticError as error:
        return [d.code for d in error.diagnostics]


def outcomes(model: Any, names: tuple[str, ...], rows: int) -> Iterator[dict[str, Tensor]]:
    """Every joint value of finite scalar nodes, the same in every row, [1, rows] each."""
    infos = [model.NODES[n] for n in names]
    for values in itertools.product(*(range(i.first, i.first + i.classes) for i in infos)):
        yield {
            n: torch.full((1, rows), v, dtype=torch.int64 if i.integer else torch.get_default_dtype())
            for n, v, i in zip(names, values, infos, strict=True)
        }


def total(terms: Mapping[str, Tensor]) -> Tensor:
    found: Tensor = sum(terms.values())  # type: ignore[assignment]
    return found


def log_evidence(model: Any, seen: Mapping[str, Tensor], rows: int) -> Tensor:
    """log p of what is seen, every other node of q summed out through log_p alone, [rows]."""
    return torch.stack([total(model.log_p({**seen, **v})) for v in outcomes(model, model.ORDER_Q, rows)]).logsumexp(0)[
        0
    ]


def elbo(model: Any, seen: Mapping[str, Tensor], rows: int) -> Tensor:
    """E_q[log p − log q] over every value of q's nodes, through log_p and log_q alone, [rows]."""
    found = []
    for values in outcomes(model, model.ORDER_Q, rows):
        log_p, log_q = total(model.log_p({**seen, **values})), total(model.log_q({**seen, **values}))
        found.append(log_q.exp() * (log_p - log_q))
    return torch.stack(found).sum(0)[0]
