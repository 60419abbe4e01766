"""Which utterances chunks are cut from: those that filters leave, but for the ones that are held out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.tables import read_lines, read_table, write_table
from .plan import Source, balanced, filtered, hold_out, hold_out_speakers


class Chosen(NamedTuple):
    """Utterances, copies too, that training takes chunks from, and clean ones that are held out of it."""

    training: list[Source]
    held_out: list[Source]


def sources(run: Run, sets: list[str], read: str) -> list[Source]:
    """Every utterance of ``sets`` that stage ``read`` (vad or features) has kept, by set and name."""
    found: list[Source] = []
    same: dict[str, str] = {}  # one object for all equal names: millions of sources hold them
    for name in sets:
        voiced = read_table(run.of("vad", name) / "utt2num_voiced")
        there = voiced if read == "vad" else read_table(run.of("features", name) / "feats.scp")
        utt2spk, copied = run.set(name).utt2spk(), name in run.copies
        classes = run.classes(name) if run.labels else {}
        # With labels a copy is its speaker's at any speed: whoever is held out takes all copies along.
        speakers = run.set(run.train_set).utt2spk() if run.labels and copied else {}
        drawn = read_lines(run.data / name / "augment") if copied else iter(())
        clean = {utt: same.setdefault(of, of) for utt, of in ((u, json.loads(v)["of"]) for _, u, v in drawn)}
        for utt in sorted(there):
            of = clean.get(utt, utt)
            who = speakers.get(of, utt2spk[utt])
            who = same.setdefault(who, who)
            label = classes.get(utt, "")
            label = same.setdefault(label, label)
            utt = utt if copied else same.setdefault(utt, utt)
            found.append(Source(name, utt, of if copied else utt, who, int(voiced[utt]), label))
    return found


def choose(run: Run, found: list[Source], folder: Path, needed: int) -> Chosen:
    """Filter ``found``, hold some out, and balance the rest; ``folder``/filtered lists what is left out.

    ``needed``: voiced frames below which an utterance gives no training chunk, so that it does not count
    where classes are to have as many. With labels, whole speakers are held out: a voice that is known would
    tell what it was labelled.
    """
    options, shift = run.options["egs"], run.options["features"]["frame_shift_ms"]
    shortest = round(options["min_utterance_seconds"] * 1000 / shift)
    kept, gone = filtered(found, shortest, options["min_speaker_utterances"])
    if gone:
        said = f"{len(gone)} of {len(gone) + len(kept)} utterances, copies counted, are left out by filters"
        print(f"egs: {said}; {folder / 'filtered'} lists them", file=sys.stderr)
    hold = hold_out_speakers if run.labels else hold_out
    held = hold(kept, options["valid_share"], options["seed"])
    training = [source for source in kept if source.of not in held]
    if options.get("balance", "none") == "subset":
        training, more = balanced(training, needed, options["seed"])
        gone |= more
        _say_balanced(training, more, folder)
    write_table(folder / "filtered", gone)
    if run.labels:
        _refuse_one_class(run, training)
    return Chosen(training, [source for source in kept if source.utt in held])


def _say_balanced(training: list[Source], gone: dict[str, str], folder: Path) -> None:
    clean = [source.class_name for source in training if source.utt == source.of]
    classes = len(set(clean))
    said = f"{len(clean) // max(1, classes)} utterances of each of {classes} classes"
    print(f"egs: {said}; {len(gone)}, copies counted, are left out: {folder / 'filtered'}", file=sys.stderr)


def _refuse_one_class(run: Run, training: list[Source]) -> None:
    classes = {source.class_name for source in training}
    if len(classes) < 2:
        said = f"one class is left to train with: {classes.pop()}" if classes else "no utterance is left"
        mend = "lower --egs.min_utterance_seconds, --egs.min_speaker_utterances or --egs.valid_share"
        raise InputError(said, where=run.data / run.train_set / run.labels, mend=mend)
