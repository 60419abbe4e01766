"""python -m pysteps.prepare import: lists of every kind become a recipe; sets worked out by hand."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare import stage
from pysteps.prepare.import_command import command
from pysteps.prepare.rows import columns_of
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.corpora import Voices
from tests.importing import HEADER, PEOPLE, audio, clips, everything, imported, prepared, rows
from tests.pipeline import REPO, TINY, environment


def test_a_folder_a_speaker(tmp_path: Path) -> None:
    names = [f"{who}/{file}" for who in PEOPLE for file in ("s1/a.wav", "s1/b b.FLAC", "s2/a.wav")]
    sets = imported(tmp_path, audio(tmp_path / "my corpus", *names))
    assert [len(sets[name].speakers()) for name in sets] == [6, 2, 2]
    wav = everything(sets, "wav.scp")
    assert len(wav) == 30
    assert wav["p0-s1-b_b"] == str(tmp_path / "my corpus" / "p0/s1/b b.FLAC")
    assert len((sets["eval"].folder / "trials").read_text().splitlines()) == 6 * 5 // 2


def test_folders_of_sets_keep_their_split_and_dev_is_cut_from_training(tmp_path: Path) -> None:
    names = [f"train/{who}/{n}.wav" for who in PEOPLE for n in range(2)]
    names += [f"test/q{who}/{n}.wav" for who in range(3) for n in range(2)]
    sets = imported(tmp_path, audio(tmp_path / "corpus", *names))
    assert sets["eval"].speakers() == {"q0", "q1", "q2"}
    assert [len(sets[name].speakers()) for name in ("train", "dev")] == [8, 2]
    assert "q0-1" in sets["eval"].utt2spk()


def test_a_csv_whose_columns_are_guessed_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clips(tmp_path) / "list.csv"
    path.write_text(HEADER + rows())
    sets = imported(tmp_path, path, "--label", "mic", "--trials", "gender")
    said = capsys.readouterr().err
    assert "path: Audio Path, speaker: Speaker ID, utt: id, gender: sex, start: start, end: end" in said
    assert everything(sets, "wav.scp")["p3-1"] == str(tmp_path / "corpus/clips/p3_1.wav")
    assert everything(sets, "spk2gender") == {who: "mf"[n % 2] for n, who in enumerate(PEOPLE)}
    assert set(everything(sets, "utt2language").values()) == {"en"}
    assert set(everything(sets, "utt2mic").values()) == {"near"}
    for name in ("dev", "eval"):  # two of each gender, or no trial within a gender would be of two people
        assert sorted(sets[name].table("spk2gender").values()) == ["f", "f", "m", "m"]


def test_columns_are_named_and_pieces_of_recordings_become_segments(tmp_path: Path) -> None:
    root = audio(tmp_path / "corpus", "long one.wav")
    lines = [f"long one.wav;{who};{at + 0.25};{at + 2.5}" for at, who in enumerate(2 * PEOPLE)]
    (root / "list.csv").write_text("\n".join(["what;voice;from;to", *lines]))
    words = [
        "--path-column",
        "what",
        "--speaker-column",
        "voice",
        "--start-column",
        "from",
        "--end-column",
        "to",
    ]
    sets = imported(tmp_path, root / "list.csv", *words)
    assert everything(sets, "segments")["p4-long_one-00014250-00016500"] == "long_one 14.250 16.500"
    assert everything(sets, "wav.scp") == {"long_one": str(root / "long one.wav")}


def test_a_start_without_an_end_goes_to_the_recordings_end(tmp_path: Path) -> None:
    path = clips(tmp_path) / "list.csv"
    path.write_text(HEADER + rows(start="0.5"))
    assert everything(imported(tmp_path, path), "segments")["p0-1"] == "clips-p0_1 0.500 -1.000"


def test_of_columns_of_one_meaning_the_usual_one_and_then_the_first_is_taken() -> None:
    header = ["Speaker", "file", "File_Name", "spk", "file-name"]
    assert columns_of(header, {}, "list") == {"path": "File_Name", "speaker": "Speaker"}
    assert columns_of(header, {"path": "file"}, "list")["path"] == "file"


def test_a_manifest_of_offsets_and_lengths_packed(tmp_path: Path) -> None:
    root = audio(tmp_path / "corpus", "a/1.opus")
    with gzip.open(root / "manifest.jsonl.gz", "wt") as handle:
        for number, who in enumerate(PEOPLE):
            for n in range(2):
                one = {
                    "audio_filepath": "a/1.opus",
                    "offset": 4 * number + 2 * n,
                    "duration": 1.5,
                    "spk": who,
                }
                handle.write(json.dumps(one) + "\n")
    sets = imported(tmp_path, root / "manifest.jsonl.gz")
    assert everything(sets, "segments")["p2-1-00010000-00011500"] == "a-1 10.000 11.500"
    assert "hours=0.00833 " in (tmp_path / "egs/mine/recipe.sh").read_text()


def test_a_hugging_face_folder(tmp_path: Path) -> None:
    root = audio(tmp_path / "corpus", *(f"train/data/{who}_{n}.mp3" for who in PEOPLE for n in range(2)))
    audio(root, *(f"test/q{who}_{n}.mp3" for who in range(2) for n in range(2)))
    lines = [f"data/{who}_{n}.mp3,{who}" for who in PEOPLE for n in range(2)]
    (root / "train/metadata.csv").write_text("\n".join(["file_name,speaker_id", *lines]))
    objects = [
        {"file_name": f"q{who}_{n}.mp3", "speaker_id": f"q{who}"} for who in range(2) for n in range(2)
    ]
    (root / "test/metadata.jsonl").write_text("".join(json.dumps(one) + "\n" for one in objects))
    sets = imported(tmp_path, root)
    assert sets["eval"].table("wav.scp")["q1_0"] == str(root / "test/q1_0.mp3")
    assert len(sets["dev"].speakers()) == 2 and len(everything(sets, "utt2spk")) == 24


def kaldi(folder: Path, speakers: list[str], **more: str) -> None:
    folder.mkdir(parents=True)
    utts = [f"{who}_{n}" for who in speakers for n in range(2)]
    (folder / "wav.scp").write_text("".join(f"{who}_rec wav/{who}.flac\n" for who in speakers))
    (folder / "utt2spk").write_text("".join(f"{utt} {utt[:2]}\n" for utt in utts))
    spans = {utt: f"{utt[:2]}_rec {2 * int(utt[-1])}.5 {2 * int(utt[-1]) + 2}.0" for utt in utts}
    (folder / "segments").write_text("".join(f"{utt} {span}\n" for utt, span in spans.items()))
    (folder / "spk2gender").write_text("".join(f"{who} f\n" for who in speakers))
    for name, text in more.items():
        (folder / name).write_text(text)


def test_kaldi_directories_with_their_trials(tmp_path: Path) -> None:
    root = tmp_path / "s5"
    audio(root / "wav", *(f"{who}.flac" for who in [*PEOPLE, "q0", "q1"]))
    kaldi(
        root / "data/train_all",
        PEOPLE,
        utt2session="".join(f"{who}_{n} s{n}\n" for who in PEOPLE for n in (0, 1)),
    )
    trials = "m0 q0_1 target\nm0 q1_1 nontarget\n"
    kaldi(root / "data/test", ["q0", "q1"], trials=trials, enrol="m0 q0_0\n")
    sets = imported(tmp_path, root / "data")
    assert (sets["eval"].folder / "trials").read_text() == trials
    assert sets["eval"].table("enrol") == {"m0": "q0_0"}
    assert everything(sets, "segments")["p7_1"] == "wav-p7 2.500 4.000"
    assert everything(sets, "wav.scp")["wav-p7"] == str(root / "wav/p7.flac")
    assert everything(sets, "utt2session")["p7_1"] == "s1"
    assert everything(sets, "spk2gender")["q0"] == "f"


def lhotse(folder: Path) -> None:
    """Manifests with the fields of lhotse's docs/corpus.rst."""
    recordings: list[dict[str, Any]] = []
    supervisions: list[dict[str, Any]] = []
    for who in PEOPLE:
        source = {"type": "file", "channels": [0, 1], "source": f"audio/{who}.wav"}
        one = {"id": f"recording-{who}", "sampling_rate": 8000, "num_samples": 80000, "duration": 10.0}
        recordings.append({**one, "sources": [source]})
        for n in range(2):
            said = {
                "id": f"segment-{who}-{n}",
                "recording_id": f"recording-{who}",
                "start": 4 * n,
                "duration": 3.5,
            }
            said |= {"channel": n, "language": "english", "speaker": who, "gender": "male", "text": "x"}
            supervisions.append(said)
    for name, objects in (("recordings", recordings), ("supervisions", supervisions)):
        with gzip.open(folder / f"mine_{name}_all.jsonl.gz", "wt") as handle:
            handle.writelines(json.dumps(one) + "\n" for one in objects)


