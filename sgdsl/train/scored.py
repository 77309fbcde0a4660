"""What an answer is measured by: a node, guesses and true values come in; the kind of measure, the loss of a cell go out."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.measures import Kind


def kind_of(info: NodeInfo) -> Kind:
    """error: the share of wrong cells of a finite node; degrees: the mean angle between guess and truth, of angles and
    directions; rmse: the root-mean-square error of any other."""
    if info.classes:
        return "error"
    return "degrees" if info.support in ("angle", "direction") else "rmse"


def losses(info: NodeInfo, guess: Tensor, truth: Tensor) -> Tensor:
    """Of each cell, float64, [rows, *event] of directions one less: wrong or not; degrees; a squared error."""
    match kind_of(info):
        case "error":
            return (guess.long() != truth.long()).double()
        case "degrees":
            return degrees_apart(info, guess, truth)
        case _:
            return (guess - truth).double().square()


def degrees_apart(info: NodeInfo, guess: Tensor, truth: Tensor) -> Tensor:
    """The angle between two angles, or two vectors that need no length of 1, in [0, 180]."""
    guess, truth = guess.double(), truth.double()
    if info.support == "angle":
        off = guess - truth
        return torch.atan2(off.sin(), off.cos()).abs() * (180 / math.pi)
    a, b = (F.normalize(v, dim=-1, eps=1e-30) for v in (guess, truth))
    return 2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1)) * (180 / math.pi)


def constant(info: NodeInfo, truth: Tensor) -> Tensor:
    """The best constant guess of a node that is not finite, [1, *event]: the mean; the mean direction."""
    if info.support == "angle":
        return torch.atan2(truth.sin().mean(0, keepdim=True), truth.cos().mean(0, keepdim=True))
    return truth.mean(0, keepdim=True)
