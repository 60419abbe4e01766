"""Egs by labels on a set that one can count: classes, held-out speakers, equal numbers, copies at speeds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from pysteps.augment.options import AugmentOptions
from pysteps.egs import live, stage
from pysteps.egs.choose import choose, sources
from pysteps.egs.options import EgsOptions, relevant
from pysteps.egs.plan import Source, balanced, filtered, hold_out_speakers
from pysteps.egs.reader import read_labels, read_plan
from pysteps.egs.source import AudioEgs, utterance
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table, write_table
from tests.test_egs_audio import make_egs, tiny_run

GENDER = {"s0": "m", "s1": "m", "s2": "m", "s3": "m", "s4": "f", "s5": "f"}  # three utterances each


def labelled(work: Path, *words: str, genders: dict[str, str] = GENDER) -> Run:
    run = replace(tiny_run(work, "--egs.valid_share", "0.3", *words), labels="spk2gender")
    write_table(run.data / "train" / "spk2gender", genders)
    return run


def chunks(run: Run, kind: str) -> dict[str, int]:
    """Chunk key to label, of all archives of a kind."""
    plan, found = read_plan(run.egs), {}
    for info in plan.archives if kind == "train" else plan.valid:
        keys, labels = read_labels(run.egs, info.name)
        found.update(zip(keys, labels.tolist(), strict=True))
    return found


def clean(name: str) -> str:
    return name[:4]  # of s0-1, s0-1-speed0.9


def test_classes_are_labels_and_whole_speakers_of_each_are_held_out(tmp_path: Path) -> None:
    run = labelled(tmp_path)
    make_egs(run)
    plan = read_plan(run.egs)
    assert plan.speakers == ["f", "m"] and plan.num_speakers == 2
    assert json.loads((run.egs / "egs.json").read_text())["labels"] == "spk2gender"
    train, valid = chunks(run, "train"), chunks(run, "valid")
    for key, label in {**train, **valid}.items():
        assert plan.speakers[label] == GENDER[utterance(key)[:2]]
    heard, held = ({utterance(key)[:2] for key in some} for some in (train, valid))
    # 0.3 of 4 men is 1.2, of 2 women 0.6: one of each, with all three utterances
    assert len(valid) == 6 and Counter(GENDER[speaker] for speaker in held) == {"m": 1, "f": 1}
    assert not heard & held and heard | held == set(GENDER)


def test_the_smallest_class_says_how_many_utterances_there_are_of_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = labelled(tmp_path, "--egs.balance", "subset")
    make_egs(run)
    utts = {utterance(key) for key in chunks(run, "train")}
    assert Counter(GENDER[utt[:2]] for utt in utts) == {"m": 3, "f": 3}  # of nine, and of three
    gone = read_table(run.egs / "filtered")
    assert len(gone) == 6 and set(gone.values()) == {"not drawn: 3 of each class"}
    assert "3 utterances of each of 2 classes; 6, copies counted, are left out" in capsys.readouterr().err


def test_copies_at_other_speeds_have_the_label_and_go_with_their_utterance(tmp_path: Path) -> None:
    words = ["--augment.kinds", "[speed0.9]", "--egs.balance", "subset", "--egs.kind", "audio"]
    run = labelled(tmp_path, *words)
    utts = read_table(run.data / "train" / "utt2spk")
    slow = [{"kind": "speed", "factor": 0.9}]
    copies = {
        "utt2spk": {utt: f"{speaker}-speed0.9" for utt, speaker in utts.items()},
        "wav.scp": read_table(run.audio_scp("train")),
        "augment": {utt: json.dumps({"of": utt, "chain": slow, "written": True}) for utt in utts},
    }
    for name, table in copies.items():
        renamed = {f"{utt}-speed0.9": table[utt] for utt in utts}
        write_table(run.data / "train_speed0.9" / name, renamed)
    for name in ("vad.scp", "utt2num_voiced"):
        table = read_table(run.of("vad", "train") / name)
        write_table(run.of("vad", "train_speed0.9") / name, {f"{utt}-speed0.9": table[utt] for utt in utts})
    voiced = run.of("vad", "train") / "utt2num_voiced"
    everyone = read_table(voiced)
    (unit,) = stage.units(run)
    stage.items(run, unit)
    assert read_table(run.egs / "speakers") == {"f": "0", "m": "1"}
    planned = {
        line.split()[2]
        for plan in (run.egs / "plan").glob("train.*")
        for line in plan.read_text().splitlines()
    }
    held = {line.split()[2] for line in (run.egs / "plan" / "valid.1").read_text().splitlines()}
    assert {utt for utt in planned if utt.endswith("speed0.9")} == {
        f"{utt}-speed0.9" for utt in planned if not utt.endswith("speed0.9")
    }
    assert len(planned) == 12 and len(held) == 6 and not {clean(utt) for utt in planned} & held
    # VAD drops the first of each speaker, and not its slower copy: whoever is held out takes that along, too.
    write_table(voiced, {utt: count for utt, count in everyone.items() if not utt.endswith("-0")})
    found = sources(run, ["train", "train_speed0.9"], "vad")
    run.options["egs"]["balance"] = "none"
    training, kept = choose(run, found, unit.folder, 0)
    assert len(kept) == 4 and any(source.of not in {one.utt for one in training} for source in training)
    assert not {source.of[:2] for source in training} & {source.of[:2] for source in kept}


def test_a_voice_at_another_speed_keeps_its_label_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = labelled(tmp_path, "--augment.when", "training", "--augment.kinds", "[speed0.9,speed1.1]")
    make_egs(run)
    assert live.voices(run) == [""] and read_plan(run.egs).speakers == ["f", "m"]
    found = live.live_of(run)
    assert found is not None and AugmentOptions(**run.options["augment"]).speed_speakers == "new"
    source = AudioEgs(run.egs, found)
    speeds = set()
    for info in read_plan(run.egs).archives:
        for epoch in range(3):
            assert np.array_equal(source.labels(info.name, epoch), read_labels(run.egs, info.name)[1])
            features, labels = source.archive(info, epoch)
            assert np.array_equal(labels, read_labels(run.egs, info.name)[1])
            keys = read_labels(run.egs, info.name)[0]
            speeds |= {len(found.draw(utterance(key), epoch, key=f"{info.name} {key}")) for key in keys}
    assert speeds == {0, 1}


def test_egs_without_labels_know_nothing_of_them(tmp_path: Path) -> None:
    run = tiny_run(tmp_path)
    (unit,) = stage.units(run)
    assert "labels" not in unit.options and "balance" not in unit.options
    assert relevant(asdict(EgsOptions(balance="subset")))["balance"] == "subset"
    with_them = replace(run, labels="spk2gender")
    (other,) = stage.units(with_them)
    assert other.options["labels"] == "spk2gender"
    assert run.data / "train" / "spk2gender" in other.inputs


def test_another_label_makes_egs_stale(tmp_path: Path) -> None:
    run = labelled(tmp_path)
    make_egs(run)
    assert stage.units(run)[0].stale() is None
    write_table(run.data / "train" / "spk2gender", {**GENDER, "s0": "f"})
    assert "spk2gender" in (stage.units(run)[0].stale() or "")


def test_one_class_is_refused_by_the_stage(tmp_path: Path) -> None:
    run = labelled(tmp_path, genders=dict.fromkeys(GENDER, "f"))
    with pytest.raises(InputError, match=r"spk2gender.*all utterances are f"):
        make_egs(run)


def test_a_class_that_filters_leave_alone_is_refused(tmp_path: Path) -> None:
    run = labelled(tmp_path, "--egs.min_utterance_seconds", "1.2")
    path = run.of("vad", "train") / "utt2num_voiced"
    write_table(path, {utt: "150" if GENDER[utt[:2]] == "m" else "100" for utt in read_table(path)})
    with pytest.raises(InputError, match=r"one class is left to train with: m .*min_utterance_seconds"):
        stage.items(run, stage.units(run)[0])


def test_a_speaker_in_training_and_evaluation_is_refused_with_labels_too(tmp_path: Path) -> None:
    run = labelled(tmp_path)
    write_table(run.data / "dev" / "utt2spk", {"s0-9": "s0"})
    with pytest.raises(InputError, match=r"1 speakers are in train and in dev: s0"):
        make_egs(run)


def pool(*rows: tuple[str, str, str]) -> list[Source]:
    """Sources of (utterance, speaker, label), 100 frames each."""
    return [Source("d", utt, utt, speaker, 100, label) for utt, speaker, label in rows]


def test_whoever_has_the_last_of_a_class_is_never_held_out() -> None:
    # a has all of x; b, c and d share y: one of those three goes, whatever the share.
    rows = [("a1", "a", "x"), ("a2", "a", "x"), ("b1", "b", "y"), ("c1", "c", "y"), ("d1", "d", "y")]
    for seed in range(8):
        held = hold_out_speakers(pool(*rows), 0.9, seed)
        assert held < {"b1", "c1", "d1"} and len(held) == 2  # 0.9 of three is 2.7: three, and one must stay
    assert hold_out_speakers(pool(*rows), 0.0, 0) == set()


def test_a_speaker_of_two_classes_goes_or_stays_as_a_whole() -> None:
    rows = [("a1", "a", "x"), ("a2", "a", "x"), ("a3", "a", "y"), ("b1", "b", "x"), ("c1", "c", "y")]
    seen = {frozenset(hold_out_speakers(pool(*rows), 0.3, seed)) for seed in range(20)}
    # x's are a and b, y's is c; c and a cannot both go, and c goes only where a stays for y.
    assert seen <= {frozenset({"a1", "a2", "a3"}), frozenset({"b1", "c1"})} and len(seen) == 2


def test_what_gives_no_chunk_does_not_count_in_the_balance() -> None:
    rows = pool(("a1", "a", "x"), ("a2", "a", "x"), ("b1", "b", "y"), ("b2", "b", "y"))
    rows[3] = replace(rows[3], frames=10)
    kept, gone = balanced(rows, 50, seed=0)
    assert [source.utt for source in kept if source.label == "y"] == ["b1"] and len(kept) == 2
    assert gone.keys() == {"b2", *({"a1", "a2"} - {source.utt for source in kept})}
    with pytest.raises(InputError, match=r"no utterance of y is long enough"):
        balanced([*rows[:2], rows[3]], 50, seed=0)


def test_filters_count_a_copy_at_another_speed_with_its_clean_utterance() -> None:
    rows = [Source("d", f"a{n}", f"a{n}", "a", 100) for n in range(2)]
    rows += [Source("s", f"a{n}-speed0.9", f"a{n}", "a-speed0.9", 110) for n in range(2)]
    kept, gone = filtered(rows, 0, 2)
    assert kept == rows and gone == {}
    assert len(filtered([*rows, Source("d", "b0", "b0", "b", 100)], 0, 2)[1]) == 1
