"""Miniature VoxCeleb1, VoxCeleb2 and SITW in the owners' layouts, for tests of their recipes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.corpora import Voices

# Lines of vox1_meta.csv and vox2_meta.csv.
META1 = """VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet
id10001\tA.J._Buckley\tm\tIreland\tdev
id10002\tA.R._Rahman\tm\tIndia\tdev
id10003\tAamir_Khan\tm\tIndia\tdev
id10006\tAbbie_Cornish\tf\tAustralia\tdev
id10007\tAbigail_Breslin\tf\tUSA\tdev
id10008\tAbigail_Spencer\tf\tUSA\tdev
id10170\tCliff_Curtis\tm\tNew Zealand\tdev
id10270\tEartha_Kitt\tf\tUSA\ttest
id10271\tEd_Westwick\tm\tUK\ttest
id10272\tEddie_Griffin\tm\tUSA\ttest
"""
META2 = """VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set
id00012 ,n000012 ,m ,dev
id00015 ,n000015 ,m ,dev
id00016 ,n000016 ,m ,dev
id00018 ,n000018 ,m ,dev
id00022 ,n000022 ,f ,dev
id00024 ,n000024 ,f ,dev
id00025 ,n000025 ,f ,dev
id00039 ,n000039 ,f ,dev
id00017 ,n000017 ,m ,test
"""
DEV1 = ["id10001", "id10002", "id10003", "id10006", "id10007", "id10008", "id10170"]
TEST1 = ["id10270", "id10271", "id10272"]
DEV2 = ["id00012", "id00015", "id00016", "id00018", "id00022", "id00024", "id00025", "id00039"]
VIDEOS = ("5r0dWxy17C8", "-xAzUdI_A1k")  # a name of YouTube may begin with a hyphen


def write(path: Path, speaker: str, number: int, voices: Voices | None) -> None:
    """A recording; an empty file without ``voices``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if voices is None:
        path.touch()
    else:
        voices.write(path, speaker, number)


def add(folder: Path, speakers: Iterable[str], suffix: str, voices: Voices | None = None) -> None:
    """FOLDER/SPEAKER/VIDEO/NUMBER: two videos of two utterances a speaker."""
    for speaker in speakers:
        for number in range(4):
            name = f"{number % 2 + 1:05d}{suffix}"
            write(folder / speaker / VIDEOS[number // 2] / name, speaker, number, voices)


def trials(speakers: Iterable[str]) -> str:
    """A list of the owners: each one's first utterances of both videos, and of one with the next one's."""
    names = list(speakers)
    lines = []
    for one, other in zip(names, names[1:] + names[:1], strict=True):
        lines.append(f"1 {one}/{VIDEOS[0]}/00001.wav {one}/{VIDEOS[1]}/00001.wav\n")
        lines.append(f"0 {one}/{VIDEOS[0]}/00001.wav {other}/{VIDEOS[1]}/00001.wav\n")
    return "".join(lines)


def lists(folder: Path) -> None:
    """Trial lists and metadata under their owners' names; of the original lists only O's is there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vox1_meta.csv").write_text(META1)
    (folder / "vox2_meta.csv").write_text(META2)
    (folder / "veri_test.txt").write_text(trials(TEST1))
    (folder / "veri_test2.txt").write_text(trials(TEST1))
    (folder / "list_test_all2.txt").write_text(trials([*TEST1, *DEV1]))
    (folder / "list_test_hard2.txt").write_text(trials(DEV1))


def voxceleb(root: Path, voices: Voices | None = None) -> Path:
    """Both corpora as Kaldi and WeSpeaker have them, with the lists beside VoxCeleb1."""
    add(root / "VoxCeleb1" / "dev" / "wav", DEV1, ".wav", voices)
    add(root / "VoxCeleb1" / "test" / "wav", TEST1, ".wav", voices)
    add(root / "VoxCeleb2" / "dev" / "aac", DEV2, ".m4a", voices)
    lists(root / "VoxCeleb1")
    return root


# Speaker of SITW: gender, sessions' recordings; the last one holds two people.
PEOPLE = {
    "dev": {
        "ZPYJ": ("m", "skdts unotx ykwdf hwnqc"),
        "PNTR": ("f", "agiwn bqkzm csyhe dlvfu"),
        "UZCG": ("f", "uknkl gjrta lpwod nbxei"),
        "AAQF": ("m", "ezmvu fhqsk ibcyo jtrgn"),
        "BDWK": ("m", "oarpl pviue qmhtd rwxcg"),
        "CEXL": ("f", "sfnbk tyjza vgqmo wdlei"),
        "DGHT": ("m", "umvqs kzwha rlfye cibdo"),
        "FJOW": ("f", "hxpgn zqtuk mewla ysrbf"),
    },
    "eval": {
        "LKQN": ("m", "ggjnl akyvw lywwa xkcuo"),
        "MROS": ("f", "abhpt bznqd cwfks dygum"),
        "TVAH": ("m", "eqjrx fmclb gposz hntvi"),
    },
}


def sitw(root: Path, voices: Voices | None = None) -> Path:
    """sitw_database.v4: of each speaker one recording enrols a core model and the last one an assist model
    (its second 0.5 to 2), the second and third are core tests, the last is a multi test."""
    for part, people in PEOPLE.items():
        folder = root / "sitw_database.v4" / part
        for name in ("lists", "keys"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        text = {name: "" for name in ("meta", "core", "assist", "core-core", "core-multi", "assist-core")}
        for rank, (speaker, (gender, names)) in enumerate(people.items()):
            files = names.split()
            for number, name in enumerate(files):
                write(folder / "audio" / f"{name}.flac", speaker, number, voices)
                several = "2+" if number == 3 else "1"
                text["meta"] += f"audio/{name}.flac {speaker} {gender} video 60527{number} 96 120 {several} "
                text["meta"] += "codec,reverb 3 interview laughter,overlap\n"
            text["core"] += f"{12013 + rank} audio/{files[0]}.flac\n"
            text["assist"] += f"{45205 + rank} audio/{files[3]}.flac 0.500 2.000\n"
            for other, (_, theirs) in people.items():
                kind = "tgt" if other == speaker else "imp"
                tests = theirs.split()
                text["core-core"] += "".join(
                    f"{12013 + rank} audio/{name}.flac {kind}\n" for name in tests[1:3]
                )
                text["core-multi"] += f"{12013 + rank} audio/{tests[3]}.flac {kind}\n"
                text["assist-core"] += f"{45205 + rank} audio/{tests[1]}.flac {kind}\n"
        (folder / "keys" / "meta.lst").write_text(text.pop("meta"))
        for kind in ("core", "assist"):
            (folder / "lists" / f"enroll-{kind}.lst").write_text(text.pop(kind))
        for name, lines in text.items():
            (folder / "keys" / f"{name}.lst").write_text(lines)
    return root
