"""MUSAN and RIRS_NOISES in their owners' layouts become the pools that augmentation draws from."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import augmentation
from local.augmentation import prepare_pools
from pysteps.audio.read import read_audio
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests.corpora import Voices

QUIET = Voices(real=False)


def musan(root: Path) -> Path:
    """A few recordings of each source; music-fma-0002 is not annotated."""
    for name in (
        "noise/free-sound/noise-free-sound-0000",
        "noise/sound-bible/noise-sound-bible-0000",
        "music/fma/music-fma-0000",
        "music/fma/music-fma-0001",
        "music/fma/music-fma-0002",
        "speech/librivox/speech-librivox-0000",
        "speech/us-gov/speech-us-gov-0000",
    ):
        QUIET.write(root / f"{name}.wav", name)
    (root / "music/fma/ANNOTATIONS").write_text(
        "music-fma-0000 baroque,classical N quodlibet\nmusic-fma-0001 folk Y jason_shaw\n"
    )
    (root / "music/fma/LICENSE").write_text("The license under which each file was released\n")
    (root / "noise/free-sound/ANNOTATIONS").write_text("noise-free-sound-0000 crowd\n")
    return root


def rirs_noises(root: Path) -> Path:
    """Two simulated rooms of each size, real ones and noises with their lists, which lack a file."""
    lists: dict[str, list[str]] = {}
    for size in ("smallroom", "mediumroom", "largeroom"):
        for name in ("Room001-00001", "Room002-00001"):
            QUIET.write(root / "simulated_rirs" / size / name[:7] / f"{name}.wav", name)
    real = "real_rirs_isotropic_noises"
    for number, name in enumerate(
        (
            "air_type1_air_binaural_office_0_1",
            "RVB2014_type1_rir_largeroom1_far_angla",
            "RWCP_type4_rir_p30l",
        ),
        1,
    ):
        lists.setdefault(f"{real}/rir_list", []).append(
            f"--rir-id {number:05d} --room-id real-{number} RIRS_NOISES/{real}/{name}.wav"
        )
        QUIET.write(root / real / f"{name}.wav", name)
    noise = "RVB2014_type1_noise_largeroom1_1"
    QUIET.write(root / real / f"{noise}.wav", noise)
    lists[f"{real}/noise_list"] = [
        f"--noise-id 001 --noise-type isotropic --room-linkage real-2 RIRS_NOISES/{real}/{noise}.wav",
        f"--noise-id 002 --noise-type isotropic --room-linkage real-2 RIRS_NOISES/{real}/gone.wav",
    ]
    QUIET.write(root / "pointsource_noises/noise-free-sound-0000.wav", "point")
    lists["pointsource_noises/noise_list"] = [
        "--noise-id 001 --noise-type point-source --bg-fg-type foreground "
        "RIRS_NOISES/pointsource_noises/noise-free-sound-0000.wav"
    ]
    for name, found in lists.items():
        (root / name).write_text("\n".join(found) + "\n")
    return root


def names(data: Path) -> dict[str, set[str]]:
    """Pool to what it holds."""
    return {path.parent.name: set(read_table(path)) for path in data.glob("*/wav.scp")}


def test_pools_are_what_the_owners_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    musan(tmp_path / "corpora" / "musan")
    rirs_noises(tmp_path / "corpora" / "RIRS_NOISES")
    prepare_pools(Corpus(tmp_path / "corpora"), tmp_path / "data", 0)
    assert names(tmp_path / "data") == {
        "noise": {"noise-noise-free-sound-0000", "noise-noise-sound-bible-0000"},
        "music": {"music-music-fma-0000", "music-music-fma-0001"},
        "music-instrumental": {"music-music-fma-0000"},
        "speech": {"speech-speech-librivox-0000", "speech-speech-us-gov-0000"},
        "rirs": {f"{size}-Room00{n}-00001" for size in ("smallroom", "mediumroom") for n in (1, 2)},
        "rirs-real": {
            "air_type1_air_binaural_office_0_1",
            "RVB2014_type1_rir_largeroom1_far_angla",
            "RWCP_type4_rir_p30l",
        },
        "noise-isotropic": {"RVB2014_type1_noise_largeroom1_1"},
        "noise-point": {"noise-free-sound-0000"},
    }
    said = capsys.readouterr().err
    assert "music: 1 recordings are not in ANNOTATIONS and left out" in said
    assert "real_rirs_isotropic_noises/noise_list: 1 of 2 are not there" in said
    wav = read_table(tmp_path / "data" / "noise" / "wav.scp")
    assert wav["noise-noise-free-sound-0000"].endswith("musan/noise/free-sound/noise-free-sound-0000.wav")


def test_without_lists_a_name_tells_rooms_from_noises(tmp_path: Path) -> None:
    root = rirs_noises(tmp_path / "RIRS_NOISES")
    for path in root.glob("*/*_list"):
        path.unlink()
    prepare_pools(Corpus(tmp_path), tmp_path / "data", 0)
    found = names(tmp_path / "data")
    assert len(found["rirs-real"]) == 3 and found["noise-isotropic"] == {"RVB2014_type1_noise_largeroom1_1"}


def test_a_part_of_each_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    QUIET.write(tmp_path / "musan/noise/esc10/rain-1-17367-A.ogg", "rain")
    QUIET.write(tmp_path / "RIRS_NOISES/real_rirs_isotropic_noises/clap_room.wav", "clap")
    prepare_pools(Corpus(tmp_path), tmp_path / "data", 0)
    found = names(tmp_path / "data")
    assert found["noise"] == {"noise-rain-1-17367-A"} and found["rirs"] == found["rirs-real"] == {"clap_room"}
    shipped = {f"music-{path.stem}" for path in (augmentation.SHIPPED / "musan/music").glob("*/*.*")}
    assert found["music"] and found["music"] <= shipped and "speech" not in found
    said = capsys.readouterr().err
    assert "musan/music: music is what is shipped" in said and "data/rirs are the 1 real rooms" in said


def test_pools_of_an_earlier_corpus_go(tmp_path: Path) -> None:
    musan(tmp_path / "with" / "musan")
    rirs_noises(tmp_path / "with" / "RIRS_NOISES")
    prepare_pools(Corpus(tmp_path / "with"), tmp_path / "data", 0)
    (tmp_path / "without").mkdir()
    prepare_pools(Corpus(tmp_path / "without"), tmp_path / "data", 0, rooms=1)
    assert set(names(tmp_path / "data")) == {"noise", "music", "rirs"}


def test_wrong_folders_are_told(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        InputError, match=r"no noise/, music/ or speech/; the folder is empty .*roots.musan is"
    ):
        prepare_pools(Corpus(tmp_path, {"musan": empty}), tmp_path / "data", 0)
    (empty / "rirs_noises.zip").touch()
    with pytest.raises(
        InputError, match=r"no simulated_rirs/.*found rirs_noises.zip .*unpacked from rirs_noises.zip"
    ):
        prepare_pools(Corpus(tmp_path, {"rirs_noises": empty}), tmp_path / "data", 0)
    root = musan(tmp_path / "musan")
    (root / "music/fma/ANNOTATIONS").write_text("music-fma-0000 baroque N quodlibet\nmusic-fma-0001 folk\n")
    with pytest.raises(InputError, match=r"ANNOTATIONS:2: not `NAME GENRES Y.N MUSICIAN`"):
        prepare_pools(Corpus(tmp_path), tmp_path / "data", 0)


def test_what_is_here_for_real_is_read_in_place(shared_data: Path, tmp_path: Path) -> None:
    roots = {"musan": shared_data / "musan", "rirs_noises": shared_data / "RIRS_NOISES"}
    prepare_pools(Corpus(tmp_path, roots), tmp_path / "data", 0)
    found = names(tmp_path / "data")
    assert (len(found["noise"]), len(found["rirs"])) == (112, 24)
    for pool in ("noise", "rirs"):
        samples, rate = read_audio(next(iter(read_table(tmp_path / "data" / pool / "wav.scp").values())))
        assert len(samples) > rate / 10
