"""Rows, and the table made of them. A group is {title, unit, notes, rows}; a row says what, its figure, perhaps a
ratio to the peer of the same run and a target. A verdict whose target lies within the middle half of the samples has
a question mark: the neighbours were louder than the difference.
"""
import statistics

METERS = {"at least": lambda figure, target: figure >= target, "at most": lambda figure, target: figure <= target}


def row(what, samples, ratios=None, target=None, of="figure"):
    """@samples, @ratios: lists, whose medians stand in the table; None: not measured. @target: ("at least" |
    "at most", number) for the figure or, with of="ratio", for the ratio."""
    figure, ratio = _middle(samples), _middle(ratios)
    one = {"what": what, "figure": figure, "ratio": ratio, "half": None, "target": None, "met": None, "sure": None}
    measured, judged = (ratio, ratios) if of == "ratio" else (figure, samples)
    if ratios or (target and samples and len(samples) > 1):
        one["half"] = _half(ratios or samples)
    if target:
        one["target"] = {"of": of, "is": target[0], "value": target[1]}
        if measured is not None:
            low, high = _half(judged)
            one["met"] = METERS[target[0]](measured, target[1])
            one["sure"] = not low < target[1] < high
    return one


def _middle(samples):
    return statistics.median(samples) if samples else None


def _half(samples):
    """What the middle half of the samples lies between."""
    if len(samples) < 2:
        return samples[0], samples[0]
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return low, high


def _number(value):
    return f"{value:.{1 if value >= 10 else 2}f}"



def _verdict(one):
    if one["met"] is None:
        return ""
    return ("met" if one["met"] else "MISSED") + ("" if one["sure"] else "?")


def _cells(one):
    target, half = one["target"], one["half"]
    form = _number if one["ratio"] is None else "{:.3f}".format
    return (one["what"],
            "-" if one["figure"] is None else _number(one["figure"]),
            "" if one["ratio"] is None else f"{one['ratio']:.3f}",
            "" if not half else f"{form(half[0])} - {form(half[1])}",
            "" if not target else f"{'≥' if target['is'] == 'at least' else '≤'} {target['value']:g}",
            _verdict(one))


def _group(group, widths):
    lines = [("", group["title"], group["unit"], group.get("ratio", ""), "middle half", "target", "")]
    lines += [("  ", *_cells(one)) for one in group["rows"]]
    text = []
    for indent, what, figure, ratio, half, target, met in lines:
        text.append(f"{indent + what:<{widths[0]}}  {figure:>{widths[1]}}  {ratio:>{widths[2]}}  "
                    f"{half:>{widths[3]}}  {target:>{widths[4]}}  {met}".rstrip())
    return text + [f"  ({note})" for note in group.get("notes", ())]


def render(report):
    groups = report["groups"]
    cells = [("  " + cells[0], *cells[1:]) for group in groups for cells in map(_cells, group["rows"])]
    cells += [(group["title"], group["unit"], group.get("ratio", ""), "middle half", "target") for group in groups]
    widths = [max((len(cell[i]) for cell in cells), default=0) for i in range(5)]
    where = report["machine"]
    lines = [f"{where['cpus']} CPUs, Linux {where['kernel']}, load {where['load'][0]:.1f} before and "
             f"{where['load_after'][0]:.1f} after; figures are medians"
             + (" of few and short rounds: a look, not a measurement" if report["quick"] else "")]
    for group in groups:
        lines += ["", *_group(group, widths)]
    return "\n".join(lines)
