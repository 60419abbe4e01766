"""RESULTS.md's rows and the page that sets systems side by side."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.report import render, render_comparison, result_rows, update_results
from pysteps.report.rows import HEADER
from pysteps.report.tables import list_table
from pysteps.report.turns import diarization_table

FIGURES = {
    "eer": 7.654,
    "eer_ci": [6.01, 9.02],
    "min_dcf": {"0.01": 0.511, "0.05": 0.311},
    "min_dcf_ci": {"0.01": [0.4, 0.6]},
    "targets": 1234,
    "nontargets": 56789,
    "speakers": 18,
    "threshold": 0.3,
}
RATIOS = {"cllr": 0.2564, "cllr_ci": [0.2, 0.3], "act_dcf": {"0.01": 0.62}}
POINTS = np.column_stack([np.linspace(1, 0, 20), np.linspace(0, 1, 20) ** 2])


def of(tag: str, **more) -> dict:
    return {"recipe": "mini", "model": {"tag": tag}, "trials": {"eval": {"cosine": FIGURES, **more}}}


def test_a_row_has_the_figures_with_their_intervals():
    rows = result_rows(of("a|b", plda={**FIGURES, **RATIOS}))
    assert rows[0] == (
        "| mini | a\\|b | eval | plda | 7.65 (6.01–9.02) | 0.511 (0.400–0.600) | 0.311 | 0.620 "
        "| 0.256 (0.200–0.300) | 1234 + 56789 | 18 |"
    )
    assert " | 0.311 |  |  | 1234" in rows[1]  # cosine has no likelihood ratios
    assert rows[1].count(" | ") == HEADER.count(" | ")


def test_a_run_replaces_its_own_rows_only(tmp_path):
    path = tmp_path / "RESULTS.md"
    for tag in ("one", "two", "three"):
        update_results(path, of(tag, baseline=FIGURES))
    path.write_text(path.read_text() + "\nA remark.\n")
    better = copy.deepcopy(of("two"))
    better["trials"]["eval"]["cosine"]["eer"] = 1.0
    update_results(path, better)
    lines = path.read_text().splitlines()
    rows = [line for line in lines if line.startswith("| mini")]
    assert [row.split(" | ")[1] for row in rows] == ["one", "one", "two", "three", "three"]
    assert "| 1.00 (6.01–9.02) |" in rows[2]
    assert lines[0] == "# Results" and lines[-1] == "A remark." and lines.count(HEADER) == 1


def test_writing_twice_changes_nothing(tmp_path):
    path = tmp_path / "RESULTS.md"
    update_results(path, of("one"))
    first = path.read_bytes()
    update_results(path, of("one"))
    assert path.read_bytes() == first


def test_a_file_without_the_table_gets_it_at_its_end(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("# Mine\n\n| other | table |\n|---|---|\n| mini | one |\n")
    update_results(path, of("one"))
    text = path.read_text()
    assert text.startswith("# Mine\n\n| other | table |\n|---|---|\n| mini | one |\n\n" + HEADER)


def test_systems_stand_side_by_side(tmp_path):
    out = tmp_path / "compare.html"
    systems = {"one": of("one", baseline=FIGURES), "two <2>": of("two")}
    det = {name: {"eval": {"cosine": POINTS}} for name in systems}
    paired = {"eer_difference": 1.5, "eer_difference_ci": [0.5, 2.5], "eer_ratio": None}
    difference = {"trials": "eval", "first": "one · cosine", "second": "two <2> · cosine", **paired}
    render_comparison(systems, out, det=det, differences=[difference])
    text = out.read_text()
    for said in ("one · baseline", "two &lt;2&gt; · cosine", "+1.50", "+0.50 to +2.50", "∞"):
        assert said in text
    assert "is above that of two &lt;2&gt; · cosine" in text and "EER − baseline" not in text
    assert text.count("<img") == 1 and out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"


def test_differences_of_systems_have_every_figure(tmp_path):
    paired = {"eer_difference": 1.5, "eer_difference_ci": [0.5, 2.5], "eer_ratio": 2.0}
    paired |= {"min_dcf_difference": {"0.05": 0.111, "0.1,2,1": 0.222}, "cllr_difference": 0.333}
    paired |= {"min_cllr_difference": 0.444, "act_dcf_difference": {"0.1,2,1": 0.555}}
    paired |= {"min_dcf_difference_ci": {"0.05": [0.011, 0.099]}, "cllr_difference_ci": [0.022, 0.088]}
    found = [{"trials": "eval", "first": f"{one} · cosine", "second": "a · cosine", **paired} for one in "bc"]
    found[1] |= {"cllr_difference": None, "min_cllr_difference": None, "act_dcf_difference": None}
    render_comparison({n: of(n) for n in "abc"}, tmp_path / "compare.html", differences=found)
    _, text = (tmp_path / "compare.html").read_text().split("<h2>Differences</h2>")
    for said in ("+0.111", "+0.222", "+0.333", "+0.444", "+0.555", "+0.011 to +0.099", "+0.022 to +0.088"):
        assert said in text
    assert text.count("Against a · cosine") == 1
    assert (text.count("</span>b · cosine − a"), text.count("</span>c · cosine − a")) == (2, 1)


def test_too_few_speakers_for_intervals_are_said(tmp_path):
    pair = {"eer_difference": -2.0, "eer_difference_ci": None, "eer_ratio": 0.5, "eer_ratio_ci": None}
    few = {**FIGURES, "eer_ci": None, "min_dcf_ci": None, "speakers": 2, "against_baseline": pair}
    part = {"mine": {**few, "against": {}}, "plda": {**few, "against": {"mine": pair}}, "baseline": few}
    render({"trials": {"eval": part}}, {}, [], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "With 2 speakers there are no intervals: they are too few." in text
    assert "EER of plda cannot be told from that of mine: there are too few speakers" in text


def test_back_ends_can_be_chosen(tmp_path):
    out = tmp_path / "compare.html"
    render_comparison({n: of(n, plda=FIGURES) for n in "ab"}, out, backends=["plda"])
    text = out.read_text()
    assert "a · plda" in text and "cosine</td>" not in text and not out.with_suffix(".png").exists()
    with pytest.raises(InputError, match="no system has the back end pdla: known are cosine, plda"):
        render_comparison({n: of(n, plda=FIGURES) for n in "ab"}, out, backends=["pdla"])


def test_what_cannot_be_compared_is_refused_or_said(tmp_path):
    out = tmp_path / "compare.html"
    with pytest.raises(InputError, match="needs two"):
        render_comparison({"a": of("a")}, out)
    with pytest.raises(InputError, match="no trial list in common"):
        render_comparison({"a": of("a"), "b": {"trials": {"test": {"cosine": FIGURES}}}}, out)
    fewer = {"trials": {"eval": {"cosine": {**FIGURES, "targets": 5}}}}
    render_comparison({"a": of("a"), "b": fewer}, out)
    assert "not of the same trials" in out.read_text()


def test_conditions_have_a_table_each(tmp_path):
    women = {**FIGURES, "eer": 3.21, "speakers": 7}
    men = {"eer": None, "targets": 0, "nontargets": 12}
    part = {**FIGURES, "conditions": {"gender": {"f": women, "m": men}}}
    render({"trials": {"eval": {"cosine": part}}}, {}, [], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "By gender" in text and "3.21" in text and "0 + 12" in text


def _conditions(**classes):
    part = {"plda": {**FIGURES, "conditions": {"x": classes}}}
    return list_table("eval", part, {"plda": "#000"})["conditions"]


def test_a_note_on_several_classes_stands_once():
    rough, short = "8 speakers: the interval is rough", "same-speaker trials: 5 only"
    one, two = ({**FIGURES, "note": note} for note in (f"{short}; {rough}", rough))
    lone = {"eer": None, "targets": 0, "nontargets": 12, "note": "no error rates"}
    (table,) = _conditions(f=one, m=two, **{"f-m": lone})
    assert table["said"] == [f"f: {short}.", f"Each class: {rough}.", "f-m (0 + 12 trials): no error rates."]
    (table,) = _conditions(f=one, m=two, x=FIGURES)
    assert table["said"] == [f"f: {short}.", f"f, m: {rough}."]
    (table,) = _conditions(f=two)
    assert table["said"] == [f"f: {rough}."]


def test_operating_points_of_any_cost_have_a_column(tmp_path):
    figures = {**FIGURES, "min_dcf": {"0.05,10,1": 0.345, "0.01": 0.5}}
    render({"trials": {"eval": {"mine": figures}}}, {}, [], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "p = 0.05, costs 10 : 1" in text and "0.345" in text


def test_calibrated_scores_have_a_table(tmp_path):
    render({"trials": {"eval": {"plda": {**FIGURES, **RATIOS}}}}, {}, [], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "0.256" in text and "0.200 to 0.300" in text and "0.620" in text and "Cllr, actDCF" in text


def test_back_ends_stand_against_the_first_and_nothing_else(tmp_path):
    pair = {"eer_difference": -2.22, "eer_difference_ci": [-3.33, -1.11], "eer_ratio": None}
    pair |= {"min_dcf_difference": {"0.01": -0.123}, "min_dcf_difference_ci": {"0.01": [-0.2, -0.1]}}
    pair |= {"cllr_difference": None, "cllr_difference_ci": None, "act_dcf_difference": None}
    far = {**pair, "eer_difference": 5.55, "eer_difference_ci": [-0.5, 9.9]}
    part = {
        "mine": {**FIGURES, "against": {}},
        "plda": {**FIGURES, "against": {"mine": pair}},
        "other": {**FIGURES, "against": {"mine": far, "plda": {**pair, "eer_difference": 7.77}}},
        "baseline": FIGURES,
    }
    render({"trials": {"eval": part}}, {}, [], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    for said in ("Against mine", "plda − mine", "−2.22", "−3.33 to −1.11", "−0.123", "−0.200 to −0.100", "∞"):
        assert said in text
    assert "EER of plda is below that of mine;" in text
    assert "EER of other cannot be told from that of mine:" in text
    assert "7.77" not in text and "other − plda" not in text
    render({"trials": {"eval": {"mine": part["mine"]}}}, {}, [], tmp_path / "report.html")
    assert "Against" not in (tmp_path / "report.html").read_text()


def _beliefs(**figures):
    found = {"min_dcf": {}, "targets": 5, "nontargets": 9, **figures}
    return list_table("eval", {"plda": found}, {"plda": "#000"})["beliefs"]


def test_a_calibration_that_misleads_is_called_worse_than_no_system():
    act = {"0.01": 0.99, "0.05": 1.0, "0.001": 1.32}
    assert _beliefs(calibrated=True, cllr=0.7, act_dcf=dict.fromkeys(act, 0.8)) == []
    (said,) = _beliefs(calibrated=True, cllr=1.04, act_dcf=act)
    assert "worse here than no system, which has 1 (Cllr 1.04, actDCF 1.32 at p = 0.001)" in said
    assert said.endswith("their calibration does not fit these trials.")


def test_calibration_is_not_blamed_for_dropped_trials_alone():
    (said,) = _beliefs(calibrated=True, cllr=None, act_dcf={"0.01": 5.5}, dropped_trials=56)
    assert ": trials of dropped utterances count as wrong, and perhaps their calibration does not" in said


def test_raw_scores_that_stand_as_likelihood_ratios_are_told():
    first, second = _beliefs(calibrated=False, cllr=3.0, act_dcf={"0.01": 0.5})
    assert first.startswith("Nothing calibrated plda")
    assert "(Cllr 3.00)" in second and second.endswith("they are not calibrated.")
    assert _beliefs(calibrated=False, cllr=None, act_dcf=None) == []  # cosines


@pytest.mark.parametrize(
    ("source", "said"), [("vad", "voice activity detection"), ("reference", "taken from the reference")]
)
def test_diarization_says_whose_speech_it_was(source, said):
    sets = {"eval": {"rates": {"all": {"der": 8.0}}}}
    assert said in diarization_table({"method": "vbx", "speech": source, "sets": sets})["said"][0]


def test_diarization_says_how_it_was_judged_and_what_has_no_rates():
    rates = {"all": {"der": 8.0}, "collar": 0.25, "skip_overlap": False, "notes": ["3 recordings: rough"]}
    sets = {"dev": {"rates": rates}, "eval": {"rates": None, "why": "rttm is missing"}}
    found = diarization_table({"method": "vbx", "threshold": {"tuned": False, "why": "no dev"}, "sets": sets})
    assert [row.get("der") for row in found["rows"]] == [8.0, None]
    assert found["said"] == [
        "In the DER 0.25 s before and behind each border of a turn do not count. Speech of several at once "
        "counts: the system names one, and misses the others.",
        "No threshold was tuned: no dev.",
        "dev: 3 recordings: rough.",
        "eval: no error rates: rttm is missing.",
    ]
    assert diarization_table(None) is None


def test_the_lead_names_the_best_of_many_and_the_baseline_and_evaluated_conversations_alone():
    many = {name: {**FIGURES, "eer": eer} for name, eer in {"a": 9.0, "b": 3.25, "c": 8.0, "d": 7.0}.items()}
    many["baseline"] = {**FIGURES, "eer": 20.0}
    shown = list_table("eval", many, dict.fromkeys(many, "#000"))["short"]
    assert shown == "b 3.2 (6.0 to 9.0), baseline 20.0 (6.0 to 9.0), and 3 others"
    rates = {"all": {"der": 8.04, "der_ci": [5.0, 11.0]}}
    sets = {"dev": {"rates": rates, "role": "development"}, "eval": {"rates": rates, "role": "evaluation"}}
    assert diarization_table({"sets": sets})["short"] == ["eval: 8.0 (5.0 to 11.0)"]
