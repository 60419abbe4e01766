"""The columns of an utterance's picture, from a run: as it is, and after each kind of augmentation."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from ..audio.convert import Recordings
from ..augment.audio import Audio
from ..augment.draw import Chain, Voices, apply, draw, unnoised
from ..augment.effects import parse_chain
from ..augment.options import AugmentOptions
from ..augment.pools import Pools
from ..formats.arks import Archive
from ..formats.drops import dropped_of
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.tables import read_table
from ..vad.decide import decider
from ..vad.options import VadOptions
from .contract import FeaturesOptions
from .fbank import Fbank, compute
from .pitch import with_pitch
from .plot import Panel, excerpt
from .stage import refuse_geometry

# The nearest names are looked for among so many around an unknown one, in order, that are at least so like
# it: a slip is mostly near the end; then further away.
_NEAR = ((20, 0.8), (20_000, 0.6))
_SAYS = {
    "snr_db": "SNR {:.1f} dB",
    "gain_db": "{:+.1f} dB",
    "kbps": "{} kbit/s",
    "share": "{:.1%} clipped",
}


@dataclass(frozen=True)
class Window:
    """What is shown: at most ``seconds`` from ``start`` on."""

    start: float = 0.0
    seconds: float = 8.0

    def __post_init__(self) -> None:
        if not (0 <= self.start < float("inf") and 0 < self.seconds < float("inf")):
            raise InputError(f"{self.seconds} seconds from {self.start} on", mend="--start 0 --seconds 8")


def panels(
    run: Run, utt: str, kinds: Sequence[str] | None = None, window: Window | None = None
) -> list[Panel]:
    """The utterance as it is, then after each of ``kinds`` (None: the run's).

    A copy that stage augment has described is shown as stage features reads it; any other kind is drawn
    here, as for a copy, from the run's pools. InputError for an unknown or dropped utterance, an unknown
    kind, a pool that is missing, and a start behind the end.
    """
    window = window or Window()
    name = find_set(run, utt)
    kinds = list(run.options["augment"]["kinds"]) if kinds is None else list(kinds)
    for kind in kinds:
        parse_chain(kind)
    with Recordings(run.audio_scp(name)) as recordings:
        clean, rate = recordings.samples(utt)
    if window.start >= len(clean) / rate:
        raise InputError(
            f"it has {len(clean) / rate:.2f} s, nothing from {window.start:g} on", utt=utt, mend="--start 0"
        )
    voiced = _decisions(run, name, utt)
    found = [_panel(run, "clean", utt, clean, voiced, window)]
    with closing(_Drawing(run, name, utt, kinds)) as drawing:
        for kind in kinds:
            copy = f"{run.train_set}_{kind}"
            if name == run.train_set and copy in run.copies and _described(run, copy, f"{utt}-{kind}"):
                found.append(_of_copy(run, copy, kind, f"{utt}-{kind}", window))
            else:
                found.append(drawing.panel(kind, clean, voiced, window))
    return found


def find_set(run: Run, utt: str) -> str:
    """The recorded set that has ``utt``. An InputError says why it was dropped, or the nearest names."""
    names: list[str] = []
    for name in run.base_sets:
        reason = dropped_of(run, name).get(utt)
        if reason is not None:
            raise InputError(f"dropped by stage {reason}", where=run.data / name / "dropped", utt=utt)
        if run.audio_scp(name).is_file():
            table = read_table(run.audio_scp(name))
            if utt in table:
                return name
            names += table
    if not names:
        raise InputError("no audio yet", where=run.data, mend="./run.sh --stop-stage vad with this recipe")
    near = nearest(utt, sorted(names))
    raise InputError(
        f"not in {', '.join(run.base_sets)}",
        utt=utt,
        mend=f"the nearest: {', '.join(near)}" if near else f"{run.audio_scp(run.train_set)} lists them",
    )


def nearest(wanted: str, names: Sequence[str], count: int = 3) -> list[str]:
    """At most ``count`` of the sorted ``names`` that look like ``wanted``."""
    place = bisect(names, wanted)
    for reach, like in _NEAR:
        around = names[max(0, place - reach // 2) : place + reach // 2]
        if found := get_close_matches(wanted, around, count, like):
            return found
    return []


def _decisions(run: Run, name: str, utt: str) -> np.ndarray:
    path = run.of("vad", name) / "vad.scp"
    table = read_table(path)
    if utt not in table:
        raise InputError("no VAD of it", where=path, utt=utt, mend="redo stage vad")
    with Archive() as archive:
        return archive.array(table[utt], utt) > 0.5


def _panel(
    run: Run,
    title: str,
    utt: str,
    samples: np.ndarray,
    voiced: np.ndarray,
    window: Window,
    chain: Sequence[Mapping[str, Any]] = (),
) -> Panel:
    options = FeaturesOptions(**run.options["features"])
    features = compute(samples, Fbank(options.acoustic()), utt=utt, seed=options.seed)
    if options.pitch:
        features = with_pitch(features, samples, options)
    refuse_geometry(len(features), len(voiced), run.data, utt)
    whole = Panel(title, samples, voiced, features, detail=detail(chain))
    return excerpt(whole, options, window.start, window.seconds)


def detail(chain: Sequence[Mapping[str, Any]]) -> str:
    """A drawn chain's parameters in a few words."""
    return "; ".join(said for said in map(_said, chain) if said)


def _said(how: Mapping[str, Any]) -> str:
    words = [text.format(how[key]) for key, text in _SAYS.items() if key in how]
    if "voices" in how:
        words.append(f"{len(how['voices'])} voices")
    if "name" in how:
        name = str(how["name"])
        words.append(name if len(name) <= 24 else f"{name[:12]}…{name[-11:]}")
    return ", ".join(words)


def _described(run: Run, copy: str, utt: str) -> bool:
    path = run.data / copy / "augment"
    decided = run.of("vad", copy) / "vad.scp"
    return path.is_file() and decided.is_file() and utt in read_table(path) and utt in read_table(decided)


def _of_copy(run: Run, copy: str, kind: str, utt: str, window: Window) -> Panel:
    with Audio(run, copy) as audio:
        samples = audio.samples(utt)
    chain = json.loads(read_table(run.data / copy / "augment")[utt])["chain"]
    return _panel(run, kind, utt, samples, _decisions(run, copy, utt), window, chain)


class _Drawing:
    """Draws kinds on the spot for one utterance of the set ``name``."""

    def __init__(self, run: Run, name: str, utt: str, kinds: Sequence[str]) -> None:
        self._run, self._name, self._utt = run, name, utt
        self._options = AugmentOptions(**{**run.options["augment"], "kinds": list(dict.fromkeys(kinds))})
        self._pools = Pools(replace(run, options={**run.options, "augment": asdict(self._options)}))

    def close(self) -> None:
        """Close the archives that are open."""
        self._pools.close()

    def _voices(self, kind: str) -> Voices | None:
        if not any(step.effect == "babble" for step in parse_chain(kind)):
            return None
        # An utterance of another set is nobody's voice, but its speaker is not to babble either.
        utt2spk = self._run.set(self._run.train_set).utt2spk()
        heard = read_table(self._run.of("vad", self._run.train_set) / "vad.scp")
        own = {self._utt: self._run.set(self._name).utt2spk()[self._utt]}
        return Voices({**{utt: utt2spk[utt] for utt in heard}, **own})

    def panel(self, kind: str, clean: np.ndarray, voiced: np.ndarray, window: Window) -> Panel:
        """The utterance, ``clean`` [time] with the decisions ``voiced``, after ``kind``."""
        pools = self._pools
        chain: Chain = draw(self._utt, kind, self._options, pools.names, self._voices(kind))
        samples, moved = apply(clean, chain, pools.load, pools.rate), unnoised(chain)
        if moved:  # its frames are others: decided again, before the noise
            vad = decider(VadOptions(**self._run.options["vad"]))
            voiced = vad(apply(clean, moved, pools.load, pools.rate), pools.rate)
        return _panel(self._run, kind, f"{self._utt}-{kind}", samples, voiced, window, chain)
