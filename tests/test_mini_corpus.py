"""egs/mini: what is shipped is what its README promises; stage 0 makes data directories of it."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from collections import Counter
from math import comb
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from local import augmentation
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def corpus() -> Path:
    return Path(__file__).resolve().parent.parent / "egs" / "mini" / "corpus"


@pytest.fixture(scope="module")
def speakers(corpus: Path) -> dict[str, dict[str, str]]:
    return {row["speaker"]: row for row in rows(corpus / "speakers.tsv")}


@pytest.fixture(scope="module")
def utterances(corpus: Path) -> list[dict[str, str]]:
    return rows(corpus / "utterances.tsv")


@pytest.fixture(scope="module")
def mini(repo: Path) -> ModuleType:
    return load(repo / "local" / "mini.py")


@pytest.fixture(scope="module")
def data(repo: Path, corpus: Path, mini: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage 0 on the shipped corpus, run from the repository's root as run.sh does."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repo)
        mini.prepare(Corpus(corpus), folder, 0)
    return folder


def who(utterance: str) -> str:
    return utterance.rpartition("-")[0]


def test_there_are_64_people_with_6_utterances_each(speakers, utterances) -> None:
    counts = Counter(who(row["utterance"]) for row in utterances)
    assert set(counts) == set(speakers)
    assert len(counts) >= 64
    assert min(counts.values()) >= 6
    assert sum(count >= 10 for count in counts.values()) > 0.9 * len(counts)


def test_every_file_is_16_khz_mono_opus_of_2_to_5_s(corpus: Path, utterances) -> None:
    for row in utterances:
        info = soundfile.info(corpus / row["file"])
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "OPUS"), row["file"]
        assert 2.0 <= info.duration <= 5.0, row["file"]
        assert abs(info.duration - float(row["seconds"])) < 0.006, row["file"]


def test_files_decode_whole_and_are_neither_clipped_nor_silent(corpus: Path, utterances) -> None:
    for row in utterances[::7]:
        audio, rate = soundfile.read(corpus / row["file"])
        assert abs(len(audio) / rate - float(row["seconds"])) < 0.006, row["file"]
        rms = 10 * np.log10(np.mean(audio**2))
        assert -35 < rms < -18, f"{row['file']}: {rms:.1f} dBFS"
        assert np.abs(audio).max() <= 1.0


def test_the_corpus_is_at_most_15_mb_and_all_listed(corpus: Path, utterances) -> None:
    assert sum(path.stat().st_size for path in corpus.rglob("*") if path.is_file()) <= 15_000_000
    listed = {row["file"] for row in utterances} | {row["file"] for row in rows(corpus / "musan.tsv")}
    assert listed == {path.relative_to(corpus).as_posix() for path in corpus.rglob("*.opus")}


def test_one_folder_a_speaker_and_the_queen_apart(corpus: Path, speakers, utterances) -> None:
    for row in utterances:
        queen = row["package"] == "flight-of-the-amazon-queen"
        folder = "speech-queen" if queen else "speech"
        assert row["file"] == f"{folder}/{who(row['utterance'])}/{row['utterance']}.opus"
    folders = [path.name for part in ("speech", "speech-queen") for path in (corpus / part).iterdir()]
    assert set(folders) - {"readme.txt", "MODIFIED.txt"} == set(speakers)


def test_every_voice_noise_and_piece_of_music_has_its_licence(corpus: Path, speakers) -> None:
    packages = {row["package"]: row for row in rows(corpus / "packages.tsv")}
    musan = rows(corpus / "musan.tsv")
    for package in {who["package"] for who in speakers.values()} | {row["package"] for row in musan}:
        assert packages[package]["licence"]
        assert (corpus / "licences" / f"{package}.copyright").stat().st_size > 500
    assert all(re.match(r"GPL-2|CC-BY", row["licence"]) for row in musan)
    assert "modified version" in (corpus / "speech-queen" / "MODIFIED.txt").read_text("utf-8").lower()
    assert "marked with a prominent notice" in " ".join(
        (corpus / "speech-queen" / "readme.txt").read_text("latin-1").split()
    )


def test_the_readme_tells_the_truth_about_its_tables(repo: Path, corpus: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(repo / "local"))
    readme = load(repo / "local" / "mini_build_readme.py")
    text = (corpus / "README.md").read_text("utf-8")
    for table in (readme.sources(corpus), readme.people(corpus), readme.counts(corpus)):
        assert table in text


def test_splits_share_nobody_and_have_their_sizes(speakers) -> None:
    sets = Counter(row["split"] for row in speakers.values())
    assert set(sets) == {"train", "dev", "eval"}
    assert sets["train"] >= 36 and 6 <= sets["dev"] <= 10 and 16 <= sets["eval"] <= 22
    queens = [row for row in speakers.values() if row["package"] == "flight-of-the-amazon-queen"]
    assert sum(row["split"] == "eval" for row in queens) >= 10


def test_no_source_clip_is_used_twice_by_joined_utterances(utterances) -> None:
    used = Counter(
        (row["package"], source)
        for row in utterances
        if " + " in row["sources"]
        for source in row["sources"].split(" + ")
    )
    # one file cut into pieces may come again; joined words never do
    assert max(used.values()) <= 2
    assert sum(count == 2 for count in used.values()) < 0.02 * len(used)


def test_data_directories_hold_all_utterances_of_their_split(data: Path, speakers, utterances) -> None:
    for name in ("train", "dev", "eval"):
        utt2spk = read_table(data / name / "utt2spk")
        wanted = {r["utterance"] for r in utterances if speakers[who(r["utterance"])]["split"] == name}
        assert set(utt2spk) == wanted
        assert set(read_table(data / name / "spk2utt")) == set(utt2spk.values())
        genders = read_table(data / name / "spk2gender")
        assert {speaker: speakers[speaker]["gender"] for speaker in genders} == genders
        assert list(utt2spk.values()) == sorted(utt2spk.values()), "sorted by utterance is sorted by speaker"


def test_wav_scp_is_relative_to_the_repository_and_elsewhere_absolute(
    repo: Path, data: Path, corpus: Path, mini: ModuleType, tmp_path: Path, monkeypatch
) -> None:
    for name in ("train", "noise", "music"):
        for path in read_table(data / name / "wav.scp").values():
            assert path.startswith("egs/mini/corpus/") and (repo / path).is_file()
    monkeypatch.chdir(tmp_path)
    assert mini.place(corpus / "speakers.tsv") == str(corpus / "speakers.tsv")


@pytest.mark.parametrize("name", ["all", "package", "gender"])
def test_trial_counts_follow_from_the_group_sizes(name: str, data: Path, speakers, utterances) -> None:
    """Pairs of a group of n utterances: n(n-1)/2; the target ones the same formula over its speakers."""
    keys = {
        "all": lambda row: 0,
        "package": lambda row: row["package"],
        "gender": lambda row: (row["package"], speakers[who(row["utterance"])]["gender"]),
    }
    mine = [row for row in utterances if speakers[who(row["utterance"])]["split"] == "eval"]
    groups = Counter(keys[name](row) for row in mine)
    target = sum(comb(n, 2) for n in Counter(who(row["utterance"]) for row in mine).values())
    lines = (data / "eval" / f"trials.{name}").read_text("utf-8").splitlines()
    kinds = Counter(line.split()[2] for line in lines)
    assert kinds == {"target": target, "nontarget": sum(comb(n, 2) for n in groups.values()) - target}
    assert lines == sorted(lines)
    assert len({frozenset(line.split()[:2]) for line in lines}) == len(lines)


def test_target_trials_are_of_one_speaker(data: Path) -> None:
    for line in (data / "dev" / "trials").read_text("utf-8").splitlines():
        one, two, kind = line.split()
        assert one != two and (who(one) == who(two)) == (kind == "target")


def test_room_responses_are_byte_identical_and_change_with_the_seed(data: Path, tmp_path: Path) -> None:
    augmentation.write_rooms(tmp_path / "again", 0, 5)
    augmentation.write_rooms(tmp_path / "other", 1, 1)
    for number in range(1, 6):
        name = f"wav/room-{number:03d}.wav"
        assert (tmp_path / "again" / name).read_bytes() == (data / "rirs" / name).read_bytes()
    first = "wav/room-001.wav"
    assert (tmp_path / "other" / first).read_bytes() != (tmp_path / "again" / first).read_bytes()


def test_rooms_decay_as_their_reverberation_time_says(data: Path) -> None:
    """T20 by Schroeder's backward integration is within a third of the drawn RT60 for most rooms."""
    ratios = []
    for name, text in read_table(data / "rirs" / "rooms").items():
        response, rate = soundfile.read(data / "rirs" / "wav" / f"{name}.wav")
        assert rate == 16000 and np.abs(response).max() < 0.51
        energy = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1] / np.sum(response**2) + 1e-12)
        five, quarter = np.argmax(energy < -5), np.argmax(energy < -25)
        ratios.append(3 * (quarter - five) / rate / float(text.split()[-1]))
    assert len(ratios) >= 40
    assert 0.67 < np.median(ratios) < 1.34


def test_a_folder_without_tables_is_refused_by_name(mini: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"speakers\.tsv: no such table"):
        mini.prepare(Corpus(tmp_path), tmp_path / "data", 0)
