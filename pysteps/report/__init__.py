"""The page that says what came out, its pictures, and the rows of RESULTS.md."""

from __future__ import annotations

from .calibration import calibration_curve
from .classes import render_classes
from .compare import render_comparison
from .confusion import confusion, nearest_speaker
from .embedding import choose_points, tsne
from .histogram import score_histogram
from .page import render
from .rows import result_rows, update_class_results, update_results

__all__ = [
    "calibration_curve",
    "choose_points",
    "confusion",
    "nearest_speaker",
    "render",
    "render_classes",
    "render_comparison",
    "result_rows",
    "score_histogram",
    "tsne",
    "update_class_results",
    "update_results",
]
