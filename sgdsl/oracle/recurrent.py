"""Networks with a gru on plain [N, …] tensors, by its equations (Cho et al., arXiv 1406.1078, as torch.nn.GRU writes them)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from sgdsl.middle import ir
from sgdsl.oracle.stages import Layer, Layers, join_maps, run_stage

Stages = Sequence[tuple[ir.Stage, Layers]]


def is_recurrent(stages: Stages) -> bool:
    return any(stage.kind == "gru" for stage, _ in stages)


def recurrent(stages: Stages, refs: Sequence[ir.Expr], inputs: Sequence[Tensor]) -> Tensor:
    """`inputs` [N or 1, width] through stages among which one is a gru: of a single one each step to the last state, of several
    one step from the last of them. What stands in front of the gru is applied to each step."""
    at = next(i for i, (stage, _) in enumerate(stages) if stage.kind == "gru")
    mode = dict(stages[at][0].options)["mode"]
    steps = _steps(refs[0], inputs[0]) if mode == "sequence" else join_maps(list(inputs[:-1]))[:, None]
    state = torch.zeros(1, *stages[at][0].sizes, dtype=torch.float64) if mode == "sequence" else inputs[-1]
    hidden = _through(stages[:at], steps.flatten(0, 1)).reshape(*steps.shape[:2], -1)
    layers = stages[at][1]
    reads, keeps = next(layers), next(layers)
    for step in hidden.unbind(1):
        state = _next(step, state, reads, keeps)
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
