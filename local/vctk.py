"""VCTK 0.92: ROOT/wav48_silence_trimmed/SPEAKER/SPEAKER_NNN_mic1.flac; 0.80: wav48/SPEAKER/SPEAKER_NNN.wav.

Layout and speaker-info.txt (`ID AGE GENDER ACCENTS REGION COMMENTS`; IDs are p225 in 0.92 and 225 in 0.80) as
in the corpus's README (datashare.ed.ac.uk/handle/10283/3443), huggingface/datasets' datasets/vctk/vctk.py and
lhotse/recipes/vctk.py. 110 speakers (README of 0.92; 109 in that of 0.80); p280 has no mic2, p315 neither
mic2 nor text.

The owners have no split: a seeded draw within genders holds out speakers with text for dev and eval. The
rainbow passage and the elicitation paragraph are read by everybody (README): a sentence that two speakers of
a set read (txt/) is in no trial. ``mic``: mic1 (default: everybody has it) or mic2.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from local.augmentation import prepare_pools
from local.lists import write_drawn
from pysteps.formats.errors import InputError
from pysteps.prepare.build import SetBuilder
from pysteps.prepare.corpus import Corpus, compare, files, inside, need, warn
from pysteps.prepare.script import main
from pysteps.prepare.split import held_out

SHARES = {"dev": 0.1, "eval": 0.2}
EACH = 300  # target and non-target trials a speaker
TRIMMED, OLD = "wav48_silence_trimmed", "wav48"


def find(root: Path) -> Path:
    """The corpus's folder: ``root``, or VCTK-Corpus-0.92 or VCTK-Corpus below it."""
    for folder in (root, root / "VCTK-Corpus-0.92", root / "VCTK-Corpus"):
        if (folder / TRIMMED).is_dir() or (folder / OLD).is_dir():
            return folder
    packed = sorted(path.name for pattern in ("*.zip", "*.tar.gz") for path in root.glob(pattern))
    mend = f"unpack {packed[0]} there" if packed else f"--corpus is the folder that holds {TRIMMED}"
    raise InputError(f"no {TRIMMED} (0.92) and no {OLD} (0.80) here; {inside(root)}", where=root, mend=mend)


def read_info(path: Path) -> dict[str, tuple[str, str]]:
    """Speaker (p225) to gender and accent."""
    found = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] == "ID":
            continue
        if len(fields) < 4 or fields[2] not in ("F", "M"):
            raise InputError("not `ID AGE GENDER ACCENT ...`", where=path, line=number)
        name = f"p{fields[0]}" if fields[0].isdecimal() else fields[0]
        found[name] = (fields[2].lower(), fields[3])
    return found


def recordings(root: Path, mic: str) -> dict[str, list[Path]]:
    """Speaker to his recordings by that microphone."""
    if (root / TRIMMED).is_dir():
        found = files(root / TRIMMED, (f"_{mic}.flac", f"_{mic}.wav"), 1)
    elif mic != "mic1":
        mend = "get VCTK-Corpus-0.92, or take mic1"
        raise InputError(f"0.80 ({OLD}) has one microphone, mic1", where=root, mend=mend)
    else:
        found = files(root / OLD, (".wav",), 1)
    speakers: dict[str, list[Path]] = {}
    for file in found:
        speakers.setdefault(file.parent.name, []).append(file)
    if not speakers:
        what = (
            f"no SPEAKER/SPEAKER_NNN_{mic}.flac in {TRIMMED}"
            if (root / TRIMMED).is_dir()
            else f"nothing in {OLD}"
        )
        raise InputError(what, where=root, mend="unpack VCTK-Corpus-0.92.zip again")
    return speakers


def number_of(file: Path) -> str:
    """p225_001 of p225_001_mic1.flac."""
    return "_".join(file.stem.split("_")[:2])


def shared(root: Path, built: SetBuilder, stems: dict[str, str]) -> set[str]:
    """Utterances whose sentence another speaker of the set reads too, and those without text."""
    readers: dict[str, set[str]] = defaultdict(set)
    sentence, lost = {}, 0
    for utt, speaker in built.utt2spk.items():
        try:
            text = (root / "txt" / speaker / f"{stems[utt]}.txt").read_text("utf-8", "replace")
        except OSError:
            lost += 1
            continue
        sentence[utt] = "".join(letter for letter in text.lower() if letter.isalnum())
        readers[sentence[utt]].add(speaker)
    if lost:
        warn(
            f"{built.folder}: {lost:,} of {len(built):,} utterances have no text in txt/ and are in no trial"
        )
    return {utt for utt in built.utt2spk if utt not in sentence or len(readers[sentence[utt]]) > 1}


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    root = find(corpus.root)
    mic = corpus.choice("mic", "mic1", "mic1", "mic2")
    table, _ = need(root, "speaker-info.txt", "txt", mend="unpack VCTK-Corpus-0.92.zip again")
    info, speakers = read_info(table), recordings(root, mic)
    unknown = sorted(speakers.keys() - info.keys())
    if unknown:
        warn(f"{table}: {len(unknown)} speakers are not listed: {' '.join(unknown[:8])}")
    genders = {speaker: gender for speaker, (gender, _) in info.items() if speaker in speakers}
    spoken = [speaker for speaker in speakers if (root / "txt" / speaker).is_dir()]
    held = held_out(spoken, SHARES, seed, group=lambda speaker: genders.get(speaker, ""))
    sets, stems = {name: SetBuilder(data / name) for name in ("train", *SHARES)}, {}
    for speaker, found in speakers.items():
        gender, accent = info.get(speaker, ("", ""))
        for file in found:
            utt = number_of(file).replace("_", "-")
            stems[utt] = number_of(file)
            target = sets[held.get(speaker, "train")]
            target.add(utt, speaker, file, gender=gender, accent=accent, channel=mic, lang="en")
    compare(
        f"VCTK {mic}", {"speakers": len(speakers)}, {"speakers": 110 if mic == "mic1" else 108}, "its README"
    )
    for name, built in sets.items():
        built.write()
        if name != "train":
            same = shared(root, built, stems)
            print(f"{built.folder}: {len(same):,} utterances are in no trial: others read their sentence too")
            left = {utt: speaker for utt, speaker in built.utt2spk.items() if utt not in same}
            write_drawn(data / name, left, genders, EACH, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__, ("mic",))
