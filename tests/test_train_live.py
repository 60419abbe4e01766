"""Training on egs of audio: augmentation and features on the fly, decided by seed, chunk and epoch alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pysteps.augment.draw import Voices
from pysteps.augment.live import Live
from pysteps.augment.options import AugmentOptions
from pysteps.egs.reader import ArchiveInfo, read_audio_archive
from pysteps.egs.source import AudioEgs, open_egs, utterance
from pysteps.features.contract import contract
from pysteps.features.fbank import Fbank, compute
from pysteps.features.options import FbankOptions
from pysteps.formats import arks
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.train import stage as train
from pysteps.train.data import batches, heard_on
from pysteps.train.options import TrainOptions
from tests.pipeline import REPO, arguments, differing, products, run_sh, small_corpus

FRAMES, SPEAKERS, CHUNKS = 30, 3, 8
NEEDED = (FRAMES - 1) * 160 + 400
UTT2SPK = {f"s{n % SPEAKERS}-utt-{n}": f"s{n % SPEAKERS}" for n in range(CHUNKS)}


def noise_of(name: str, length: int = 9000) -> np.ndarray:
    return np.random.default_rng(sum(map(ord, name))).normal(0, 0.1, length).astype(np.float32)


def load(pool: str, name: str, fraction: float = 0.0, length: int | None = None) -> np.ndarray:
    return noise_of(pool + name, length or 9000)


def live(*kinds: str, probability: float = 0.6, speed_speakers: str = "new") -> Live:
    options = AugmentOptions(kinds=list(kinds), probability=probability, speed_speakers=speed_speakers)
    return Live(options, {"noise": ["a", "b"]}, Voices(UTT2SPK), load, 16000)


def egs(folder: Path, factor: float = 1.0, archives: int = 1, suffixes: tuple[str, ...] = ("",)) -> Path:
    """An egs folder as stage egs writes it, of noise."""
    samples = -int(-NEEDED * factor // 1)
    for number in range(1, archives + 1):
        keys = [f"{row:06d}-{utt}@{row}" for row, utt in enumerate(UTT2SPK)]
        with arks.writing(folder / f"train.{number}.ark") as writer:
            for key in keys:
                writer.audio(key, (noise_of(f"{number}{key}", samples) * 32768).astype(np.int16), 16000)
        names = sorted(f"s{n}{suffix}" for n in range(SPEAKERS) for suffix in suffixes)
        labels = {name: label for label, name in enumerate(names)}
        lines = [f"{key} {labels[UTT2SPK[utterance(key)]]}\n" for key in keys]
        (folder / f"train.{number}.lab").write_text("".join(lines))
    (folder / "speakers").write_text("".join(f"{name} {label}\n" for name, label in labels.items()))
    infos = {f"train.{n}": {"chunks": CHUNKS, "frames": FRAMES} for n in range(1, archives + 1)}
    content = {"kind": "audio", "feature_dim": 80, "num_speakers": len(names), "archives": infos, "valid": {}}
    (folder / "egs.json").write_text(json.dumps(content))
    run = resolve(REPO, parse(["--recipe", "folder"]))
    (folder / "contract.json").write_text(json.dumps(contract(run)))
    return folder


INFO = ArchiveInfo("train.1", CHUNKS, FRAMES)


def literal(samples: np.ndarray) -> np.ndarray:
    features = compute(samples[:NEEDED], Fbank(FbankOptions()), utt="x")
    return features - features.mean(0, dtype=np.float64)


def test_a_clean_chunk_gives_the_features_of_its_samples_minus_their_mean(tmp_path: Path) -> None:
    folder = egs(tmp_path)
    _, chunks, wanted = read_audio_archive(folder, INFO)
    features, labels = AudioEgs(folder).archive(INFO, 4)
    assert features.dtype == np.float32 and features.shape == (CHUNKS, FRAMES, 80)
    assert labels.tolist() == wanted.tolist() == [n % SPEAKERS for n in range(CHUNKS)]
    for chunk, found in zip(chunks, features, strict=True):
        assert np.abs(found - literal(chunk / np.float32(32768))).max() < 1e-4


@pytest.mark.parametrize("policy", ["sliding", "none", "global"])
@pytest.mark.parametrize("norm_vars", [False, True])
def test_normalisation_is_the_contracts(tmp_path: Path, policy: str, norm_vars: bool) -> None:
    folder = egs(tmp_path)
    content = json.loads((folder / "contract.json").read_text())
    content["features"] |= {"cmvn": policy, "cmvn_vars": norm_vars}
    mean, deviation = np.linspace(5, 9, 80), np.linspace(1, 2, 80)
    squares = 50 * (deviation**2 + mean**2)
    content["cmvn_set"] = "train"
    content["global_cmvn"] = {"frames": 50.0, "sums": (50 * mean).tolist(), "squares": squares.tolist()}
    (folder / "contract.json").write_text(json.dumps(content))
    features, _ = AudioEgs(folder).archive(INFO)
    for chunk, found in zip(read_audio_archive(folder, INFO)[1], features, strict=True):
        raw = compute(chunk / np.float32(32768), Fbank(FbankOptions()), utt="x").astype(np.float64)
        if policy == "sliding":  # the chunk's own: windows are longer than chunks
            mean, deviation = raw.mean(0), raw.std(0)
        wanted = raw if policy == "none" else (raw - mean) / (deviation if norm_vars else 1)
        assert np.abs(found - wanted).max() < 1e-3


def test_dither_is_drawn_anew_for_every_epoch_and_chunk(tmp_path: Path) -> None:
    folder = egs(tmp_path)
    content = json.loads((folder / "contract.json").read_text())
    content["features"]["dither"] = 1000.0
    (folder / "contract.json").write_text(json.dumps(content))
    first, again, later = (AudioEgs(folder).archive(INFO, epoch)[0] for epoch in (0, 0, 1))
    assert np.array_equal(first, again)
    assert np.abs(first - later).max(axis=(1, 2)).min() > 0.1


def test_the_runs_seed_draws_the_dither(tmp_path: Path) -> None:
    words = ["--recipe", "folder", "--work", str(tmp_path), "--augment.kinds", "[]", "--egs.kind", "audio"]
    run = resolve(REPO, parse([*words, "--features.seed", "3"]))
    run.egs.mkdir(parents=True)
    egs(run.egs)
    content = json.loads((run.egs / "contract.json").read_text())
    content["features"]["dither"] = 1000.0
    (run.egs / "contract.json").write_text(json.dumps(content))
    keys, chunks, _ = read_audio_archive(run.egs, INFO)
    features, _ = open_egs(run).archive(INFO, 2)
    noise = generator(3, "chunks", "dither").standard_normal(1 << 20, dtype=np.float32)
    for key, chunk, found in zip(keys, chunks, features, strict=True):
        places = len(noise) - len(chunk) + 1
        start = int(generator(3, f"train.1 {key}", "dither", epoch=2).integers(places))
        dithered = (chunk + 1000 * noise[start : start + len(chunk)]) / np.float32(32768)
        wanted = compute(dithered, Fbank(FbankOptions()), utt=key)
        assert np.abs(found - (wanted - wanted.mean(0, dtype=np.float64))).max() < 1e-4


def test_pitch_is_searched_in_samples_without_dither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = egs(tmp_path)
    content = json.loads((folder / "contract.json").read_text())
    content["features"] |= {"dither": 1000.0, "pitch": True, "cmvn": "none"}
    (folder / "contract.json").write_text(json.dumps(content))

    plan = json.loads((folder / "egs.json").read_text())
    (folder / "egs.json").write_text(json.dumps(plan | {"feature_dim": 82}))

    def searched(features: np.ndarray, samples: np.ndarray, options: object) -> np.ndarray:
        heard = np.resize(samples, (len(features), 2))
        return np.concatenate((features, heard), axis=1, dtype=np.float32)

    monkeypatch.setattr("pysteps.egs.batch.with_pitch", searched)  # pyworld is an extra
    features, _ = AudioEgs(folder).archive(INFO)
    for chunk, found in zip(read_audio_archive(folder, INFO)[1], features, strict=True):
        assert np.array_equal(found[:, 80:], np.resize(chunk / np.float32(32768), (FRAMES, 2)))


def test_an_augmented_chunk_gives_the_features_of_what_was_drawn_for_it(tmp_path: Path) -> None:
    folder, augmentation = egs(tmp_path), live("noise", probability=1.0)
    keys, chunks, _ = read_audio_archive(folder, INFO)
    features, _ = AudioEgs(folder, augmentation).archive(INFO, 2)
    for key, chunk, found in zip(keys, chunks, features, strict=True):
        (how,) = augmentation.draw(utterance(key), 2, key=f"train.1 {key}")
        clean, noise = chunk / np.float32(32768), noise_of("noise" + how["name"], len(chunk))
        gain = np.sqrt(np.mean(clean**2) / np.mean(noise**2) / 10 ** (how["snr_db"] / 10))
        assert np.abs(found - literal(clean + gain.astype(np.float32) * noise)).max() < 2e-3


def test_epochs_differ_and_the_same_epoch_is_equal(tmp_path: Path) -> None:
    folder = egs(tmp_path)
    first = AudioEgs(folder, live("noise", "babble")).archive(INFO, 0)[0]
    # Another process that begins in the middle of the training hears the same.
    other = AudioEgs(folder, live("noise", "babble"))
    later, again = other.archive(INFO, 1)[0], other.archive(INFO, 0)[0]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)


def test_probability_is_the_share_of_chunks_that_are_not_clean(tmp_path: Path) -> None:
    folder = egs(tmp_path)
    clean = AudioEgs(folder).archive(INFO)[0]
    source = AudioEgs(folder, live("noise", "babble", probability=0.25))
    changed = [
        not np.array_equal(a, b)
        for epoch in range(25)
        for a, b in zip(clean, source.archive(INFO, epoch)[0], strict=True)
    ]
    assert len(changed) == 200 and 0.16 < np.mean(changed) < 0.34  # three standard deviations


def test_a_chunk_at_another_speed_is_another_speakers(tmp_path: Path) -> None:
    suffixes = ("", "-speed0.9", "-speed1.1")
    folder = egs(tmp_path, 1.1, suffixes=suffixes)
    augmentation = live("speed0.9", "speed1.1")
    names, seen = AudioEgs(folder).plan().speakers, set()
    for epoch in range(6):
        features, labels = AudioEgs(folder, augmentation).archive(INFO, epoch)
        assert features.shape == (CHUNKS, FRAMES, 80) and np.isfinite(features).all()
        for row, (utt, label) in enumerate(zip(UTT2SPK, labels, strict=True)):
            chain = augmentation.draw(utt, epoch, key=f"train.1 {row:06d}-{utt}@{row}")
            suffix = f"-speed{chain[0]['factor']}" if chain else ""
            assert names[label] == UTT2SPK[utt] + suffix
            seen.add(suffix)
    assert seen == set(suffixes)


def test_speed_as_the_same_speaker_changes_no_label(tmp_path: Path) -> None:
    source = AudioEgs(egs(tmp_path, 1.1), live("speed0.9", "speed1.1", speed_speakers="same"))
    for epoch in range(4):
        assert source.archive(INFO, epoch)[1].tolist() == [n % SPEAKERS for n in range(CHUNKS)]


@pytest.mark.parametrize("kind", ["tempo1.1", "tempo0.9"])
def test_tempo_gives_chunks_of_the_same_length(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("av")
    features, _ = AudioEgs(egs(tmp_path, 1.1), live(kind)).archive(INFO, 0)
    assert features.shape == (CHUNKS, FRAMES, 80)


def test_of_a_longer_chunk_any_part_is_taken(tmp_path: Path) -> None:
    folder = egs(tmp_path, 1.1)
    _, chunks, _ = read_audio_archive(folder, INFO)
    samples = torch.from_numpy(chunks / np.float32(32768))
    frame = Fbank(FbankOptions())(samples.unfold(1, 400, 1)[:, :700])[:, :, 0].numpy()
    step = frame[:, 160:] - frame[:, :-160]  # from the frame at each sample to the next frame
    starts = []
    for epoch in range(6):
        features = AudioEgs(folder).archive(INFO, epoch)[0]
        for row in range(CHUNKS):
            start = int(np.abs(step[row] - (features[row, 1] - features[row, 0])).max(1).argmin())
            assert np.abs(features[row] - literal(samples[row, start:].numpy())).max() < 1e-3
            starts.append(start)
    spare = samples.shape[1] - NEEDED  # 504; 48 places drawn evenly from 0 to it
    assert 0 <= min(starts) < 0.15 * spare and 0.85 * spare < max(starts) <= spare


def test_egs_that_were_cut_for_slower_speech_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"frames need 5040.*run stage egs again"):
        AudioEgs(egs(tmp_path), live("speed1.1", speed_speakers="same")).archive(INFO, 0)


def test_egs_without_the_speakers_of_a_speed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no speaker s\d-speed1.1"):
        AudioEgs(egs(tmp_path, 1.1), live("speed1.1")).archive(INFO, 0)


def test_egs_of_another_kind_than_the_runs_are_refused(tmp_path: Path) -> None:
    words = ["--recipe", "folder", "--work", str(tmp_path), "--augment.kinds", "[]"]
    run = resolve(REPO, parse([*words, "--egs.kind", "audio"]))
    run.egs.mkdir(parents=True)
    egs(run.egs)
    assert isinstance(open_egs(run), AudioEgs)
    with pytest.raises(InputError, match="egs of audio, this run asks for features"):
        open_egs(resolve(REPO, parse(words)))


def test_a_resumed_epoch_has_the_batches_that_it_would_have_had(tmp_path: Path) -> None:
    folder, options = egs(tmp_path, archives=3), TrainOptions(batch_size=3)
    plan = AudioEgs(folder).plan()

    def epoch(first: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
        source = AudioEgs(folder, live("noise", "babble", probability=0.9))
        found = batches(source, plan.archives, 5, options, first=first)
        return [(batch.features, batch.labels) for batch in found]

    whole = epoch()
    assert len(whole) == 9
    for first in (1, 3, 8):
        for (ours, names), (theirs, others) in zip(epoch(first), whole[first:], strict=True):
            assert np.array_equal(ours, theirs) and np.array_equal(names, others)


@pytest.mark.parametrize("features_on", ["cpu", "device"])
def test_features_made_on_the_device_that_trains_are_the_same(tmp_path: Path, features_on: str) -> None:
    folder, options = egs(tmp_path, 1.1, archives=2), TrainOptions(batch_size=3, time_masks=1, time_width=9)
    source, device = AudioEgs(folder, live("noise", "speed1.1", speed_speakers="same")), torch.device("cpu")
    own = heard_on(source, replace(options, features_on=features_on), device)
    made, read = (list(batches(one, one.plan().archives, 3, options)) for one in (own, source))
    assert len(made) == len(read) == 6
    for ours, theirs in zip(made, read, strict=True):
        assert isinstance(ours.features, torch.Tensor) == (features_on == "device")
        assert np.array_equal(np.asarray(ours.features), theirs.features)
        assert np.array_equal(ours.labels, theirs.labels) and np.array_equal(ours.rows, theirs.rows)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_features_made_on_a_gpu_are_nearly_the_same(tmp_path: Path) -> None:
    folder, options = egs(tmp_path, 1.1, archives=2), TrainOptions(batch_size=3, features_on="device")
    source = AudioEgs(folder, live("noise", "speed1.1", speed_speakers="same"))
    own = heard_on(source, options, torch.device("cuda"))
    for ours, theirs in zip(
        *(batches(one, one.plan().archives, 3, options) for one in (own, source)), strict=True
    ):
        assert ours.features.is_cuda
        assert np.abs(ours.features.cpu().numpy() - theirs.features).max() < 1e-2


def test_features_on_says_what_cannot_be(repo: Path) -> None:
    with pytest.raises(InputError, match="these egs are of features.*features_on cpu"):
        resolve(repo, parse(["--recipe", "mini", "--train.features_on", "device"]))
    with pytest.raises(InputError, match="features_on device.*train.workers 0"):
        TrainOptions(features_on="device", workers=2)


def test_two_processes_train_on_the_chunks_of_one(tmp_path: Path) -> None:
    folder, options = egs(tmp_path), TrainOptions(batch_size=4)
    plan = AudioEgs(folder).plan()
    one, *two = (
        list(batches(AudioEgs(folder, live("noise")), plan.archives, 1, options, rank=rank, width=width))
        for rank, width in ((0, 1), (0, 2), (1, 2))
    )
    for batch, *parts in zip(one, *two, strict=True):
        for rank, part in enumerate(parts):
            assert np.array_equal(part.features, batch.features[rank::2])


def test_what_training_draws_is_in_its_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unit(*words: str) -> dict[str, object]:
        options = ["--recipe", "folder", "--egs.kind", "audio", "--augment.when", "training", *words]
        (found,) = train.units(resolve(REPO, parse(options)))
        return {**found.options, "inputs": [str(path) for path in found.inputs]}

    noise = ("--augment.kinds", "[noise]")
    assert unit(*noise) == unit(*noise, "--augment.music_snr", "[1,2]")
    assert unit(*noise) != unit(*noise, "--augment.noise_snr", "[1,2]")
    assert unit(*noise) != unit(*noise, "--augment.probability", "0.5")
    assert any(path.endswith("noise/wav.scp") for path in unit(*noise)["inputs"])  # type: ignore[attr-defined]
    before = unit(*noise)
    monkeypatch.setattr("pysteps.augment.stage.VERSION", 99)  # there are no copies whose stamps would say it
    assert unit(*noise) != before


def test_a_run_trains_on_the_fly_and_two_jobs_cut_the_bytes_of_one(tmp_path: Path) -> None:
    corpus, work = small_corpus(tmp_path / "corpus", speakers=10, utterances=3), tmp_path / "work"
    words = {"egs__kind": "audio", "augment__when": "training", "egs__archive_chunks": "7"}
    words |= {"train__epochs": "2", "train__features_on": "device"}
    run_sh(*arguments(corpus, work, "--nj", "1", "--stop-stage", "train", **words))
    before = products(work)
    again = ("--nj", "2", "--stage", "egs", "--stop-stage", "egs", "--force")
    run_sh(*arguments(corpus, work, *again, **words))
    assert differing(before, products(work)) == []
    assert any(name.endswith("model.safetensors") for name in before)
    (path,) = (work / "exp" / "egs").glob("*/speakers")
    table = path.read_text("utf-8")
    voices = {path.name for path in (corpus / "train").iterdir()}
    wanted = {f"{voice}{speed}" for voice in voices for speed in ("", "-speed0.9", "-speed1.1")}
    assert {line.split()[0] for line in table.splitlines()} == wanted
    assert not list((work / "data").glob("train_*"))  # no copies
