"""All randomness of an emitted step, around one generator: a size and parameters come in, draws of that size go out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sgdsl.runtime.densities_angle import wrapped
from sgdsl.runtime.densities_real import Parameter
from sgdsl.runtime.densities_unit import continuous_bernoulli_quantile, discretized_logistic_quantile, opened
from sgdsl.runtime.draws_angle import von_mises_around_zero
from sgdsl.runtime.draws_sphere import von_mises_fisher_around

MOST = 1e9  # the largest rate that counts are drawn at


class Draws:
    """One method a family. `size` is the full shape of the draw, (S, entries, *event); logits of classes have one more
    dimension. Noise has the dtype and device of the parameters that are tensors, else the default dtype and the
    generator's device. Draws of continuous families, Delta and the relaxed ones pass gradients."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def state(self) -> Tensor:
        """What `restore` takes, to repeat all later draws to the bit."""
        return self.generator.get_state().clone()

    def restore(self, state: Tensor) -> None:
        """Back to a saved state."""
        self.generator.set_state(state)

    def normal(self, size: Sequence[int], loc: Parameter, scale: Parameter) -> Tensor:
        noise = self._empty(size, loc, scale).normal_(generator=self.generator)
        return _located(noise, loc, scale)

    def laplace(self, size: Sequence[int], loc: Parameter, scale: Parameter) -> Tensor:
        like = self._empty(size, loc, scale)
        noise = self._exponential(like).sub_(self._exponential(torch.empty_like(like)))
        return _located(noise, loc, scale)

    def log_normal(self, size: Sequence[int], loc: Parameter, scale: Parameter) -> Tensor:
        """exp of a Normal, kept in the range of the dtype."""
        drawn = self.normal(size, loc, scale)
        limits = torch.finfo(drawn.dtype)
        return drawn.clamp(math.log(limits.tiny), math.log(limits.max) - 1).exp()

    def student_t(self, size: Sequence[int], df: Parameter, loc: Parameter, scale: Parameter) -> Tensor:
        noise = self._empty(size, df, loc, scale).normal_(generator=self.generator)
        half = full_size(0.5 * df, noise)
        return _located(noise * (half / self._gamma(half)).sqrt(), loc, scale)

    def exponential(self, size: Sequence[int], rate: Parameter) -> Tensor:
        return self._exponential(self._empty(size, rate)) / rate

    def gamma(self, size: Sequence[int], concentration: Parameter, rate: Parameter) -> Tensor:
        """Kept in the range of the dtype."""
        like = self._empty(size, concentration, rate)
        limits = torch.finfo(like.dtype)
        log_drawn = self._log_gamma(full_size(concentration, like)) - full_size(rate, like).log()
        return log_drawn.clamp(math.log(limits.tiny), math.log(limits.max) - 1).exp()

    def beta(self, size: Sequence[int], concentration1: Parameter, concentration0: Parameter) -> Tensor:
        """Inside of (0, 1): the share of one gamma in two."""
        like = self._empty(size, concentration1, concentration0)
        one = self._log_gamma(full_size(concentration1, like))
        return opened((one - self._log_gamma(full_size(concentration0, like))).sigmoid())

    def continuous_bernoulli(self, size: Sequence[int], logits: Parameter) -> Tensor:
        share = self._empty(size, logits).uniform_(generator=self.generator)
        return continuous_bernoulli_quantile(share, full_size(logits, share))

    def discretized_logistic(self, size: Sequence[int], loc: Parameter, scale: Parameter) -> Tensor:
        """Grey levels j / 255."""
        share = self._empty(size, loc, scale).uniform_(generator=self.generator)
        with torch.no_grad():
            return discretized_logistic_quantile(share, loc, scale)

    def dirichlet(self, size: Sequence[int], concentration: Parameter) -> Tensor:
        """Shares of gammas, never 0."""
        shares = self._log_gamma(full_size(concentration, self._empty(size, concentration))).softmax(-1)
        return shares.clamp(min=torch.finfo(shares.dtype).tiny)

    def multivariate_normal(self, size: Sequence[int], loc: Parameter, scale_tril: Tensor) -> Tensor:
        noise = self._empty(size, scale_tril).normal_(generator=self.generator)
        return loc + (scale_tril @ noise[..., None])[..., 0]

    def von_mises_fisher(self, size: Sequence[int], loc: Tensor, concentration: Parameter) -> Tensor:
        like = self._empty(size, loc)
        return von_mises_fisher_around(full_size(loc, like), full_size(concentration, like[..., 0]), self.generator)

    def von_mises(self, size: Sequence[int], loc: Parameter, concentration: Parameter) -> Tensor:
        like = self._empty(size, loc, concentration)
        return wrapped(von_mises_around_zero(full_size(concentration, like), self.generator) + loc)

    def bernoulli(self, size: Sequence[int], logits: Parameter) -> Tensor:
        """0.0 or 1.0."""
        noise = self._empty(size, logits).uniform_(generator=self.generator)
        return (noise < full_size(logits, noise).sigmoid()).to(noise.dtype)

    def categorical(self, size: Sequence[int], logits: Tensor) -> Tensor:
        """Indices, int64: the first of exponential clocks to ring."""
        return self._perturbed(size, logits).argmax(-1)

    def poisson(self, size: Sequence[int], rate: Parameter) -> Tensor:
        """Counts as floats; rates over 1e9 count as 1e9."""
        full = full_size(rate, self._empty(size, rate))
        return torch.poisson(full.detach().clamp(max=MOST), generator=self.generator)

    def negative_binomial(self, size: Sequence[int], total_count: Parameter, logits: Parameter) -> Tensor:
        """Counts as floats: Poisson with a Gamma rate, capped at 1e9."""
        like = self._empty(size, total_count, logits)
        with torch.no_grad():
            rate = self._gamma(full_size(total_count, like)) * full_size(logits, like).exp()
        return self.poisson(size, rate)

    def zero_inflated_negative_binomial(
        self, size: Sequence[int], total_count: Parameter, logits: Parameter, gate: Parameter
    ) -> Tensor:
        """Counts as floats: 0 with probability `gate`, else negative binomial."""
        noise = self._empty(size, total_count, logits, gate).uniform_(generator=self.generator)
        count = self.negative_binomial(size, full_size(total_count, noise), logits)
        return torch.where(noise < gate, 0.0, count)

    def resample(self, size: Sequence[int], log_w: Tensor) -> Tensor:
        """Which sample each of S recombinations takes, by weight: log_w [S, rows] → indices [S, rows], int64."""
        edges = log_w.softmax(0).cumsum(0).t().contiguous()
        at = torch.empty(tuple(size)[::-1], dtype=log_w.dtype, device=log_w.device).uniform_(generator=self.generator)
        return torch.searchsorted(edges, at * edges[:, -1:], right=True).clamp(max=len(log_w) - 1).t()

    def delta(self, size: Sequence[int], value: Parameter) -> Tensor:
        return full_size(value, self._empty(size, value))

    def mixture(self, weights: Tensor, drawn: Tensor) -> Tensor:
        """One expert's draw in each entry: log weights [S or 1, entries or 1, experts], drawn [S, entries, experts, *event] →
        [S, entries, *event]. With weights that no parameter moves, the gradient of the chosen draw is unbiased."""
        index = self.categorical(drawn.shape[:2], weights)
        return drawn.gather(
            2, index.reshape(*index.shape, *[1] * (drawn.dim() - 2)).expand(-1, -1, 1, *drawn.shape[3:])
        )[:, :, 0]

    def gumbel(self, size: Sequence[int], logits: Tensor, temperature: float) -> Tensor:
        """A relaxed one-hot, size + (k,): softmax((logits + Gumbel) / temperature)."""
        return (self._perturbed(size, logits) / temperature).softmax(-1)

    def straight_through(self, size: Sequence[int], logits: Tensor) -> Tensor:
        """A hard one-hot, size + (k,), with the gradient of softmax(logits)."""
        hard = F.one_hot(self.categorical(size, logits.detach()), logits.shape[-1]).to(logits.dtype)
        soft = logits.softmax(-1)
        return (soft - soft.detach()) + hard

    def binary_gumbel(self, size: Sequence[int], logits: Parameter, temperature: float) -> Tensor:
        """A relaxed binary in (0, 1): sigmoid((logits + Logistic) / temperature)."""
        like = self._empty(size, logits)
        noise = self._exponential(like).log() - self._exponential(torch.empty_like(like)).log()
        return ((logits + noise) / temperature).sigmoid()

    def binary_straight_through(self, size: Sequence[int], logits: Parameter) -> Tensor:
        """0.0 or 1.0, with the gradient of sigmoid(logits)."""
        hard = self.bernoulli(size, logits)
        soft = full_size(logits, hard).sigmoid()
        return (soft - soft.detach()) + hard

    def _empty(self, size: Sequence[int], *parameters: Parameter) -> Tensor:
        tensors = [p for p in parameters if isinstance(p, Tensor)]
        if not tensors:
            return torch.empty(tuple(size), device=self.generator.device)
        return torch.empty(tuple(size), dtype=tensors[0].dtype, device=tensors[0].device)

    def _exponential(self, out: Tensor) -> Tensor:
        """Fills `out` with Exponential(1), never 0."""
        return out.exponential_(generator=self.generator).clamp_(min=torch.finfo(out.dtype).tiny)

    def _gamma(self, concentration: Tensor) -> Tensor:
        """Gamma(concentration, 1), never 0, reparameterised."""
        drawn = torch._standard_gamma(concentration.contiguous(), generator=self.generator)
        return drawn.clamp(min=torch.finfo(drawn.dtype).tiny)

    def _log_gamma(self, concentration: Tensor) -> Tensor:
        """log of Gamma(concentration, 1), reparameterised: Gamma(c) is Gamma(c + 1) · U^(1/c), which in logarithms does not
        underflow for small c (Marsaglia and Tsang 2000)."""
        above = self._gamma(concentration + 1).log()
        return above - self._exponential(torch.empty_like(above)) / concentration

    def _perturbed(self, size: Sequence[int], logits: Tensor) -> Tensor:
        """logits + Gumbel noise, size + (k,)."""
        clocks = self._exponential(self._empty((*size, logits.shape[-1]), logits))
        return logits - clocks.log_()


def full_size(parameter: Parameter, like: Tensor) -> Tensor:
    """A parameter as a tensor of the size of `like`."""
    return torch.as_tensor(parameter, dtype=like.dtype, device=like.device).expand(like.shape)


def _located(noise: Tensor, loc: Parameter, scale: Parameter) -> Tensor:
    """loc + scale · noise."""
    if isinstance(loc, Tensor) and isinstance(scale, Tensor):
        return torch.addcmul(loc, scale, noise)
    return loc + scale * noise