def test_lhotses_manifests_with_channels(tmp_path: Path) -> None:
    root = audio(tmp_path / "corpus", *(f"audio/{who}.wav" for who in PEOPLE))
    (root / "manifests").mkdir()
    lhotse(root / "manifests")
    sets = imported(tmp_path, root / "manifests")
    assert everything(sets, "segments")["p1-segment-p1-1"] == "audio-p1-c1 4.000 7.500"
    assert everything(sets, "reco2channel")["audio-p1-c1"] == "1"
    assert everything(sets, "wav.scp")["audio-p1-c0"] == str(root / "audio/p1.wav")
    assert set(everything(sets, "utt2language").values()) == {"english"}


def test_a_supervision_of_a_whole_recording_is_no_piece(tmp_path: Path) -> None:
    root = audio(tmp_path / "corpus", *(f"audio/{who}_{n}.wav" for who in PEOPLE for n in range(2)))
    names = [f"{who}_{n}" for who in PEOPLE for n in range(2)]
    whole = {"sampling_rate": 16000, "num_samples": 160000, "duration": 10.0}
    sources = {name: [{"type": "file", "channels": [0], "source": f"audio/{name}.wav"}] for name in names}
    objects = [{"id": name, **whole, "sources": sources[name]} for name in names]
    (root / "recordings.jsonl").write_text("".join(json.dumps(one) + "\n" for one in objects))
    said = [
        {"id": name, "recording_id": name, "start": 0.0, "duration": 10.0, "channel": 0} for name in names
    ]
    lines = [json.dumps({**one, "speaker": one["id"][:2]}) + "\n" for one in said]
    (root / "supervisions.jsonl").write_text("".join(lines))
    sets = imported(tmp_path, root)
    assert everything(sets, "segments") == {}
    assert everything(sets, "wav.scp")["p2_1"] == str(root / "audio/p2_1.wav")


