"""Rows, and the table made of them. A group is {title, unit, notes, rows}; a row says what, its figure, perhaps a
ratio to the peer of the same run and a target with its comparison."""

METERS = {"at least": lambda figure, target: figure >= target, "at most": lambda figure, target: figure <= target}


def row(what, figure, ratio=None, target=None, of="figure"):
    """@target: ("at least" | "at most", number) for the figure or, with of="ratio", for the ratio."""
    one = {"what": what, "figure": figure, "ratio": ratio, "target": None, "met": None}
    if target:
        measured = ratio if of == "ratio" else figure
        one["target"] = {"of": of, "is": target[0], "value": target[1]}
        one["met"] = None if measured is None else METERS[target[0]](measured, target[1])
    return one


def _cells(one):
    target = one["target"]
    return (one["what"],
            "-" if one["figure"] is None else f"{one['figure']:.{1 if one['figure'] >= 10 else 2}f}",
            "" if one["ratio"] is None else f"{one['ratio']:.3f}",
            "" if not target else f"{'≥' if target['is'] == 'at least' else '≤'} {target['value']:g}",
            "" if one["met"] is None else ("met" if one["met"] else "MISSED"))


def _group(group, widths):
    lines = [("", group["title"], group["unit"], group.get("ratio", ""), "target", "")]
    lines += [("  ", *_cells(one)) for one in group["rows"]]
    text = []
    for indent, what, figure, ratio, target, met in lines:
        text.append(f"{indent + what:<{widths[0]}}  {figure:>{widths[1]}}  {ratio:>{widths[2]}}  "
                    f"{target:>{widths[3]}}  {met}".rstrip())
    return text + [f"  ({note})" for note in group.get("notes", ())]


def render(report):
    groups = report["groups"]
    cells = [("  " + row[0], *row[1:]) for group in groups for row in map(_cells, group["rows"])]
    cells += [(group["title"], group["unit"], group.get("ratio", ""), "target") for group in groups]
    widths = [max((len(cell[i]) for cell in cells), default=0) for i in range(4)]
    where = report["machine"]
    lines = [f"{where['cpus']} CPUs, Linux {where['kernel']}, load {where['load'][0]:.1f} before and "
             f"{where['load_after'][0]:.1f} after; figures are medians"
             + (" of few and short rounds: a look, not a measurement" if report["quick"] else "")]
    for group in groups:
        lines += ["", *_group(group, widths)]
    return "\n".join(lines)
