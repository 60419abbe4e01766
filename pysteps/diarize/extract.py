"""X-vectors of the sliding windows of a run's recordings (needs torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..features.voiced import VoicedFeatures
from ..formats import arks
from ..formats.errors import InputError
from ..formats.frames import FrameGeometry
from ..formats.run import Run
from ..formats.tables import read_table, write_table
from .options import DiarizeOptions
from .spoken import SpokenFeatures
from .windows import frame_middles, name_windows, sliding_windows, speech_regions

TABLES = ("segments", "xvector.scp", "dropped")


def geometry_of(run: Run) -> tuple[FrameGeometry, int]:
    """Frame geometry and sample rate of a run."""
    vad = run.options["vad"]
    geometry = FrameGeometry(vad["frame_length_ms"], vad["frame_shift_ms"], vad["snip_edges"])
    return geometry, run.options["audio"]["sample_rate"]


@dataclass(frozen=True)
class _Speech:
    """Features of a set, and ``of(recording)``: which frames are speech [frames], and the stretches of it."""

    features: VoicedFeatures
    of: Callable[[str], tuple[np.ndarray, Sequence[tuple[float, float]]]]


class WindowEmbedder:
    """A model, and how recordings are cut for it: x-vectors of windows, some recordings at a time.

    The model is the run's, or that of ``model_folder`` if its features are those of the sets ``names``.
    """

    def __init__(
        self, run: Run, names: Sequence[str], options: DiarizeOptions, model_folder: Path | None = None
    ) -> None:
        import torch

        from ..features.contract import read, refuse_mismatch
        from ..models.model import load_model, read_description

        torch.set_num_threads(1)
        source = model_folder or run.exp / "model"
        for name in names:
            refuse_mismatch(read_description(source)["features"], read(run.of("features", name)), name)
        self._run, self._options = run, options
        self._model = load_model(source).to("cuda" if torch.cuda.is_available() else "cpu")

    def write(self, name: str, recordings: Sequence[str] | None, path: Path) -> dict[str, dict[str, str]]:
        """Write the x-vectors of ``recordings`` (None: all) of the set ``name`` to the archive ``path``.

        Returns TABLES: the windows, where their x-vectors lie, and what was dropped: windows with fewer
        voiced frames than the network needs, recordings without a stretch of speech. A recording's windows
        are batched among themselves, so what else is in the archive changes none of their bytes.
        """
        segments: dict[str, str] = {}
        dropped: dict[str, str] = {}
        with self._speech(name) as speech, arks.writing(path) as writer:
            for recording in speech.features.utterances if recordings is None else recordings:
                found, pieces, short = self._cut(recording, speech)
                segments.update(found)
                dropped.update(short)
                vectors = self._embed(pieces)
                for window in sorted(vectors):
                    writer.array(window, vectors[window])
        return {"segments": segments, "xvector.scp": writer.scp, "dropped": dropped}

    @contextmanager
    def _speech(self, name: str) -> Iterator[_Speech]:
        geometry, rate = geometry_of(self._run)
        if self._options.speech == "reference":
            spoken = SpokenFeatures(self._run, name, geometry, rate)
            with spoken:
                yield _Speech(spoken, lambda one: (spoken.decided(one), spoken.regions(one)))
            return
        decisions, least_gap = read_table(self._run.of("vad", name) / "vad.scp"), self._options.least_gap
        with VoicedFeatures(self._run, name) as voiced, arks.Archive() as archive:

            def of(recording: str) -> tuple[np.ndarray, Sequence[tuple[float, float]]]:
                decided = archive.array(decisions[recording], recording) > 0.5
                return decided, speech_regions(decided, geometry, rate, least_gap)

            yield _Speech(voiced, of)

    def _cut(
        self, recording: str, speech: _Speech
    ) -> tuple[dict[str, str], dict[str, np.ndarray], dict[str, str]]:
        # Lines of segments, voiced frames of each window, and the windows too short with their reason.
        # Features are normalised over the recording, as stage extract does it, and then cut.
        options, least = self._options, self._model.min_frames
        geometry, rate = geometry_of(self._run)
        decided, regions = speech.of(recording)
        times = sliding_windows(regions, options.window, options.shift, options.least_window)
        if not len(times):
            return {}, {}, {recording: f"no stretch of speech of {options.least_window:g} s"}
        segments, pieces, dropped = {}, {}, {}
        matrix = speech.features.matrix(recording)
        for window, (start, end), (first, last) in zip(
            name_windows(recording, times), times, _spans(decided, times, geometry, rate), strict=True
        ):
            if last - first < least:
                dropped[window] = f"{last - first} voiced frames, the network needs {least}"
                continue
            segments[window] = f"{recording} {start:.3f} {end:.3f}"
            pieces[window] = matrix[first:last]
        return segments, pieces, dropped

    def _embed(self, pieces: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        from ..extract.vectors import embed_all
        from ..models.model import embed

        chosen = self._run.options["extract"]
        return embed_all(
            pieces, lambda group: embed(self._model, group), chosen["batch_size"], chosen["max_frames"]
        )


def extract_windows(
    run: Run, name: str, folder: Path, options: DiarizeOptions, model_folder: Path | None = None
) -> dict[str, int]:
    """Windows of the set ``name`` (whole recordings, stages 1, 2 and 4 done) and their x-vectors.

    Writes xvector.ark and TABLES to ``folder`` and returns how many windows and dropped ones there are. The
    model is the run's, or that of ``model_folder`` if its features are the same.
    """
    tables = WindowEmbedder(run, [name], options, model_folder).write(name, None, folder / "xvector.ark")
    if not tables["segments"]:
        raise InputError("no window long enough", where=folder, mend="a longer window")
    for table in TABLES:
        write_table(folder / table, tables[table])
    return {"windows": len(tables["segments"]), "dropped": len(tables["dropped"])}


def _spans(decided: np.ndarray, times: np.ndarray, geometry: FrameGeometry, rate: int) -> np.ndarray:
    # [N, 2]: the voiced frames, counted among themselves, whose middles lie in each window.
    frames = np.flatnonzero(decided)
    return np.searchsorted(frame_middles(frames, geometry, rate), times)
