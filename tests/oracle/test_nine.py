"""The exact values of objective.md, section 9, as .sgm files: by the oracle, and by the emitted step over all draws."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sgdsl.oracle import exact
from sgdsl.oracle.outcomes import expected, gradients
from sgdsl.oracle.program import BOUNDS, Compiled, wave
from tests.oracle.program import MODELS, compile_text

SEEDS = {"p_x": 1, "p_y": 2, "p_z": 3, "q_y": 101, "q_z": 102}
ALPHA = 0.5
ROW = {"x": torch.tensor(2), "y": torch.tensor(1)}
VALUES = {
    ("nine_before", ()): (0.0, -2.345308351, -2.345308351, -1.497683128),
    ("nine_before", ("y",)): (-1.154984836, -4.709659641, -4.709659641, -2.660277514),
    ("nine_after", ()): (0.0, -3.180895595, -3.180895595, -1.497683128),
    ("nine_after", ("y",)): (-1.227530876, -3.340166705, -3.312165785, -2.660277514),
}
EXPECTATIONS = {
    1: {"snis": -3.312165785, "jensen": -3.312165785, "iw": -3.312165785},
    2: {"snis": -3.325745555, "jensen": -3.331423462, "iw": -3.290391460},
    6: {"snis": -3.335310279, "jensen": -3.344951351, "iw": -3.278991028},
}


def nine(name: str, bound: str) -> Compiled:
    """A model of section 9 with its tables, read from `2 sin(12.9898 i + 78.233 seed)`."""
    compiled = compile_text((MODELS / f"{name}.sgm").read_text(), name, bound)
    with torch.no_grad():
        for parameter, tensor in compiled.module.named_parameters():
            tensor.copy_(wave(tensor.shape, SEEDS[parameter.split(".")[0]]))
    return compiled


@pytest.mark.parametrize(("name", "known"), VALUES)
def test_the_oracle_reproduces_the_table(name: str, known: tuple[str, ...]) -> None:
    """Protects the oracle itself: its four numbers a line are those of the design, to nine digits."""
    grid = nine(name, "snis").grid(ROW, known)
    found = (exact.log_q_known(grid), exact.target(grid, ALPHA), exact.clamped(grid, ALPHA), exact.log_p_known(grid))
    assert [float(v.detach()) for v in found] == pytest.approx(VALUES[name, known], abs=1e-9)


@pytest.mark.parametrize("samples", EXPECTATIONS)
@pytest.mark.parametrize("bound", ["snis", "jensen", "iw"])
def test_the_emitted_step_over_all_draws_is_the_last_line(bound: str, samples: int) -> None:
    """Protects the three estimators with a label after a scored latent, at S = 1, 2 and 6, nothing enumerated."""
    mean, _ = expected(nine("nine_after", bound), ROW, ("y",), samples, ALPHA)
    assert mean == pytest.approx(EXPECTATIONS[samples][bound], abs=1e-9)


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize(("name", "known"), VALUES)
def test_the_emitted_step_meets_the_column_clamped(name: str, known: tuple[str, ...], samples: int) -> None:
    """Protects `clamped`, whose expectation is the table's at every S, and the ELBO where nothing is known."""
    mean, _ = expected(nine(name, "clamped"), ROW, known, samples, ALPHA)
    assert mean == pytest.approx(VALUES[name, known][2], abs=1e-9)


@pytest.mark.parametrize("known", [(), ("y",)])
def test_weights_are_constant_where_the_label_comes_first(known: tuple[str, ...]) -> None:
    """Protects M2's case: q(y | x) before z needs no importance sampling, snis is L itself already at S = 1."""
    mean, _ = expected(nine("nine_before", "snis"), ROW, known, 1, ALPHA)
    assert mean == pytest.approx(VALUES["nine_before", known][1], abs=1e-9)


@pytest.mark.parametrize("known", [(), ("y",)])
def test_an_enumerated_latent_before_the_label_makes_l_exact(known: tuple[str, ...]) -> None:
    """Protects c ∈ A: with z enumerated, w̄_c ∝ q(c) w_c gives L and log q(y | x) without a draw, with its gradient."""
    compiled = nine("nine_after_listed", "snis")
    mean, found = expected(compiled, ROW, known, 1, ALPHA)
    assert mean == pytest.approx(VALUES["nine_after", known][1], abs=1e-9)
    _same(found, gradients(compiled, exact.target(compiled.grid(ROW, known), ALPHA)))


@pytest.mark.parametrize("known", [(), ("y",)])
def test_enumeration_inside_iw_is_exact(known: tuple[str, ...]) -> None:
    """Protects the sum inside iw's logarithm: with everything enumerated it is log p(x, y) + α log q(y | x)."""
    log_q, _, _, log_p = VALUES["nine_after", known]
    mean, _ = expected(nine("nine_after_listed", "iw"), ROW, known, 1, ALPHA)
    assert mean == pytest.approx(log_p + ALPHA * log_q, abs=1e-9)


@pytest.mark.parametrize("bound", BOUNDS)
def test_the_limit_of_the_bounds(bound: str) -> None:
    """Protects the oracle's formulas: at S = 6 snis is nearer to L than at S = 1, jensen's gap to it stays, iw rises."""
    one = nine("nine_after", bound).sample(ROW, ("y",))
    at = [float(exact.expectation(one, bound, ALPHA, s).detach()) for s in (1, 2, 4, 6)]
    limit = VALUES["nine_after", ("y",)][1]
    gap = [abs(v - limit) for v in at]
    match bound:
        case "snis":
            assert gap == sorted(gap, reverse=True)
        case "jensen":
            assert at[-1] < limit
        case "iw":
            assert at == sorted(at)
        case _:
            assert at == pytest.approx([at[0]] * 4, abs=1e-12)


def _same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    for name, tensor in wanted.items():
        assert torch.allclose(found[name], tensor, 0, 1e-10), name
