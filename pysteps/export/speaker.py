"""A trained model for those who only want to use it: recordings to x-vectors, and how alike two are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..formats.errors import InputError
from ..formats.records import read_json
from .classes import Posteriors, places
from .compare import Comparison
from .engines import Engine, Vector, onnx_engine, torch_engine
from .heard import Samples, recording


class SpeakerModel:
    """Made by ``from_dir`` or ``from_onnx``.

    ``embed`` gives the x-vectors that stages 1 to 7 of the pipeline give, ``similarity`` the scores of stage
    9: the code is theirs. ``scorer`` says what a similarity is, ``facts`` what the model is, ``sample_rate``
    (Hz) what everything is resampled to, ``notes`` what to know before using it. Of a run with ``labels``,
    ``posteriors`` says how likely each class is.
    """

    def __init__(self, engine: Engine, comparison: Comparison) -> None:
        self._engine, self._comparison = engine, comparison
        alike = f"{comparison.name}: of {engine.labels}, not of voices" if engine.labels else comparison.name
        self.facts: dict[str, Any] = {**engine.facts, "similarity": alike}
        self.sample_rate: int = engine.heard.audio.sample_rate
        self.scorer: str = alike
        self.notes: tuple[str, ...] = engine.notes

    @classmethod
    def from_dir(
        cls,
        folder: str | Path,
        *,
        backend: str | None = None,
        device: str = "cpu",
        precision: str = "fp32",
    ) -> SpeakerModel:
        """A run (exp/TAG) or a model's folder alone (model.json and model.safetensors); needs torch.

        ``backend``: the back end of the run that ``similarity`` scores with, ``none`` for the cosine of the
        x-vectors, or None for the first calibrated one by name and else the cosine. ``precision``: fp32, or
        bf16 for products in 16 bits (docs/export.md). InputError for a folder that is neither, and for a
        back end that is not there or needs more than two x-vectors.
        """
        run, model = places(folder)
        if not (model / "model.json").is_file():
            raise _no_model(Path(folder))
        extra: dict[str, Any] = _extraction(run) if run == Path(folder) else {}
        engine = torch_engine(model, device=device, run=run, precision=precision, **extra)
        if not engine.labels:
            return cls(engine, Comparison.of_run(run, backend))
        if backend not in (None, "none"):
            said = f"back end {backend!r}: this network tells {engine.labels} apart, not voices"
            raise InputError(said, where=folder, mend="leave it out; posteriors, or timbre classify")
        return cls(engine, Comparison())

    @classmethod
    def from_onnx(
        cls, file: str | Path, *, backend: str | Path | None = None, threads: int = 1
    ) -> SpeakerModel:
        """A file that ``export onnx`` or ``export int8`` wrote, features included; needs no torch.

        ``backend``: the folder of a back end (exp/TAG/backend/NAME), or None for the cosine.
        """
        if backend is not None and not (Path(backend) / "chain.json").is_file():
            said = "no back end's folder: beside a .onnx file one is wanted"
            raise InputError(said, where=backend, mend="exp/TAG/backend/NAME, or none for the cosine")
        chosen = Comparison() if backend is None else Comparison.load(backend)
        return cls(onnx_engine(Path(file), threads), chosen)

    @classmethod
    def load(
        cls, place: str | Path, *, backend: str | None = None, precision: str | None = None
    ) -> SpeakerModel:
        """``from_onnx`` for a file NAME.onnx, else ``from_dir``; InputError for what is neither."""
        if Path(place).suffix == ".onnx":
            if precision is not None:
                mend = "python -m pysteps.export int8 writes a smaller one"
                raise InputError("a .onnx file has a precision of its own", where=place, mend=mend)
            return cls.from_onnx(place, backend=None if backend in (None, "none") else backend)
        return cls.from_dir(place, backend=backend, precision=precision or "fp32")

    def embed(self, source: str | Path | ArrayLike, sample_rate: int | None = None) -> Vector:
        """The x-vector, float32 [xvector], of a recording's first channel.

        ``source``: a file (wav, flac, ogg, mp3, m4a, ...), or samples [time] in [-1, 1) (or int16) at
        ``sample_rate`` Hz. InputError for what cannot be read, holds NaN, or has too little speech.
        """
        samples, where = self._heard(source, sample_rate)
        found = self._engine.embed(samples, where)
        if not np.isfinite(found).all():
            raise InputError("the x-vector is not finite", where=where)
        return found

    @property
    def classifies(self) -> bool:
        """Whether there are ``posteriors``."""
        return self._engine.classify is not None

    def posteriors(self, source: str | Path | ArrayLike, sample_rate: int | None = None) -> Posteriors:
        """How likely each class is, by its name in C-locale order: of a run with ``labels``.

        Those of stage 7's posterior.scp: the softmax of the training's loss, without margin. ``source`` as
        for ``embed``. InputError for a network of speakers, and as ``embed``.
        """
        if self._engine.classify is None:
            said = "this model tells speakers apart: it has no classes"
            mend = "a recipe with labels trains one that has: docs/classify.md"
            if self._engine.labels:
                said, mend = "this file has no posteriors", "export it again from its run"
            raise InputError(said, mend=mend)
        found = self._engine.classify(*self._heard(source, sample_rate))
        if not np.isfinite(list(found.values())).all():
            raise InputError("a posterior is not finite")
        return found

    def _heard(self, source: str | Path | ArrayLike, sample_rate: int | None) -> tuple[Samples, object]:
        where = source if isinstance(source, (str, Path)) else "the samples given"
        return recording(source, sample_rate, self._engine.heard.audio), where

    def similarity(self, a: str | Path | ArrayLike, b: str | Path | ArrayLike) -> float:
        """How much says that one person speaks in both: two files, two x-vectors, or one of each.

        ``scorer`` says on what scale: a cosine from -1 to 1, or a natural-log likelihood ratio, above 0 for
        the same person where both are as likely beforehand.
        """
        first, second = (self.embed(one) if isinstance(one, (str, Path)) else one for one in (a, b))
        return self._comparison.score(first, second)


def _no_model(place: Path) -> InputError:
    mend = "--model takes a run, a model's folder or a .onnx file; a .pt2 is for other programs"
    if not place.exists():
        return InputError("no such file or folder", where=place, mend=mend)
    return InputError("no trained model" if place.is_dir() else "not a model", where=place, mend=mend)


def _extraction(folder: Path) -> dict[str, Any]:
    # How long an utterance stage 7 took whole is an option of the run, not of the model.
    if not (folder / "run.json").is_file():
        return {}
    said = read_json(folder / "run.json", "the run", mend="./run.sh writes it")
    try:
        return {"max_frames": int(said["options"]["extract"]["max_frames"])}
    except (KeyError, TypeError, ValueError):
        return {}
