"""Long chunks: one length, voices at their own speed only, and nothing of them unless they are asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pysteps.augment.live import Live
from pysteps.egs import stage
from pysteps.egs.reader import read_audio_archive, read_plan
from pysteps.formats import command
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table, write_table
from pysteps.recipe import disk, space
from tests.test_augment_live import live
from tests.test_egs_audio import LENGTH, SHIFT, literal_cut, make_egs, tiny_run

LONG = ("--egs.long_seconds", "1.5")
SPEEDS = ("--augment.when", "training", "--augment.kinds", "[speed0.9,speed1.1]")


def archives(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_long_chunks_have_one_length_and_are_a_literal_cut_of_what_is_long_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny_run(tmp_path, *LONG, "--egs.long_repeats", "4")
    folder = make_egs(run)
    plan, used = read_plan(folder), set()
    assert len(plan.long) > 1 and {info.name[:5] for info in plan.long} == {"long."}
    for info in plan.long:
        keys, chunks, labels = read_audio_archive(folder, info)
        assert info.frames == 150 and chunks.shape == (info.chunks, 149 * SHIFT + LENGTH)
        for key, chunk, label in zip(keys, chunks, labels, strict=True):
            utt, start = key.split("-", 1)[1].split("@")
            first = int(start) * SHIFT
            assert np.array_equal(chunk, literal_cut(run, utt)[first : first + len(chunk)])
            assert plan.speakers[label] == utt[:2]
            used.add(utt)
    voiced = read_table(run.of("vad", "train") / "utt2num_voiced")
    held = {key.split("-", 1)[1].split("@")[0] for key in read_table(folder / "valid.1.lab")}
    wanted = {utt for utt, frames in voiced.items() if int(frames) >= 150} - held
    assert used == wanted and 0 < len(wanted) < len(voiced) - len(held)
    left = len(voiced) - len(held) - len(wanted)
    said = f"egs: {sum(info.chunks for info in plan.long)} long chunks of {len(wanted)} utterances; {left} "
    assert said + "utterances have fewer than 150 voiced frames and give none" in capsys.readouterr().err


def test_without_them_egs_and_stamp_are_what_they_were_and_with_them_the_rest_is(tmp_path: Path) -> None:
    plain, longer = make_egs(tiny_run(tmp_path / "a")), make_egs(tiny_run(tmp_path / "b", *LONG))
    (unit,) = stage.units(tiny_run(tmp_path / "c"))
    assert not [name for name in unit.options if name.startswith("long")]
    assert "long" not in json.loads((plain / "egs.json").read_text()) and read_plan(plain).long == []
    before, after = archives(plain), archives(longer)
    for name in before:
        if not name.startswith(".") and name not in ("egs.json", "archives"):
            assert after[name] == before[name], name
    assert {name.split(".")[0] for name in after.keys() - before.keys()} == {"long"}


def test_any_number_of_jobs_cuts_the_same_bytes(tmp_path: Path) -> None:
    one, run = make_egs(tiny_run(tmp_path / "a", *LONG)), tiny_run(tmp_path / "b", *LONG)
    _, todo = command.plan(stage, run)
    for number in (3, 1, 2):
        command.job(stage, run, todo, number, 3)
    command.gather(stage, run)
    for path in one.glob("long.*"):
        assert (run.egs / path.name).read_bytes() == path.read_bytes()


def test_where_nothing_is_long_enough_the_option_is_named(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, "--egs.long_seconds", "6")
    with pytest.raises(InputError, match=r"no utterance has 600 voiced frames.*lower --egs.long_seconds"):
        command.plan(stage, run)


def copied(run: Run, kind: str, suffix: str = "") -> None:
    utts, audio = read_table(run.data / "train" / "utt2spk"), read_table(run.audio_scp("train"))
    chain = {utt: json.dumps({"of": utt, "chain": [], "written": False}) for utt in utts}
    speakers = {utt: f"{speaker}{suffix}" for utt, speaker in utts.items()}
    for name, table in (("utt2spk", speakers), ("wav.scp", audio), ("augment", chain)):
        write_table(run.data / f"train_{kind}" / name, {f"{utt}-{kind}": table[utt] for utt in utts})
    for name in ("vad.scp", "utt2num_voiced"):
        table = read_table(run.of("vad", "train") / name)
        write_table(run.of("vad", f"train_{kind}") / name, {f"{utt}-{kind}": table[utt] for utt in utts})


def test_copies_at_another_speed_give_no_long_chunk_and_noisy_ones_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny_run(tmp_path, *LONG, "--augment.kinds", "[volume,speed0.9,tempo1.1]")
    for kind in ("volume", "tempo1.1"):
        copied(run, kind)
    copied(run, "speed0.9", "-speed0.9")
    folder, found = make_egs(run), set()
    plan = read_plan(folder)
    for info in plan.long:
        utts = [key.split("-", 1)[1].split("@")[0] for key in read_table(folder / f"{info.name}.lab")]
        found |= {utt.partition("-")[2].partition("-")[2] for utt in utts}
    assert found == {"", "volume"} and plan.num_speakers == 12
    assert "34 are copies at another speed and give none" in capsys.readouterr().err


def test_where_training_changes_speeds_long_chunks_are_no_longer_than_they_must_be(tmp_path: Path) -> None:
    run = tiny_run(tmp_path, *LONG, *SPEEDS)
    folder = make_egs(run)
    plan = read_plan(folder)
    assert plan.num_speakers == 18
    for info in plan.long:
        assert read_audio_archive(folder, info)[1].shape[1] == 149 * SHIFT + LENGTH
    voiced = [int(frames) for frames in read_table(run.of("vad", "train") / "utt2num_voiced").values()]
    assert sum(info.chunks for info in plan.long) <= sum(frames >= 150 for frames in voiced)


def test_their_own_speed_is_all_that_a_chain_of_it_leaves_out() -> None:
    drawn = live(kinds=["speed0.9", "noise", "speed1.1+noise", "tempo1.1"])
    changed = 0
    for number in range(100):
        chain, own = (drawn.draw("u0", number, own_speed=flag) for flag in (False, True))
        assert own == [how for how in chain if how["kind"] == "noise"]
        changed += own != chain
    assert changed > 50


def test_training_draws_no_speed_for_long_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pysteps.egs.source import AudioEgs

    drawn = live(kinds=["speed0.9", "speed1.1"])
    folder = make_egs(tiny_run(tmp_path, *LONG, *SPEEDS))
    asked: list[bool] = []

    def draw(self: Live, *words: object, own_speed: bool = False, **more: object) -> list[object]:
        asked.append(own_speed)
        return []

    monkeypatch.setattr(Live, "draw", draw)
    source = AudioEgs(folder, drawn)
    for infos, own in ((source.plan().long, True), (source.plan().archives, False)):
        asked.clear()
        features, labels = source.archive(infos[0], 3)
        assert features.shape == (infos[0].chunks, infos[0].frames, 80) and len(labels) == infos[0].chunks
        assert asked == [own] * infos[0].chunks


def test_the_disk_that_they_take_is_known_before(tmp_path: Path) -> None:
    found = []
    for folder, words in (("a", ()), ("b", (*LONG, "--egs.long_repeats", "10"))):
        run = tiny_run(tmp_path / folder, *words)
        utts = read_table(run.data / "train" / "utt2spk")
        write_table(run.data / "train" / "wav.scp", utts)
        write_table(run.of("audio", "train") / "utt2dur", dict.fromkeys(utts, "3.1"))
        estimate = disk.Estimate(run)
        said, count = estimate.stage("egs"), estimate.egs_archives()
        egs = make_egs(run)
        found.append((said, space.used([egs])))
        assert abs(count - len([*egs.glob("*.ark")])) <= 2
    (said, took), (more, longer) = found
    assert said is not None and more is not None
    assert more - said == pytest.approx(longer - took, rel=0.2)
