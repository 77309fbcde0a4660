"""A model inside another: its emitted class comes from here, frozen or trained further."""

from __future__ import annotations

from typing import ClassVar, Self

from torch import nn


class SubModel(nn.Module):
    """The factors of another model, as methods. NAME: its name in the model that uses it; `frozen`: its weights get no
    gradient, and it stays in eval mode."""

    NAME: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False

    def freeze(self) -> Self:
        """Of all weights, those of models inside it among them; gradients still pass to what its methods are given."""
        self.requires_grad_(False)
        self.frozen = True
        return self.eval()

    def train(self, mode: bool = True) -> Self:
        return super().train(mode and not self.frozen)
