"""AISHELL-2: read Mandarin, trials of the owners' 15 development and test speakers by rule (stage 0).

Layout, sets and counts are those of
- the owners (Du et al. 2018, arXiv 1808.10583; Kaldi's egs/aishell2/README.md and s5, which are theirs):
  1,991 speakers (845 men, 1,146 women) in AISHELL-2/iOS/data: wav/C0001/IC0001W0001.wav, trans.txt, wav.scp
  and spk_info.txt (`C0896 B 女 North`: speaker, age, gender, region); 2,500 utterances of 5 speakers (dev)
  and 5,000 of 10 (test), spoken into three devices at once, are AISHELL2-2018A-EVAL;
- WeNet's examples/aishell2/rnnt/run.sh: that as
  AISHELL-DEV-TEST-SET/{iOS,Android,Mic}/{dev,test}/wav/T0011/IT0011W0001.wav; Kaldi's has
  AISHELL-2/iOS/{dev,test}.

eval holds the owners' dev and test, 15 speakers, by device where there are several. dev, which judges
training, is cut from the training speakers (DEV_SHARE of them, 40, of each gender alike, by seed): five are
too few.

Trials of eval: all pairs of 100 utterances a speaker on iOS, drawn by seed; trials.gender within a gender
where the owners' list has it; trials.device: the same utterances against ten a speaker on each other device,
never the same sentence. Trials of dev: 100 target and 100 non-target pairs a speaker, drawn by seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from local.augmentation import prepare_pools
from local.lists import write_drawn
from local.read_speech import EACH, fill, gender_of, refuse_packed, speakers_of
from pysteps.formats.errors import InputError
from pysteps.prepare.build import SetBuilder, write_trials
from pysteps.prepare.corpus import Corpus, compare, files, inside, warn
from pysteps.prepare.script import main
from pysteps.prepare.split import held_out
from pysteps.prepare.trials import Trial, all_pairs, drawn_utterances

DEVICES = ("iOS", "Android", "Mic")
DEV_SHARE, DRAWN, DRAWN_OTHER = 0.02, 100, 10
JUDGED = {"dev": {"speakers": 5, "utterances": 2_500}, "test": {"speakers": 10, "utterances": 5_000}}
SOURCE = "Kaldi's egs/aishell2/README.md"


def find(root: Path) -> Path:
    """The folder iOS/data of AISHELL-2 at or below ``root``."""
    for found in (root / "AISHELL-2" / "iOS" / "data", root / "iOS" / "data"):
        if (found / "wav").is_dir():
            there = speakers_of(found / "wav")
            refuse_packed(found / "wav", there, "in that folder: for a in *.tar.gz; do tar xzf $a; done")
            if there:
                return found
    what = f"no AISHELL-2/iOS/data/wav/SPEAKER and no iOS/data/wav/SPEAKER here; {inside(root)}"
    mend = "--corpus is the folder that holds AISHELL-2 (and AISHELL-DEV-TEST-SET), unpacked"
    raise InputError(what, where=root, mend=mend)


def find_judged(corpus: Corpus) -> Path:
    """The folder that holds iOS/{dev,test}, unpacked."""
    own = [corpus.root / "AISHELL-DEV-TEST-SET", corpus.root / "AISHELL-2", corpus.root]
    named = corpus.optional("aishell2_eval")
    places = own if named is None else [named]
    for found in places:
        if all(speakers_of(found / "iOS" / name / "wav") for name in JUDGED):
            return found
    packed = [path for place in places for path in sorted(place.glob("iOS/*.tar.gz"))]
    what = "no iOS/dev/wav/SPEAKER with iOS/test/wav/SPEAKER here, in AISHELL-2 or in AISHELL-DEV-TEST-SET"
    what += f"; {inside(places[0] if places[0].is_dir() else corpus.root)}"
    mend = (
        f"unpack {packed[0]} there" if packed else "get AISHELL2-2018A-EVAL; or --prepare.roots.aishell2_eval"
    )
    raise InputError(what, where=corpus.root, mend=mend)


def read_genders(*folders: Path) -> dict[str, str]:
    """Speaker to m or f of every spk_info.txt there is."""
    genders = dict[str, str]()
    for path in (folder / "spk_info.txt" for folder in folders):
        if path.is_file():
            rows = (line.split() for line in path.read_text("utf-8-sig").splitlines())
            genders |= {row[0]: gender_of(row[2]) for row in rows if len(row) > 2 and gender_of(row[2])}
    return genders


def write_judged(folder: Path, base: Path, genders: dict[str, str], seed: int) -> set[str]:
    """data/eval and its trials; returns its speakers."""
    builder, devices = SetBuilder(folder), dict[str, str]()
    for device in DEVICES:
        for name, published in JUDGED.items():
            before, seen = len(builder), set[str]()
            wav = base / device / name / "wav"
            for path in files(wav, (".wav",), 1) if wav.is_dir() else ():
                speaker = path.parent.name
                utt = f"{speaker}-{device.lower()}-{path.stem}"
                gender = genders.get(speaker, "")
                builder.add(utt, speaker, path, gender=gender, lang="zh", channel=device)
                devices[utt] = device
                seen.add(speaker)
            if seen:
                found = {"speakers": len(seen), "utterances": len(builder) - before}
                compare(f"AISHELL-2 {name}, {device}", found, published, SOURCE)
    builder.write()
    by_device = {
        device: {utt: who for utt, who in builder.utt2spk.items() if devices[utt] == device}
        for device in DEVICES
    }
    write_lists(folder, by_device, genders, seed)
    return builder.speakers


def write_lists(
    folder: Path, by_device: dict[str, dict[str, str]], genders: dict[str, str], seed: int
) -> None:
    """trials, trials.gender and trials.device."""
    near = by_device["iOS"]
    chosen = drawn_utterances(near, DRAWN * len(set(near.values())), seed)
    write_trials(folder / "trials", all_pairs(chosen))
    if all(who in genders for who in chosen.values()):
        write_trials(folder / "trials.gender", all_pairs(chosen, lambda utt: genders[chosen[utt]]))
    else:
        warn("eval: no trials.gender: the owners' lists do not say the genders of its speakers")
    if by_device["Android"] or by_device["Mic"]:
        write_trials(folder / "trials.device", across(chosen, by_device, seed))


def across(chosen: dict[str, str], by_device: dict[str, dict[str, str]], seed: int) -> Iterator[Trial]:
    """The utterances ``chosen`` on iOS against some on every other device, never of one sentence."""
    for device in DEVICES[1:]:
        other = by_device[device]
        tests = drawn_utterances(other, DRAWN_OTHER * len(set(other.values())), seed)
        for one, who in sorted(chosen.items()):
            for two in sorted(tests):
                if who != other[two] or one.rpartition("W")[2] != two.rpartition("W")[2]:
                    yield one, two, who == other[two]


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    own, base = find(corpus.root), find_judged(corpus)
    genders = read_genders(own, *(base / device / name for device in DEVICES for name in JUDGED))
    judged = write_judged(data / "eval", base, genders, seed)
    speakers = speakers_of(own / "wav")
    compare("AISHELL-2", {"speakers": len(speakers)}, {"speakers": 1_991}, SOURCE)
    if unknown := speakers - genders.keys():
        warn(f"genders of {len(unknown)} of {len(speakers)} training speakers are not known")
    held = held_out(speakers - judged, {"dev": DEV_SHARE}, seed, lambda who: genders.get(who, ""))
    train, dev = SetBuilder(data / "train"), SetBuilder(data / "dev")
    fill(train, own / "wav", genders, without=judged, apart=(held, dev))
    train.write()
    dev.write()
    write_drawn(dev.folder, dev.utt2spk, genders, EACH, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)
