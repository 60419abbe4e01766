"""Miniature trees of corpora for tests: voices under a corpus's own names, and a recipe's run on them."""

from __future__ import annotations

import importlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pysteps.audio.read import read_audio
from pysteps.formats.run import Run
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.stage import validate
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import REPO, SPEECH, TINY, run_sh

RATE = 16000


class Voices:
    """Speakers of a tree, by their names there: each is a voice of egs/mini, in order of appearance.

    ``real``: False writes 0.2 s of quiet noise instead, for tests that listen to nothing.
    """

    def __init__(self, real: bool = True) -> None:
        self._real, self._order = real, list[str]()

    def samples(self, speaker: str, number: int, seconds: float) -> np.ndarray:
        """Utterance ``number`` of a speaker: float32 [time] at 16 kHz, repeated or cut to ``seconds``."""
        if not self._real:
            rng = np.random.default_rng([number, *speaker.encode()])
            return (1e-3 * rng.standard_normal(round(0.2 * RATE))).astype(np.float32)
        if speaker not in self._order:
            self._order.append(speaker)
        voice = _voices()[self._order.index(speaker)]
        files = sorted(voice.iterdir())
        found = _heard(files[number % len(files)])
        return np.resize(found, round(seconds * RATE))

    def write(
        self, path: Path, speaker: str, number: int = 0, seconds: float = 2.5, *, rate: int = RATE
    ) -> Path:
        """A recording in the format that ``path``'s suffix names: wav, flac, ogg, mp3 (libsndfile's), sph, or
        m4a, aac, opus ... (ffmpeg's, through PyAV)."""
        from pysteps.audio.filters import resample

        path.parent.mkdir(parents=True, exist_ok=True)
        samples = self.samples(speaker, number, seconds)
        if rate != RATE:
            samples = resample(samples, RATE, rate).astype(np.float32)
        kind = path.suffix.lower()[1:]
        if kind in ("sph", "wv1"):
            soundfile.write(path, samples, rate, format="NIST", subtype="PCM_16")
        elif kind in ("wav", "flac", "ogg", "mp3"):
            soundfile.write(path, samples, rate, format=kind.upper())
        else:
            from tests.test_audio_formats import encoded

            container, codec = {"m4a": ("ipod", "aac"), "aac": ("adts", "aac")}.get(kind, (kind, "libopus"))
            encoded(path, samples, rate, container, codec)
        return path


@cache
def _voices() -> list[Path]:
    return [path for path in sorted(SPEECH.iterdir()) if path.is_dir()]


@cache
def _heard(path: Path) -> np.ndarray:
    from pysteps.audio.filters import resample

    samples, rate = read_audio(path)
    return resample(samples, rate, RATE).astype(np.float32)


def recipe_of(name: str, root: Path, work: Path, *words: str) -> Run:
    """The resolved run of a recipe."""
    return resolve(REPO, parse(["--recipe", name, "--corpus", str(root), "--work", str(work), *words]))


def prepared(name: str, root: Path, work: Path, *words: str, **roots: Path) -> Path:
    """Stage 0 of recipe ``name`` without the pools of augmentation, validated; returns data/."""
    run = recipe_of(name, root, work, *words)
    script = importlib.import_module(f"local.{run.prepare}")
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(script, "prepare_pools"):
            patch.setattr(script, "prepare_pools", lambda *_: None)
        script.prepare(Corpus(root, roots, run.options["prepare"]["choices"]), work / "data", 0)
    validate(run)
    return work / "data"


def results_of(name: str, root: Path, work: Path, *words: str) -> dict[str, Any]:
    """./run.sh --recipe ``name`` with a tiny network over the tree, stages 0 to 9; its results.json.

    The trees hold a few utterances, so what is dropped is allowed for; copies are few.
    """
    settings = {**TINY, "augment.kinds": "noise", "audio.max_dropped": "0.3", "vad.max_dropped": "0.3"}
    options = [part for key, value in settings.items() for part in (f"--{key}", value)]
    where = ["--recipe", name, "--corpus", str(root), "--work", str(work), "--models", "ecapa512"]
    done = run_sh(*where, *options, *words)
    found = sorted((work / "exp").glob("*/results.json"))
    if len(found) != 1:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise AssertionError(f"{len(found)} results in {work}/exp")
    return json.loads(found[0].read_text("utf-8"))
