"""Copies at other places than a reader's own, and copies taken together: entries of levels come in, values there go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsl.runtime.levels import Copies, Entries, Level, Listed, list_entries, make_level, value_at


@dataclass(frozen=True, slots=True)
class Source:
    """Values of a level `of`, which cover the places first … last of each asked axis. `places[range]`: for each range in `of` the
    range that its place is taken from and what is added, ("", n) for the fixed place n."""

    of: tuple[str, ...]
    places: Mapping[str, tuple[str, int]]
    covers: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """Values at the level `at` from `sources`; `asked`: the ranges whose places, with what is added, tell which of several."""

    at: tuple[str, ...]
    sources: tuple[Source, ...]
    asked: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Over:
    """The copies of `range` of values at the level `of` taken together, at the level `at`; `count`: the k of a loop `1..k`."""

    of: tuple[str, ...]
    at: tuple[str, ...]
    range: str
    count: str = ""


def view_index(
    view: View,
    levels: Mapping[tuple[str, ...], Entries],
    ranges: Mapping[str, Copies],
    counts: Mapping[str, Tensor],
) -> Tensor:
    """For each entry of the view's level, its entry among those of all sources, one behind the other, int64."""
    at = levels[view.at]
    found = torch.zeros_like(at.row)
    asked = [_asked(a, at, ranges, counts) for a in view.asked]
    start = 0
    for source in view.sources:
        of = levels[source.of]
        inside = [(a >= first) & (a <= last) for a, (first, last) in zip(asked, source.covers, strict=True)]
        there = torch.stack(inside).all(0) if inside else None
        digit = dict(at.digit)
        for name, place in source.places.items():
            own = _place(place, at, ranges) - ranges[name].first
            digit[name] = own if there is None else torch.where(there, own, 0)
        position = of.position(at.row, digit) + start
        found = position if there is None else torch.where(there, position, found)
        start += len(of.row)
    return found


def _asked(place: tuple[str, int], at: Entries, ranges: Mapping[str, Copies], counts: Mapping[str, Tensor]) -> Tensor:
    """The place that is asked for. What is ahead of a reader and behind its row's last copy is behind the last of all."""
    found, copies = _place(place, at, ranges), ranges.get(place[0])
    if copies is None or place[1] <= 0 or copies.count not in counts:
        return found
    count = counts[copies.count].index_select(0, at.row)
    behind = (found > count) & (found <= count + place[1])
    return torch.where(behind, found - count + copies.last, found)


def _place(place: tuple[str, int], at: Entries, ranges: Mapping[str, Copies]) -> Tensor:
    name, offset = place
    if not name:
        return torch.full_like(at.row, offset)
    return at.digit[name] + (ranges[name].first + offset)


def viewed(index: Tensor, *sources: Tensor) -> Tensor:
    """Values of one or several levels at the entries of a view, [S or 1, entries of each, …] → [S or 1, len(index), …]."""
    if len(sources) == 1:
        return sources[0].index_select(1, index)
    samples = max(len(s) for s in sources)
    return torch.cat([s.expand(samples, *s.shape[1:]) for s in sources], 1).index_select(1, index)


@dataclass(frozen=True, slots=True)
class Together:
    """The copies behind each entry of a smaller level: `table` [entries, copies], where each copy stands, None where they
    follow one another; `live` [entries, copies], which of them count, None for all; `prefix`: where copies are those of a row,
    its (row, number that count) [entries] each."""

    copies: int
    table: Tensor | None
    live: Tensor | None
    prefix: tuple[Tensor, Tensor] | None = None

    def stack(self, value: Tensor) -> Tensor:
        """[S or 1, entries of the copies, *event] → [S or 1, entries, copies, *event], zeros for those that do not count."""
        if self.table is None:
            found = value.unflatten(1, (-1, self.copies))
        else:
            found = value.index_select(1, self.table.flatten()).unflatten(1, self.table.shape)
        return found if self.live is None else torch.where(self._over(found), found, torch.zeros_like(found))

    def sum(self, value: Tensor) -> Tensor:
        """[S or 1, entries of the copies, *event] → [S or 1, entries, *event]."""
        if self.prefix is None:
            return self.stack(value).sum(2)
        row, number = self.prefix
        sums = value.unflatten(1, (-1, self.copies)).cumsum(2)
        sums = torch.cat([torch.zeros_like(sums[:, :, :1]), sums], 2)
        return sums.flatten(1, 2).index_select(1, row * (self.copies + 1) + number)

    def mean(self, value: Tensor) -> Tensor:
        """As sum, divided by the number of copies; 0 for none."""
        if self.live is None:
            return self.stack(value).mean(2)
        return self.sum(value) / self._number(value).clamp(min=1)

    def max(self, value: Tensor) -> Tensor:
        """The largest; 0 for none."""
        found = self.stack(value)
        if self.live is None:
            return found.amax(2)
        found = torch.where(self._over(found), found, -torch.inf).amax(2)
        return torch.where(self._number(value) > 0, found, 0.0)

    def last(self, value: Tensor) -> Tensor:
        """The last that counts; 0 for none."""
        found = self.stack(value)
        if self.live is None:
            return found[:, :, -1]
        at = (self._number(value).long() - 1).clamp(min=0)[:, :, None]
        return found.gather(2, at.expand(len(found), found.shape[1], 1, *found.shape[3:]))[:, :, 0]

    def _over(self, found: Tensor) -> Tensor:
        assert self.live is not None
        return self.live.reshape(1, *self.live.shape, *[1] * (found.dim() - 3))

    def _number(self, value: Tensor) -> Tensor:
        """How many count, [1, entries, 1, …]."""
        assert self.live is not None
        return self.live.sum(1).reshape(1, -1, *[1] * (value.dim() - 2)).to(torch.get_default_dtype())


