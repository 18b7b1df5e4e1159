"""A million simulated machines: requests an hour at their server over two years, beside the mean of the window they are
spread over.

bench-fleet lives through them with the dates and waits of policy/renewal.c itself. Certificates of a year, given out on one
morning: the first renewal is the one that comes together, so its hours are looked at. The outage is in the middle of it.
"""
import subprocess

from .room import BenchError
from .table import row

DEVICES, FIRST, LIFE = 1_000_000, 400 * 24, 365
KINDS = {"always-on": 1.2, "laptop": 4, "seldom": None}


def simulate(room, devices, kind, outage=None):
    """Hours to requests, and the other figures."""
    command = [room.find("bench-fleet"), str(devices), kind, str(LIFE), *([str(outage)] if outage else [])]
    done = subprocess.run(command, env=room.env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"bench-fleet: {done.stderr.strip()}")
    hours, figures = {}, {}
    for line in map(str.split, done.stdout.splitlines()):
        if line[0] == "hour":
            hours[int(line[1])] = int(line[2])
        else:
            figures[line[0]] = int(line[1])
    return hours, figures


def _peak(hours, mean, since=0):
    return max(count for hour, count in hours.items() if since <= hour < FIRST) / mean


def measure(room, given):
    devices = DEVICES // 10 if given.quick else DEVICES
    rows, samples = [], {}
    for kind, target in KINDS.items():
        hours, figures = simulate(room, devices, kind)
        mean = devices / (figures["window"] / 3600)
        outage = min(hours) // 24 + 8
        broken, broken_figures = simulate(room, devices, kind, outage)
        rows.append(row(f"{kind}: peak hour", [_peak(hours, mean)], target=target and ("at most", target)))
        rows.append(row(f"{kind}: peak hour after 24 h without a server", [_peak(broken, mean, (outage + 1) * 24)],
                        target=("at most", 3) if kind == "always-on" else None))
        rows.append(row(f"{kind}: certificates that expired", [figures["expired"] + broken_figures["expired"]],
                        target=("at most", 0)))
        samples[kind] = {"hours": hours, "after": broken, "mean": mean, "outage": outage}
    return [{"title": f"a fleet of {devices:,}", "unit": "× mean", "rows": rows, "samples": samples,
             "notes": [f"certificates of {LIFE} days given out on one morning; 1 % of the clocks wrong by up to three days",
                       "laptops: 8 to 11 hours on working days, three weeks of vacation; seldom: two hours a week"]}]
