"""Stage augment on real voices: how a copy sounds, its tables, the same bytes however it is done."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from scipy import signal

from pysteps.audio import stage as audio_stage
from pysteps.augment import pools as pools_module
from pysteps.augment import stage
from pysteps.augment.audio import Audio
from pysteps.augment.draw import apply, unnoised
from pysteps.augment.effects import EFFECTS, parse_chain
from pysteps.augment.live import Live
from pysteps.augment.options import AugmentOptions
from pysteps.augment.pools import Pools
from pysteps.formats import command, tables
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import read_conf, resolve
from pysteps.vad import stage as vad_stage

RATE = 16000


def do(module: Any, run: Run, jobs: int = 1, only: list[int] | None = None) -> int:
    """Plan, jobs, gather, as steps/step.sh does; returns how many shards waited."""
    waiting, todo = command.plan(module, run)
    for job in only or range(jobs, 0, -1):
        command.job(module, run, todo, job, jobs)
    if only is None:
        command.gather(module, run)
    return waiting


def put(folder: Path, samples: np.ndarray, rate: int = RATE) -> str:
    folder.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder, samples, rate, subtype="PCM_16")
    return str(folder)


@pytest.fixture(scope="module")
def recorded(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three real speakers of two utterances after stages audio and vad, with small pools."""
    work = tmp_path_factory.mktemp("augment work")
    corpus = repo / "egs" / "mini" / "corpus"
    speakers = sorted(path for path in (corpus / "speech").iterdir() if path.is_dir())[::13][:4]
    for name, chosen in (("train", speakers[:3]), ("dev", speakers[3:])):
        found = {f"{who.name}-{file.stem}": file for who in chosen for file in sorted(who.iterdir())[:2]}
        tables.write_table(work / "data" / name / "wav.scp", {utt: str(file) for utt, file in found.items()})
        utt2spk = {utt: file.parent.name for utt, file in found.items()}
        tables.write_table(work / "data" / name / "utt2spk", utt2spk)
        tables.write_table(work / "data" / name / "spk2utt", tables.invert(utt2spk))
    rng = np.random.default_rng(0)
    noise = {f"n{i}": put(work / f"n{i}.wav", 0.1 * rng.standard_normal(RATE * i)) for i in (1, 2, 40)}
    noise["other-rate"] = put(work / "other.wav", 0.1 * rng.standard_normal(44100), 44100)
    room = np.exp(-np.arange(6000) / 900) * rng.standard_normal(6000) * 0.05
    room[50] = 0.9
    for name, table in (
        ("noise", noise),
        ("music", {"m": noise["n2"]}),
        ("rirs", {"r": put(work / "r.wav", room)}),
    ):
        tables.write_table(work / "data" / name / "wav.scp", table)
    run = replace(resolve(repo, parse(["--recipe", "mini", "--work", str(work)])), eval_sets=[])
    do(audio_stage, run)
    do(vad_stage, run)
    return run


@pytest.fixture
def fresh(recorded: Run, tmp_path: Path) -> Any:
    """A function: kinds and options -> a run of a copy of that work folder, with nothing augmented yet."""

    def make(*kinds: str, **options: Any) -> Run:
        for path in [*recorded.data.glob("train_*"), recorded.data / "simulated_rooms"]:
            shutil.rmtree(path, ignore_errors=True)
        augment = {**recorded.options["augment"], "kinds": list(kinds), "shard_utterances": 2, **options}
        return replace(recorded, options={**recorded.options, "augment": augment})

    return make


def clean_of(run: Run, copy: str, utt: str) -> tuple[np.ndarray, list[dict[str, Any]]]:
    drawn = json.loads(tables.read_table(run.data / copy / "augment")[utt])
    with Audio(run, "train") as audio:
        return audio.samples(drawn["of"]), drawn["chain"]


def utterances(run: Run, copy: str) -> dict[str, np.ndarray]:
    with Audio(run, copy) as audio:
        return {utt: audio.samples(utt) for utt in tables.read_table(run.data / copy / "wav.scp")}


def db(signal: np.ndarray, rest: np.ndarray) -> float:
    one, other = (np.mean(samples.astype(np.float64) ** 2) for samples in (signal, rest))
    return float(10 * np.log10(one / other))


