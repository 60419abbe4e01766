"""Bad input is named and nothing else is lost, stage by stage, on real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pysteps.audio import stage as audio
from pysteps.formats import command
from pysteps.formats.datadir import check, mend
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.prepare import stage as prepare
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.vad import stage as vad
from tests.pipeline import REPO, SPEECH


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of one set ``train`` with eight good utterances; dev and eval are copies of it by name only."""
    words = ["--recipe", "folder", "--work", str(tmp_path), "--corpus", str(tmp_path)]
    made = resolve(REPO, parse(words))
    folder = made.data / "train"
    folder.mkdir(parents=True)
    speakers = sorted(path for path in SPEECH.iterdir() if path.is_dir())[:2]
    files = [file for speaker in speakers for file in sorted(speaker.iterdir())[:4]]
    add(folder, {file.stem: (str(file), file.parent.name) for file in files})
    object.__setattr__(made, "dev_set", "train")
    object.__setattr__(made, "eval_sets", [])
    return made


def add(folder: Path, utts: dict[str, tuple[str, str]]) -> None:
    for utt, (path, speaker) in utts.items():
        with open(folder / "wav.scp", "a") as wav, open(folder / "utt2spk", "a") as utt2spk:
            wav.write(f"{utt} {path}\n")
            utt2spk.write(f"{utt} {speaker}\n")


def do(stage: command.Sharded, run: Run) -> None:
    """Plan, one job, gather: what a step does."""
    _, todo = command.plan(stage, run)
    command.job(stage, run, todo, 1, 1)
    command.gather(stage, run)


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.wav"
    tone = 0.1 * np.sin(np.arange(32000) / 20)
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "headeronly":
        soundfile.write(path, np.zeros(0), 16000)
    elif kind == "truncated":
        path = path.with_suffix(".flac")
        soundfile.write(path, tone + 0.01 * np.random.default_rng(0).normal(size=32000), 16000)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "text":
        path.write_text("this is no audio\n" * 100)
    elif kind == "nan":
        soundfile.write(path, np.where(np.arange(32000) == 7, np.nan, tone), 16000, subtype="FLOAT")
    return path  # "missing" writes nothing


@pytest.mark.parametrize("kind", ["empty", "headeronly", "truncated", "text", "nan", "missing"])
def test_what_cannot_be_read_is_dropped_and_named(run: Run, tmp_path: Path, kind: str) -> None:
    path = bad_file(tmp_path, kind)
    add(run.data / "train", {"zz-bad": (str(path), "zz")})
    run.options["audio"]["max_dropped"] = 0.2
    do(audio, run)
    dropped = run.set("train").dropped()
    assert list(dropped) == ["zz-bad"]
    assert dropped["zz-bad"].startswith("audio ") and path.name in dropped["zz-bad"]
    kept = (run.of("audio", "train") / "wav.scp").read_text().splitlines()
    assert len(kept) == 8


def test_above_the_allowed_share_the_stage_fails(run: Run, tmp_path: Path) -> None:
    add(run.data / "train", {"zz-bad": (str(tmp_path / "nowhere.wav"), "zz")})
    said = r"1 of 9 .* dropped \(11.1%, allowed 1.0%\); first zz-bad.*--audio.max_dropped 0.112"
    with pytest.raises(InputError, match=said):
        do(audio, run)


def test_silence_is_dropped_by_the_vad(run: Run, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(48000), 16000)
    add(run.data / "train", {"zz-silence": (str(tmp_path / "silence.wav"), "zz")})
    run.options["vad"]["max_dropped"] = 0.2
    do(audio, run)
    do(vad, run)
    assert run.set("train").dropped() == {"zz-silence": "vad 0 voiced frames of 298, wanted 20"}


def test_unsorted_is_sorted_and_said(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    path = run.data / "train" / "utt2spk"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(reversed(lines)))
    do(audio, run)
    assert "was not sorted in the C locale; sorted it" in "".join(capfd.readouterr())
    assert path.read_text() == "".join(lines)
    assert len((run.of("audio", "train") / "wav.scp").read_text().splitlines()) == 8


def test_a_duplicate_utterance_stops_the_stage_with_file_and_line(run: Run) -> None:
    lines = (run.data / "train" / "wav.scp").read_text().splitlines()
    (run.data / "train" / "wav.scp").write_text("\n".join([*lines, lines[0]]) + "\n")
    with pytest.raises(InputError, match=r"wav.scp:9: .* is there twice"):
        command.plan(audio, run)


@pytest.mark.parametrize(("word", "said"), [("target", "only target"), ("nontarget", "only nontarget")])
def test_trials_of_one_kind_alone_are_refused(run: Run, word: str, said: str) -> None:
    data = run.set("train")
    one, two, *_ = sorted(data.utt2spk())
    (data.folder / "trials").write_text(f"{one} {two} {word}\n")
    mend(data)
    with pytest.raises(InputError, match=f"trials: {said} trials"):
        check(data)


def test_a_recipe_without_a_corpus_asks_for_one(run: Run) -> None:
    object.__setattr__(run, "corpus", "")  # which as a path would be the checkout
    with pytest.raises(InputError, match="--corpus FOLDER"):
        prepare.do(run, prepare.units(run)[0])


def test_segments_cut_what_they_say(run: Run) -> None:
    folder = run.data / "train"
    first = (folder / "wav.scp").read_text().split()
    speaker = (folder / "utt2spk").read_text().split()[1]
    (folder / "wav.scp").write_text(f"rec {first[1]}\n")
    (folder / "segments").write_text(f"{speaker}-a rec 0.50 1.25\n{speaker}-b rec 1.00 1.50\n")
    (folder / "utt2spk").write_text(f"{speaker}-a {speaker}\n{speaker}-b {speaker}\n")
    do(audio, run)
    durations = (run.of("audio", "train") / "utt2dur").read_text()
    assert durations == f"{speaker}-a 0.7500\n{speaker}-b 0.5000\n"
