"""Networks with a gru or lstm on plain [N, …] tensors, by their equations (Cho et al., arXiv 1406.1078; Gers et al. 2000; as
torch.nn.GRU and LSTM write them)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle.stages import Layer, Layers, join_maps, run_stage

Stages = Sequence[tuple[ir.Stage, Layers]]


def is_recurrent(stages: Stages) -> bool:
    return any(stage.kind in ("gru", "lstm") for stage, _ in stages)


def recurrent(stages: Stages, refs: Sequence[ir.Expr], inputs: Sequence[Tensor]) -> Tensor:
    """`inputs` [N or 1, width] through stages of which one is recurrent: of a single one each step to the last state, of several
    one step from the last of them. What stands in front of it is applied to each step."""
    at = next(i for i, (stage, _) in enumerate(stages) if stage.kind in ("gru", "lstm"))
    size, kind = stages[at][0].sizes[0], stages[at][0].kind
    mode = dict(stages[at][0].options)["mode"]
    steps = _steps(refs[0], inputs[0]) if mode == "sequence" else join_maps(list(inputs[:-1]))[:, None]
    width = 2 * size if kind == "lstm" else size
    state = torch.zeros(1, width, dtype=torch.float64) if mode == "sequence" else inputs[-1]
    hidden = _through(stages[:at], steps.flatten(0, 1)).reshape(*steps.shape[:2], -1)
    layers = stages[at][1]
    reads, keeps = next(layers), next(layers)
    for step in hidden.unbind(1):
        state = (_next_cells if kind == "lstm" else _next)(step, state, reads, keeps)
    state = state[:, :size] if mode == "sequence" else state
    return _through(stages[at + 1 :], state)


def _steps(ref: ir.Expr, value: Tensor) -> Tensor:
    """[N, width] → [N, T, width of a step]; a partial node's mask stands behind each step."""
    mask = ref.type.cells if isinstance(ref, ir.Ref) and ref.type.partial else 0
    parts = value.split([value.shape[1] - mask, mask], 1)
    return torch.cat([p.reshape(len(value), ref.shape[0], p.shape[1] // ref.shape[0]) for p in parts], 2)


def _through(stages: Iterable[tuple[ir.Stage, Layers]], hidden: Tensor) -> Tensor:
    for stage, layers in stages:
        hidden = run_stage(stage, hidden, [], layers)
    return hidden


def _next(step: Tensor, state: Tensor, reads: Layer, keeps: Layer) -> Tensor:
    """r and z are gates, n the new state: h' = (1 - z) n + z h, n = tanh(W_n x + b_n + r (U_n h + c_n))."""
    from_step, from_state = reads.linear(step.double()).chunk(3, 1), keeps.linear(state.double()).chunk(3, 1)
    reset, update = (torch.sigmoid(a + b) for a, b in zip(from_step[:2], from_state[:2], strict=True))
    new = torch.tanh(from_step[2] + reset * from_state[2])
    return (1 - update) * new + update * state


def _next_cells(step: Tensor, state: Tensor, reads: Layer, keeps: Layer) -> Tensor:
    """Hidden values h and cells c: c' = f c + i tanh(g), h' = o tanh(c'), with the gates i, f, o."""
    hidden, cells = state.double().chunk(2, 1)
    enter, keep, new, out = (reads.linear(step.double()) + keeps.linear(hidden)).chunk(4, 1)
    cells = keep.sigmoid() * cells + enter.sigmoid() * new.tanh()
    return torch.cat(torch.broadcast_tensors(out.sigmoid() * cells.tanh(), cells), 1)