def snapshot(run: Run) -> dict[str, bytes]:
    """Every product of the copies; stamps and work folders apart."""
    return {
        str(path): path.read_bytes()
        for path in sorted(run.data.glob("train_*/**/*"))
        if path.is_file() and "shards" not in path.parts and not path.name.startswith(".")
    }


@pytest.mark.parametrize("materialise", ["none", "ark", "flac"])
@pytest.mark.parametrize("kind", ["noise", "music", "babble", "speed0.9+noise"])
def test_the_ratio_of_what_is_read_is_the_drawn_one(fresh: Any, kind: str, materialise: str) -> None:
    run = fresh(kind, materialise=materialise, noise_snr=(3.0, 15.0))
    do(stage, run)
    heard = utterances(run, f"train_{kind}")
    assert len(heard) == 6
    for utt, samples in heard.items():
        clean, chain = clean_of(run, f"train_{kind}", utt)
        clean = apply(clean, unnoised(chain), Pools(run).load, RATE)
        assert len(samples) == len(clean)
        if np.abs(samples).max() < 0.999:  # at 16 bits what is clipped is gone
            assert db(clean, samples - clean) == pytest.approx(chain[-1]["snr_db"], abs=0.1)


def test_what_is_written_is_what_would_be_read(fresh: Any) -> None:
    kinds = ("reverb+noise", "speed1.1", "mp3")
    run = fresh(*kinds)
    do(stage, run)
    read = {kind: utterances(run, f"train_{kind}") for kind in kinds}
    run = fresh(*kinds, materialise="flac")
    do(stage, run)
    for kind in kinds:
        for utt, samples in utterances(run, f"train_{kind}").items():
            wanted = np.clip(read[kind][utt], -1, 32767 / 32768)
            np.testing.assert_allclose(samples, wanted, atol=0.6 / 32768)


@pytest.mark.parametrize("materialise", ["none", "flac"])
def test_a_copy_is_read_as_it_lies_there_whatever_the_run_asks_for(fresh: Any, materialise: str) -> None:
    run = fresh("noise", materialise=materialise)
    do(stage, run)
    wanted = utterances(run, "train_noise")
    other = {**run.options["augment"], "materialise": "flac" if materialise == "none" else "none"}
    found = utterances(replace(run, options={**run.options, "augment": other}), "train_noise")
    for utt, samples in wanted.items():
        np.testing.assert_array_equal(found[utt], samples)


def test_an_utterance_that_a_copy_has_not_is_named(fresh: Any) -> None:
    run = fresh("noise")
    do(stage, run)
    with Audio(run, "train_noise") as audio, pytest.raises(InputError, match="utterance u7: no such"):
        audio.samples("u7")


