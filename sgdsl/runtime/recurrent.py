"""Recurrent layers on [S or 1, entries, …]: the steps of a sequence, or one step and a state, come in, a state goes out."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GRU(nn.GRU):
    """The last state of a sequence, from a state of 0: [S or 1, entries, T, n] → [S or 1, entries, size]. Its weights are read
    by name at each call: a copy of the module that holds others in their place works on those."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__(inputs, size, batch_first=True)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:  # type: ignore[override]
        weights = (self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0)
        rows = input.to(weights[0].dtype).flatten(0, 1)
        start = rows.new_zeros(1, len(rows), self.hidden_size) if hx is None else hx
        last: Tensor = torch.gru(rows, start, weights, True, 1, 0.0, self.training, False, True)[1]
        return last.reshape(*input.shape[:2], self.hidden_size)


class GRUCell(nn.GRUCell):
    """One step: [S or 1, entries, n] and a state [S or 1, entries or 1, size] → [S or 1, entries, size]."""

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        assert hx is not None
        lead = torch.broadcast_shapes(input.shape[:2], hx.shape[:2])
        rows, state = (t.to(self.weight_hh.dtype).expand(*lead, -1).flatten(0, 1) for t in (input, hx))
        return super().forward(rows, state).reshape(*lead, self.hidden_size)


class LSTM(nn.LSTM):
    """The last hidden values of a sequence, from a state of 0: [S or 1, entries, T, n] → [S or 1, entries, size]. Its weights
    are read by name at each call, as a GRU's are."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__(inputs, size, batch_first=True)

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        weights = (self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0)
        rows = input.to(weights[0].dtype).flatten(0, 1)
        start = rows.new_zeros(1, len(rows), self.hidden_size)
        last: Tensor = torch.lstm(rows, (start, start), weights, True, 1, 0.0, self.training, False, True)[1]
        return last.reshape(*input.shape[:2], self.hidden_size)


class LSTMCell(nn.LSTMCell):
    """One step: [S or 1, entries, n] and a state [S or 1, entries or 1, 2 · size], hidden values before cells → the next one."""

    def forward(self, input: Tensor, hx: Tensor) -> Tensor:  # type: ignore[override]
        lead = torch.broadcast_shapes(input.shape[:2], hx.shape[:2])
        rows, state = (t.to(self.weight_hh.dtype).expand(*lead, -1).flatten(0, 1) for t in (input, hx))
        hidden, cells = state.chunk(2, -1)
        return torch.cat(super().forward(rows, (hidden, cells)), -1).reshape(*lead, 2 * self.hidden_size)
