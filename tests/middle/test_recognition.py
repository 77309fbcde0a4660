"""Made recognition graphs against networkx's d-separation, an independent judge, on random graphs of p."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Set
from itertools import combinations

import networkx as nx
import pytest

from sgdsl.middle import ir, separation
from sgdsl.middle.digraph import Digraph
from sgdsl.middle.digraph import digraph as make_digraph
from sgdsl.middle.moral import Moral
from sgdsl.middle.ordering import constraints, sampling_order
from sgdsl.middle.recognition import propose
from sgdsl.middle.separation import add_ancestors, blanket

Graph = dict[str, tuple[str, ...]]


def random_p(seed: int) -> tuple[dict[str, ir.Role], Graph]:
    """Three to nine nodes in a shuffled order, any roles, sparse to dense."""
    dice = random.Random(seed)
    size = dice.randint(3, 9)
    names = [f"v{i}" for i in range(size)]
    roles: dict[str, ir.Role] = {
        v: dice.choices(("latent", "observed", "supervised", "given"), (5, 3, 2, 1))[0] for v in names
    }
    likely, order = dice.uniform(0.15, 0.6), dice.sample(names, size)
    modelled = [v for v in order if roles[v] != "given"]
    p = {v: tuple(u for u in order[: order.index(v)] if dice.random() < likely) for v in modelled}
    return roles, {v: tuple(u for u in us if roles[u] == "given" or u in p) for v, us in p.items()}


def ours(graph: nx.DiGraph) -> Digraph:
    """The same graph for the compiler."""
    return make_digraph(graph.nodes, graph.edges)


def digraph(roles: Mapping[str, ir.Role], p: Graph) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(roles)
    graph.add_edges_from((u, v) for v, us in p.items() for u in us)
    return graph


def in_order(roles: Mapping[str, ir.Role], made: tuple[ir.Made, ...]) -> Iterator[tuple[ir.Made, set[str]]]:
    """Each made factor with C: everything known before its node."""
    known = {v for v, role in roles.items() if role in ("observed", "given")}
    for factor in made:
        yield factor, set(known)
        known.add(factor.node)


@pytest.mark.parametrize("seed", range(400))
@pytest.mark.parametrize("after", [False, True])
def test_the_made_graph_is_faithful_and_minimal(seed: int, after: bool) -> None:
    """For every node: it is separated from what it does not read, given what it reads (so q, an ordered factorisation,
    is an I-map of the posterior); its parents are exactly the w ∈ C not separated from it given the rest of C (so that
    no edge can go); every unknown node is made once, after its parents."""
    roles, p = random_p(seed)
    graph = digraph(roles, p)
    made = propose(roles, p, {}, after)
    assert sorted(f.node for f in made) == sorted(v for v, role in roles.items() if role in ("latent", "supervised"))
    for factor, known in in_order(roles, made):
        reads = set(factor.given)
        assert reads <= known
        rest = known - reads
        assert not rest or nx.is_d_separator(graph, {factor.node}, rest, reads)
        assert reads == {w for w in known if not nx.is_d_separator(graph, {factor.node}, {w}, known - {w})}


@pytest.mark.parametrize("seed", range(150))
def test_every_missing_edge_is_an_independence_of_the_posterior(seed: int) -> None:
    """The whole q at once: any two nodes that q separates, given x and any third set, p separates as well."""
    roles, p = random_p(seed)
    graph, q = digraph(roles, p), nx.DiGraph()
    made = propose(roles, p, {})
    q.add_nodes_from(roles)
    q.add_edges_from((u, f.node) for f in made for u in f.given)
    known = {v for v, role in roles.items() if role in ("observed", "given")}
    unknown, dice = [v for v in roles if v not in known], random.Random(seed)
    for _ in range(12 if len(unknown) > 1 else 0):
        a, b, *others = dice.sample(unknown, len(unknown))
        between = known | {v for v in others if dice.random() < 0.4}
        if nx.is_d_separator(q, {a}, {b}, between):
            assert nx.is_d_separator(graph, {a}, {b}, between)


def random_written(seed: int, roles: Mapping[str, ir.Role]) -> Graph:
    """Hand-written factors of some nodes, reading anything that keeps them acyclic."""
    dice = random.Random(1000 + seed)
    unknown = [v for v, role in roles.items() if role in ("latent", "supervised")]
    order = dice.sample(unknown, len(unknown))
    known = [v for v, role in roles.items() if role in ("observed", "given")]
    chosen = [v for v in order if dice.random() < 0.5]
    return {v: tuple(u for u in (*known, *order[: order.index(v)]) if dice.random() < 0.4) for v in chosen}


@pytest.mark.parametrize("seed", range(300))
@pytest.mark.parametrize("after", [False, True])
def test_made_factors_fit_between_written_ones(seed: int, after: bool) -> None:
    """Each written factor comes after what it reads; a made one reads exactly what its node is not separated from,
    among all that is drawn before it; a prior is left for latents that neither data nor labels nor a written factor
    depend on."""
    roles, p = random_p(seed)
    written = random_written(seed, roles)
    graph, made = digraph(roles, p), propose(roles, p, written, after)
    assert {f.node for f in made} | set(written) == {v for v in roles if roles[v] in ("latent", "supervised")}
    assert not {f.node for f in made} & set(written)
    assert nx.is_directed_acyclic_graph(digraph(roles, {**written, **{f.node: f.given for f in made}}))
    priors = {f.node for f in made if f.prior}
    kept = graph.subgraph([v for v in graph if v not in priors])
    known = {v for v, role in roles.items() if role in ("observed", "given")}
    reads = {f.node: set(f.given) for f in made}
    own = ours(kept)
    for node in sampling_order(own, roles, written, constraints(own, roles, written, after)):
        if node in written:
            assert set(written[node]) <= known
        else:
            assert reads[node] == {w for w in known if not nx.is_d_separator(graph, {node}, {w}, known - {w})}
        known.add(node)
    for node in priors:
        assert reads[node] == set(p[node])
        assert {roles[v] for v in nx.descendants(graph, node) | {node}} == {"latent"}
        assert not any(node in us for us in written.values())


def parents(made: tuple[ir.Made, ...]) -> dict[str, set[str]]:
    return {f.node: set(f.given) for f in made}


def roles_of(text: str) -> dict[str, ir.Role]:
    """`y` are labels, `x` data, the rest latents."""
    kinds: dict[str, ir.Role] = {"x": "observed", "y": "supervised"}
    return {v: kinds.get(v[0], "latent") for v in text.split()}


def in_given_order(roles: Mapping[str, ir.Role], p: Graph, order: str) -> dict[str, set[str]]:
    """The parents of each node when they are drawn in this order."""
    graph = digraph(roles, p)
    known, ancestral = {v for v in roles if roles[v] == "observed"}, set[str]()
    add_ancestors(graph, known, ancestral)
    found = {}
    for node in order.split():
        add_ancestors(graph, (node,), ancestral)
        found[node] = set(blanket(graph, node, known, ancestral))
        known.add(node)
    return found


M2: Graph = {"y": (), "z": (), "x": ("y", "z")}
SDGM: Graph = {"y": (), "z": (), "a": ("y", "z"), "x": ("a", "y", "z")}
M1_M2: Graph = {"y": (), "z2": (), "z1": ("y", "z2"), "x": ("z1",)}


@pytest.mark.parametrize(
    ("p", "after", "q"),
    [
        (M2, False, {"y": {"x"}, "z": {"x", "y"}}),
        (M2, True, {"z": {"x"}, "y": {"x", "z"}}),
        (SDGM, False, {"y": {"x"}, "a": {"x", "y"}, "z": {"a", "x", "y"}}),
        (SDGM, True, {"a": {"x"}, "y": {"a", "x"}, "z": {"a", "x", "y"}}),
        (M1_M2, False, {"y": {"x"}, "z1": {"x", "y"}, "z2": {"y", "z1"}}),
        (M1_M2, True, {"z1": {"x"}, "y": {"z1"}, "z2": {"y", "z1"}}),
    ],
)
def test_the_models_of_the_literature(p: Graph, after: bool, q: dict[str, set[str]]) -> None:
    """Labels first, and after their own latents: M2, SDGM, M1+M2 (the last is the paper's own encoder)."""
    assert parents(propose(roles_of(" ".join(p)), p, {}, after)) == q


CHAIN: Graph = {"z1": (), "z2": ("z1",), "z3": ("z2",), "x1": ("z1",), "x2": ("z2",), "x3": ("z3",)}
FORK: Graph = {"a": (), "b": ("a",), "c": ("a",), "x1": ("b",), "x2": ("c",)}


def test_a_chain_read_from_its_beginning() -> None:
    """Each state reads the one before it and all data that are still to come."""
    expected = {"z1": {"x1", "x2", "x3"}, "z2": {"x2", "x3", "z1"}, "z3": {"x3", "z2"}}
    assert in_given_order(roles_of(" ".join(CHAIN)), CHAIN, "z1 z2 z3") == expected


def test_a_fork_is_inverted_from_the_data_up() -> None:
    """Min-fill with its ties draws what is near the data first."""
    roles = roles_of(" ".join(FORK))
    expected = {"c": {"x1", "x2"}, "b": {"c", "x1"}, "a": {"b", "c"}}
    assert parents(propose(roles, FORK, {})) == expected == in_given_order(roles, FORK, "c b a")


def reversed_and_joined(p: Graph, roles: Mapping[str, ir.Role]) -> nx.DiGraph:
    """The tempting shortcut: reverse each edge of p, and join the parents of each node (earlier → later)."""
    graph, reverse = digraph(roles, p), nx.DiGraph()
    reverse.add_nodes_from(roles)
    reverse.add_edges_from((v, u) for u, v in graph.edges)
    for us in p.values():
        reverse.add_edges_from((u, w) for i, u in enumerate(us) for w in us[i + 1 :])
    return reverse


def false_claims(q: nx.DiGraph, graph: nx.DiGraph, roles: Mapping[str, ir.Role]) -> set[tuple[str, str]]:
    """Pairs (latent, node) that q separates given the other data, and p does not."""
    known = {v for v in roles if roles[v] == "observed"}
    return {
        (a, b)
        for a in roles for b in roles
        if a != b and roles[a] == "latent" and nx.is_d_separator(q, {a}, {b}, known - {b})
        and not nx.is_d_separator(graph, {a}, {b}, known - {b})
    }  # fmt: skip


@pytest.mark.parametrize(
    ("p", "lost"),
    [(CHAIN, {("z3", "x1"), ("z2", "x1"), ("z3", "x2")}), (FORK, {("b", "c"), ("b", "x2")})],
    ids=["chain", "fork"],
)
def test_reversing_edges_and_joining_parents_is_wrong(p: Graph, lost: set[tuple[str, str]]) -> None:
    """Reversed, a chain's last state no longer sees the first datum, which it depends on through the states between; and
    in the fork b and c, which depend on each other through a, are drawn apart. The made graph claims nothing false."""
    roles = roles_of(" ".join(p))
    graph = digraph(roles, p)
    assert lost <= false_claims(reversed_and_joined(p, roles), graph, roles)
    made = propose(roles, p, {})
    assert false_claims(digraph(roles, {f.node: f.given for f in made}), graph, roles) == set()


def chain(length: int) -> tuple[dict[str, ir.Role], Graph]:
    p: Graph = {f"z{i}": (f"z{i - 1}",) if i else () for i in range(length)}
    p |= {f"x{i}": (f"z{i}",) for i in range(length)}
    return roles_of(" ".join(p)), p


def star(width: int) -> tuple[dict[str, ir.Role], Graph]:
    """One datum that every latent explains."""
    p: Graph = {f"z{i}": () for i in range(width)}
    p["x"] = tuple(p)
    return roles_of(" ".join(p)), p


@pytest.mark.parametrize("shape", [chain, star])
def test_inverting_300_nodes_is_one_short_search_each(
    shape: Callable[[int], tuple[dict[str, ir.Role], Graph]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than n nodes are expanded for each of n factors, and no more edges walked than p has, each way: pairwise
    queries would cost another factor n."""
    expanded, walked = 0, 0
    neighbours = separation._moral_neighbours

    def counted(p: Digraph, node: str, ancestral: Set[str], married: set[str]) -> Iterator[str]:
        nonlocal expanded, walked
        expanded += 1
        for near in neighbours(p, node, ancestral, married):
            walked += 1
            yield near

    monkeypatch.setattr(separation, "_moral_neighbours", counted)
    roles, p = shape(300)
    made = propose(roles, p, {})
    edges = sum(map(len, p.values()))
    assert len(made) == 300
    assert expanded <= 300 * 301 / 2
    assert walked <= 300 * 3 * edges


@pytest.mark.parametrize("seed", range(100))
def test_fill_counts_stay_right_under_elimination(seed: int) -> None:
    """Min-fill keeps its counts up to date edge by edge; they equal a fresh count of the pairs that would be joined."""
    roles, p = random_p(seed)
    moral, graph = Moral(ours(digraph(roles, p)), roles), nx.moral_graph(digraph(roles, p))
    for node in random.Random(seed).sample(sorted(moral.unknown), len(moral.unknown)):
        for v in moral.unknown:
            pairs = combinations(graph[v], 2)
            free = sum(not graph.has_edge(a, b) and not {a, b}.isdisjoint(moral.unknown) for a, b in pairs)
            assert moral.fill[v] == free
        moral.eliminate(node)
        graph.add_edges_from(combinations(graph[node], 2))
        graph.remove_node(node)


def test_after_yields_to_a_written_factor() -> None:
    """A line of the file is law: a written q of z that reads y keeps y first."""
    roles = roles_of("y z x")
    assert parents(propose(roles, M2, {"z": ("x", "y")}, after=True)) == {"y": {"x"}}


def test_cycles_are_left_to_the_checks() -> None:
    roles = roles_of("y z u x")
    assert propose(roles, {**M2, "z": ("x",), "u": ()}, {}) == ()
    assert propose(roles, {**M2, "u": ("z",)}, {"z": ("y",), "y": ("z",)}) == ()