def together(
    over: Over,
    levels: Mapping[tuple[str, ...], Entries],
    ranges: Mapping[str, Copies],
    listed: Mapping[str, Listed],
    counts: Mapping[str, Tensor],
) -> Together:
    """Where the copies behind each entry stand. `counts[k]` [rows]: the values of nodes k that no level lists."""
    of, at, copies = levels[over.of], levels[over.at], ranges[over.range]
    number = copies.number
    copy = torch.arange(number, device=at.row.device)
    live = _live(over.count, at, copies, ranges, listed, counts)
    row = at.row.repeat_interleave(number)
    digit = {n: d.repeat_interleave(number) for n, d in at.digit.items()}
    digit[over.range] = copy.repeat(len(at.row))
    follow_on = over.of == (*over.at, over.range)
    if over.of == (over.range,) and live is not None and over.at:
        return Together(number, of.position(row, digit).reshape(-1, number), live, (at.row, live.sum(1)))
    table = None if follow_on else of.position(row, digit).reshape(-1, number)
    return Together(number, table, live)


def stand(
    scopes: Sequence[tuple[str, ...]],
    views: Mapping[str, View],
    overs: Mapping[str, Over],
    rows: int,
    listed: Mapping[str, Listed],
    ranges: Mapping[str, Copies],
    counts: Mapping[str, Tensor],
    device: torch.device,
) -> tuple[dict[str, Level], dict[str, Tensor], dict[str, Together]]:
    """The levels of some scopes by name, and where views and reductions find their copies. `counts` as for together."""
    asked = dict.fromkeys(((), *scopes)) if ranges else scopes
    found = {scope: list_entries(scope, rows, listed, ranges, device) for scope in asked}
    levels = {}
    for scope in scopes:
        below = {" ".join(other): found[other] for other in scopes if set(other) < set(scope)}
        levels[" ".join(scope)] = make_level(found[scope], below, rows, listed, ranges)
    return (
        levels,
        {name: view_index(view, found, ranges, counts) for name, view in views.items()},
        {name: together(over, found, ranges, listed, counts) for name, over in overs.items()},
    )


def _live(
    count: str,
    at: Entries,
    copies: Copies,
    ranges: Mapping[str, Copies],
    listed: Mapping[str, Listed],
    counts: Mapping[str, Tensor],
) -> Tensor | None:
    """Which copies live at each entry, [entries, copies]; None: all."""
    if not count:
        return None
    if count in at.digit:
        value = value_at(listed[count], at.row, at.digit[count], at.digit, ranges)[0]
    else:
        value = counts[count].index_select(0, at.row)
    return reached(value, copies)


def reached(value: Tensor, copies: Copies) -> Tensor:
    """Which copies of a loop `1..k` are there for values of k, […] → […, copies]."""
    return torch.arange(copies.first, copies.last + 1, device=value.device) <= value[..., None]


def alive(level: Level, count: str, share: Tensor, copies: Copies) -> Tensor:
    """The weight with which each copy of a loop `1..k` is there, Σ_{k ≥ i} of the shares of k's values, which are [S or 1,
    entries] at the level of k alone: [S or 1, rows · copies]."""
    there = torch.where(reached(level.values[count][0], copies), share[..., None], 0.0)
    found = there.new_zeros(len(share), level.sizes[""], copies.number).index_add(1, level.row, there)
    return found.flatten(1)


def alive_where(value: Tensor, copies: Copies, like: Tensor) -> Tensor:
    """The same for a k that every row knows, [1, rows]: 1 or 0."""
    return reached(value, copies).flatten(1).to(like.dtype)


def alive_at(level: Level, count: str, name: str, copies: Copies, like: Tensor) -> Tensor:
    """Which copies are there at each value of k, [1, entries]: 1 or 0."""
    return (level.copy[name] + copies.first <= level.values[count]).to(like.dtype)
