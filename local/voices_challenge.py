"""The VOiCES from a Distance Challenge 2019, speaker recognition: what SRI ships of it.

Layout and lists are those of the owners' evaluation plan (version 6, 25 February 2019; 15,904 segments of 196
speakers in dev) and the README of their scorer, with places and columns as JHU's
hyperion-ml/hyperion, egs/voices_challenge/v1/local reads them:
- dev: sid_dev/sp0083/Lab41-SRI-VOiCES-rm1-none-sp0083-ch003054-sg0005-mc01-stu-clo-dg090.wav, and in
  sid_dev_lists_and_keys/ dev-enroll.lst `MODEL sid_dev/sp0083/NAME.wav`, dev-trial-keys.lst
  `MODEL sid_dev/sp3446/NAME.wav tgt|imp`; both below ROOT or Development_Data/Speaker_Recognition;
- eval: sid_eval/NAME.wav, names that say nothing, below ROOT, Evaluation_Data/Speaker_Recognition or
  Speaker_Recognition; eval-enroll.lst `MODEL sid_eval/NAME.wav`; after the challenge, in
  VOiCES_challenge_2019_post-eval-release/, VOiCES_challenge_2019_eval.SID.trial-keys.lst
  `MODEL NAME.wav tgt|imp` and VOiCES_challenge_2019_eval.SID.map `NAME FILE`, FILE as VOiCES names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from local.voices import NAME, utterance
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_words
from pysteps.prepare.build import SetBuilder, write_enrolment, write_trials
from pysteps.prepare.corpus import Corpus, compare, inside, texts_of_files, warn

HOMES = {
    "dev": (".", "Development_Data/Speaker_Recognition", "v19-dev"),
    "eval": (".", "Evaluation_Data/Speaker_Recognition", "Speaker_Recognition", "v19-eval"),
}
LISTS = (".", "sid_{0}_lists_and_keys", "sid_{0}_lists", "lists")
RELEASED = "VOiCES_challenge_2019_post-eval-release"
KEYS = {
    "dev": ("dev-trial-keys.lst",),
    "eval": ("VOiCES_challenge_2019_eval.SID.trial-keys.lst", "eval-trial-keys.lst"),
}
MAP = "VOiCES_challenge_2019_eval.SID.map"
SOURCE = re.compile(r"Lab41-SRI-VOiCES-src-(?P<speaker>sp\d+)-(?P<source>ch\d+-sg\d+)")
PUBLISHED = {"speakers": 196, "segments": 15_904}
ROOTS = (
    "voices",
    "VOiCES_competition",
    "VOiCES_Box_unzip",
    "VOiCES_challenge",
    "Interspeech2019VOiCESChallenge",
)


@dataclass(frozen=True)
class Part:
    """dev or eval: file by name, and where a list may lie."""

    name: str
    audio: dict[str, str]
    folders: tuple[Path, ...]

    def list(self, *names: str) -> Path:
        """The list of the first of ``names`` that is there."""
        for folder in self.folders:
            for name in names:
                if (folder / name).is_file():
                    return folder / name
        looked = ", ".join(sorted({str(folder) for folder in self.folders if folder.is_dir()}))
        mend = (
            "the owners released eval's keys after the challenge" if self.name == "eval" else "get the rest"
        )
        raise InputError(f"no {' and no '.join(names)}; looked in {looked}", where=self.name, mend=mend)


def place(corpus: Corpus) -> Path:
    """The folder that --prepare.roots.voices names, one of ROOTS below the corpus, or the corpus itself."""
    return corpus.optional("voices", *ROOTS) or corpus.root


def find(root: Path, name: str) -> Part:
    """dev or eval with its recordings listed."""
    for home in (root / one for one in HOMES[name]):
        if (home / f"sid_{name}").is_dir():
            break
    else:
        looked = ", ".join(str(Path(one) / f"sid_{name}") for one in HOMES[name])
        packed = sorted(
            path.name for pattern in ("*.tar.gz", "*.zip", "*.tgz") for path in root.glob(pattern)
        )
        mend = f"unpack {packed[0]} there" if packed else "--prepare.roots.voices is the challenge's folder"
        raise InputError(
            f"no VOiCES challenge {name} here: looked for {looked}; {inside(root)}", where=root, mend=mend
        )
    audio = {
        PurePosixPath(path).stem: path for path in texts_of_files(home / f"sid_{name}", (".wav", ".flac"))
    }
    if not audio:
        said = f"no recordings; {inside(home / f'sid_{name}')}"
        raise InputError(said, where=home / f"sid_{name}", mend="unpack it again")
    folders = [where / one.format(name) for where in (home, root) for one in LISTS]
    return Part(name, audio, (*folders, root / RELEASED, home / RELEASED))


def read_map(path: Path) -> dict[str, str]:
    """Name in sid_eval to the name that says what it is."""
    return {_stem(words[0]): _stem(words[1]) for _, words in read_words(path, 2)}


def _stem(file: str) -> str:
    return PurePosixPath(file).name.removesuffix(".wav").removesuffix(".flac")


def describe(part: Part) -> dict[str, tuple[str, str, dict[str, str]]]:
    """Name of a recording to (utterance, speaker, labels). Without eval's map each is its own speaker."""
    meaning = {name: name for name in part.audio}
    if part.name == "eval":
        try:
            meaning = read_map(part.list(MAP))
        except InputError as error:
            warn(f"{error}: speakers and rooms of eval are not known, intervals over speakers mean nothing")
            meaning = {}
    found = {}
    for name in part.audio:
        match = NAME.fullmatch(meaning.get(name, ""))
        clean = SOURCE.fullmatch(meaning.get(name, ""))
        if match:
            labels = {"room": match["room"], "distractor": match["distractor"], "mic": match["mic"]}
            utt = utterance(match) if part.name == "dev" else f"{match['speaker']}-{name}"
            found[name] = (utt, match["speaker"], labels)
        elif clean:
            found[name] = (
                f"{clean['speaker']}-{name}",
                clean["speaker"],
                {"room": "src", "distractor": "none"},
            )
        else:
            found[name] = (name, name, {})
    return found


