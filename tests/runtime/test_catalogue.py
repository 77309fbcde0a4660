"""Every row of the table of families is held against torch.distributions and against the functions of the runtime."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.distributions as td
from torch.distributions import constraints

from sgdsl.catalog.families import FAMILIES, FamilyRow
from sgdsl.frontend.check.arguments import positions
from sgdsl.runtime import densities, densities_moments, domains
from sgdsl.runtime.draws import Draws
from sgdsl.runtime.means import Means

IN_TORCH = [row for row in FAMILIES.values() if hasattr(td, row.name)]
SUPPORTS = {
    "real": constraints.real,
    "positive": constraints.positive,
    "angle": constraints.real,
    "simplex": constraints.simplex,
    "unit": constraints.unit_interval,
    "binary": constraints.boolean,
    "count": constraints.nonnegative_integer,
}
DOMAINS = {
    "real": torch.tensor([-80.0, 0.0, 80.0]),
    "logits": torch.tensor([-80.0, 0.0, 80.0]),
    "angle": domains.angle_of(torch.tensor([[-80.0, 0.0, 80.0], [1.0, 0.0, -1.0]])[None, None]),
    "positive": domains.positive(torch.tensor([-80.0, 0.0, 80.0])),
    "triangle": domains.triangle(torch.tensor([[-80.0, 80.0, 80.0], [0.0, 0.0, 0.0]])),
    "degrees": domains.degrees(torch.tensor([-80.0, 0.0, 80.0])),
    "probability": domains.probability(torch.tensor([-80.0, 0.0, 80.0])),
}


def torch_class(row: FamilyRow) -> type[td.Distribution]:
    found: type[td.Distribution] = getattr(td, row.name)
    return found


def test_only_four_families_are_not_in_torch() -> None:
    """Protects this file from holding nothing against torch after a renaming."""
    others = {"ZeroInflatedNegativeBinomial", "DiscretizedLogistic", "VonMisesFisher", "Delta"}
    assert set(FAMILIES) - {row.name for row in IN_TORCH} == others


@pytest.mark.parametrize("row", IN_TORCH, ids=lambda row: row.name)
def test_arguments_are_torch_s_in_its_order(row: FamilyRow) -> None:
    """Protects `Normal(5, 1)`: positional values mean what they mean in torch, and every other name is a known instead."""
    signature = [
        n for n in inspect.signature(torch_class(row).__init__).parameters if n not in ("self", "validate_args", "lims")
    ]
    instead = {name for name, _, _ in row.instead}
    if row.name == "MultivariateNormal":  # its triangle is not given by position
        assert positions(row) == ("loc",)
        signature = [n for n in signature if n not in ("covariance_matrix", "precision_matrix")]
    assert [p.name for p in row.parameters] == [n for n in signature if n not in instead]
    assert instead <= set(signature)
    assert {p.name for p in row.parameters} <= set(torch_class(row).arg_constraints)


@pytest.mark.parametrize("row", IN_TORCH, ids=lambda row: row.name)
def test_heads_reach_torch_s_domains(row: FamilyRow) -> None:
    """Protects each parameter's domain: what a head gives, however extreme, satisfies torch's constraint."""
    for parameter in row.parameters:
        constraint = torch_class(row).arg_constraints[parameter.name]
        assert constraint.check(DOMAINS[parameter.domain]).all(), parameter
        if parameter.default is not None:
            default = torch.tensor([parameter.default])
            assert constraint.check(torch.eye(2) if parameter.domain == "triangle" else default).all()


@pytest.mark.parametrize("row", IN_TORCH, ids=lambda row: row.name)
def test_reparameterised_as_in_torch(row: FamilyRow) -> None:
    """Protects the default estimator: reparam where and only where torch has rsample; a VonMises has it here."""
    assert row.reparameterised == (torch_class(row).has_rsample or row.name == "VonMises")


@pytest.mark.parametrize("row", IN_TORCH, ids=lambda row: row.name)
def test_supports_are_torch_s(row: FamilyRow) -> None:
    """Protects the check of a node's type against its family; a unit under Bernoulli is the documented extension."""
    arguments = {p.name: torch.eye(2) if p.domain == "triangle" else torch.tensor([0.5, 0.5]) for p in row.parameters}
    support = torch_class(row)(**arguments).support
    if row.name == "Categorical":
        assert row.supports == ("class", "range")
        assert support.check(torch.tensor([0, 1])).all()
        assert not support.check(torch.tensor(2))
        return
    if row.name in ("Exponential", "Gamma"):  # torch has 0 among their values
        assert support is constraints.nonnegative
        support = constraints.positive
    if row.name == "MultivariateNormal":
        assert support.event_dim == 1
        support = support.base_constraint
    assert SUPPORTS[row.supports[0]] is support
    assert row.supports[1:] == (("unit",) if row.name == "Bernoulli" else ())


@pytest.mark.parametrize("row", FAMILIES.values(), ids=lambda row: row.name)
def test_runtime_functions_take_the_parameters_by_name(row: FamilyRow) -> None:
    """Protects emitted calls: density, mean and draw have the row's parameters in its order, and a mean stands for
    every draw."""
    names = [p.name for p in row.parameters]
    mean = getattr(densities_moments, f"{row.runtime}_mean")
    assert list(inspect.signature(mean).parameters) == names
    assert list(inspect.signature(getattr(Draws, row.runtime)).parameters) == ["self", "size", *names]
    assert row.name == "Delta" or row.runtime in vars(Means)
    if row.name != "Delta":
        density = getattr(densities, f"{row.runtime}_log_prob")
        assert list(inspect.signature(density).parameters) == ["value", *names, "event"]
    for _, parameter, function in row.instead:
        assert row.parameter(parameter) is not None
        assert callable(getattr(domains, function))
