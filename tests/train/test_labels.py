"""Which rows keep their label: by index, for the whole run, balanced, seeded; and nothing beyond what is granted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sgdsl.runtime.batch import NodeInfo
from sgdsl.train.bind import Rules, bind
from sgdsl.train.data import arrays
from sgdsl.train.errors import DataError
from sgdsl.train.labels import Split, Wish, split
from tests.train.small import codes


def class_node(k: int, support: str = "class") -> NodeInfo:
    return NodeInfo("supervised", support, (k,), (), (), "categorical", "categorical", "enumerate", (), ())


REAL = NodeInfo("supervised", "real", (), (), (), "normal", "normal", "reparam", (), ())


def granted(nodes: dict[str, NodeInfo], data: dict[str, Any], wish: Wish, train: Any = None) -> Split:
    dataset = arrays(data)
    return split(bind(dataset, nodes, Rules({})), nodes, dataset.train if train is None else train, wish)


Y = np.repeat([0, 1, 2], [50, 30, 20])


@pytest.mark.parametrize(
    ("count", "per"), [(9, [3, 3, 3]), (60, [20, 20, 20]), (75, [28, 27, 20]), (100, [50, 30, 20])]
)
def test_labels_are_balanced_over_classes_as_far_as_there_are_rows(count: int, per: list[int]) -> None:
    rows = granted({"y": class_node(3)}, {"y": Y}, Wish(count)).labelled
    found = np.bincount(Y[rows], minlength=3)
    assert len(rows) == count
    assert sorted(found.tolist(), reverse=True) == per


def test_a_remainder_goes_to_some_classes_by_seed() -> None:
    """10 labels of 3 classes: 4, 3, 3; which class gets 4 depends on the seed."""
    extra = {
        int(np.bincount(Y[granted({"y": class_node(3)}, {"y": Y}, Wish(10, seed=s)).labelled]).argmax())
        for s in range(20)
    }
    assert extra == {0, 1, 2}


def test_the_seed_alone_chooses_and_more_labels_keep_the_old_ones() -> None:
    def rows(count: int, seed: int) -> set[int]:
        return set(granted({"y": class_node(3)}, {"y": Y}, Wish(count, seed=seed)).labelled.tolist())

    assert rows(9, 0) == rows(9, 0)
    assert rows(9, 0) != rows(9, 1)
    assert rows(9, 0) < rows(30, 0) < rows(60, 0)


def test_rates_counts_and_counts_a_class() -> None:
    nodes = {"y": class_node(3)}
    assert len(granted(nodes, {"y": Y}, Wish(0.1)).labelled) == 10
    assert len(granted(nodes, {"y": Y}, Wish(1)).labelled) == 1
    assert len(granted(nodes, {"y": Y}, Wish(1.0)).labelled) == 100
    assert len(granted(nodes, {"y": Y}, Wish(0)).labelled) == 0
    assert len(granted(nodes, {"y": Y}, Wish(0.001)).labelled) == 1
    found = granted(nodes, {"y": Y}, Wish(per_class=7)).labelled
    assert np.bincount(Y[found]).tolist() == [7, 7, 7]


def test_only_known_rows_of_the_training_part_are_granted() -> None:
    y = np.where(np.arange(100) % 2, Y, -1)
    train = np.arange(0, 80)
    found = granted({"y": class_node(3)}, {"y": y}, Wish(1.0), train)
    assert found.labelled.tolist() == list(range(1, 80, 2))
    assert found.unlabelled.tolist() == list(range(0, 80, 2))
    assert not found.granted["y"][80:].any()
    assert (y[granted({"y": class_node(3)}, {"y": np.where(np.arange(100) % 2, Y, -1)}, Wish(12)).labelled] >= 0).all()


def test_two_nodes_share_their_rows_unless_each_has_its_own() -> None:
    """A count means the same rows for all supervised nodes; each(a = …, b = …) counts a node, and a node that it leaves
    out keeps all its labels."""
    nodes, data = {"a": class_node(3), "b": REAL, "c": REAL}, {"a": Y, "b": Y * 1.0, "c": Y * 1.0}
    together = granted(nodes, data, Wish(12)).granted
    assert np.array_equal(together["a"], together["b"])
    apart = granted(nodes, data, Wish({"a": 12, "b": 0.25}))
    assert [int(m.sum()) for m in apart.granted.values()] == [12, 25, 100]
    assert len(apart.labelled) == 100


def test_shared_rows_are_those_where_every_label_is_known() -> None:
    a, b = np.where(np.arange(100) < 60, Y, -1), np.where(np.arange(100) >= 40, Y * 1.0, np.nan)
    found = granted({"a": class_node(2), "b": REAL}, {"a": np.minimum(a, 1), "b": b}, Wish({"a": 0.5, "b": 0.5}))
    assert set(np.flatnonzero(found.granted["a"])) <= set(range(60))
    assert set(np.flatnonzero(found.granted["b"])) <= set(range(40, 100))
    both = granted({"a": class_node(2), "b": REAL}, {"a": np.minimum(a, 1), "b": b}, Wish(6))
    assert set(both.labelled) <= set(range(40, 60))


def test_held_out_rows_take_no_granted_label_while_others_are_left() -> None:
    found = granted({"y": class_node(3)}, {"y": Y}, Wish(9, validation=0.2))
    assert len(found.validation) == 20
    assert not set(found.validation) & (set(found.labelled) | set(found.unlabelled))
    assert len(found.labelled) == 9
    everything = granted({"y": class_node(3)}, {"y": Y}, Wish(1.0, validation=0.2))
    assert (len(everything.labelled), len(everything.unlabelled), len(everything.validation)) == (80, 0, 20)
    assert not everything.granted["y"][everything.validation].any()


def test_validation_labels_are_other_rows_and_are_never_granted() -> None:
    found = granted({"y": class_node(3)}, {"y": Y}, Wish(9, checked=15))
    assert len(found.checked) == 15
    assert not found.granted["y"][found.checked].any()
    held = granted({"y": class_node(3)}, {"y": Y}, Wish(9, validation=0.3, checked=15))
    assert set(held.checked) <= set(held.validation)


@pytest.mark.parametrize(
    ("k", "wish", "code", "says"),
    [
        (3, Wish(101), "E0631", "labels in 101 rows are wanted, but `y` is known in 100 training rows"),
        (4, Wish(8), "E0632", "class 3 has no training row"),
        (5, Wish(0.5), "E0632", "classes 3, 4 have no training row"),
        (3, Wish(per_class=21), "E0632", "class 2 of `y` has 20 training rows"),
        (3, Wish(9, checked=92), "E0631", "`validation_labels = 92`, but 91 rows are left"),
        (3, Wish(9, validation=0.999), "E0635", "leaves no row"),
    ],
)
def test_impossible_wishes_are_refused(k: int, wish: Wish, code: str, says: str) -> None:
    with pytest.raises(DataError) as error:
        granted({"y": class_node(k)}, {"y": Y}, wish)
    assert codes(error) == [code]
    assert says in str(error.value)


def test_labels_a_class_need_classes() -> None:
    with pytest.raises(DataError) as error:
        granted({"b": REAL}, {"b": Y * 1.0}, Wish(per_class=3))
    assert codes(error) == ["E0632"]
