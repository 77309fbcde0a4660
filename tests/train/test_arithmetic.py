"""bfloat16 is used where a device multiplies it, and nowhere else; the user is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sgdsl.train import arithmetic
from sgdsl.train.arithmetic import multiplies_bf16
from tests.train.small import AFTER, Fit, images, same, weights_of

BF16 = "train.precision=bf16"


@pytest.mark.parametrize("able", [True, False])
def test_bf16_is_used_where_the_device_multiplies_it(fitted: Fit, monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    """Where it does not, the weights are those of float32 to the bit, and W0644 says so before the first step."""
    monkeypatch.setattr(arithmetic, "multiplies_bf16", lambda kind: able)
    plain, run = (fitted(images(), *settings, text=AFTER) for settings in ((), (BF16,)))
    assert run.prepared is not None
    assert all(np.isfinite(w).all() for w in weights_of(run).values())
    assert same(weights_of(plain), weights_of(run)) is not able
    assert [w.code for w in run.prepared.warnings if w.code == "W0644"] == ([] if able else ["W0644"])


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_float32_is_no_reason_for_a_warning(fitted: Fit, monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    monkeypatch.setattr(arithmetic, "multiplies_bf16", lambda kind: False)
    run = fitted(images(), f"train.precision={precision}", text=AFTER)
    assert run.prepared is not None
    assert "W0644" not in [w.code for w in run.prepared.warnings]


@pytest.mark.parametrize(
    ("capabilities", "able"),
    [
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}, False),
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": True}, True),
        ({"architecture": "aarch64"}, True),
    ],
)
def test_what_torch_tells_of_a_processor_decides(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], able: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert multiplies_bf16.__wrapped__("cpu") is able
