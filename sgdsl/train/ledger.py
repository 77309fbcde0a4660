"""How much memory tensors take while something runs: calls of torch come in, the most bytes that were held at once go out."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Ledger(TorchDispatchMode):
    """Inside, every storage that an operation makes is counted from then on until it is freed; views share one. What was
    there before counts for nothing, `given` tensors from the start. Temporaries inside a kernel are not seen. Nothing is drawn
    from generators, which torch's fake tensors do not know.

    `live`, `peak`: bytes, now and at most."""

    def __init__(self, there: Iterable[Tensor], given: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._held: dict[
            int, tuple[int, int]
        ] = {}  # by address, which may be that of another one later: a number, bytes
        self._at_peak: dict[int, int] = {}
        self._count = itertools.count()
        self._ignored = {_address(tensor) for tensor in there}
        for tensor in given:
            self._hold(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **{name: value for name, value in (kwargs or {}).items() if name != "generator"})
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._hold(tensor)
        return made

    def at_peak(self, tensors: Iterable[Tensor]) -> int:
        """Bytes of tensors that live now, as far as they were there at the peak."""
        numbers = {self._held[address][0] for address in map(_address, tensors) if address in self._held}
        return sum(self._at_peak.get(number, 0) for number in numbers)

    def _hold(self, tensor: Tensor) -> None:
        storage, address = tensor.untyped_storage(), _address(tensor)
        if address in self._held or address in self._ignored:
            return
        self._held[address] = (next(self._count), storage.nbytes())
        self.live += storage.nbytes()
        weakref.finalize(storage, self._free, address).atexit = False
        if self.live > self.peak:
            self.peak, self._at_peak = self.live, dict(self._held.values())

    def _free(self, address: int) -> None:
        self.live -= self._held.pop(address)[1]


def _address(tensor: Tensor) -> int:
    """What tensors that share a storage have in common, as long as it lives."""
    return int(tensor.untyped_storage()._cdata)
