"""The names that emitted text may import: a module's body comes in, its import lines go out."""

from __future__ import annotations

import re

from sgdsl.catalog.families import FAMILIES

RUNTIME = {
    "sgdsl.runtime.baselines": ("RunningMean", "predicted_score"),
    "sgdsl.runtime.batch": ("Batch", "NodeInfo", "Step", "Term", "present_cells"),
    "sgdsl.runtime.bounds": ("clamped", "iw", "jensen", "leave_one_out", "normalised_weights", "snis", "with_score"),
    "sgdsl.runtime.chains": ("Reading",),
    "sgdsl.runtime.copied": ("Carried",),
    "sgdsl.runtime.densities": (
        "bernoulli_log_prob_lifted", "categorical_log_prob_at", "categorical_soft_log_prob", "normal_expected_log_prob",
        "normal_negative_entropy",
        *(f"{row.runtime}_log_prob" for row in FAMILIES.values() if row.name != "Delta"),
    ),
    "sgdsl.runtime.densities_moments": (
        "mean_of", "range_mean", *(f"{row.runtime}_mean" for row in FAMILIES.values()),
    ),
    "sgdsl.runtime.domains": (
        "angle_of", "at_least", "bernoulli_logits", "categorical_logits", "clip_probability", "degrees", "lower",
        "on_sphere", "positive", "probability", "triangle",
    ),
    "sgdsl.runtime.doubly": ("Gate", "fixed", "stopped"),
    "sgdsl.runtime.draws": ("Draws",),
    "sgdsl.runtime.experts": ("among", "mixture_log_prob", "mixture_of", "product_of_normals"),
    "sgdsl.runtime.grouping": ("Grouping",),
    "sgdsl.runtime.groups": ("grouped", "grouped_gains", "recombined_gain", "weigh"),
    "sgdsl.runtime.masks": ("circle_with_mask", "over_present", "told", "with_mask", "zeroed"),
    "sgdsl.runtime.networks": (
        "BatchNorm1d", "BatchNorm2d", "Conv2d", "ConvTranspose2d", "Embedding", "LayerNorm2d", "Parts", "Residual",
        "circle", "clamped_to", "check_shapes", "constant", "dense", "expected", "free", "identity", "joined", "labelled",
        "lift", "number", "on_entries", "one_hot", "pad", "rows_of", "run",
        "shaped", "stacked", "unknown", "where_known",
    ),
    "sgdsl.runtime.levels": ("Copies", "weighted"),
    "sgdsl.runtime.perceptron": ("Ahead", "Read", "affine", "heads", "through"),
    "sgdsl.runtime.places": ("Over", "Source", "View", "alive", "alive_at", "alive_where", "viewed"),
    "sgdsl.runtime.recurrent": ("GRU", "GRUCell", "LSTM", "LSTMCell"),
    "sgdsl.runtime.stacked": ("ByCopy", "StackedLayerNorm", "StackedLinear", "alone", "by_copy"),
    "sgdsl.runtime.turns": ("ahead", "each_copy", "in_copies"),
    "sgdsl.runtime.posteriors": ("by_value", "each_value", "every", "log_odds"),
    "sgdsl.runtime.sampled": ("either", "log_portion", "rest_score", "split"),
    "sgdsl.runtime.patches": ("centre", "crop", "paste", "reshape"),
    "sgdsl.runtime.queries": ("FLAT", "Parameters", "Queries", "Turn", "Values"),
    "sgdsl.runtime.used": ("SubModel",),
}  # fmt: skip


def names_of() -> list[str]:
    """Every runtime name, for the name space of emitted code."""
    return [name for names in RUNTIME.values() for name in names] + ["Model", "Encoder", "Decoder", "Networks"]


def imports(body: str) -> list[str]:
    """The import lines that a body needs, sorted as ruff sorts them."""
    words = set(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", body))
    lines = ["import math", ""] if "math" in words else []
    lines += ["import torch"] if "torch" in words else []
    lines += ["from torch import " + ("Tensor, nn" if "nn" in words else "Tensor")]
    lines += ["from torch.nn import functional as F"] if re.search(r"\bF\.", body) else []
    lines.append("")
    for module, names in RUNTIME.items():
        used = sorted((n for n in names if n in words), key=lambda n: (not n.isupper(), not n[0].isupper(), n))
        text = f"from {module} import {', '.join(used)}"
        if used and len(text) <= 120:
            lines.append(text)
        elif used:
            lines += [f"from {module} import (", *(f"    {n}," for n in used), ")"]
    return lines
