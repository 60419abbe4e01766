"""A resolved run: every name and option that decides a result, and where things lie.

The file (exp/TAG/run.json) is written by pysteps.recipe before the first stage and read by every stage.
What does not change a result (--nj, --cmd, --ngpu) is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .atomic import write_text
from .checkout import from_here
from .datadir import DataSet
from .errors import InputError


@dataclass(frozen=True)
class Run:
    """One recipe with its corpus, sets and options. Paths are relative to the repository or absolute."""

    recipe: str
    corpus: str
    prepare: str
    work: str
    tag: str
    egs_tag: str
    train_set: str
    dev_set: str
    eval_sets: list[str]
    names: dict[str, str]  # stage -> name of its conf file: the folder that its products lie in
    options: dict[str, dict[str, Any]]  # stage -> resolved options
    allow_pipes: bool = False
    caution: str = ""  # what figures on this corpus cannot show, for the report
    adapt_sets: list[str] = field(default_factory=list)  # of the target domain, labels unused, for back ends
    diarize_sets: list[str] = field(default_factory=list)  # whole recordings: stages 0, 1, 2, 4 and diarize
    diarize_dev_set: str = ""  # the same, to choose the threshold on
    labels: str = ""  # spk2X or utt2X: what is learned in place of speakers

    @staticmethod
    def load(path: str | Path) -> Run:
        """Read a run file, or the run.json of a folder exp/TAG.

        Away from the checkout a relative work folder becomes absolute: ./run.sh meant it from there.
        """
        path = Path(path)
        if path.is_dir():
            path = path / "run.json"
        if not path.is_file():
            mend = "name exp/TAG or its run.json; ./run.sh writes it: see docs/recipes.md"
            raise InputError("no such run", where=path, mend=mend)
        try:
            found = Run(**json.loads(path.read_text("utf-8")))
            return replace(found, work=from_here(found.work))
        except (ValueError, TypeError) as error:
            raise InputError(f"not a run file of this version: {error}", where=path) from None

    def save(self, path: Path) -> None:
        """Write the run file."""
        write_text(path, json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")

    def deciding(self, stage: str) -> dict[str, Any]:
        """A stage's options but for ``max_dropped``, which changes no product: what its stamps say."""
        return {key: value for key, value in self.options[stage].items() if key != "max_dropped"}

    @property
    def data(self) -> Path:
        """data/, the sets."""
        return Path(self.work) / "data"

    @property
    def exp(self) -> Path:
        """exp/TAG/, the model and what is made with it."""
        return Path(self.work) / "exp" / self.tag

    @property
    def egs(self) -> Path:
        """exp/egs/TAG/, the training chunks."""
        return Path(self.work) / "exp" / "egs" / self.egs_tag

    def set(self, name: str) -> DataSet:
        """A data directory by name."""
        return DataSet(self.data / name)

    @property
    def base_sets(self) -> list[str]:
        """The recorded sets: those of utterances, and whole recordings."""
        return [*self.utterance_sets, *self.conversation_sets]

    @property
    def utterance_sets(self) -> list[str]:
        """Sets whose utterances have one speaker each: training, development, evaluation, adaptation."""
        return [self.train_set, self.dev_set, *self.eval_sets, *self.adapt_sets]

    @property
    def labelled_sets(self) -> list[str]:
        """With ``labels``, the sets whose utterances must have one: training, development, evaluation."""
        return [self.train_set, self.dev_set, *self.eval_sets] if self.labels else []

    @property
    def conversation_sets(self) -> list[str]:
        """Sets of whole recordings, for stage diarize: its development set, if there is one, goes first."""
        return [*([self.diarize_dev_set] if self.diarize_dev_set else []), *self.diarize_sets]

    @property
    def copies(self) -> dict[str, str]:
        """Augmented set -> kind of augmentation, copies of the training set; none when training augments."""
        augment = self.options["augment"]
        if augment.get("when", "copies") != "copies":
            return {}
        return {f"{self.train_set}_{kind}": kind for kind in augment["kinds"]}

    def of(self, stage: str, name: str) -> Path:
        """Where ``stage`` (audio, vad or features) keeps what it makes of the set ``name``."""
        room = "feats" if stage == "features" else stage
        return self.data / name / room / self.names[stage]

    def classes(self, name: str) -> dict[str, str]:
        """Utterance to what training tells apart: its label, without ``labels`` its speaker.

        A copy has the label of its clean utterance: at another speed it is another voice, not another label.
        """
        if not self.labels:
            return self.set(name).utt2spk()
        if name not in self.copies:
            return self.set(name).labels(self.labels)
        clean, drawn = self.set(self.train_set).labels(self.labels), self.set(name).table("augment")
        of = {utt: json.loads(said)["of"] for utt, said in drawn.items()}
        for utt, original in of.items():
            if original not in clean:
                said, where = f"a copy of {original}, which {self.train_set} has not", self.data / name
                raise InputError(said, where=where / "augment", utt=utt, mend="redo stage augment")
        return {utt: clean[original] for utt, original in of.items()}

    def windows(self, name: str, speech: str = "") -> Path:
        """exp/TAG/diarize/SET, stage diarize's windows; SET.reference where the truth says where speech is.

        ``speech``: vad or reference (the run's).
        """
        heard = speech or self.options["diarize"].get("speech", "vad")
        return self.exp / "diarize" / (f"{name}.reference" if heard == "reference" else name)

    def audio_scp(self, name: str) -> Path:
        """The table that audio is read from: stage audio's, or a copy's own beside its ``augment`` table."""
        return self.data / name / "wav.scp" if name in self.copies else self.of("audio", name) / "wav.scp"

    def trial_lists(self) -> Iterator[tuple[str, str, Path]]:
        """(set, list's name, file) of every trial list of the evaluation sets."""
        for name in self.eval_sets:
            for label, path in self.set(name).trial_lists().items():
                yield name, label, path
