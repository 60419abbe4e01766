"""RESULTS.md: a table row a trial list and back end, kept up to date by the runs themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..formats.atomic import write_text
from .tables import ordered

_COLUMNS = (
    "recipe",
    "model",
    "trials",
    "back end",
    "EER, %",
    "minDCF(0.01)",
    "minDCF(0.05)",
    "actDCF(0.01)",
    "Cllr",
    "same + different",
    "speakers",
)
HEADER = "| " + " | ".join(_COLUMNS) + " |"
_RULE = "|" + "---|" * 4 + "---:|" * (len(_COLUMNS) - 4)
_CLASS_COLUMNS = (
    "recipe",
    "model",
    "set",
    "classifier",
    "accuracy, %",
    "balanced accuracy, %",
    "macro-F1, %",
    "ROC-AUC",
    "answers",
    "speakers",
)
CLASS_HEADER = "| " + " | ".join(_CLASS_COLUMNS) + " |"
_CLASS_RULE = "|" + "---|" * 4 + "---:|" * (len(_CLASS_COLUMNS) - 4)
_INTRO = """# Results

Written by the runs (stage 9); a run replaces its own rows. In brackets: 95 % intervals, bootstrap over
speakers. minDCF and actDCF are normalised, with unit costs; actDCF and Cllr are of calibrated scores only.
"""


def _cell(text: Any) -> str:
    return str(text).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _figure(value: float | None, ends: Any = None, digits: int = 3) -> str:
    if value is None:
        return ""
    if not ends or None in ends:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({ends[0]:.{digits}f}–{ends[1]:.{digits}f})"


def _row(recipe: str, tag: str, name: str, key: str, figures: Mapping[str, Any]) -> str:
    def cost(what: str, point: str) -> str:
        ends = (figures.get(f"{what}_ci") or {}).get(point)
        return _figure((figures.get(what) or {}).get(point), ends)

    cells = [
        _cell(recipe),
        _cell(tag),
        _cell(name),
        _cell(key),
        _figure(figures.get("eer"), figures.get("eer_ci"), 2),
        cost("min_dcf", "0.01"),
        cost("min_dcf", "0.05"),
        cost("act_dcf", "0.01"),
        _figure(figures.get("cllr"), figures.get("cllr_ci")),
        f"{figures['targets']} + {figures['nontargets']}",
        _cell(figures.get("speakers") or ""),
    ]
    return "| " + " | ".join(cells) + " |"


def _names(results: Mapping[str, Any]) -> tuple[str, str]:
    model = results.get("model")
    tag = model.get("tag", "") if isinstance(model, Mapping) else model
    return str(results.get("recipe") or ""), str(tag or "")


def result_rows(results: Mapping[str, Any]) -> list[str]:
    """Markdown rows under HEADER: one a trial list and back end of results.json."""
    recipe, tag = _names(results)
    return [
        _row(recipe, tag, name, key, figures)
        for name, part in results.get("trials", {}).items()
        for key, figures in ordered(part).items()
    ]


def update_results(path: str | Path, results: Mapping[str, Any]) -> None:
    """Put the rows of ``results`` into the file ``path`` in place of this recipe's and model's old ones.

    Other rows and all text around the table stay. A file without the table gets it at its end; a missing
    file is made.
    """
    _put(Path(path), HEADER, _RULE, _names(results), result_rows(results))


def class_rows(results: Mapping[str, Any]) -> list[str]:
    """Markdown rows under CLASS_HEADER: one a set and classifier of a classification's results.json.

    A set whose answers are votes says so.
    """
    recipe, tag = _names(results)
    vote = results.get("vote") or "none"
    how = "" if vote == "none" else f", votes by {vote}"
    out = []
    for name, part in results.get("classification", {}).items():
        for key, one in part.items():
            rates = (
                _figure(one.get(what), one.get(f"{what}_ci"), 2 if what != "roc_auc" else 4)
                for what in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc")
            )
            ends = [str(one["utterances"]), _cell(one.get("speakers") or "")]
            out.append("| " + " | ".join([*map(_cell, (recipe, tag, name + how, key)), *rates, *ends]) + " |")
    return out


def class_lines(results: Mapping[str, Any]) -> list[str]:
    """``class_rows`` with the table's head."""
    return [CLASS_HEADER, _CLASS_RULE, *class_rows(results)]


def update_class_results(path: str | Path, results: Mapping[str, Any]) -> None:
    """As update_results, for a classification: its table is one of its own in the same file."""
    _put(Path(path), CLASS_HEADER, _CLASS_RULE, _names(results), class_rows(results))


def _put(path: Path, header: str, rule: str, names: tuple[str, str], rows: Sequence[str]) -> None:
    lines = (path.read_text("utf-8") if path.is_file() else _INTRO).splitlines()
    if header not in lines:
        lines += ([""] if lines and lines[-1] else []) + [header, rule]
    begin = lines.index(header) + 2
    end = begin
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    mine = f"| {_cell(names[0])} | {_cell(names[1])} |"
    old = lines[begin:end]
    place = next((number for number, line in enumerate(old) if line.startswith(mine)), len(old))
    before = old[:place]
    after = [line for line in old[place:] if not line.startswith(mine)]
    write_text(path, "\n".join([*lines[:begin], *before, *rows, *after, *lines[end:]]) + "\n")
