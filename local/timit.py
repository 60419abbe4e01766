"""TIMIT: ROOT/{TRAIN,TEST}/DR1..8/SPEAKER/SENTENCE.WAV (SPHERE), in upper or lower case.

Layout, split and counts are those of the corpus's own readme.doc (LDC93S1; its text is on
catalog.ldc.upenn.edu/docs/LDC93S1): USAGE/DIALECT/SEX+ID/SENTENCE.TYPE, 630 speakers of ten sentences, 462 of
them in TRAIN and 168 in TEST. Kaldi's egs/timit/s5/local/timit_data_prep.sh reads upper-case trees and files
of either case; copies that were converted have SENTENCE.WAV.wav beside or instead. DOC/SPKRINFO.TXT (`ID Sex
DR Use ...`, `;` for comments, as in NLTK's reader of timit) must say the same of a speaker as his folder.

train and dev are TRAIN (the owners have no development set: a tenth of its speakers, drawn), eval is TEST.
Trials are all pairs of a set's SX and SI sentences; the two SA sentences, which everybody reads, are in no
trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from local.augmentation import prepare_pools
from pysteps.formats.errors import InputError
from pysteps.prepare.build import SetBuilder, write_trials
from pysteps.prepare.corpus import Corpus, compare, files, inside, warn
from pysteps.prepare.script import main
from pysteps.prepare.split import held_out
from pysteps.prepare.trials import all_pairs

DEV_SHARE = 0.1
OWNERS = "readme.doc"
PUBLISHED = {
    "TRAIN": {"speakers": 462, "utterances": 4620, "men": 326, "women": 136},
    "TEST": {"speakers": 168, "utterances": 1680, "men": 112, "women": 56},
}


def child(folder: Path, name: str) -> Path | None:
    """What is called ``name`` in ``folder`` in any case."""
    if not folder.is_dir():
        return None
    return next((path for path in sorted(folder.iterdir()) if path.name.upper() == name), None)


def find(root: Path) -> Path:
    """The folder of TRAIN and TEST: ``root``, TIMIT or timit/TIMIT below it, in any case."""
    below = child(root, "TIMIT")
    for folder in (root, below, below and child(below, "TIMIT")):
        if folder and child(folder, "TRAIN") and child(folder, "TEST"):
            return folder
    packed = sorted(path.name for pattern in ("*.zip", "*.tgz", "*.tar.gz") for path in root.glob(pattern))
    mend = f"unpack {packed[0]} there" if packed else "--corpus is the folder that holds TRAIN and TEST"
    raise InputError(f"no TRAIN and TEST here or in TIMIT/; {inside(root)}", where=root, mend=mend)


def read_part(folder: Path) -> dict[str, dict[str, Path]]:
    """Speaker (DR/ID in upper case) to his sentences (SX127) and their files."""
    found: dict[str, dict[str, Path]] = {}
    for file in files(folder, (".wav",), 2):
        dialect, speaker = (part.upper() for part in file.parts[-3:-1])
        sentence = file.name.upper().removesuffix(".WAV").removesuffix(".WAV")
        if dialect[:2] != "DR" or speaker[:1] not in ("F", "M") or sentence[:2] not in ("SA", "SI", "SX"):
            raise InputError("not DR1..8/SEX+ID/SENTENCE.WAV", where=file, mend="see the corpus's readme.doc")
        known = found.setdefault(f"{dialect}/{speaker}", {})
        # of SA1.WAV and SA1.WAV.wav the converted one goes before: both are the same samples
        if sentence not in known or len(file.name) > len(known[sentence].name):
            known[sentence] = file
    if not found:
        raise InputError(f"no DR1/FCJF0/SA1.WAV and the like; {inside(folder)}", where=folder)
    return found


def check_table(root: Path, speakers: Mapping[str, str]) -> None:
    """Say where DOC/SPKRINFO.TXT differs from the folders in a speaker's sex or dialect."""
    doc = child(root, "DOC") or (root.parent.is_dir() and child(root.parent, "DOC")) or None
    table = doc and child(doc, "SPKRINFO.TXT")
    if not table:
        return
    odd = []
    for line in table.read_text("latin-1").splitlines():
        fields = line.split()
        if line.startswith(";") or len(fields) < 3:
            continue
        name = f"{fields[1].upper()}{fields[0].upper()}"
        if name in speakers and speakers[name] != fields[2]:
            odd.append(f"{name} is of dialect {fields[2]} there and of {speakers[name]} here")
    if odd:
        warn(f"{table}: {len(odd)} speakers differ from their folders: {odd[0]}")


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    root = find(corpus.root)
    sets = {name: SetBuilder(data / name) for name in ("train", "dev", "eval")}
    dialects: dict[str, str] = {}
    for part in PUBLISHED:
        folder = child(root, part)
        assert folder is not None  # find saw it
        found = read_part(folder)
        names = {key: key.split("/")[1] for key in found}
        dev = (
            held_out(names.values(), {"dev": DEV_SHARE}, seed, group=lambda name: name[0])
            if part == "TRAIN"
            else {}
        )
        for key, sentences in found.items():
            speaker, dialect = names[key], key.split("/")[0]
            dialects[speaker] = dialect[2:]
            target = sets["eval" if part == "TEST" else dev.get(speaker, "train")]
            for sentence, file in sentences.items():
                name, kind = f"{speaker}-{sentence}", sentence[:2]
                target.add(name, speaker, file, gender=speaker[0], dialect=dialect, sentence=kind, lang="en")
        women = sum(speaker[0] == "F" for speaker in names.values())
        counts = {"speakers": len(found), "utterances": sum(map(len, found.values()))}
        counts |= {"men": len(found) - women, "women": women}
        compare(f"TIMIT {part}", counts, PUBLISHED[part], OWNERS)
    check_table(root, dialects)
    for name, built in sets.items():
        built.write()
        if name != "train":
            write_lists(data / name, built.utt2spk)
    prepare_pools(corpus, data, seed)


def write_lists(folder: Path, utt2spk: Mapping[str, str]) -> None:
    """trials: all pairs of SX and SI sentences; trials.gender: those within a gender."""
    texts = {utt: speaker for utt, speaker in utt2spk.items() if utt.split("-")[1][:2] != "SA"}
    write_trials(folder / "trials", all_pairs(texts))
    sexes = [speaker[0] for speaker in set(texts.values())]
    if max(map(sexes.count, "FM")) > 1:  # else there are no non-target trials within a gender
        write_trials(folder / "trials.gender", all_pairs(texts, group=lambda utt: utt[0]))


if __name__ == "__main__":
    main(prepare, __doc__)