def test_clipping_of_what_is_written_is_counted(fresh: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = fresh("volume", materialise="ark", volume_db=(40.0, 40.0))
    do(stage, run)
    counted = tables.read_table(run.data / "train_volume" / "clipped")
    for utt, count in counted.items():
        clean, _ = clean_of(run, "train_volume", utt)
        loud = np.rint(clean.astype(np.float64) * 100 * 32768)
        assert int(count) == pytest.approx(np.sum((loud > 32767) | (loud < -32768)), abs=2)
    assert len(counted) == 6 and "train_volume: 6 of 6 clipped" in capsys.readouterr().err


def test_the_live_path_gives_a_copys_samples(fresh: Any) -> None:
    kinds = ("noise", "babble", "reverb+music", "speed0.9+noise", "room+telephone", "telephone", "gsm+noise")
    run = fresh(*kinds)
    do(stage, run)
    options = {**run.options["augment"], "when": "training"}
    training = replace(run, options={**run.options, "augment": options})
    assert training.copies == {} and stage.units(training) == []
    live = Live.of(training)
    for kind in kinds:
        for utt, samples in utterances(run, f"train_{kind}").items():
            clean, chain = clean_of(run, f"train_{kind}", utt)
            np.testing.assert_array_equal(live.apply(clean, chain), samples)
            assert live.suffix(chain) == ("-speed0.9" if kind.startswith("speed") else "")


def test_copies_of_the_same_length_inherit_the_clean_decisions_and_write_only_tables(fresh: Any) -> None:
    run = fresh("reverb+noise", "gsm")
    assert do(stage, run) == 0
    for name in run.copies:
        for table in stage.VAD_TABLES:
            clean = tables.read_table(run.of("vad", "train") / table)
            copy = tables.read_table(run.of("vad", name) / table)
            assert copy == {f"{utt}-{name.removeprefix('train_')}": value for utt, value in clean.items()}
        assert not list((run.data / name).rglob("*.ark"))
    assert tables.read_table(run.data / "train_gsm" / "utt2spk") == {
        f"{utt}-gsm": who for utt, who in tables.read_table(run.data / "train" / "utt2spk").items()
    }


def test_vad_of_another_speed_is_that_of_the_speech_without_its_noise(fresh: Any) -> None:
    run = fresh("speed0.9", "speed0.9+noise", "tempo1.1+babble", "tempo1.1")
    do(stage, run)
    read = {name: tables.read_table(run.of("vad", name) / "utt2num_voiced") for name in run.copies}
    for plain, noisy in (("speed0.9", "speed0.9+noise"), ("tempo1.1", "tempo1.1+babble")):
        assert list(read[f"train_{plain}"].values()) == list(read[f"train_{noisy}"].values())
    clean = sum(map(int, tables.read_table(run.of("vad", "train") / "utt2num_voiced").values()))
    assert sum(map(int, read["train_speed0.9"].values())) == pytest.approx(clean / 0.9, rel=0.1)


@pytest.mark.parametrize(("speakers", "suffix"), [("new", "-speed0.9"), ("same", "")])
def test_speakers_at_another_speed(fresh: Any, speakers: str, suffix: str) -> None:
    run = fresh("speed0.9+noise", "tempo1.1", speed_speakers=speakers)
    do(stage, run)
    clean = tables.read_table(run.data / "train" / "utt2spk")
    copy = tables.read_table(run.data / "train_speed0.9+noise" / "utt2spk")
    assert copy == {f"{utt}-speed0.9+noise": f"{who}{suffix}" for utt, who in clean.items()}
    assert set(tables.read_table(run.data / "train_tempo1.1" / "utt2spk").values()) == set(clean.values())


def test_shards_in_any_order_and_number_of_jobs_give_the_same_bytes(fresh: Any) -> None:
    kinds = ("speed0.9", "speed1.1+noise", "babble")
    run = fresh(*kinds, materialise="flac")
    assert do(stage, run, jobs=1) == 9  # six utterances in twos
    once = snapshot(run)
    run = fresh(*kinds, materialise="flac")
    do(stage, run, jobs=4)
    assert len(once) > 30 and snapshot(run) == once


def test_a_killed_run_is_taken_up_where_it_stood(fresh: Any) -> None:
    run = fresh("speed0.9", "noise")
    do(stage, run)
    whole = snapshot(run)
    run = fresh("speed0.9", "noise")
    assert do(stage, run, jobs=3, only=[2]) == 3
    with pytest.raises(InputError, match="2 shards are not done"):
        command.gather(stage, run)
    assert not (run.data / "train_speed0.9" / "augment").exists()
    done = next((run.data / "train_speed0.9" / "shards").glob("*/2"))
    before = done.stat().st_mtime_ns
    assert do(stage, run) == 2
    assert done.stat().st_mtime_ns == before and snapshot(run) == whole
    assert all(unit.stale() is None for unit in stage.units(run))


def test_only_what_another_option_touches_is_redone(fresh: Any) -> None:
    run = fresh("noise", "reverb", "speed0.9")
    do(stage, run)
    changed = {**run.options["augment"], "noise_snr": [1.0, 2.0], "mp3_kbps": [64]}
    other = replace(run, options={**run.options, "augment": changed})
    reasons = {unit.name: unit.stale() for unit in stage.units(other)}
    assert reasons == {
        "train_noise": "noise_snr: [0.0, 15.0] -> [1.0, 2.0]",
        "train_reverb": None,
        "train_speed0.9": None,
    }


def test_too_little_voice_at_another_speed_is_counted_and_refused(fresh: Any) -> None:
    run = fresh("speed0.9")
    run = replace(run, options={**run.options, "vad": {**run.options["vad"], "min_voiced": 10**6}})
    with pytest.raises(InputError, match="6 of 6 utterances were dropped"):
        do(stage, run)
    assert len(tables.read_table(run.data / "train_speed0.9" / "dropped")) == 6


def test_parts_of_long_recordings_are_parts_of_the_whole(recorded: Run) -> None:
    kinds = {**recorded.options["augment"], "kinds": ["noise"]}
    run = replace(recorded, options={**recorded.options, "augment": kinds})
    pools = Pools(run)
    whole = pools.load("noise", "n40")
    for fraction, length in ((0.0, 500), (0.5, RATE), (0.999, 3 * RATE), (0.25, 100 * RATE)):
        start = int(fraction * len(whole))
        wanted = np.take(whole, np.arange(start, start + min(length, len(whole))), mode="wrap")
        for reader in (pools, Pools(run)):  # from memory, from the file
            np.testing.assert_array_equal(reader.load("noise", "n40", fraction, length), wanted)
    utt = next(iter(tables.read_table(recorded.audio_scp("train"))))
    with Audio(recorded, "train") as audio:
        speech = audio.samples(utt)
    np.testing.assert_array_equal(
        pools.load("speech", utt, 0.75, len(speech)), np.roll(speech, -int(0.75 * len(speech)))
    )


@pytest.mark.parametrize("longest", [30.0, 0.01])
def test_a_pool_at_another_rate_is_brought_to_the_runs(
    recorded: Run, longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools_module, "WHOLE_SECONDS", longest)
    kinds = {**recorded.options["augment"], "kinds": ["noise"]}
    pools = Pools(replace(recorded, options={**recorded.options, "augment": kinds}))
    for length in (1, 7000, 40000):
        part = pools.load("noise", "other-rate", 0.3, length)
        assert part.shape == (min(length, RATE),) and part.dtype == np.float32
    # White noise of power 0.01 over 22.05 kHz: below 8 kHz the share of the band is left.
    assert np.mean(part**2) == pytest.approx(0.01 * 16 / 44.1, rel=0.06)


def test_a_pool_of_commands_or_without_the_drawn_name_is_refused(fresh: Any) -> None:
    run = fresh("noise", noise="commands")
    tables.write_table(run.data / "commands" / "wav.scp", {"n": "cat n.wav |"})
    for name, message in (("n", "utterance n: the entry is a command"), ("x", "no recording x among noise")):
        with pytest.raises(InputError, match=message):
            Pools(run).load("noise", name)


@pytest.mark.parametrize("options", [{"kinds": ["noise"], "materialise": "ark"}, {"kinds": ["speed0.9"]}])
def test_audio_of_another_rate_than_the_runs_is_refused(fresh: Any, options: dict[str, Any]) -> None:
    run = fresh(*options.pop("kinds"), **options)
    run = replace(run, options={**run.options, "audio": {**run.options["audio"], "sample_rate": 8000}})
    with pytest.raises(InputError, match=r"utterance \S+: audio of 16000 Hz where the run has 8000 Hz"):
        do(stage, run)


def shaped(run: Run, **audio: Any) -> Run:
    return replace(run, options={**run.options, "audio": {**run.options["audio"], **audio}})


@pytest.mark.parametrize("name", ["n2", "n40"])  # kept whole, and read in part
def test_noise_goes_through_the_steps_that_the_speech_went_through(fresh: Any, name: str) -> None:
    run = fresh("noise", "music", "reverb")
    plain, room = Pools(run).load("noise", name, 0.0, 2 * RATE), Pools(run).load("rooms", "r")
    band = {"band_low": 300.0, "band_high": 3400.0, "band_order": 4}
    for zero_phase in (True, False):
        pools = Pools(shaped(run, dc=True, preemphasis=0.9, zero_phase=zero_phase, **band))
        sections = signal.butter(4, (300, 3400), "bandpass", fs=RATE, output="sos")
        filtering = signal.sosfiltfilt if zero_phase else signal.sosfilt
        wanted = filtering(sections, plain.astype(np.float64) - plain.mean(dtype=np.float64))
        wanted[1:] -= 0.9 * wanted[:-1]
        np.testing.assert_allclose(pools.load("noise", name, 0.0, 2 * RATE), wanted, atol=1e-5)
        np.testing.assert_array_equal(pools.load("rooms", "r"), room)
    np.testing.assert_allclose(  # a mean without a band-pass
        Pools(shaped(run, dc=True)).load("music", "m"),
        (music := Pools(run).load("music", "m")) - music.mean(),
        atol=1e-7,
    )


def test_a_copy_is_redone_when_its_noise_goes_through_other_steps(fresh: Any) -> None:
    run = fresh("noise", "reverb")
    do(stage, run)
    reasons = {unit.name: unit.stale() for unit in stage.units(shaped(run, band_low=80.0))}
    assert reasons["train_reverb"] is None and reasons["train_noise"] is not None


@pytest.mark.parametrize("materialise", ["none", "ark"])
def test_a_copy_that_lacks_one_of_its_tables_is_redone(fresh: Any, materialise: str) -> None:
    run = fresh("speed0.9", "noise", materialise=materialise)
    do(stage, run)
    for unit in stage.units(run):
        assert unit.stale() is None
        vad = run.of("vad", unit.name)
        tables_ = [path for folder in (unit.folder, vad) for path in folder.iterdir() if path.is_file()]
        made = {path for path in tables_ if path.suffix != ".ark" and not path.name.startswith(".")}
        assert len(made) >= 7 and set(unit.outputs) == made - {unit.folder / "dropped"}
        for path in unit.outputs:
            kept = path.read_bytes()
            path.unlink()
            assert unit.stale() == f"{path} is missing"
            path.write_bytes(kept)


def test_a_copy_that_is_no_longer_written_has_no_count_of_clipping(fresh: Any) -> None:
    run = fresh("volume", materialise="ark", volume_db=(40.0, 40.0))
    do(stage, run)
    assert tables.read_table(run.data / "train_volume" / "clipped")
    augment = {**run.options["augment"], "materialise": "none"}
    do(stage, replace(run, options={**run.options, "augment": augment}))
    assert not (run.data / "train_volume" / "clipped").exists()


def test_a_speaker_called_like_another_at_another_speed_is_refused(fresh: Any, tmp_path: Path) -> None:
    run = fresh("speed0.9+noise")
    work = tmp_path / "work"
    shutil.copytree(run.work, work)
    run = replace(run, work=str(work))
    table = tables.read_table(run.data / "train" / "utt2spk")
    first, *_, last = sorted(set(table.values()))
    twin = {utt: f"{first}-speed0.9" if who == last else who for utt, who in table.items()}
    tables.write_table(run.data / "train" / "utt2spk", twin)
    with pytest.raises(InputError, match=f"speaker {first} at another speed .*rename the speaker"):
        command.plan(stage, run)  # before the work
    augment = {**run.options["augment"], "speed_speakers": "same"}
    do(stage, replace(run, options={**run.options, "augment": augment}))


def test_simulated_rooms_are_kept_apart_by_how_they_were_drawn(fresh: Any) -> None:
    run = fresh("room", rooms_simulated=2)
    first = Pools(run).load("simulated", "room-00001")
    assert len(list((run.data / "simulated_rooms").rglob("*.npy"))) == 1
    np.testing.assert_array_equal(Pools(run).load("simulated", "room-00001"), first)
    apart = {**run.options["augment"], "room_rt60": (0.3, 0.3)}
    other = Pools(replace(run, options={**run.options, "augment": apart})).load("simulated", "room-00001")
    assert len(other) != len(first) or not np.array_equal(other, first)
    assert len(list((run.data / "simulated_rooms").iterdir())) == 2
    shutil.rmtree(run.data / "simulated_rooms")
    np.testing.assert_array_equal(Pools(run).load("simulated", "room-00001"), first)


def test_every_configuration_is_one_that_stage_augment_knows(repo: Path) -> None:
    names = sorted(path.stem for path in (repo / "conf" / "augment").glob("*.yaml"))
    read = {name: AugmentOptions(**read_conf([repo / "conf"], "augment", name)) for name in names}
    used = {step.effect for options in read.values() for kind in options.kinds for step in parse_chain(kind)}
    assert used == set(EFFECTS)  # each promised effect is in one of them
    assert {options.when for options in read.values()} == {"copies", "training"}
