"""What a stage reads vanishes or is read-only: it says what, where, how to mend it; mended, it goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pysteps.extract import stage as extract
from pysteps.formats import command, shards
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table
from pysteps.models.model import load_model
from tests.faults.drive import chain, digests
from tests.faults.harness import tables_only
from tests.pipeline import arguments, run_sh, small_corpus


def own_corpus(run: Run, folder: Path) -> dict[str, Path]:
    """Give the run's sets recordings of their own in ``folder``: utterance to file."""
    files = {}
    for name in ("train", "dev", "eval"):
        table = run.data / name / "wav.scp"
        lines = []
        for utt, entry in read_table(table).items():
            files[utt] = folder / f"{utt}{Path(entry).suffix}"
            folder.mkdir(exist_ok=True)
            shutil.copy(entry, files[utt])
            lines.append(f"{utt} {files[utt]}\n")
        table.write_text("".join(lines))
    return files


def do(run: Run, *stages: str) -> None:
    """The stages, as run.sh has them done."""
    chain(str(run.exp / "run.json"), list(stages))


def undisturbed(run: Run, *stages: str) -> dict[str, str]:
    """What the stages give, after which the work folder is as it was."""
    before = Path(run.work).with_name("before")
    shutil.copytree(run.work, before)
    do(run, *stages)
    whole = digests(Path(run.work))
    shutil.rmtree(run.work)
    before.rename(run.work)
    return whole


def kept(found: dict[str, str]) -> dict[str, str]:
    """Without the lists of shards to do: a restart has fewer of them, or none."""
    return {name: digest for name, digest in found.items() if "/todo/" not in name}


def test_recordings_gone_before_the_stage_and_put_back(tmp_path: Path) -> None:
    run = tables_only(tmp_path)
    files = own_corpus(run, tmp_path / "recordings")
    whole = undisturbed(run, "audio")
    away = tmp_path / "away"
    (tmp_path / "recordings").rename(away)
    with pytest.raises(InputError, match=r"6 of 6 .*first .*recordings/.*mend the recordings") as caught:
        do(run, "audio")
    assert str(next(iter(files.values())).parent) in str(caught.value)
    away.rename(tmp_path / "recordings")
    do(run, "audio")
    assert kept(digests(Path(run.work))) == kept(whole)


def test_recordings_gone_in_the_middle_of_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tables_only(tmp_path, audio__shard_utterances="2")
    own_corpus(run, tmp_path / "recordings")
    whole = undisturbed(run, "audio")
    away, finish = tmp_path / "away", shards._finish

    def vanish(*arguments: object) -> None:
        finish(*arguments)  # type: ignore[arg-type]
        if not away.exists():
            (tmp_path / "recordings").rename(away)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "_finish", vanish)
        with pytest.raises(InputError, match=r"4 of 6 utterances were dropped"):
            do(run, "audio")
    away.rename(tmp_path / "recordings")
    do(run, "audio")
    assert kept(digests(Path(run.work))) == kept(whole)


def test_recordings_that_later_stages_read_themselves(tmp_path: Path) -> None:
    run = tables_only(tmp_path, audio__materialise="changed")
    files = own_corpus(run, tmp_path / "recordings")
    for utt, path in files.items():  # 16 kHz, 16 bit: what stage audio leaves where it is
        _as_wav(path, path.with_suffix(".wav"), run, utt)
    whole = undisturbed(run, "audio", "vad")
    do(run, "audio")
    (tmp_path / "recordings").rename(tmp_path / "away")
    with pytest.raises(InputError, match=str(tmp_path / "recordings")):
        do(run, "vad")
    (tmp_path / "away").rename(tmp_path / "recordings")
    do(run, "vad")
    assert kept(digests(Path(run.work))) == kept(whole)


def _as_wav(path: Path, wav: Path, run: Run, utt: str) -> None:
    import soundfile

    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(wav, samples if samples.ndim == 1 else samples[:, 0], rate, subtype="PCM_16")
    for name in ("train", "dev", "eval"):
        table = run.data / name / "wav.scp"
        table.write_text(table.read_text().replace(f"{utt} {path}\n", f"{utt} {wav}\n"))


def test_an_archive_of_features_gone_under_egs(tmp_path: Path) -> None:
    run = tables_only(tmp_path, augment__kinds="[]")
    do(run, "audio", "vad", "features")
    whole = undisturbed(run, "egs")
    archive = run.of("features", "train") / "feats.1.ark"
    away = archive.rename(tmp_path / "feats.1.ark")
    said = r"No such file or directory \(put it back, or redo the stage that wrote it with --force\)"
    with pytest.raises(InputError, match=rf"{archive}: .*{said}"):
        do(run, "egs")
    away.rename(archive)
    do(run, "egs")
    assert kept(digests(Path(run.work))) == kept(whole)


def test_the_model_gone_before_extract(tmp_path: Path) -> None:
    run = tables_only(tmp_path, augment__kinds="[]")
    with pytest.raises(InputError, match=r"model.safetensors: missing \(run the stage that writes it\)"):
        command.plan(extract, run)
    with pytest.raises(InputError, match=r"model/model\..*"):  # gone between plan and job
        load_model(run.exp / "model")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own (tmpfs); skips the test where nothing may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not _mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)):
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(*words: str) -> bool:
    if shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


def test_a_corpus_that_cannot_be_written_to(tmp_path: Path, disk: Path) -> None:
    run = tables_only(tmp_path)
    own_corpus(run, disk / "recordings")
    assert _mount("-o", "remount,ro", str(disk))
    do(run, "audio")
    assert len((run.of("audio", "train") / "wav.scp").read_text().splitlines()) == 6


def test_a_work_folder_that_cannot_be_written_to(tmp_path: Path, disk: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", speakers=11, utterances=2)
    (disk / "work").mkdir()
    assert _mount("-o", "remount,ro", str(disk))
    done = run_sh(*arguments(corpus, disk / "work", "--stop-stage", "prepare"), check=False)
    assert done.returncode != 0
    assert f"error: {disk}" in done.stderr and "Read-only file system" in done.stderr
    assert str(disk) in done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
def test_a_disk_that_fills_up_and_gets_more_space(tmp_path: Path, disk: Path) -> None:
    from tests.pipeline import differing, products

    corpus = small_corpus(tmp_path / "corpus", speakers=11, utterances=3)
    settings = {"augment__kinds": "[noise]"}
    run_sh(*arguments(corpus, tmp_path / "whole", "--stop-stage", "features", **settings))
    words = arguments(corpus, disk / "work", "--stop-stage", "features", **settings)
    need = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    for percent in (50, 90):
        size = need * percent // 100
        assert _mount("-o", f"remount,size={size}", str(disk))
        done = run_sh(*words, "--ignore-disk", check=False)  # else the stage would refuse beforehand
        text = done.stdout + done.stderr
        assert done.returncode != 0 and "Traceback" not in text, text
        assert f"error: {disk}/work/" in text and "No space left on device" in text, text
        assert f"free on the disk at {disk}" in text, text
        whole, found = products(tmp_path / "whole"), products(disk / "work")
        assert [name for name in found if found[name] != whole.get(name) and ".part." not in name] == []
    assert _mount("-o", "remount,size=256m", str(disk))
    run_sh(*words)
    assert differing(products(tmp_path / "whole"), products(disk / "work")) == []
