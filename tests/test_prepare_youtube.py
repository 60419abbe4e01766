"""egs/youtube: a list and a folder of audio, partly missing; windows and trials worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import youtube
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests.corpora import Voices, prepared, results_of

TOPICS = ("art_music", "food", "history", "travel")
# Of each topic four videos that are there, one that is gone.
VIDEOS = {topic: [f"{topic[:3]}_-{number}abcdE" for number in range(5)] for topic in TOPICS}
VIDEOS["travel"][0] = "ehmsJLZlCZ0"
VIDEOS["food"][0] = "-_mmsJLZlC0"


def list_of(extra: str = "") -> str:
    """The owner's columns, descriptions of several lines."""
    rows = ["link,title,description,category"]
    for topic, videos in VIDEOS.items():
        rows += [f'{video},"Ep 1| A, B","Of it\n""all""\n http://x.y",{topic}' for video in videos]
    return "\n".join(rows) + "\n" + extra


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The miniature corpus, its files empty: 25 s each, by a stand-in for what reads their headers."""

    def seconds(path: Path) -> tuple[int, int]:
        if path.stat().st_size:
            raise InputError("damaged", where=path)
        return 25 * 16000, 16000

    monkeypatch.setattr(youtube, "duration", seconds)
    root = tmp_path / "YouTube videos"
    (root / "audio").mkdir(parents=True)
    (root / "youtube.csv").write_text(list_of())
    for videos in VIDEOS.values():
        for video in videos[:4]:
            (root / "audio" / f"{video}.m4a").touch()
    return root


def videos_of(data: Path, name: str) -> set[str]:
    return set(read_table(data / name / "spk2utt"))


def test_videos_are_split_within_topics_and_cut(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = prepared("youtube", tree, tmp_path / "work")
    sets = {name: videos_of(data, name) for name in ("train", "dev", "eval")}
    assert [len(found) for found in sets.values()] == [12, 2, 2]
    assert set().union(*sets.values()) == {video for videos in VIDEOS.values() for video in videos[:4]}
    where = next(name for name, found in sets.items() if "ehmsJLZlCZ0" in found)
    segments = read_table(data / where / "segments")
    assert segments["ehmsJLZlCZ0-00000000-00001000"] == "ehmsJLZlCZ0 0.000 10.000"
    assert segments["ehmsJLZlCZ0-00001000-00002000"] == "ehmsJLZlCZ0 10.000 20.000"
    assert sum(name.startswith("ehmsJLZlCZ0") for name in segments) == 2
    assert read_table(data / where / "wav.scp")["ehmsJLZlCZ0"] == str(tree / "audio" / "ehmsJLZlCZ0.m4a")
    assert read_table(data / where / "utt2topic")["ehmsJLZlCZ0-00000000-00001000"] == "travel"
    said = capsys.readouterr().err
    assert "travel: 4 of 5 videos, 1 have no audio, 0 cannot be read\n" in said


def test_trials_are_of_a_video_and_of_others(tree: Path, tmp_path: Path) -> None:
    data = prepared("youtube", tree, tmp_path / "work", "--prepare.choices.topics", "food,travel")
    lines = [line.split() for line in (data / "eval" / "trials").read_text().splitlines()]
    # two videos of two windows: 2 pairs of one video, 4 of two
    assert len(lines) == 6 and sum(kind == "target" for *_, kind in lines) == 2
    # a video of each topic: no two videos within one
    assert not (data / "eval" / "trials.topic").exists()
    with pytest.raises(InputError, match=r"no topic foot.*the list has art_music, food, history, travel"):
        youtube.prepare(Corpus(tree, {}, {"topics": "foot"}), tmp_path / "data", 0)


def test_windows_of_eleven_hours_are_spread() -> None:
    assert youtube.windows(1.9, 10, 30) == []
    assert youtube.windows(2.5, 10, 30) == [(0.0, 2.5)]
    assert youtube.windows(39.9, 10, 3) == [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)]
    long = youtube.windows(11.5 * 3600, 10, 4)
    assert long == [(5170.0, 5180.0), (15520.0, 15530.0), (25870.0, 25880.0), (36220.0, 36230.0)]
    exact = youtube.windows(50.0, 10, 4)
    assert exact[0] == (1.25, 11.25) and exact[-1] == (38.75, 48.75)


def test_topics_are_cut_to_a_number_of_videos(tree: Path, tmp_path: Path) -> None:
    (tree / "audio" / f"{VIDEOS['history'][1]}.m4a").write_text("half")  # another is drawn in its place
    words = ("--prepare.choices.each", "3", "--prepare.choices.window", "6", "--prepare.choices.most", "2")
    data = prepared("youtube", tree, tmp_path / "work", *words)
    topic: dict[str, str] = {}
    seen = set[str]()
    for name in ("train", "dev", "eval"):
        table = read_table(data / name / "utt2spk")
        topic |= {video: read_table(data / name / "utt2topic")[utt] for utt, video in table.items()}
        seen |= set(read_table(data / name / "segments").values())
    assert [list(topic.values()).count(name) for name in TOPICS] == [3, 3, 3, 3]
    assert VIDEOS["history"][1] not in topic
    assert {line.split()[1] for line in seen} == {"3.250", "15.750"}  # (i + 0.5) * 25 / 2 - 3


@pytest.mark.parametrize(
    ("link", "video"),
    [
        ("ehmsJLZlCZ0", "ehmsJLZlCZ0"),
        ("https://www.youtube.com/watch?v=ehmsJLZlCZ0&t=3", "ehmsJLZlCZ0"),
        ("https://www.youtube.com/watch?list=x&v=-hmsJLZlCZ_", "-hmsJLZlCZ_"),
        ("https://youtu.be/ehmsJLZlCZ0", "ehmsJLZlCZ0"),
        ("https://www.youtube.com/embed/ehmsJLZlCZ0", "ehmsJLZlCZ0"),
        ("ehmsJLZlCZ", ""),
        ("https://www.youtube.com/", ""),
        ("", ""),
    ],
)
def test_an_id_is_found_in_its_link(link: str, video: str) -> None:
    assert youtube.id_of(link) == video


def test_what_is_broken_is_counted(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = VIDEOS["food"][1:3]
    extra = f"{first},x,y,travel\n{second},again,y,food\nnoid,x,y,food\nonly one field\n"
    (tree / "youtube.csv").write_text(list_of(extra))
    (tree / "audio" / f"{second}.m4a").write_text("damaged")
    (tree / "audio" / f"{VIDEOS['food'][4]}.m4a.part").touch()
    data = prepared("youtube", tree, tmp_path / "work")
    said = capsys.readouterr().err
    assert f"{tree / 'youtube.csv'}: 2 lines have no id or no topic and are left out" in said
    assert f"1 videos are of two topics and are left out: {first} ..." in said
    assert "1 files are not whole (.part)" in said
    assert "food: 2 of 4 videos, 1 have no audio, 1 cannot be read\n" in said
    assert not {first, second} & set().union(*(videos_of(data, name) for name in ("train", "dev", "eval")))


def test_names_of_yt_dlp_and_better_copies(tree: Path, tmp_path: Path) -> None:
    audio = tree / "audio"
    (audio / "ehmsJLZlCZ0.m4a").rename(audio / "Ep 1｜ North East [ehmsJLZlCZ0].webm")
    (audio / f"{VIDEOS['food'][0]}.wav").touch()
    data = prepared("youtube", tree, tmp_path / "work")
    wav: dict[str, str] = {}
    for name in ("train", "dev", "eval"):
        wav |= read_table(data / name / "wav.scp")
    assert wav["ehmsJLZlCZ0"].endswith("audio/Ep 1｜ North East [ehmsJLZlCZ0].webm")
    assert wav["-_mmsJLZlC0"].endswith("audio/-_mmsJLZlC0.wav")
    audio.rename(tree / "videos")
    data = prepared("youtube", tree, tmp_path / "again")
    assert "/videos/" in next(iter(read_table(data / "train" / "wav.scp").values()))


def test_a_wrong_folder_is_said(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"0 lists \(\*.csv\) here, none is youtube.csv; found -_mmsJLZlC0.m4a"
    ):
        youtube.prepare(Corpus(tree / "audio"), tmp_path / "data", 0)
    (tree / "audio").rename(tree / "sound")
    with pytest.raises(
        InputError, match=r"no ID.m4a and the like in audio/, videos/ or here; found sound/, you"
    ):
        youtube.prepare(Corpus(tree), tmp_path / "data", 0)
    (tree / "youtube.csv").write_text("title,views\nx,1\n")
    with pytest.raises(
        InputError, match=r"youtube.csv:1.*not a list of videos: title,views.*a column link or id"
    ):
        youtube.prepare(Corpus(tree), tmp_path / "data", 0)


@pytest.mark.long
def test_the_recipe_runs_from_the_corpus_to_eer(tmp_path: Path) -> None:
    root, voices = tmp_path / "YouTube", Voices()
    for videos in VIDEOS.values():
        for video in videos[:4]:
            voices.write(root / "audio" / f"{video}.m4a", video, 0, 9.0, rate=44100)
    (root / "youtube.csv").write_text(list_of())
    words = ("--prepare.choices.window", "2", "--prepare.choices.most", "4")
    results = results_of("youtube", root, tmp_path / "work", *words)
    assert "eval" in results["trials"]
