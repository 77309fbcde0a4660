"""Learned baselines of scored nodes: a factor of q comes in; the method that predicts the bound, and score terms, go out."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsl.backend.code import Code
from sgdsl.backend.features import affine
from sgdsl.backend.methods import Method, Nets, inputs_of, level_of, zero_missing
from sgdsl.backend.names import Named
from sgdsl.backend.parameters import module_of
from sgdsl.backend.step import Step
from sgdsl.backend.weights import drawn_log_q, score
from sgdsl.middle import ir
from sgdsl.middle.plan import Plan

WIDTH = 100
OPTIONS = (("norm", "none"), ("act", "relu"), ("dropout", 0.0))


def baseline_method(factor: ir.Factor, plan: Plan, named: Named, nets: Nets, types: Mapping[str, ir.Type]) -> Method:
    """`baseline_v`: the factor's parents in, the bound they predict out, [S or 1, entries]; without parents one number."""
    reads, attribute = tuple(factor.given), f"q_{factor.node}_baseline"
    level, lifts = level_of(reads, plan)
    code = Code(inputs_of(reads, lifts, plan, named, types), nets, "net", plan.is_fused("baseline", factor.node))
    partial = zero_missing(code)
    if reads:
        refs = tuple(ir.Ref(n, types[n], types[n].event) for n in reads)
        width = sum(types[n].input_width for n in reads)
        predictor = ir.Stage("mlp", (WIDTH,), OPTIONS, (width,), (WIDTH,))
        features = code.features(ir.Network((predictor,), refs), "trunk")
        code.modules["value"] = f"nn.Linear({WIDTH}, 1)"
        text = f"{affine('net.value', features, code.fused)}[..., 0]"
    else:
        code.modules["value"] = "nn.Parameter(torch.zeros(()))"
        text = "free(net.value)"
    body = (f"net = self.{attribute}", *code.body, f"return {text}")
    module = module_of(code.modules)
    return Method(f"baseline_{factor.node}", reads, level, lifts, body, module, attribute, (not reads,), (), partial)


def scored_by(plan: Plan, baseline: str) -> list[str]:
    """The scored nodes with a kind of baseline, in the order of q."""
    return [v for v in plan.scored if dict(plan.choices[v].options)["baseline"] == baseline]


def predict(step: Step, node: str) -> None:
    """The baseline of a node, from its parents as they were drawn."""
    method = step.methods.get(("baseline", node))
    if method:
        target = step.named.derived["baseline", node]
        step.say(step.call(method, target, detached=True))


def learned_scores(step: Step, objective: str) -> str:
    """The objective with the score terms of nodes whose baseline is a running mean or a network."""
    running = scored_by(step.plan, "mean")
    if running:
        step.say(f"mean_score = {' + '.join(score(step, v) for v in running)}")
        objective = f"with_score({objective}, self.running_mean(bound, batch.labelled), mean_score)"
    for node in scored_by(step.plan, "net"):
        scope = step.plan.scopes[node]
        reward = f"{step.level(scope)}.up(bound[None])" if scope else "bound[None]"
        target = step.named.locals.new(f"net_score_{node}")
        text = f"predicted_score({reward}, {step.named.derived['baseline', node]}, {drawn_log_q(step, node, scope)})"
        step.say(f"{target} = {f'{step.level(scope)}.down({text})' if scope else text}")
        objective = f"with_score({objective}, 1.0, {target})"
    return objective
