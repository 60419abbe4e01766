"""Archives are whole or not there, and write nothing outside their folder."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.prepare import unpack
from tests.web import tar


def test_an_archive_is_whole_or_not_there(tmp_path: Path) -> None:
    body = tar({"C/a/1.wav": b"1" * 5000, "C/b/2.wav": bytes(range(256)) * 40})
    (tmp_path / "c.tar.gz").write_bytes(body[: len(body) - 40])
    with pytest.raises(InputError, match=r"c.tar.gz: is damaged: .*get it again"):
        unpack.unpack([tmp_path / "c.tar.gz"], tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []
    (tmp_path / "c.tar.gz").write_bytes(body)
    (tmp_path / "to" / ".unpacking-c.tar.gz" / "half").mkdir(parents=True)  # of a killed run
    unpack.unpack([tmp_path / "c.tar.gz"], tmp_path / "to")
    assert sorted(str(path.relative_to(tmp_path / "to")) for path in (tmp_path / "to").rglob("*.*")) == [
        "C/a/1.wav",
        "C/b/2.wav",
    ]


def test_archives_of_one_corpus_share_a_folder(tmp_path: Path) -> None:
    for name, body in (("one", b"1"), ("two", b"2")):
        (tmp_path / f"{name}.tgz").write_bytes(tar({"C/README": body, f"C/{name}/a": body}))
        unpack.unpack([tmp_path / f"{name}.tgz"], tmp_path)
    assert (tmp_path / "C/README").read_bytes() == b"2"
    assert (tmp_path / "C/one/a").read_bytes() == b"1" and (tmp_path / "C/two/a").read_bytes() == b"2"


def test_parts_are_read_as_one(tmp_path: Path) -> None:
    body = tar({"C/1": bytes(range(256)) * 9})
    parts = [tmp_path / f"c.tar.gz{end}" for end in ("aa", "ab", "ac")]
    for number, part in enumerate(parts):
        part.write_bytes(body[number * 50 : (number + 1) * 50 if number < 2 else None])
    unpack.unpack(parts, tmp_path)
    assert (tmp_path / "C/1").read_bytes() == bytes(range(256)) * 9


@pytest.mark.parametrize("name", ["../out", "/out", "C/../../out"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "to"
    (tmp_path / "c.tgz").write_bytes(tar({"C/in": b"1", name: b"1"}))
    if name == "/out":  # tarfile's filter takes the slash off
        unpack.unpack([tmp_path / "c.tgz"], folder)
        assert (folder / "out").is_file() and not Path("/out").exists()
    else:
        with pytest.raises(InputError, match="would write outside"):
            unpack.unpack([tmp_path / "c.tgz"], folder)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr(name, b"1")
    with pytest.raises(InputError, match="would write outside its folder: .*out"):
        unpack.unpack([tmp_path / "c.zip"], folder)
    assert not (tmp_path / "out").exists()


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.tgz").write_bytes(tar({"C/in": b"1"}, ("C/link", "../../elsewhere")))
    with pytest.raises(InputError, match="would write outside"):
        unpack.unpack([tmp_path / "c.tgz"], tmp_path / "to")


def test_devices_pipes_and_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        entry = tarfile.TarInfo("C/pipe")
        entry.type = tarfile.FIFOTYPE
        archive.addfile(entry)
    with pytest.raises(InputError, match="c.tar: holds a device or a pipe"):
        unpack.unpack([tmp_path / "c.tar"], tmp_path / "to")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archived:
        link = zipfile.ZipInfo("C/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archived.writestr(link, "/etc")
    with pytest.raises(InputError, match="would write outside its folder: C/link"):
        unpack.unpack([tmp_path / "c.zip"], tmp_path / "to")
    assert list((tmp_path / "to").iterdir()) == []
