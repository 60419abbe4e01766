"""YouTube videos by topic: ROOT/youtube.csv, the owner's list, and audio by id in ROOT/audio, videos or ROOT.

The list is that of kaggle.com/datasets/rajatrc1705/youtube-videos-dataset (`link,title,description,category`;
the link is the id; topics art_music, food, history, travel); borisshapa/video-classification reads it so and
keeps videos/ID.mp4. Any list with a column link, id, video_id or url and a column category or topic will do.
A file is ID.m4a and the like, or, as yt-dlp names it, "TITLE [ID].webm"; what is still being fetched (.part)
does not count.

Videos last from seconds to more than 11 hours: data/SET/segments cut at most ``most`` windows of ``window``
seconds from each, spread evenly over it. Nobody says who speaks, so a video stands for a speaker; utt2topic
is what the list says. Videos are split within topics. Choices: ``window`` (10), ``most`` (30), ``each``
(videos a topic that are drawn, 0: all) and ``topics`` (food,travel; default: all of the list).
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from local.augmentation import prepare_pools
from pysteps.audio.read import duration
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.prepare.build import SetBuilder, write_trials
from pysteps.prepare.corpus import Corpus, inside, warn
from pysteps.prepare.script import main
from pysteps.prepare.split import held_out
from pysteps.prepare.trials import balanced

IDS, TOPICS = ("link", "id", "video_id", "url"), ("category", "topic")
FOLDERS = ("audio", "videos", "")
KINDS = tuple(
    ".wav .flac .m4a .opus .webm .mp4 .mp3 .ogg .aac .mkv".split()
)  # the first goes before the others
SHARES = {"dev": 0.1, "eval": 0.1}
SHORTEST = 2.0  # seconds of a video that is left whole
EACH = 50  # target and non-target trials a video
CHOICES = ("window", "most", "each", "topics")


def find_list(root: Path) -> Path:
    """youtube.csv, or the one .csv there is."""
    found = sorted(path for path in root.glob("*.csv"))
    if root / "youtube.csv" in found or len(found) == 1:
        return root / "youtube.csv" if len(found) > 1 else found[0]
    mend = "put the owner's list there as youtube.csv"
    raise InputError(
        f"{len(found)} lists (*.csv) here, none is youtube.csv; {inside(root)}", where=root, mend=mend
    )


def read_list(path: Path) -> dict[str, str]:
    """Id to topic. What has no id of 11 characters, and ids of two topics, are left out and counted."""
    csv.field_size_limit(1 << 24)  # descriptions
    topics: dict[str, set[str]] = defaultdict(set)
    odd = 0
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        rows = csv.reader(line.replace("\0", "") for line in lines)
        header = [name.strip().lower() for name in next(rows, [])]
        places = [
            next((header.index(name) for name in names if name in header), -1) for names in (IDS, TOPICS)
        ]
        if min(places) < 0:
            mend = f"a column {' or '.join(IDS)} and a column {' or '.join(TOPICS)}"
            raise InputError(f"not a list of videos: {','.join(header)[:80]}", where=path, line=1, mend=mend)
        for row in rows:
            video = id_of(row[places[0]]) if len(row) > max(places) else ""
            if video and row[places[1]].strip():
                topics[video].add("_".join(row[places[1]].split()))
            else:
                odd += 1
    if odd:
        warn(f"{path}: {odd:,} lines have no id or no topic and are left out")
    several = [video for video, found in topics.items() if len(found) > 1]
    if several:
        warn(f"{path}: {len(several):,} videos are of two topics and are left out: {several[0]} ...")
    return {video: next(iter(found)) for video, found in topics.items() if len(found) == 1}


def id_of(link: str) -> str:
    """The id in a link, or a bare one; "" for neither."""
    found = re.search(
        r"(?:^|[?&]v=|youtu\.be/|/embed/|/shorts/)([\w-]{11})(?:$|[?&#/])", link.strip(), re.ASCII
    )
    return found[1] if found else ""


def find_audio(root: Path) -> dict[str, Path]:
    """Id to its file, of the first of FOLDERS that has any."""
    for folder in (root / name for name in FOLDERS):
        found: dict[str, Path] = {}
        names = sorted(entry.name for entry in os.scandir(folder)) if folder.is_dir() else []
        for name in names:
            stem, suffix = os.path.splitext(name)
            named = re.search(r"(?:^|\[)([\w-]{11})\]?$", stem, re.ASCII)
            if named and suffix.lower() in KINDS:
                path, known = folder / name, found.get(named[1])
                if known is None or KINDS.index(suffix.lower()) < KINDS.index(known.suffix.lower()):
                    found[named[1]] = path
        parts = sum(name.endswith(".part") for name in names)
        if parts:
            warn(f"{folder}: {parts:,} files are not whole (.part): let yt-dlp finish, or they are missing")
        if found:
            return found
    looked = "audio/, videos/ or here"
    raise InputError(
        f"no ID.m4a and the like in {looked}; {inside(root)}", where=root, mend="fetch the audio there"
    )


def windows(seconds: float, window: float, most: int) -> list[tuple[float, float]]:
    """At most ``most`` spans of ``window`` seconds, one after the other; of a long video, evenly spread."""
    count = int(seconds / window)
    if count == 0:
        return [(0.0, round(seconds, 2))] if seconds >= SHORTEST else []
    starts = [index * window for index in range(count)]
    if count > most:
        starts = [(index + 0.5) * seconds / most - window / 2 for index in range(most)]
    return [(round(start, 2), round(min(start + window, seconds), 2)) for start in starts]


def choose(
    topics: Mapping[str, str], audio: Mapping[str, Path], each: int, seed: int
) -> tuple[dict[str, float], Counter[str], Counter[str]]:
    """Videos that are there and can be read, with their seconds, ``each`` of a topic at most, drawn; how many
    of each topic are missing, and how many could not be read.
    """
    by_topic: dict[str, list[str]] = defaultdict(list)
    for video in sorted(topics, key=lambda video: (generator(seed, video, "each").random(), video)):
        by_topic[topics[video]].append(video)
    found, missing, broken = {}, Counter[str](), Counter[str]()
    for topic, videos in sorted(by_topic.items()):
        there = [video for video in videos if video in audio]
        missing[topic] = len(videos) - len(there)
        kept = 0
        for video in there:
            if each and kept == each:
                break
            try:
                samples, rate = duration(audio[video])
            except InputError:
                broken[topic] += 1
                continue
            found[video] = samples / rate
            kept += 1
    return found, missing, broken


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    path = find_list(corpus.root)
    topics, audio = read_list(path), find_audio(corpus.root)
    known = sorted(set(topics.values()))
    wanted = [name for name in corpus.choice("topics", ",".join(known)).split(",") if name]
    if set(wanted) - set(known):
        mend = f"the list has {', '.join(known)}"
        raise InputError(f"no topic {', '.join(sorted(set(wanted) - set(known)))}", where=path, mend=mend)
    topics = {video: topic for video, topic in topics.items() if topic in wanted}
    window, most = corpus.whole("window", 10, least=1), corpus.whole("most", 30, least=1)
    seconds, missing, broken = choose(topics, audio, corpus.whole("each", 0), seed)
    cut = {video: windows(length, window, most) for video, length in seconds.items()}
    used = [video for video, spans in cut.items() if spans]
    listed, chosen = Counter(topics.values()), Counter(topics[video] for video in used)
    for topic in sorted(listed):
        said = f"{chosen[topic]:,} of {listed[topic]:,} videos, {missing[topic]:,} have no audio"
        print(f"{topic}: {said}, {broken[topic]:,} cannot be read", file=sys.stderr, flush=True)
    if len(used) < len(seconds):
        warn(f"{len(seconds) - len(used):,} videos are shorter than {SHORTEST:g} s and are left out")
    held = held_out(used, SHARES, seed, group=topics.__getitem__)
    sets = {name: SetBuilder(data / name) for name in ("train", *SHARES)}
    for video in used:
        for start, end in cut[video]:
            name = f"{video}-{round(start * 100):08d}-{round(end * 100):08d}"
            target = sets[held.get(video, "train")]
            target.add(name, video, audio[video], recording=video, span=(start, end), topic=topics[video])
    for name, built in sets.items():
        built.write()
        if name != "train":
            write_lists(data / name, built.utt2spk, topics, seed)
    prepare_pools(corpus, data, seed)


def write_lists(folder: Path, utt2spk: Mapping[str, str], topics: Mapping[str, str], seed: int) -> None:
    """trials: EACH pairs of windows of one video and EACH of two, a video; trials.topic: within a topic."""
    write_trials(folder / "trials", balanced(utt2spk, EACH, seed))
    try:
        within = balanced(utt2spk, EACH, seed, group=lambda utt: topics[utt2spk[utt]])
    except InputError as error:
        warn(f"{folder}: no trials.topic: {error}")
        return
    write_trials(folder / "trials.topic", within)


if __name__ == "__main__":
    main(prepare, __doc__, CHOICES)
