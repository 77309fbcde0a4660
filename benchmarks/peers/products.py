"""The matrix products and convolutions of the direct step alone: its calls are recorded once and replayed on the same tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from benchmarks.peers import Precision, Task, direct
from benchmarks.peers.trained import set_products

PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "convolution", "convolution_backward"}


def _kept(value: Any) -> Any:
    """A tensor's values at the same strides, held so that nothing overwrites them."""
    if not isinstance(value, Tensor):
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype).copy_(value)


class Recorder(TorchDispatchMode):
    """Collects every product's function and arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Any], Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.overloadpacket.__name__ in PRODUCTS:
            detached = tree_map(lambda v: v.detach() if isinstance(v, Tensor) else v, args)
            self.calls.append((func, tree_map(_kept, detached), kwargs))
        return func(*args, **kwargs)


class Products:
    """Replays them."""

    def __init__(self, calls: list[tuple[Callable[..., Any], Any, Any]], precision: Precision) -> None:
        self.calls, self.precision = calls, precision

    def step(self) -> None:
        set_products(self.precision)
        with torch.no_grad():
            for func, args, kwargs in self.calls:
                func(*args, **kwargs)

    def checked(self) -> tuple[float, float]:
        raise TypeError("products have no loss")


def build(task: Task) -> Products | None:
    """Those of one step of the direct reference, in its precision."""
    contestant = direct.build(task)
    if contestant is None:
        return None
    recorder = Recorder()
    with recorder:
        contestant.step()
    return Products(recorder.calls, task.precision)