def test_an_edited_list_makes_stage_0_stale_and_a_bad_one_is_said(tmp_path: Path) -> None:
    imported(tmp_path, audio(tmp_path / "corpus", *(f"{who}/{n}.wav" for who in PEOPLE for n in range(2))))
    run = resolve(tmp_path, parse(["--recipe", "mine", "--corpus", str(tmp_path / "egs/mine")]))
    path = tmp_path / "egs/mine/corpus.tsv"
    (unit,) = stage.units(run)
    assert path in unit.inputs and unit.inputs[0].name == "table.py"
    path.write_text(path.read_text().replace("\ttrain\t", "\ttrian\t"))
    with pytest.raises(InputError, match=r"corpus.tsv:\d+: set 'trian' is none of train, dev, eval"):
        prepared(tmp_path)


def test_settings_are_sized_to_the_corpus(tmp_path: Path) -> None:
    for number, count in enumerate((20, 400, 2000)):
        lines = [f"{who}/{n}.wav,s{who}" for who in range(count) for n in range(2)]
        (tmp_path / f"{number}.csv").write_text("\n".join(["path,speaker", *lines]))
        words = ["--name", f"r{number}", "--egs", str(tmp_path / "egs"), "--no-check", "--audio-root", "/x"]
        command(["import", str(tmp_path / f"{number}.csv"), *words])
    said = [(tmp_path / f"egs/r{number}/recipe.sh").read_text() for number in range(3)]
    assert "train=mini backend=few" in said[0]
    # of 40 utterances dev and eval have two speakers' four each: three of four are more than a quarter
    assert (
        "# A small corpus: of each set 0.25 may be dropped, 3 of the smallest at most.\noptions=" in said[0]
    )
    assert "--audio.max_dropped 0.25 --vad.max_dropped 0.25'" in said[0]
    assert "max_dropped" not in said[1] + said[2]
    assert "train=librispeech backend=default" in said[1]
    assert "augment=live features=fbank80\negs=audio models=ecapa512 train=aam" in said[2]
    assert "--prepare.roots.audio /x --prepare.choices.trials all --prepare.choices.most 1000" in said[2]


