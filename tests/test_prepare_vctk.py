"""egs/vctk: miniature corpora of versions 0.92 and 0.80, sets and trials worked out by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local import vctk
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests.corpora import Voices, prepared, results_of

INFO = """\
ID  AGE  GENDER  ACCENTS  REGION COMMENTS\x20
p225  23  F    English    Southern  England
p226  22  M    English    Surrey
p227  38  M    English    Cumbria
p228  22  F    English    Southern  England
p229  23  F    English    Southern  England
p230  22  F    English    Stockton-on-tees
p231  23  F    English    Southern  England
p232  23  M    English    Southern  England
p315  18  M    American    New England  (Text and mic2 files unavailable)
s5    24  F    British
"""
SPEAKERS = [line.split()[0] for line in INFO.splitlines()[1:]]
SENTENCES = ("001", "002", "025", "026", "027")


def build(root: Path, voices: Voices, old: bool = False) -> Path:
    """The corpus; sentence 001 is the same for all, the others are their reader's own."""
    for speaker in SPEAKERS:
        for number, sentence in enumerate(SENTENCES):
            stem = f"{speaker}_{sentence}"
            text = "Please call Stella." if sentence == "001" else f"{speaker} says {sentence}."
            if speaker != "p315":
                (root / "txt" / speaker).mkdir(parents=True, exist_ok=True)
                (root / "txt" / speaker / f"{stem}.txt").write_text(text + "\n")
            mics = ("",) if old else ("_mic1",) if speaker == "p315" else ("_mic1", "_mic2")
            for mic in mics:
                folder = root / ("wav48" if old else "wav48_silence_trimmed") / speaker
                voices.write(
                    folder / f"{stem}{mic}.{'wav' if old else 'flac'}", speaker, number, 2.0, rate=48000
                )
    (root / "speaker-info.txt").write_text(INFO.replace("\np", "\n") if old else INFO)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The silent miniature corpus, 0.92."""
    return build(tmp_path / "VCTK-Corpus-0.92", Voices(real=False))


def speakers_of(folder: Path) -> set[str]:
    return set(read_table(folder / "spk2utt"))


def test_speakers_are_held_out_by_a_draw_within_genders(tree: Path, tmp_path: Path) -> None:
    data = prepared("vctk", tree, tmp_path / "work")
    sets = {name: speakers_of(data / name) for name in ("train", "dev", "eval")}
    assert [len(sets[name]) for name in sets] == [6, 2, 2]
    assert set().union(*sets.values()) == set(SPEAKERS) and "p315" in sets["train"]  # no text, no trials
    assert sorted(read_table(data / "dev" / "spk2gender").values()) == ["f", "m"]
    wav = read_table(data / "train" / "wav.scp") | read_table(data / "eval" / "wav.scp")
    wav |= read_table(data / "dev" / "wav.scp")
    assert wav["p225-001"].endswith("VCTK-Corpus-0.92/wav48_silence_trimmed/p225/p225_001_mic1.flac")
    assert len(wav) == 50
    accents = read_table(data / "train" / "utt2accent") | read_table(data / "eval" / "utt2accent")
    accents |= read_table(data / "dev" / "utt2accent")
    assert (accents["p225-001"], accents["p315-001"], accents["s5-001"]) == ("English", "American", "British")


def test_a_sentence_that_two_read_is_in_no_trial(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(tree / "txt" / "p232")
    held = {"p225": "dev", "p226": "dev", "p228": "eval", "p229": "eval", "p232": "eval"}
    monkeypatch.setattr(vctk, "held_out", lambda *_, **__: held)
    data = prepared("vctk", tree, tmp_path / "work")
    lines = [line.split() for line in (data / "eval" / "trials").read_text().splitlines()]
    # four sentences each of p228 and p229 (001 is everybody's), none of p232 (no text): 2 x 6, and 4 x 4
    assert len(lines) == 12 + 16 and sum(kind == "target" for *_, kind in lines) == 12
    assert not any(
        utt.endswith("-001") or utt.startswith("p232") for one, two, _ in lines for utt in (one, two)
    )
    assert len((data / "eval" / "trials.gender").read_text().splitlines()) == 28  # both are women
    assert not (data / "dev" / "trials.gender").exists()
    said = capsys.readouterr()
    assert "eval: 5 of 15 utterances have no text in txt/ and are in no trial" in said.err
    assert "eval: 7 utterances are in no trial" in said.out


def test_the_other_microphone_is_a_choice(tree: Path, tmp_path: Path) -> None:
    data = prepared("vctk", tree, tmp_path / "work", "--prepare.choices.mic", "mic2")
    names = [speakers_of(data / name) for name in ("train", "dev", "eval")]
    assert set().union(*names) == set(SPEAKERS) - {"p315"}
    assert set(read_table(data / "train" / "utt2channel").values()) == {"mic2"}
    with pytest.raises(InputError, match=r"prepare.choices.mic: 'mic3' is none of mic1, mic2"):
        vctk.prepare(Corpus(tree, {}, {"mic": "mic3"}), tmp_path / "data", 0)


def test_version_080_has_its_own_names(tmp_path: Path) -> None:
    old = build(tmp_path / "VCTK-Corpus", Voices(real=False), old=True)
    data = prepared("vctk", tmp_path, tmp_path / "work")
    wav = [read_table(data / name / "wav.scp") for name in ("train", "dev", "eval")]
    assert {"p225-001", "p315-027"} < {utt for table in wav for utt in table}
    assert all(path.startswith(str(old / "wav48")) for table in wav for path in table.values())
    with pytest.raises(InputError, match=r"0.80 \(wav48\) has one microphone, mic1.*get VCTK-Corpus-0.92"):
        vctk.prepare(Corpus(old, {}, {"mic": "mic2"}), tmp_path / "data", 0)


def test_what_is_missing_or_differs_is_said(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "speaker-info.txt").write_text(INFO.replace("p232  23  M", "p999  23  M"))
    prepared("vctk", tree, tmp_path / "work")
    said = capsys.readouterr().err
    assert "warning: VCTK mic1: 10 speakers, its README has 110\n" in said
    assert "speaker-info.txt: 1 speakers are not listed: p232" in said
    (tree / "speaker-info.txt").write_text(INFO.replace("23  F", "23  X", 1))
    with pytest.raises(InputError, match=r"speaker-info.txt:2.*not `ID AGE GENDER"):
        vctk.prepare(Corpus(tree), tmp_path / "data", 0)
    shutil.rmtree(tree / "txt")
    with pytest.raises(
        InputError, match=r"no txt here; found speaker-info.txt, wav48_silence_trimmed/.*unpack"
    ):
        vctk.prepare(Corpus(tree), tmp_path / "data", 0)
    shutil.rmtree(tree / "wav48_silence_trimmed")
    (tree / "VCTK-Corpus-0.92.zip").touch()
    said = (
        r"no wav48_silence_trimmed \(0.92\) and no wav48 \(0.80\) here; found VCTK-Corpus-0.92.zip.*unpack V"
    )
    with pytest.raises(InputError, match=said):
        vctk.prepare(Corpus(tree), tmp_path / "data", 0)
    (tree / "wav48_silence_trimmed").mkdir()
    (tree / "txt").mkdir()
    (tree / "speaker-info.txt").write_text(INFO)
    with pytest.raises(InputError, match=r"no SPEAKER/SPEAKER_NNN_mic1.flac in wav48_silence_trimmed"):
        vctk.prepare(Corpus(tree), tmp_path / "data", 0)


@pytest.mark.long
def test_the_recipe_runs_from_the_corpus_to_eer(tmp_path: Path) -> None:
    results = results_of("vctk", build(tmp_path / "VCTK", Voices()), tmp_path / "work")
    assert "eval" in results["trials"]
