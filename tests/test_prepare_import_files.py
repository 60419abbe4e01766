"""Files of an imported corpus: what is empty, gone, or two people's is found before anybody listens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.prepare.import_files import amiss, once
from pysteps.prepare.rows import Bad, Row
from tests.importing import HEADER, PEOPLE, audio, clips, everything, imported, rows


def people(root: Path) -> Path:
    return audio(root, *(f"{who}/{n}.wav" for who in PEOPLE for n in range(3)))


def test_empty_files_and_dangling_links_of_a_folder_are_bad_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = people(tmp_path / "corpus")
    (root / "p1/2.wav").write_bytes(b"")
    (root / "p2/2.wav").unlink()
    (root / "p2/2.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(InputError, match=r"p1/2.wav: .*p1/2.wav is empty .remove it.; --skip-bad"):
        imported(tmp_path, root)
    sets = imported(tmp_path, root, "--skip-bad")
    assert "2 bad rows are left out" in (said := capsys.readouterr().err)
    assert "p2/2.wav is a link to nothing" in said
    wav = everything(sets, "wav.scp")
    assert len(wav) == 28 and not {"p1-2", "p2-2"} & wav.keys()


def test_no_check_looks_at_no_file(tmp_path: Path) -> None:
    root = people(tmp_path / "corpus")
    (root / "p1/2.wav").write_bytes(b"")
    assert len(everything(imported(tmp_path, root, "--no-check"), "wav.scp")) == 30


def test_an_archive_is_looked_at_without_its_offset(tmp_path: Path) -> None:
    audio(tmp_path, "a.ark", "b.wav")
    (tmp_path / "c.ark").touch()
    assert amiss(f"{tmp_path}/a.ark:15") == amiss(f"{tmp_path}/b.wav") == ""
    assert amiss(f"{tmp_path}/c.ark:15").endswith("is empty")
    assert amiss(str(tmp_path)).endswith("is a folder")


def test_one_file_of_two_speakers_names_both_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clips(tmp_path) / "list.csv"
    path.write_text(HEADER + rows() + "again,./clips/p0_1.wav,p5,f,,,,,\n")
    said = r"list.csv:3: clips/p0_1.wav is speaker p0's here and speaker p5's in .*list.csv:22"
    with pytest.raises(InputError, match=said):
        imported(tmp_path, path)
    wav = everything(imported(tmp_path, path, "--skip-bad"), "wav.scp")
    assert "2 bad rows are left out" in capsys.readouterr().err
    assert len(wav) == 19 and not [utt for utt in wav if "p0-1" in utt or "again" in utt]


def test_a_speakers_file_that_stands_there_twice_is_kept_once(tmp_path: Path) -> None:
    path = clips(tmp_path) / "list.csv"
    path.write_text(HEADER + rows() + "again,clips/p0_1.wav,p0,f,,,,,\n")
    with pytest.raises(InputError, match=r"list.csv:22: clips/p0_1.wav stands in .*list.csv:3 already"):
        imported(tmp_path, path)
    wav = everything(imported(tmp_path, path, "--skip-bad"), "wav.scp")
    assert len(wav) == 20 and "p0-1" in wav


def test_links_to_another_speakers_file_or_folder_are_found(tmp_path: Path) -> None:
    root = people(tmp_path / "corpus")
    (root / "p7/9.wav").symlink_to(root / "p3/0.wav")
    with pytest.raises(InputError, match=r"p3/0.wav is speaker p3's here and speaker p7's in .*p7/9.wav"):
        imported(tmp_path, root)
    (root / "p7/9.wav").unlink()
    (root / "q").symlink_to(root / "p3")
    with pytest.raises(InputError, match=r"p3/0.wav is speaker p3's here and speaker q's in .*q/0.wav"):
        imported(tmp_path, root)


def test_pieces_and_channels_of_a_recording_are_not_the_same() -> None:
    spans = [(None, 1.0, "0"), (0.0, 1.0, "1"), (1.0, 2.0, "0"), (1.0, None, "0")]
    pieces = [
        Row("a", f"p{at}", "", at, start=one, end=two, channel=c) for at, (one, two, c) in enumerate(spans)
    ]
    assert once(pieces, None, False, Bad(False)) == pieces
    same = Row("a", "q", "", 9, start=0.0, end=1.0, channel="0")
    assert once([*pieces, same], None, False, Bad(True)) == pieces[1:]


def kaldi(folder: Path, **more: str) -> Path:
    audio(folder, *(f"{who}{n}.wav" for who in PEOPLE for n in range(2)))
    tables = {
        "wav.scp": "".join(f"{who}{n} {folder}/{who}{n}.wav\n" for who in PEOPLE for n in range(2)),
        "utt2spk": "".join(f"{who}{n} {who}\n" for who in PEOPLE for n in range(2)),
    }
    for name, text in (tables | more).items():
        (folder / name).write_text(text)
    return folder


def test_bad_rows_of_a_kaldi_directory_are_named_and_left_out(tmp_path: Path) -> None:
    root = kaldi(tmp_path / "data", utt2dur="p00 soon\n")
    with pytest.raises(InputError, match=r"data: utterance p00: duration 'soon' are no seconds.*--skip-bad"):
        imported(tmp_path, root)
    assert len(everything(imported(tmp_path, root, "--skip-bad"), "utt2spk")) == 19


def test_a_broken_table_of_a_kaldi_directory_names_the_command_that_mends_it(tmp_path: Path) -> None:
    spans = "".join(f"{who}{n} {who}{n} 0 {n}\n" for who in PEOPLE for n in range(2))
    root = kaldi(tmp_path / "data", segments=spans)
    with pytest.raises(
        InputError, match=r"segments:1: .*are no interval.*pysteps.prepare fix " + re.escape(str(root))
    ):
        imported(tmp_path, root, "--skip-bad")
