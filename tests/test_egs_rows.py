"""Rows of an archive: those that are asked for, each read once, to the bit; what is damaged is said."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pysteps.egs.reader import read_archive, read_audio_archive
from pysteps.egs.source import EgsFolder
from pysteps.formats import arks
from pysteps.formats.errors import InputError
from tests.small_egs import OPTIONS, audio_egs, egs, seen

WIDER = replace(OPTIONS, batch_size=8)  # as two processes need it


def parsed(folder: Path, name: str) -> np.ndarray:
    path = folder / f"{name}.ark"
    return arks.parse_chunks(path.read_bytes(), path)[1]


@pytest.mark.parametrize("rows", [None, [0], [10], [3, 4, 5], [9, 2, 7, 3, 3], list(range(11))])
def test_rows_are_those_of_the_whole_archive_to_the_bit(tmp_path: Path, rows: list[int] | None) -> None:
    info = EgsFolder(egs(tmp_path)).plan().archives[0]
    features, labels = read_archive(tmp_path, info, None if rows is None else np.asarray(rows))
    places = list(range(11)) if rows is None else rows
    assert features.dtype == np.float32
    assert features.tobytes() == parsed(tmp_path, "train.1")[places].tobytes()
    assert labels.tolist() == [row % 4 for row in places]


def test_rows_of_audio_come_with_their_keys(tmp_path: Path) -> None:
    source, infos = audio_egs(tmp_path)
    keys, chunks, labels = read_audio_archive(tmp_path, infos[0])
    some = read_audio_archive(tmp_path, infos[0], np.asarray([5, 1, 2]))
    assert some[0] == [keys[5], keys[1], keys[2]] and some[2].tolist() == labels[[5, 1, 2]].tolist()
    assert chunks.dtype == np.int16 and np.array_equal(some[1], chunks[[5, 1, 2]])


def test_processes_together_read_an_archive_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, read = EgsFolder(egs(tmp_path)), []
    preadv = os.preadv

    def counting(*arguments: object) -> int:
        read.append(preadv(*arguments))  # type: ignore[arg-type]
        return read[-1]

    monkeypatch.setattr(os, "preadv", counting)
    for rank in range(2):
        assert seen(source, options=WIDER, rank=rank, width=2)
    whole = sum((tmp_path / f"train.{number}.ark").stat().st_size for number in (1, 2, 3))
    assert whole <= sum(read) <= whole + 2 * 3 * 100  # and the first header, for each


def test_a_read_that_comes_in_pieces_is_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = EgsFolder(egs(tmp_path)).plan().archives[0]
    wanted, preadv = read_archive(tmp_path, info)[0], os.preadv

    def short(handle: int, views: list[memoryview], start: int) -> int:
        return preadv(handle, [views[0][:7]], start)

    monkeypatch.setattr(os, "preadv", short)
    assert np.array_equal(read_archive(tmp_path, info)[0], wanted)


def patched(at: int, new: bytes) -> object:
    return lambda data: data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-2], "uneven or cut chunk"),
        (lambda data: data + b"12-more \0BCM2 ", "damaged chunk archive|uneven or cut chunk"),
        (lambda data: b"", "an empty archive"),
        (lambda data: data.replace(b"CM2", b"CM1"), "utterance 000000-uttß@0: not a chunk archive"),
        (lambda data: data[:300].replace(b"CM2", b"CM1") + data[300:], "not a chunk archive"),
        (lambda data: data.replace(b"000004-", b"000009-"), "not hold what egs.json says .run stage egs"),
        (lambda data: data.replace(b"\5\0\0\0\3\0\0\0", b"\3\0\0\0\5\0\0\0"), "not hold what egs.json says"),
        (patched(25, b"\0\0\xc0\x7f"), "damaged chunk archive: a header of"),
    ],
)
def test_a_damaged_archive_is_refused_as_it_always_was(tmp_path: Path, change: object, said: str) -> None:
    info = EgsFolder(egs(tmp_path)).plan().archives[0]
    path = tmp_path / "train.1.ark"
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(InputError, match=f"train.1.ark: .*({said})"):
        read_archive(tmp_path, info)


def test_a_label_that_is_no_number_is_refused(tmp_path: Path) -> None:
    info = EgsFolder(egs(tmp_path)).plan().archives[0]
    path = tmp_path / "train.1.lab"
    path.write_text(path.read_text("utf-8").replace("@3 3", "@3 x"), "utf-8")
    with pytest.raises(InputError, match="train.1.lab: a label is no number: .*'x'.*redo stage egs"):
        read_archive(tmp_path, info)


def test_a_chunk_of_audio_has_its_own_bits_whoever_asks_with_which_others(tmp_path: Path) -> None:
    source, infos = audio_egs(tmp_path)
    for info in infos:
        features, labels = source.archive(info, 3)
        assert source.labels(info.name, 3).tolist() == labels.tolist()
        for rows in ([0], [7, 2], [5, 4, 3, 2, 1]):
            some = source.archive(info, 3, np.asarray(rows))
            assert some[0].tobytes() == features[rows].tobytes() and some[1].tolist() == labels[rows].tolist()


def test_long_chunks_keep_their_speed_and_their_speaker(tmp_path: Path) -> None:
    source, infos = audio_egs(tmp_path)
    for epoch in range(3):
        assert source.labels("long.1", epoch).tolist() == source.labels("long.1").tolist()
    assert any((source.labels("train.1", n) != source.labels("train.1")).any() for n in range(3))
