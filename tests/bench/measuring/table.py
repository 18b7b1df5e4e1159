"""Rows, and the table made of them. A group is {title, unit, notes, rows}; a row says what, its figure, perhaps a
ratio to the peer of the same run and a target. Figures and ratios are medians; beside them stands where the median of many
more samples would lie, 95 times of 100. A verdict whose target lies there has a question mark: the neighbours were louder
than the difference.
"""
import math
import statistics

METERS = {"at least": lambda figure, target: figure >= target, "at most": lambda figure, target: figure <= target}


def row(what, samples, ratios=None, target=None, of="figure"):
    """@samples, @ratios: lists, whose medians stand in the table; None: not measured. @target: ("at least" |
    "at most", number) for the figure or, with of="ratio", for the ratio."""
    figure, ratio = _middle(samples), _middle(ratios)
    one = {"what": what, "figure": figure, "ratio": ratio, "interval": None, "target": None, "met": None, "sure": None}
    measured, judged = (ratio, ratios) if of == "ratio" else (figure, samples)
    if ratios or (target and samples and len(samples) > 1):
        one["interval"] = _interval(ratios or samples)
    if target:
        one["target"] = {"of": of, "is": target[0], "value": target[1]}
        if measured is not None:
            low, high = _interval(judged)
            one["met"] = METERS[target[0]](measured, target[1])
            one["sure"] = not low < target[1] < high
    return one


def _middle(samples):
    return statistics.median(samples) if samples else None


def _interval(samples):
    """Order statistics, which hold for whatever distribution."""
    ordered, count = sorted(samples), len(samples)
    rank = max(1, round(count / 2 - 1.96 * math.sqrt(count) / 2))
    return ordered[rank - 1], ordered[count - rank]


def _number(value):
    return f"{value:.{1 if value >= 10 else 2}f}"


def _verdict(one):
    if one["met"] is None:
        return ""
    return ("met" if one["met"] else "MISSED") + ("" if one["sure"] else "?")


def _cells(one):
    target, interval = one["target"], one["interval"]
    form = _number if one["ratio"] is None else "{:.3f}".format
    return (one["what"],
            "-" if one["figure"] is None else _number(one["figure"]),
            "" if one["ratio"] is None else f"{one['ratio']:.3f}",
            "" if not interval else f"{form(interval[0])} - {form(interval[1])}",
            "" if not target else f"{'≥' if target['is'] == 'at least' else '≤'} {target['value']:g}",
            _verdict(one))


def _group(group, widths):
    lines = [("", group["title"], group["unit"], group.get("ratio", ""), "95 % between", "target", "")]
    lines += [("  ", *_cells(one)) for one in group["rows"]]
    text = []
    for indent, what, figure, ratio, interval, target, met in lines:
        text.append(f"{indent + what:<{widths[0]}}  {figure:>{widths[1]}}  {ratio:>{widths[2]}}  "
                    f"{interval:>{widths[3]}}  {target:>{widths[4]}}  {met}".rstrip())
    return text + [f"  ({note})" for note in group.get("notes", ())]


def render(report):
    groups = report["groups"]
    cells = [("  " + cells[0], *cells[1:]) for group in groups for cells in map(_cells, group["rows"])]
    cells += [(group["title"], group["unit"], group.get("ratio", ""), "95 % between", "target") for group in groups]
    widths = [max((len(cell[i]) for cell in cells), default=0) for i in range(5)]
    where = report["machine"]
    lines = [f"{where['cpus']} CPUs, Linux {where['kernel']}, load {where['load'][0]:.1f} before and "
             f"{where['load_after'][0]:.1f} after; figures are medians"
             + (" of few and short rounds: a look, not a measurement" if report["quick"] else "")]
    for group in groups:
        lines += ["", *_group(group, widths)]
    return "\n".join(lines)