def read_keys(path: Path) -> Iterator[tuple[str, str, bool]]:
    """(model, name of the test's recording, is target)."""
    for line, (model, file, kind) in read_words(path, 3):
        if kind not in ("tgt", "imp"):
            raise InputError(f"{kind!r} is neither tgt nor imp", where=path, line=line)
        yield model, _stem(file), kind == "tgt"


def write_part(folder: Path, part: Part, genders: Mapping[str, str]) -> None:
    """A set of what the models and trials name, with enrol and trials. What is not there is counted."""
    known = describe(part)
    if part.name == "dev":
        counts = {"speakers": len({speaker for _, speaker, _ in known.values()}), "segments": len(known)}
        compare("VOiCES challenge dev", counts, PUBLISHED, "the evaluation plan")
    keys = part.list(*KEYS[part.name])
    models: dict[str, list[str]] = {}
    wanted, lost = dict[str, None](), set[str]()
    for _, (model, file) in read_words(part.list(f"{part.name}-enroll.lst"), 2):
        if _stem(file) in known:
            models.setdefault(model, []).append(known[_stem(file)][0])
            wanted[_stem(file)] = None
        else:
            lost.add(_stem(file))
    for _, name, _ in read_keys(keys):
        if name in known:
            wanted[name] = None
        else:
            lost.add(name)
    if lost:
        warn(f"{folder.name}: {len(lost):,} recordings are not there ({min(lost)} ...)")
    builder = SetBuilder(folder)
    for name in wanted:
        utt, speaker, labels = known[name]
        gender = genders.get(speaker, "")
        builder.add(utt, speaker, part.audio[name], span=None, gender=gender, **labels, lang="en")
    builder.write()
    write_enrolment(folder, models)
    trials = (
        (model, known[name][0] if name in known else "", target) for model, name, target in read_keys(keys)
    )
    there = {*models, *builder.utt2spk}
    write_trials(folder / "trials", trials, there.__contains__)
