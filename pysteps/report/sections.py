"""The page's pictures, each with the words that a reader who does not know the field needs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .calibration import bayes_figure, reliability_figure
from .confusion import SHOWN, confusion_figure, confusion_summary
from .draw import picture
from .embedding import tsne_figures
from .histogram import histogram_figure
from .pictures import det_figure, det_limits, training_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Section = dict[str, Any]


def _image(figure: Figure, alt: str, caption: str = "") -> dict[str, str]:
    source = "data:image/svg+xml;base64," + base64.b64encode(picture(figure, "svg")).decode()
    return {"src": source, "alt": alt, "caption": caption}


def _section(key: str, title: str, text: str, groups: Sequence[tuple[str, list[dict[str, str]]]]) -> Section:
    return {"key": key, "title": title, "text": text, "groups": [group for group in groups if group[1]]}


def det_section(
    det: Mapping[str, Any], eers: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]
) -> Section | None:
    """DET curves, a picture a trial list, all on the same axes."""
    if not det:
        return None
    limits = det_limits(det)
    images = [
        _image(
            det_figure({name: part}, eers, colours=colours, limits=limits),
            f"DET curves of {name}: misses against false alarms",
            name if len(name) > 30 else "",
        )
        for name, part in det.items()
    ]
    text = (
        "Every threshold is a point on a curve: a strict one misses more of the same speaker's pairs "
        "(up), a lenient one lets more different speakers through (right). Lower left is better; the dot "
        "is the equal error rate. The axes are normal deviates, so a curve of normally distributed scores "
        "is straight. A staircase at an end means that few trials stand behind it."
    )
    return _section("det", "Misses against false alarms (DET)", text, [("", images)])


def histogram_section(histograms: Mapping[str, Any], trials: Mapping[str, Any]) -> Section | None:
    """Score histograms, a picture a trial list and back end."""
    if not histograms:
        return None
    groups = []
    for name, part in histograms.items():
        images = []
        for key, counts in part.items():
            threshold = trials[name].get(key, {}).get("threshold")
            lost = counts.get("left_out", 0)
            images.append(
                _image(
                    histogram_figure(counts, key, threshold),
                    f"Histogram of the scores of {key} on {name}",
                    f"Without {lost:,} trials of dropped utterances." if lost else "",
                )
            )
        groups.append((name, images))
    text = (
        "How often each score was given: to pairs of the same speaker and to pairs of different speakers, "
        "each as shares of its own kind. The less the two hills overlap, the better. The outermost bars "
        "also hold the few scores beyond them."
    )
    return _section("scores", "Scores", text, groups)


def calibration_section(calibration: Mapping[str, Any], colours: Mapping[str, str]) -> Section | None:
    """Reliability, a picture a trial list; normalised Bayes error rates, a picture a back end more."""
    if not calibration:
        return None
    groups = []
    for name, part in calibration.items():
        images = [
            _image(reliability_figure(part, colours), f"Claimed and borne-out likelihood ratios on {name}"),
            *(
                _image(bayes_figure(curve, f"cost of {key}"), f"Normalised cost of {key} on {name}")
                for key, curve in part.items()
            ),
        ]
        groups.append((name, images))
    text = (
        "A calibrated score is evidence: the natural logarithm of how much likelier the two recordings "
        "are if one person speaks in both (2.3 is ten to one, −2.3 one to ten). In the first picture a "
        "curve on the broken line means that claims hold; flatter means claims that are too strong. The "
        "cost pictures set the decisions that follow from such scores beside those of the best possible "
        "threshold, for rare (left) to frequent (right) same-speaker pairs; vertical marks stand at 1 % "
        "and 50 %. The gap between the curves is what bad calibration costs; above 1 it would be better "
        "not to listen at all. Costs above 2 are cut off. At the far ends few errors decide."
    )
    return _section("calibration", "Can the scores be believed?", text, groups)


_PLANE = (
    "Dots of one speaker should huddle together. Islands of one gender are natural; "
    "islands of one set mean that the network hears the recordings' origin. Distances between "
    "islands, and their sizes, mean nothing."
)


def tsne_section(plane: Mapping[str, Any] | None, said: str = _PLANE) -> Section | None:
    """X-vectors on a plane, a picture a label, and what is ``said`` of them."""
    if not plane:
        return None
    figures = tsne_figures(plane)
    images = [_image(figure, f"X-vectors on a plane, coloured by {name}") for name, figure in figures.items()]
    if not images:
        return None
    count, of = len(plane["xy"]), plane.get("of", len(plane["xy"]))
    part = f"{count:,} of {of:,} utterances, drawn by speakers" if count < of else f"all {count:,} utterances"
    text = (
        f"A dot an utterance ({part}), laid out by t-SNE so that neighbours among the x-vectors stay "
        f"neighbours. {said}"
    )
    return _section("vectors", "X-vectors", text, [("", images)])


def confusion_section(confusions: Mapping[str, Mapping[str, Any]]) -> Section | None:
    """Confusion matrices, with the most frequent mistakes in words."""
    if not confusions:
        return None
    images = []
    for name, found in confusions.items():
        right, count, worst = confusion_summary(found)
        said = f"{right:,} of {count:,} right ({100 * right / max(1, count):.1f} %)."
        if worst:
            said += " Most often: " + "; ".join(f"{a} taken for {b} ({n})" for a, b, n in worst) + "."
        if len(found["labels"]) > SHOWN:
            said += f" Shown are the {SHOWN} of {len(found['labels'])} with the most mistakes."
        images.append(_image(confusion_figure(found, name), f"Confusion matrix: {name}", said))
    text = (
        "Each row is the truth, each column the answer; a row adds up to 100 %, over all its answers. The "
        "darker, the more: a dark diagonal is good."
    )
    return _section("confusions", "Who is taken for whom", text, [("", images)])


def training_section(curves: Sequence[Mapping[str, Any]]) -> Section | None:
    """Training curves, a picture a quantity."""
    figures = training_figures(curves)
    if not figures:
        return None
    epochs = f"{len(curves)} epochs" if len(curves) > 1 else "one epoch"
    images = [_image(figure, f"{title} over {epochs}") for title, figure in figures.items()]
    text = (
        "What happened in training, an epoch being one round through the training data. Held-out curves "
        "are of chunks that the network does not learn from; when theirs turns up while training's goes "
        "on down, the network learns its training data by heart. A margin that grows makes the task "
        "harder, so the loss may rise; the held-out loss is worked out without margin, and may therefore "
        "lie below training's: compare the shapes, not the heights. Development speakers are neither "
        "training nor test speakers; the mean cosine of two recordings of one of them should draw away from "
        "that of two speakers. Time waiting for data is time in which the device has nothing to do. A dotted "
        "line is where a phase of training begins."
    )
    return _section("training", "Training", text, [("", images)])
