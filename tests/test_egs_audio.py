"""Egs of audio: a chunk is the voiced samples that a literal cut gives, long enough at every speed."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pysteps.egs import stage
from pysteps.egs.cut import ChunkGeometry, voiced_samples
from pysteps.egs.reader import parse_audio, read_archive, read_audio_archive, read_plan
from pysteps.features.cmvn import cmvn_stats
from pysteps.features.fbank import Fbank, compute
from pysteps.features.options import FbankOptions
from pysteps.formats import arks, command
from pysteps.formats.errors import InputError
from pysteps.formats.frames import FrameGeometry
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table, write_table
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import REPO

SHIFT, LENGTH = 160, 400


def tiny_run(work: Path, *words: str) -> Run:
    """A run whose training set is 6 speakers with 3 recordings of noise each; every third frame is voiced."""
    settings = ["--egs.kind", "audio", "--egs.min_seconds", "0.3", "--egs.max_seconds", "0.5"]
    settings += ["--egs.archive_chunks", "8", "--augment.kinds", "[]"]
    run = resolve(REPO, parse(["--recipe", "folder", "--work", str(work), *settings, *words]))
    folder, rng = run.data / "train", np.random.default_rng(0)
    utts = {f"s{s}-{n}": f"s{s}" for s in range(6) for n in range(3)}
    folder.mkdir(parents=True)
    write_table(folder / "utt2spk", utts)
    frames = {utt: int(rng.integers(220, 400)) for utt in utts}
    voiced = {utt: rng.random(count) < 0.5 for utt, count in frames.items()}
    with arks.writing(run.of("audio", "train") / "audio.1.ark") as audio:
        for utt, count in frames.items():
            noise = rng.normal(0, 3000, (count - 1) * SHIFT + LENGTH + int(rng.integers(SHIFT)))
            audio.audio(utt, noise.astype(np.int16), 16000)
    write_table(run.of("audio", "train") / "wav.scp", audio.scp)
    with arks.writing(run.of("vad", "train") / "vad.1.ark") as vad:
        for utt, decisions in voiced.items():
            vad.array(utt, decisions.astype(np.float32))
    write_table(run.of("vad", "train") / "vad.scp", vad.scp)
    counts = {utt: str(int(decisions.sum())) for utt, decisions in voiced.items()}
    write_table(run.of("vad", "train") / "utt2num_voiced", counts)
    return run


def make_egs(run: Run) -> Path:
    """Stage egs as ./run.sh runs it, one job."""
    _, todo = command.plan(stage, run)
    command.job(stage, run, todo, 1, 1)
    command.gather(stage, run)
    return run.egs


def literal_cut(run: Run, utt: str) -> np.ndarray:
    """All voiced audio of an utterance, frame by frame; the last frame with its tail."""
    with arks.Archive() as archive:
        decisions = archive.array(read_table(run.of("vad", "train") / "vad.scp")[utt], utt)
        data = archive.at(read_table(run.of("audio", "train") / "wav.scp")[utt], utt).read()
    size = int.from_bytes(data[40:44], "little")
    samples = np.frombuffer(data[44 : 44 + size], np.int16)
    pieces, last = [], max(t for t in range(len(decisions)) if decisions[t] == 1)
    for t in range(len(decisions)):
        if decisions[t] == 1:
            pieces.append(samples[t * SHIFT : t * SHIFT + (LENGTH if t == last else SHIFT)])
    return np.concatenate(pieces)


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("frames", [1, 2, 77])
def test_a_chunk_has_the_fewest_samples_that_its_frames_need(snip_edges: bool, frames: int) -> None:
    frame = FrameGeometry(25, 10, snip_edges)
    count = ChunkGeometry(frame, 16000).samples(frames)
    assert frame.num_frames(count, 16000) == frames
    assert frame.num_frames(count - 1, 16000) == frames - 1


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("factor", [1.0, 1.1, 1.25, 2.0])
def test_every_planned_chunk_lies_inside_the_voiced_audio(factor: float, snip_edges: bool) -> None:
    geometry = ChunkGeometry(FrameGeometry(25, 10, snip_edges), 8000, factor)
    for voiced in [1, 2, 3, 50, *range(200, 260)]:
        fitting = geometry.fitting(voiced)
        end = geometry.samples(voiced)
        for frames in range(1, fitting + 1, 7):
            start = int(geometry.place(np.asarray([fitting - frames]))[0])
            left = end - (start * 80 + geometry.stored(frames))
            assert 0 <= left <= 80 * (factor + 1) + 1  # the last chunk reaches the end but for a frame or two
        # One frame more would not have fitted.
        assert Fraction(str(factor)) * geometry.samples(fitting + 1) > end
        assert fitting == 0 or geometry.fitting(geometry.needed(fitting)) >= fitting
        assert geometry.needed(fitting + 1) > voiced


def test_without_other_speeds_a_voiced_frame_is_a_planned_frame() -> None:
    geometry = ChunkGeometry(FrameGeometry(), 16000)
    assert [geometry.fitting(n) for n in (0, 1, 2, 300)] == [0, 1, 2, 300]
    assert geometry.place(np.asarray([0, 7])).tolist() == [0, 7] and geometry.needed(31) == 31


def test_a_stored_chunk_is_rounded_up_to_whole_samples() -> None:
    assert ChunkGeometry(FrameGeometry(), 22050, 1.1).stored(1) == 607  # 551 samples, 606.1 at 1.1


def test_unvoiced_shifts_are_cut_out_and_the_last_frame_keeps_its_tail() -> None:
    # Frames 1, 2 and 5 of shift 4: samples 4-11, then 20-23 and a tail of 2.
    found = voiced_samples(np.asarray([1, 2, 5]), 0, 14, 4)
    assert found.tolist() == [4, 5, 6, 7, 8, 9, 10, 11, 20, 21, 22, 23, 24, 25]
    assert voiced_samples(np.asarray([1, 2, 5]), 1, 6, 4).tolist() == [8, 9, 10, 11, 20, 21]


def test_the_stored_chunks_are_a_literal_cut_of_the_recordings(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    folder = make_egs(run)
    plan, seen = read_plan(folder), 0
    assert plan.kind == "audio" and plan.feature_dim == 80 and plan.num_speakers == 6
    for info in plan.archives:
        keys, chunks, labels = read_audio_archive(folder, info)
        assert chunks.dtype == np.int16 and chunks.shape == (info.chunks, (info.frames - 1) * SHIFT + LENGTH)
        for key, chunk, label in zip(keys, chunks, labels, strict=True):
            utt, start = key.split("-", 1)[1].split("@")
            first = int(start) * SHIFT
            assert np.array_equal(chunk, literal_cut(run, utt)[first : first + len(chunk)])
            assert plan.speakers[label] == utt[:2]
            seen += 1
    assert seen >= 15


@pytest.mark.parametrize("dither", [0.0, 1000.0])
def test_held_out_chunks_are_features_of_the_clean_cut(tmp_path: Path, dither: float) -> None:
    run = tiny_run(tmp_path, "--features.dither", str(dither), "--features.seed", "3")
    folder = make_egs(run)
    (info,) = read_plan(folder).valid
    features, _ = read_archive(folder, info)
    keys = list(read_table(folder / "valid.1.lab"))
    for key, found in zip(keys, features, strict=True):
        utt, start = key.split("-", 1)[1].split("@")
        first = int(start) * SHIFT
        cut = literal_cut(run, utt)[first : first + (info.frames - 1) * SHIFT + LENGTH] / np.float32(32768)
        wanted = compute(cut, Fbank(FbankOptions(dither=dither)), utt=key, seed=3)
        stats = cmvn_stats(wanted)
        assert np.abs(found - (wanted - stats[0, :-1] / len(wanted))).max() < 1e-3  # stored in two bytes


def test_copies_are_cut_too_and_their_clipped_samples_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny_run(tmp_path, "--augment.kinds", "[volume]")
    utts, audio = read_table(run.data / "train" / "utt2spk"), read_table(run.audio_scp("train"))
    louder = [{"kind": "volume", "gain_db": 20.0}]
    chain = {utt: json.dumps({"of": utt, "chain": louder, "written": False}) for utt in utts}
    for name, table in (("utt2spk", utts), ("wav.scp", audio), ("augment", chain)):
        write_table(run.data / "train_volume" / name, {f"{utt}-volume": table[utt] for utt in utts})
    for name in ("vad.scp", "utt2num_voiced"):
        table = read_table(run.of("vad", "train") / name)
        write_table(run.of("vad", "train_volume") / name, {f"{utt}-volume": table[utt] for utt in utts})
    egs, clipped, copies = make_egs(run), 0, set()
    for info in read_plan(egs).archives:
        keys, chunks, _ = read_audio_archive(egs, info)
        for key, chunk in zip(keys, chunks, strict=True):
            utt, start = key.split("-", 1)[1].split("@")
            first, copied = int(start) * SHIFT, utt.endswith("-volume")
            clean = literal_cut(run, utt.removesuffix("-volume"))[first : first + len(chunk)]
            loud = clean.astype(np.float64) * (10 if copied else 1)
            assert np.abs(chunk - loud.clip(-32768, 32767)).max() <= 1
            clipped += int(((loud > 32767.5) | (loud < -32768.5)).sum())
            copies |= {utt} if copied else set()
    assert len(copies) >= 15 and clipped > 1000
    assert f"egs: {clipped} samples of copies were clipped" in capsys.readouterr().err


def test_speeds_give_longer_chunks_and_speakers_of_their_own(tmp_path: Path) -> None:
    words = ["--augment.when", "training", "--augment.kinds", "[speed0.9,speed1.1]"]
    folder = make_egs(tiny_run(tmp_path, *words))
    plan = read_plan(folder)
    assert plan.num_speakers == 18 and plan.speakers[:3] == ["s0", "s0-speed0.9", "s0-speed1.1"]
    for info in plan.archives:
        _, chunks, labels = read_audio_archive(folder, info)
        needed = (info.frames - 1) * SHIFT + LENGTH
        assert chunks.shape[1] == -(-needed * 11 // 10)
        assert {plan.speakers[label] for label in labels} <= {f"s{n}" for n in range(6)}
    (info,) = plan.valid
    assert read_archive(folder, info)[0].shape[1:] == (30, 80)


def test_a_speaker_that_is_called_like_a_voice_at_another_speed_is_refused(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "--augment.when", "training", "--augment.kinds", "[speed0.9]")
    table = read_table(run.data / "train" / "utt2spk")
    write_table(run.data / "train" / "utt2spk", {**table, "s1-0": "s0-speed0.9"})
    with pytest.raises(InputError, match="speed_speakers same"):
        command.plan(stage, run)


def test_another_snr_in_training_cuts_no_chunk_again_but_another_speed_does(tmp_path: Path) -> None:
    words = ["--augment.when", "training", "--augment.kinds", "[noise]"]
    run = tiny_run(tmp_path, *words)
    make_egs(run)

    def stale(*more: str) -> str | None:
        options = ["--recipe", "folder", "--work", str(tmp_path), "--egs.kind", "audio", *words]
        options += ["--egs.min_seconds", "0.3", "--egs.max_seconds", "0.5", "--egs.archive_chunks", "8"]
        (unit,) = stage.units(resolve(REPO, parse([*options, *more])))
        return unit.stale()

    assert stale("--augment.noise_snr", "[3,5]") is None
    assert "factor" in str(stale("--augment.kinds", "[noise,speed1.1]"))


def test_what_makes_features_of_audio_is_in_the_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options(*words: str) -> dict[str, object]:
        (unit,) = stage.units(resolve(REPO, parse(["--recipe", "folder", "--work", str(tmp_path), *words])))
        return unit.options

    audio, dither = ("--egs.kind", "audio"), ("--features.dither", "1")
    # Two seeds of the dither give two sets of held-out chunks; without dither there is nothing to draw.
    assert options(*audio, *dither) != options(*audio, *dither, "--features.seed", "1")
    assert options(*audio) == options(*audio, "--features.seed", "1")
    before = options(*audio), options()
    monkeypatch.setattr("pysteps.features.stage.VERSION", 99)
    assert options(*audio) != before[0] and options() == before[1]  # egs of features have stage 4's stamps


@pytest.mark.parametrize("speed", [[], ["--augment.when", "training", "--augment.kinds", "[speed1.5]"]])
def test_a_held_out_utterance_that_gives_a_chunk_is_not_short(tmp_path: Path, speed: list[str]) -> None:
    run = tiny_run(tmp_path, "--egs.valid_share", "0.4", *speed)
    voiced = run.of("vad", "train") / "utt2num_voiced"
    # 40 voiced frames are enough for a chunk of 30, and not where it is 1.5 times as long.
    write_table(voiced, {utt: "40" if utt.endswith("-1") else "200" for utt in read_table(voiced)})
    (unit,) = stage.units(run)
    stage.items(run, unit)
    valid = {key.split("-", 1)[1].split("@")[0] for key in read_table(run.egs / "plan" / "valid.1")}
    short = read_table(run.egs / "short")
    assert any(utt.endswith("-1") for utt in valid) and not valid & set(short)
    others = {utt: "40" for utt in read_table(voiced) if utt.endswith("-1") and utt not in valid}
    assert short == (others if speed else {})


def test_vad_of_a_longer_recording_is_refused(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    audio = run.of("audio", "train")
    with arks.writing(audio / "audio.2.ark") as writer:
        writer.audio("s0-0", np.ones(20000, np.int16), 16000)
    write_table(audio / "wav.scp", {**read_table(audio / "wav.scp"), **writer.scp})
    with pytest.raises(InputError, match="s0-0: 20000 samples, but the VAD's frames reach to"):
        make_egs(run)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-2], "uneven or cut"),
        (lambda data: data.replace(b"RIFF", b"RAFF"), "not an archive of audio"),
        (lambda data: data[:20], "not an archive of audio"),
        (lambda data: b"nospace", "not an archive of audio"),
        (lambda data: b"", "empty"),
    ],
)
def test_a_damaged_archive_of_audio_is_refused(tmp_path: Path, change: object, said: str) -> None:
    path = tmp_path / "train.1.ark"
    with arks.writing(path) as writer:
        for key in ("a", "b"):
            writer.audio(key, np.arange(50, dtype=np.int16), 16000)
    keys, chunks = parse_audio(path.read_bytes(), path)
    assert keys == ["a", "b"] and (chunks == np.arange(50)).all()
    with pytest.raises(InputError, match=said):
        parse_audio(change(path.read_bytes()), path)  # type: ignore[operator]


def test_training_augments_audio_only() -> None:
    with pytest.raises(InputError, match=r"egs are of features.*--egs.kind audio"):
        resolve(REPO, parse(["--recipe", "folder", "--augment.when", "training"]))


def test_an_unknown_kind_of_egs_is_refused() -> None:
    with pytest.raises(InputError, match="one of features, audio"):
        resolve(REPO, parse(["--recipe", "folder", "--egs.kind", "sound"]))


def test_the_contract_travels_with_the_egs(tmp_path: Path) -> None:
    folder = make_egs(tiny_run(tmp_path))
    contract = json.loads((folder / "contract.json").read_text())
    assert contract["dim"] == 80 and contract["features"]["kind"] == "fbank"
