"""Diarization and Jaccard error rates of turns against a reference, through pyannote.metrics (an extra)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from ..formats.errors import InputError
from .turns import Turn, Turns
from .vectors import EXTRA

Uem = Mapping[str, Sequence[tuple[float, float]]]


def available() -> bool:
    """Whether pyannote.metrics is installed, which error rates need."""
    try:
        return find_spec("pyannote.metrics") is not None
    except ModuleNotFoundError:  # pyannote itself is not there
        return False


def judge(
    reference: Turns,
    found: Turns,
    *,
    collar: float = 0.0,
    skip_overlap: bool = False,
    jer_collar: float = 0.0,
    jer_skip_overlap: bool = False,
    uem: Uem | None = None,
) -> dict[str, Any]:
    """Error rates in percent, of all recordings of ``reference`` together ("all") and of each.

    ``collar``: seconds on each side of a reference border that are not scored (NIST's 0.25 is 0.25 here
    and collar=0.5 in pyannote.metrics, which counts both sides). ``skip_overlap``: where two reference
    speakers speak at once is not scored. JER (Ryant et al., DIHARD II, 2019) is defined with neither and
    has its own two options. ``uem``: what is scored; without one from 0 to the end of the last turn of
    either. A recording that was not found counts as missed; one that the reference does not have is
    refused. Beside the rates stand what they are made of: "error_seconds" of "speech_seconds", and the
    number of "scored_speakers", whose mean Jaccard error is the JER.
    """
    _refuse_strangers(reference, found, uem)
    if collar < 0 or jer_collar < 0:
        raise InputError(f"a collar of {min(collar, jer_collar):g} s", mend="0 or more")
    diarization, jaccard = _metrics((collar, skip_overlap), (jer_collar, jer_skip_overlap))
    rows: dict[str, dict[str, Any]] = {}
    for name in sorted(uem if uem is not None else reference):
        said, heard = reference.get(name, []), found.get(name, [])
        scored = uem[name] if uem is not None else [(0.0, max(turn.end for turn in said + heard))]
        rows[name] = _judge_one(diarization, jaccard, said, heard, scored)
    total = _rates({key: diarization[key] for key in _PARTS})
    total |= {"jer": 100 * abs(jaccard) if jaccard["speaker count"] else None}
    for key in ("scored_speakers", "speakers_reference", "speakers_found"):
        total[key] = sum(row[key] for row in rows.values())
    settings = {"collar": collar, "skip_overlap": skip_overlap}
    settings |= {"jer_collar": jer_collar, "jer_skip_overlap": jer_skip_overlap}
    return {**settings, "all": total, "recordings": rows}


_PARTS = ("total", "missed detection", "false alarm", "confusion")


def _metrics(der: tuple[float, bool], jer: tuple[float, bool]) -> tuple[Any, Any]:
    try:
        from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate
    except ImportError as error:
        raise InputError("error rates need pyannote.metrics", mend=EXTRA) from error
    return (
        DiarizationErrorRate(collar=2 * der[0], skip_overlap=der[1]),
        JaccardErrorRate(collar=2 * jer[0], skip_overlap=jer[1]),
    )


def _refuse_strangers(reference: Turns, found: Turns, uem: Uem | None) -> None:
    known = set(reference) if uem is None else set(uem)
    strangers = sorted(set(found) - known)
    if strangers:
        table = "reference" if uem is None else "UEM"
        what = f"{len(strangers)} recordings are not in the {table}: {' '.join(strangers[:5])}"
        raise InputError(what, mend="take them out, or complete it (recordings without speech need a UEM)")
    if not known:
        raise InputError("no recordings to score", mend="name another reference")


def _judge_one(
    diarization: Any,
    jaccard: Any,
    said: Sequence[Turn],
    heard: Sequence[Turn],
    scored: Iterable[tuple[float, float]],
) -> dict[str, Any]:
    from pyannote.core import Segment, Timeline

    region = Timeline([Segment(start, end) for start, end in scored])
    one, two = _annotation(said), _annotation(heard)
    parts = diarization(one, two, uem=region, detailed=True)
    jer = jaccard(one, two, uem=region, detailed=True)
    return {
        **_rates(parts),
        "jer": 100 * float(jer["jaccard error rate"]) if jer["speaker count"] else None,
        "scored_speakers": int(jer["speaker count"]),
        "speakers_reference": len(one.labels()),
        "speakers_found": len(two.labels()),
    }


def _rates(parts: Mapping[str, float]) -> dict[str, Any]:
    speech = float(parts["total"])
    shares = [100 * float(parts[key]) / speech if speech else None for key in _PARTS[1:]]
    names = ("missed", "false_alarm", "confusion")
    wrong = sum(float(parts[key]) for key in _PARTS[1:])
    rates = {"der": 100 * wrong / speech if speech else None, **dict(zip(names, shares, strict=True))}
    return {**rates, "error_seconds": wrong, "speech_seconds": speech}


def _annotation(turns: Sequence[Turn]) -> Any:
    # Turns of one speaker that overlap are joined: his speech counts once.
    from pyannote.core import Annotation, Segment

    joined: dict[str, list[list[float]]] = {}
    for turn in sorted(turns):
        spans = joined.setdefault(turn.speaker, [])
        if spans and turn.start < spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], turn.end)
        else:
            spans.append([turn.start, turn.end])
    out = Annotation()
    for speaker, spans in joined.items():
        for start, end in spans:
            out[Segment(start, end), speaker] = speaker
    return out


def table(result: Mapping[str, Any]) -> str:
    """What ``judge`` returned as lines for a terminal, its settings first."""
    overlap = "overlapped speech not scored" if result["skip_overlap"] else "overlapped speech scored"
    lines = [f"DER: collar {result['collar']:g} s on each side, {overlap}", ""]
    lines.append(
        f"{'recording':24s} {'DER':>7s} {'missed':>7s} {'false':>7s} {'conf.':>7s} {'JER':>7s}  speakers"
    )
    for name, row in [*result["recordings"].items(), ("all", result["all"])]:
        values = (row[key] for key in ("der", "missed", "false_alarm", "confusion", "jer"))
        said = " ".join("      -" if value is None else f"{value:7.2f}" for value in values)
        lines.append(f"{name:24s} {said}  {row['speakers_found']} of {row['speakers_reference']}")
    spans = [f"{key.upper()} {_span(result['all'].get(f'{key}_ci'))}" for key in ("der", "jer")]
    if result["all"].get("der_ci"):
        lines.append(f"95 % intervals over {len(result['recordings'])} recordings: {', '.join(spans)}")
    return "\n".join([*lines, *(f"note: {note}" for note in result.get("notes", []))])


def _span(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.2f} - {ends[1]:.2f}"
