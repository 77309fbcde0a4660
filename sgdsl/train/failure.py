"""Why a step is not finite: the step's terms or gradients come in, an error that names factor and rows goes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from sgdsl.driver import Program
from sgdsl.runtime.batch import Step
from sgdsl.runtime.queries import Queries
from sgdsl.train.dataset import Dataset
from sgdsl.train.errors import TrainingError, training_error

SHOWN = 5
LR_HINT = "a smaller lr, clip = 1, or a floor for the scale usually helps"


def value_failure(
    step: Step, index: Tensor, model: Queries, program: Program, dataset: Dataset, number: int
) -> TrainingError:
    """E0650: the bound of some rows is not finite. `index` [rows of the step]: their numbers in the data set."""
    bad = ~step.objective.isfinite()
    term, mask = _first_term(step, bad, model)
    rows = index[mask if mask.any() else bad].tolist()
    what = f"log {term}" if term else "the bound"
    count = f"{len(rows)} of {len(index)} rows" if len(rows) > 1 else "1 row"
    message = f"{what} is not finite in {count} of step {number + 1}"
    return _error("E0650", message, term, rows, program, dataset)


def gradient_failure(
    step: Step, index: Tensor, model: Queries, program: Program, dataset: Dataset, number: int
) -> TrainingError:
    """E0651: every bound is finite, but a gradient is not. `step`: evaluated once more, its graph still there."""
    name, weight = next(
        ((n, p) for n, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()), ("", None)
    )
    rows = _rows_of_gradient(step, weight, index) if weight is not None else []
    term = _factor_text(name, program)
    message = f"the gradient of `{name or 'all weights together'}` is not finite in step {number + 1}"
    return _error("E0651", message, term, rows, program, dataset)


def _first_term(step: Step, bad: Tensor, model: Queries) -> tuple[str, Tensor]:
    """The term where it starts, q's before p's in the order of drawing, and its rows."""
    order = [("q", n) for n in model.ORDER_Q] + [("p", n) for n in model.ORDER_P]
    names = sorted(step.terms, key=lambda name: order.index(_place(name)) if _place(name) in order else len(order))
    for name in names:
        mask = ~step.terms[name].rows().to(bad.device).isfinite().expand(len(bad))
        if (mask & bad).any():
            return name, mask & bad
    return "", bad


def _place(term: str) -> tuple[str, str]:
    """("p", "x") of `p(x | y, z)`."""
    return term[0], term[2:-1].partition(" |")[0].partition("[")[0]


def _rows_of_gradient(step: Step, weight: nn.Parameter, index: Tensor) -> list[int]:
    found: list[int] = []
    for i, row in enumerate(index.tolist()):
        (grad,) = torch.autograd.grad(step.objective[i], [weight], retain_graph=True, allow_unused=True)
        if grad is not None and not grad.isfinite().all():
            found.append(row)
        if len(found) == SHOWN:
            break
    return found


def _factor_text(parameter: str, program: Program) -> str:
    """The factor that a weight belongs to, `p(x | z)` for `p_x.scale`; "" for a net's or a let's."""
    side, _, node = parameter.partition(".")[0].partition("_")
    for factor in (*program.model.p, *program.model.q):
        if factor.side == side and factor.node == node:
            return factor.head
    return ""


def _error(
    code: str, message: str, term: str, rows: Iterable[int], program: Program, dataset: Dataset
) -> TrainingError:
    shown = list(rows)[:SHOWN]
    side, node = _place(term) if term else ("", "")
    span = next((f.span for f in (*program.model.p, *program.model.q) if (f.side, f.node) == (side, node)), None)
    notes = [f"rows: {'; '.join(_places(shown, dataset))}"] if shown else []
    error = training_error(
        code, message, hint=LR_HINT, notes=notes, span=span, source=program.source, under="not finite" if span else ""
    )
    error.term, error.rows = term, tuple(shown)
    return error


def _places(rows: Iterable[int], dataset: Dataset) -> list[str]:
    """Rows as their files count them."""
    field = next(iter(dataset.fields.values()))
    return [field.place(row).replace(": `", " `") for row in rows]


def gradient_norm(parameters: Mapping[str, nn.Parameter] | Iterable[nn.Parameter]) -> Tensor:
    """The norm of all gradients together, a scalar."""
    weights = parameters.values() if isinstance(parameters, Mapping) else parameters
    grads = [p.grad for p in weights if p.grad is not None]
    total: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    return total
