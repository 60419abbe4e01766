"""Figures as tables for a terminal and rows for a RESULTS.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def _value(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _span(ends: Sequence[float | None] | None, digits: int) -> str:
    if ends is None:
        return ""
    between = " to " if any(end is not None and end < 0 for end in ends) else " - "  # a minus is no dash
    return between.join(_value(end, digits) for end in ends)


def _figure_rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    # (name, value, interval) of every figure that is there.
    out = [
        ("EER %", _value(found["eer"], 3), _span(found["eer_ci"], 3)),
        ("EER % (hull)", _value(found["eer_hull"], 3), _span(found["eer_hull_ci"], 3)),
    ]
    for key, name in (("min_dcf", "minDCF"), ("act_dcf", "actDCF")):
        for cost, value in (found[key] or {}).items():
            out.append((f"{name}({cost})", _value(value, 4), _span((found[f"{key}_ci"] or {}).get(cost), 4)))
    for key, name in (("cllr", "Cllr"), ("min_cllr", "minCllr")):
        if found[key] is not None:
            out.append((name, _value(found[key], 4), _span(found[f"{key}_ci"], 4)))
    if found.get("threshold") is not None:
        out.append(("threshold at the EER", f"{found['threshold']:.4g}", ""))
    return out


def evaluation(found: dict[str, Any]) -> str:
    """What ``evaluate`` found."""
    people = "" if found["speakers"] is None else f", {found['speakers']} speakers"
    lines = [f"{found['targets']} target and {found['nontargets']} non-target trials{people}"]
    head = f"{'':22s} {'':>9s}" + ("" if found["eer_ci"] is None else "  95 % interval")
    lines.append(head.rstrip())
    lines += [f"{name:22s} {value:>9s}  {span}".rstrip() for name, value, span in _figure_rows(found)]
    for name, values in found["conditions"].items():
        lines += ["", _condition(name, values)]
    return "\n".join([*lines, *(f"note: {note}" for note in found["notes"])])


def _condition(name: str, values: dict[str, dict[str, Any]]) -> str:
    costs = next((list(one["min_dcf"]) for one in values.values() if one.get("min_dcf")), [])[:1]
    title = f"minDCF({costs[0]})" if costs else ""
    lines = [f"{name:24s} {'targets':>9s} {'nontargets':>10s} {'EER %':>7s}  {'95 % interval':15s} {title}"]
    for value, one in values.items():
        cost = _value(one["min_dcf"][costs[0]], 4) if one.get("min_dcf") and costs else ""
        lines.append(
            f"  {value:22s} {one['targets']:9d} {one['nontargets']:10d} {_value(one['eer'], 2):>7s}  "
            f"{_span(one.get('eer_ci'), 2):15s} {cost:{len(title)}s} {one.get('note', '')}".rstrip()
        )
    return "\n".join(lines)


def chosen(found: dict[str, Any]) -> str:
    """What ``threshold`` found."""
    aim = found["asked"]
    wish = (
        f"false-alarm rate {aim:g}"
        if found["criterion"] == "p_fa"
        else f"cost {aim[0]:g},{aim[1]:g},{aim[2]:g}"
    )
    lines = [f"{wish}: accept from {found['threshold']:.6g} on"]
    for key, name in (("p_miss", "misses"), ("p_fa", "false alarms")):
        low, high = found[f"{key}_ci"]
        lines.append(f"{name:14s} {100 * found[key]:8.3f} %   {100 * low:.3f} - {100 * high:.3f}")
    if found["cost"] is not None:
        lines.append(f"{'cost':14s} {found['cost']:8.4f}     {_span(found['cost_ci'], 4)}")
    lines.append(f"{found['level']:.0%} intervals: {found['interval']}")
    return "\n".join([*lines, *(f"note: {note}" for note in found["notes"])])


def side_by_side(found: dict[str, Any]) -> str:
    """What ``compare`` found: a table a list of trials, and each system against the first."""
    blocks = []
    for name, systems in found["trials"].items():
        points = list(next(iter(systems.values()))["min_dcf"])
        point = "0.01" if "0.01" in points else points[0]
        title = f"minDCF({point})"
        ratios = any(one.get("cllr") is not None for one in systems.values())
        wide = max(40, *map(len, systems))
        head = f"  {'system':{wide}s} {'EER %':>7s}  {'95 % interval':15s} {title:>12s}"
        lines = [f"{name}", head + (f" {'Cllr':>7s}" if ratios else "")]
        for system, one in systems.items():
            cost = one["min_dcf"].get(point)
            line = f"  {system:{wide}s} {one['eer']:7.2f}  {_span(one['eer_ci'], 2):15s}"
            line += f" {_value(cost, 3):>12s}"
            lines.append(line + (f" {_value(one.get('cllr'), 3):>7s}" if ratios else ""))
        blocks.append("\n".join(lines))
        blocks += _against(found["differences"].get(name, {}), found["against"][name], point)
    return "\n\n".join([*blocks, *(f"note: {note}" for note in found["notes"])])


def _against(pairs: dict[str, dict[str, Any]], reference: str, cost: str) -> list[str]:
    # A table a figure: each system's minus the reference's.
    def entry(one: dict[str, Any], key: str, point: str | None) -> tuple[float | None, Any]:
        value, ends = one[f"{key}_difference"], one[f"{key}_difference_ci"]
        return (value, ends) if point is None else ((value or {}).get(point), (ends or {}).get(point))

    blocks, wide = [], max([40, *map(len, pairs)])
    for key, title, point, digits in (
        ("eer", "EER, points,", None, 2),
        ("min_dcf", f"minDCF({cost})", cost, 3),
        ("act_dcf", f"actDCF({cost})", cost, 3),
        ("cllr", "Cllr", None, 3),
        ("min_cllr", "minCllr", None, 3),
    ):
        lines = []
        for system, one in pairs.items():
            value, ends = entry(one, key, point)
            if value is not None:
                line = f"  {system:{wide}s} {value:+7.{digits}f}  {_span(ends, digits):15s}"
                if key == "eer":
                    line += f" ratio {_with_span(one['eer_ratio'], one['eer_ratio_ci'], 2)}"
                lines.append(line.rstrip())
        if lines:
            head = f"  {title + ' against ' + reference:{wide}s} {'':7s}  95 % interval"
            blocks.append("\n".join([head, *lines]))
    return blocks


def _with_span(value: float | None, ends: Sequence[float | None] | None, digits: int) -> str:
    return _value(value, digits) + (f" ({_span(ends, digits)})" if ends else "")


def rows(found: dict[str, Any]) -> str:
    """Rows of a Markdown table, a back end of a list of trials each, ready for a RESULTS.md."""
    lines = [
        "| system | trials | back end | EER % (95 %) | minDCF(0.01) (95 %) | Cllr | trials, speakers |",
        "|---|---|---|---|---|---|---|",
    ]
    for system in found["systems"]:
        for name, backs in system["trials"].items():
            for back, one in backs.items():
                rate = _with_span(one["eer"], one["eer_ci"], 2)
                costs, ends = one["min_dcf"], one.get("min_dcf_ci") or {}
                cost = _with_span(costs.get("0.01"), ends.get("0.01"), 3)
                size = f"{one['targets']} + {one['nontargets']}, {one['speakers'] or '-'}"
                words = (system["name"], name, back, rate, cost, _value(one.get("cllr"), 3), size)
                lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)
