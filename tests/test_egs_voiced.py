"""How often recordings are read for egs of audio, and how many are held."""

from __future__ import annotations

import json
import weakref
from pathlib import Path

import numpy as np
import pytest

from pysteps.augment.audio import Audio
from pysteps.egs.cut import ChunkGeometry
from pysteps.egs.reader import parse_audio
from pysteps.egs.voiced import VoicedAudio
from pysteps.egs.write import Chunk, audio_cutter
from pysteps.formats.frames import FrameGeometry
from pysteps.formats.tables import read_table, write_table
from tests.test_egs_audio import SHIFT, literal_cut, tiny_run


def test_copies_share_one_cache_and_hold_one_recording_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run(tmp_path, "--augment.kinds", "[volume,clip]")
    chains = {"volume": {"kind": "volume", "gain_db": 0.0}, "clip": {"kind": "clip", "share": 0.1}}
    for kind, how in chains.items():
        audio = read_table(run.audio_scp("train"))
        write_table(run.data / f"train_{kind}" / "wav.scp", audio)
        drawn = json.dumps({"of": "", "chain": [how], "written": False})
        write_table(run.data / f"train_{kind}" / "augment", dict.fromkeys(audio, drawn))
        decided = read_table(run.of("vad", "train") / "vad.scp")
        write_table(run.of("vad", f"train_{kind}") / "vad.scp", decided)
    held: list[weakref.ref[np.ndarray]] = []
    loads, samples = set(), Audio.samples
    carry_out = Audio.augmented

    def counted(self: Audio, utt: str) -> np.ndarray:
        assert all(array() is None for array in held)  # what was read before is let go of first
        array = samples(self, utt)
        held.append(weakref.ref(array))
        return array

    def spied(self: Audio, utt: str, chain: object, load: object) -> np.ndarray:
        loads.update({id(load.__self__)} if chain else ())  # type: ignore[attr-defined]
        return carry_out(self, utt, chain, load)  # type: ignore[arg-type]

    monkeypatch.setattr(Audio, "samples", counted)
    monkeypatch.setattr(Audio, "augmented", spied)
    geometry = ChunkGeometry(FrameGeometry(), 16000)
    with VoicedAudio(run, ["train", "train_volume", "train_clip"], geometry) as voiced:
        sets = ("train", "train_volume", "train_clip")
        clean, loud, clipped = (voiced.chunk(name, "s0-0", 0, 800)[0] for name in sets)
        assert np.array_equal(clean, loud) and not np.array_equal(clean, clipped)
    assert len(held) == 3 and len(loads) == 1


def test_a_recording_is_read_once_an_archive_and_chunks_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run(tmp_path)
    geometry = ChunkGeometry(FrameGeometry(), 16000)
    read, samples = [], Audio.samples
    monkeypatch.setattr(Audio, "samples", lambda self, utt: [read.append(utt), samples(self, utt)][1])
    utts = ("s1-0", "s0-0", "s2-1")
    chunks = [Chunk(f"{n}-{utt}@{n}", "train", utt, n, 20) for n in range(3) for utt in utts]
    audio_cutter(run, ["train"], geometry, {})(tmp_path / "train.1.ark", chunks)
    keys, found = parse_audio((tmp_path / "train.1.ark").read_bytes(), "here")
    assert sorted(read) == ["s0-0", "s1-0", "s2-1"] and keys == [chunk.key for chunk in chunks]
    for chunk, row in zip(chunks, found, strict=True):
        first = chunk.start * SHIFT
        assert np.array_equal(row, literal_cut(run, chunk.utt)[first : first + len(row)])
