"""TAL_CSASR (TALCS): English lessons of Chinese teachers, Mandarin with English in it (stage 0).

Layout and facts are those of
- the owners (TAL Education; Li et al., Interspeech 2022, arXiv 2206.13135) as PaddleSpeech's
  dataset/tal_cs/{README.md,tal_cs.py} and icefall's egs/tal_csasr have them:
  TALCS_corpus/{train_set,dev_set,test_set}/{label.txt,wav/NAME.wav}, 587 h, one speaker a recording, more
  than 200 speakers, lessons of English teachers;
- WeNet's examples/multi_cn/s0/local/tal_mix_data_prep.sh for the first archive:
  TAL_CSASR/{label,cs_wav/NAME.wav}, 370,000 recordings.

**No speakers are published.** NAME is 210_36476_210_8341_1_1533271973_7057520_132 (label.txt, quoted in
lhotse's recipes/tal_csasr.py and k2's examples); nobody says what the eight numbers mean. The sixth is a time
in seconds since 1970, the last counts the pieces of a lesson. Here the third and fourth are taken for the
teacher, since their numbers are the smaller: an assumption. How many speakers come of it is compared with the
owners' 200.

The owners' sets were made for speech recognition and may share teachers, so they are put together and
speakers drawn anew by seed: 5 in a hundred for dev, 10 for eval. Trials: 100 target and 100 non-target pairs
a speaker; the sides of a target trial are of two lessons if any speaker of the set has two.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from local.augmentation import prepare_pools
from pysteps.formats.errors import InputError
from pysteps.prepare.build import SetBuilder, write_trials
from pysteps.prepare.corpus import Corpus, compare, files, inside, warn
from pysteps.prepare.script import main
from pysteps.prepare.split import held_out
from pysteps.prepare.trials import balanced

SETS = ("train_set", "dev_set", "test_set")
SHARES = {"dev": 0.05, "eval": 0.1}
EACH, FIELDS = 100, 8
FEWEST, MOST = 100, 1000  # speakers, beyond which the assumption about names cannot be right


def recordings(root: Path) -> Iterator[Path]:
    """Every NAME.wav of either archive."""
    for base in (root / "TALCS_corpus", root):
        there = [base / name / "wav" for name in SETS if (base / name / "wav").is_dir()]
        if there:
            if lost := [name for name in SETS if base / name / "wav" not in there]:
                warn(f"{base}: no {' and no '.join(f'{name}/wav' for name in lost)}")
            for folder in there:
                yield from files(folder, (".wav",))
            return
    for base in (root / "TAL_CSASR", root):
        if (base / "cs_wav").is_dir():
            found = files(base / "cs_wav", (".wav",))
            compare("TAL_CSASR", {"recordings": len(found)}, {"recordings": 370_000}, "WeNet's multi_cn")
            yield from found
            return
    packed = sorted(path.name for path in root.glob("TAL_CSASR.tar*"))
    mend = f"cat {packed[0].partition('.tar')[0]}.tar* | tar x, there" if packed else ""
    what = f"no TALCS_corpus/train_set/wav and no TAL_CSASR/cs_wav here; {inside(root)}"
    raise InputError(what, where=root, mend=mend or "--corpus is the folder that holds TALCS_corpus")


def speaker_of(stem: str) -> str:
    """The third and fourth number of a name of eight; "" of another name."""
    words = stem.split("_")
    return "_".join(words[2:4]) if len(words) == FIELDS and all(map(str.isdecimal, words)) else ""


def read_speakers(root: Path) -> dict[str, list[Path]]:
    """Speaker to recordings; names of another shape are counted and left out."""
    theirs, odd = dict[str, list[Path]](), list[str]()
    for path in recordings(root):
        if who := speaker_of(path.stem):
            theirs.setdefault(who, []).append(path)
        else:
            odd.append(path.stem)
    if odd:
        warn(
            f"{len(odd):,} recordings are left out: their names are not eight numbers (the first: {min(odd)})"
        )
    if not theirs:
        raise InputError(
            "no recording is named after its lesson", where=root, mend="see egs/tal_csasr/README.md"
        )
    if not FEWEST <= len(theirs) <= MOST:
        said = f"TAL_CSASR: {len(theirs):,} speakers by the recordings' names, the owners have more than 200"
        warn(f"{said}: with all of the corpus that would mean that the names mean something else")
    return theirs


def lesson_of(utt: str) -> str:
    """An utterance's name without its last number."""
    return utt.rpartition("_")[0]


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    theirs = read_speakers(corpus.root)
    held = held_out(theirs, SHARES, seed)
    built = {name: SetBuilder(data / name) for name in ("train", *SHARES)}
    for who, paths in theirs.items():
        for path in paths:
            utt = f"{who}-{path.stem}"
            built[held.get(who, "train")].add(utt, who, path, lang="zh-en", session=lesson_of(utt))
    for name, builder in built.items():
        builder.write()
        if name != "train":
            lessons = {(who, lesson_of(utt)) for utt, who in builder.utt2spk.items()}
            apart = lesson_of if len(lessons) > len(builder.speakers) else None
            if apart is None:
                warn(f"{name}: every speaker has one lesson: both sides of a target trial are of it")
            write_trials(data / name / "trials", balanced(builder.utt2spk, EACH, seed, apart=apart))
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)
