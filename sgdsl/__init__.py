"""sgdsl: equations of a deep generative model in, a trained PyTorch model out.

    model = sgdsl.compile("m2.sgm")      # checked, drawn in a notebook, model.build() is an nn.Module
    run = sgdsl.fit(model, data)         # run.posterior(x), run.sample(8, y=3), run.log_prob(x)

Importing this package imports nothing heavy: torch comes with the first of these names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sgdsl.library import Model, Run, compare, compile, edit, fit, impute, load, predict, traverse

__version__ = "0.1.0"
__all__ = ["Model", "Run", "__version__", "compare", "compile", "edit", "fit", "impute", "load", "predict", "traverse"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("sgdsl.library"), name)
    raise AttributeError(f"module 'sgdsl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
