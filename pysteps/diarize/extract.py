"""X-vectors of the sliding windows of a run's recordings (needs torch)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..features.voiced import VoicedFeatures
from ..formats import arks
from ..formats.errors import InputError
from ..formats.frames import FrameGeometry
from ..formats.run import Run
from ..formats.tables import read_table, write_table
from .options import DiarizeOptions
from .windows import name_windows, sliding_windows, speech_regions


def geometry_of(run: Run) -> tuple[FrameGeometry, int]:
    """Frame geometry and sample rate of a run."""
    vad = run.options["vad"]
    geometry = FrameGeometry(vad["frame_length_ms"], vad["frame_shift_ms"], vad["snip_edges"])
    return geometry, run.options["audio"]["sample_rate"]


def extract_windows(
    run: Run, name: str, folder: Path, options: DiarizeOptions, model_folder: Path | None = None
) -> dict[str, int]:
    """Windows of the set ``name`` (whole recordings, stages 1, 2 and 4 done) and their x-vectors.

    Writes segments, xvector.ark, xvector.scp and dropped (windows with fewer voiced frames than the
    network needs) to ``folder``; the model is the run's, or that of ``model_folder`` if its features are
    the same. Returns how many windows and dropped ones there are. Features are normalised over the
    recording, as stage extract does it, and then cut.
    """
    import torch

    from ..extract.vectors import embed_all
    from ..features.contract import read, refuse_mismatch
    from ..models.model import embed, load_model, read_description

    torch.set_num_threads(1)
    source = model_folder or run.exp / "model"
    refuse_mismatch(read_description(source)["features"], read(run.of("features", name)), name)
    model = load_model(source).to("cuda" if torch.cuda.is_available() else "cpu")
    batch, longest = run.options["extract"]["batch_size"], run.options["extract"]["max_frames"]
    geometry, rate = geometry_of(run)
    table = read_table(run.of("vad", name) / "vad.scp")
    segments: dict[str, str] = {}
    dropped: dict[str, str] = {}
    with (
        VoicedFeatures(run, name) as voiced,
        arks.Archive() as archive,
        arks.writing(folder / "xvector.ark") as writer,
    ):
        for recording in voiced.utterances:
            decided = archive.array(table[recording], recording) > 0.5
            times = sliding_windows(
                speech_regions(decided, geometry, rate, options.least_gap),
                options.window,
                options.shift,
                options.least_window,
            )
            spans = _spans(decided, times, geometry, rate)
            matrix = voiced.matrix(recording)
            pieces = {}
            for window, (start, end), (first, last) in zip(
                name_windows(recording, times), times, spans, strict=True
            ):
                if last - first < model.min_frames:
                    dropped[window] = f"{last - first} voiced frames, the network needs {model.min_frames}"
                    continue
                segments[window] = f"{recording} {start:.3f} {end:.3f}"
                pieces[window] = matrix[first:last]
            vectors = embed_all(pieces, lambda group: embed(model, group), batch, longest)
            for window in sorted(vectors):
                writer.array(window, vectors[window])
    if not segments:
        raise InputError("no window long enough", where=folder, mend="a longer window")
    write_table(folder / "xvector.scp", writer.scp)
    write_table(folder / "segments", segments)
    write_table(folder / "dropped", dropped)
    return {"windows": len(segments), "dropped": len(dropped)}


def _spans(decided: np.ndarray, times: np.ndarray, geometry: FrameGeometry, rate: int) -> np.ndarray:
    # [N, 2]: the voiced frames, counted among themselves, whose middles lie in each window.
    frames = np.flatnonzero(decided)
    middles = (
        geometry.first_sample(0, rate) + frames * geometry.shift(rate) + geometry.length(rate) / 2
    ) / rate
    return np.searchsorted(middles, times)