@pytest.mark.long
def test_an_imported_corpus_runs_at_once(tmp_path: Path) -> None:
    here = tmp_path / "checkout"  # another one, so that this one's egs/ stays as it is
    (here / "egs").mkdir(parents=True)
    for name in ("conf", "local", "pysteps", "steps", "path.sh", "requirements.txt", "egs/mini"):
        (here / name).symlink_to(REPO / name)
    shutil.copy(REPO / "run.sh", here)
    voices = Voices()
    lines = ["path\tspeaker\tgender"]
    for number in range(12):
        for n in range(4):
            path = voices.write(tmp_path / "audio" / f"v{number:02d}_{n}.wav", f"v{number:02d}", n)
            lines.append(f"{path.name}\tv{number:02d}\t{'fm'[number % 2]}")
    (tmp_path / "audio" / "list.tsv").write_text("\n".join(lines) + "\n")
    env = {**environment(), "PYTHONPATH": str(here)}
    import_words = [
        "import",
        str(tmp_path / "audio" / "list.tsv"),
        "--name",
        "mine",
        "--egs",
        str(here / "egs"),
    ]
    subprocess.run([sys.executable, "-m", "pysteps.prepare", *import_words], check=True, env=env, cwd=here)
    settings = {**TINY, "augment.kinds": "noise", "audio.max_dropped": "0.3", "vad.max_dropped": "0.3"}
    words = [part for key, value in settings.items() for part in (f"--{key}", value)]
    words += ["--recipe", "mine", "--work", str(tmp_path / "work")]
    subprocess.run([str(here / "run.sh"), *words], check=True, env=env, timeout=300)
    (found,) = (tmp_path / "work" / "exp").glob("*/results.json")
    results = json.loads(found.read_text())
    assert set(results["trials"]) == {"eval"}
    assert read_table(tmp_path / "work/data/train/spk2gender").keys() <= {f"v{n:02d}" for n in range(12)}


def test_trials_of_a_large_list_are_of_a_thousand_utterances_unless_more_are_asked_for(
    tmp_path: Path,
) -> None:
    lines = [f"{who}/{n}.wav,s{who}" for who in range(20) for n in range(800)]
    (tmp_path / "list.csv").write_text("\n".join(["path,speaker", *lines]))
    sets = imported(tmp_path, tmp_path / "list.csv", "--no-check", "--audio-root", str(tmp_path))
    assert len(sets["eval"].utt2spk()) == 1600
    with open(sets["eval"].folder / "trials") as handle:
        assert sum(1 for _ in handle) == 1000 * 999 // 2
