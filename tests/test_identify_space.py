"""Which back ends a gallery takes, and which it refuses because it could not give their scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pysteps.backend import Backend
from pysteps.backend.calibration import fit_logistic
from pysteps.formats.errors import InputError
from pysteps.identify import Space

RANDOM = np.random.default_rng(3)
NAMES = np.repeat([f"s{number}" for number in range(12)], 4).tolist()
X = np.repeat(RANDOM.normal(size=(12, 3)) * 3, 4, axis=0) + RANDOM.normal(size=(48, 3))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("center | cosine | as-norm 5", "as-norm 5"),
        ("center set | cosine", "center set"),
        ("plda normalise=none", "normalise=none"),
        ("plda enrol=average", "enrol=average"),
    ],
)
def test_what_no_inner_product_gives_is_refused(tmp_path, line, said):
    Backend.fit(line, X, NAMES).save(tmp_path)
    with pytest.raises(InputError, match=f"cannot score with {said}"):
        Space.load(tmp_path)


def test_a_calibrated_back_end_gives_its_scores_before_calibration(tmp_path):
    backend = Backend.fit("center | plda iterations=3", X, NAMES)
    learned = fit_logistic([3.0, 1, 0, -2], [True, False, True, False])
    replace(backend, calibration=learned).save(tmp_path / "one")
    Space.load(tmp_path / "one").save(tmp_path / "two")
    space = Space.load(tmp_path / "two")
    got = space.people(space.embed(X[:2]), [1, 1]) @ space.queries(X[5:6])[0]
    want = backend.score(X[:2], X[5:6], np.array([[0, 0], [1, 0]]))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
