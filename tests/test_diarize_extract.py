"""X-vectors of windows: each is that of the voiced frames in it, and what is too short is listed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pysteps.diarize.extract import extract_windows
from pysteps.diarize.options import DiarizeOptions
from pysteps.features.contract import contract
from pysteps.formats.arks import Archive, writing
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table, write_table
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import TINY

VOICED = np.zeros(300, bool)
VOICED[20:120], VOICED[150:190], VOICED[250:253] = True, True, True


@pytest.fixture(scope="module")
def run(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A recording of 3 s with features, VAD and a model of random weights, as the stages leave them."""
    from pysteps.models.model import SpeakerModel, save_model
    from pysteps.models.options import ModelOptions

    work = tmp_path_factory.mktemp("work")
    words = [word for key, value in TINY.items() if "models" in key for word in (f"--{key}", value)]
    run = resolve(repo, parse(["--recipe", "mini", "--work", str(work), *words]))
    features, vad = run.of("features", "eval"), run.of("vad", "eval")
    frames = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32)
    kept = frames[VOICED]
    stats = np.zeros((2, 65))
    stats[0, :64], stats[1, :64], stats[0, 64] = kept.sum(0), (kept**2).sum(0), len(kept)
    for folder, name, array in (
        (features, "feats", frames),
        (features, "cmvn", stats),
        (vad, "vad", VOICED.astype(np.float32)),
    ):
        with writing(folder / f"{name}.ark") as writer:
            writer.array("talk", array)
        write_table(folder / f"{name}.scp", writer.scp)
    (features / "contract.json").write_text(json.dumps(contract(run)))
    save_model(SpeakerModel(ModelOptions(**run.options["models"])), run.exp / "model", contract(run))
    return run


def test_a_window_has_the_x_vector_of_its_voiced_frames(run: Run, tmp_path: Path) -> None:
    from pysteps.models.model import embed, load_model

    counts = extract_windows(
        run, "eval", tmp_path, DiarizeOptions(window=0.6, shift=0.3, least_window=0.05, least_gap=0.0)
    )
    segments = read_table(tmp_path / "segments")
    # Speech at 0.2075-1.2075 and 1.5075-1.9075 s: a frame stands for 10 ms around its middle.
    spans = [tuple(map(float, value.split()[1:])) for value in segments.values()]
    expected_spans = [(0.2075, 0.8075), (0.5075, 1.1075), (0.8075, 1.2075), (1.5075, 1.9075)]
    np.testing.assert_allclose(spans, expected_spans, atol=0.00051)
    assert counts == {"windows": 4, "dropped": 0}  # 30 ms of speech are below least_window

    with Archive() as archive:
        frames = archive.array(read_table(run.of("features", "eval") / "feats.scp")["talk"], "talk")
        index = read_table(tmp_path / "xvector.scp")
        found = {name: archive.array(entry, name) for name, entry in index.items()}
    model = load_model(run.exp / "model")
    for name, value in segments.items():
        start, end = map(float, value.split()[1:])
        inside = [t for t in range(300) if VOICED[t] and start <= 0.0125 + 0.01 * t < end]
        expected = embed(model, [(frames - frames[VOICED].mean(0))[inside]])[0]
        np.testing.assert_allclose(found[name], expected, atol=1e-4 * np.abs(expected).max())


def test_a_window_too_short_for_the_network_is_listed(run: Run, tmp_path: Path) -> None:
    from pysteps.models.model import load_model

    options = DiarizeOptions(window=0.6, shift=0.3, least_window=0.01, least_gap=0.0)
    least = load_model(run.exp / "model").min_frames
    assert least > 3  # frames that the last stretch has
    assert extract_windows(run, "eval", tmp_path, options) == {"windows": 4, "dropped": 1}
    (reason,) = read_table(tmp_path / "dropped").values()
    assert reason == f"3 voiced frames, the network needs {least}"
    assert not set(read_table(tmp_path / "dropped")) & set(read_table(tmp_path / "segments"))


def test_a_model_of_other_features_is_refused(run: Run, tmp_path: Path) -> None:
    description = json.loads((run.exp / "model" / "model.json").read_text())
    description["features"]["features"]["low_freq"] = 99.0
    other = tmp_path / "model"
    other.mkdir()
    (other / "model.json").write_text(json.dumps(description))
    with pytest.raises(InputError, match="low_freq"):
        extract_windows(run, "eval", tmp_path / "out", DiarizeOptions(), other)
