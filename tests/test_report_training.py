"""The report's pictures of training: what epochs tell of, and where phases begin."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.report.draw import picture
from pysteps.report.pictures import training_figures


def epoch(number: int, **more: float) -> dict[str, float]:
    return {"epoch": number, "loss": 5 / number, "lr": 0.1, **more}


def lines(figure) -> dict[str, tuple[list[float], list[float]]]:
    """Of a picture's curves, by name: epochs and values."""
    curves = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in curves}


def beginnings(figure) -> dict[str, float]:
    """Where phases begin, by their names."""
    return {text.get_text(): text.xy[0] for text in figure.axes[0].texts}


def test_a_picture_is_drawn_of_what_is_told_and_of_nothing_else():
    figures = training_figures([epoch(1), epoch(2, chunks_per_second=300.0)])
    assert list(figures) == ["loss", "learning rate", "chunks a second"]
    assert list(lines(figures["chunks a second"]).values()) == [([2.0], [300.0])]
    assert beginnings(figures["loss"]) == {}


def test_cosines_have_their_gap_and_waiting_is_in_percent():
    row = {"same_cosine": 0.75, "different_cosine": 0.25, "waiting": 0.04}
    figures = training_figures([epoch(1, **row), epoch(2)])
    found = lines(figures["cosine, development speakers"])
    assert {name: values for name, (_, values) in found.items()} == {
        "same speaker": [0.75],
        "different speakers": [0.25],
        "gap": [0.5],
    }
    ((_, values),) = lines(figures["time waiting for data, %"]).values()
    assert values == pytest.approx([4.0]) and figures["time waiting for data, %"].axes[0].get_ylim()[0] == 0


def test_a_phase_begins_between_two_epochs_and_has_its_name():
    rows = [epoch(n, phase=1 + (n > 3) + (n > 5)) for n in range(1, 8)]
    assert beginnings(training_figures(rows)["loss"]) == {"phase 2": 3.5, "phase 3": 5.5}
    named = [{**row, "phase": name} for row, name in zip(rows, ["base"] * 4 + ["fine"] * 3, strict=True)]
    assert beginnings(training_figures(named)["loss"]) == {"fine": 4.5}


def test_a_rate_that_falls_far_has_a_logarithmic_axis():
    def scale(last: float) -> str:
        return training_figures([epoch(1), epoch(2, lr=last)])["learning rate"].axes[0].get_yscale()

    assert [scale(last) for last in (0.1, 0.01, 0.001, 0.0)] == ["linear", "linear", "log", "linear"]


def test_names_of_phases_stay_inside_the_picture():
    rows = [epoch(n, phase=1 + (n > 1), same_cosine=0.5, different_cosine=0.1) for n in range(1, 40)]
    for figure in training_figures(rows).values():
        picture(figure, "svg")
        axes, edges = figure.axes[0], figure.bbox
        for part in (axes._left_title, *axes.texts):
            box = part.get_window_extent()
            assert min(box.x0 - edges.x0, edges.x1 - box.x1, box.y0 - edges.y0, edges.y1 - box.y1) > 0
        assert np.isfinite(axes.get_ylim()).all()
