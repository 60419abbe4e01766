"""Scalar products of many pairs: shared among threads and in order of tiles, each pair once."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.backend import products
from pysteps.backend.products import pair_products


@pytest.mark.parametrize(
    ("sizes", "shares"),
    [
        ({"_SHARE": 100}, [333, 333, 334]),  # 1,000 pairs
        ({"_SHARE": 600}, [500, 500]),  # too few for a third thread
        ({"_SHARE": 100, "_TILE": 8}, [333, 333, 334]),  # in the order of tiles
        ({"_SHARE": 100, "_MANY": 300}, [50] * 2 + [100] * 9),  # 300 at a time
    ],
)
def test_three_threads_do_every_pair_once(
    monkeypatch: pytest.MonkeyPatch, sizes: dict[str, int], shares: list[int]
) -> None:
    random = np.random.default_rng(0)
    one, two = random.normal(size=(40, 5)), random.normal(size=(30, 5))
    enrol, test = random.integers(0, 40, 1000), random.integers(0, 30, 1000)
    done, literal = [], products._in_order

    def noted(*arguments: np.ndarray) -> None:
        done.append(list(zip(*(part.tolist() for part in arguments[2:4]), strict=True)))
        literal(*arguments)

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(products, "_in_order", noted)
    for name, size in sizes.items():
        monkeypatch.setattr(products, name, size)
    found = pair_products(one, two, enrol, test)
    pairs = list(zip(enrol.tolist(), test.tolist(), strict=True))
    assert sorted(map(len, done)) == shares
    assert sorted(pair for share in done for pair in share) == sorted(pairs)
    np.testing.assert_array_equal(found, [np.einsum("nd,nd->n", one[[a]], two[[b]])[0] for a, b in pairs])
