"""The daemon with 1,000 and 10,000 certificates: start to bus name, 'scepter list', memory while idle.

The certificates are copies of one that was enrolled, each with an id, a name and a key id of its own; they are gone
afterwards.
"""
import json
import math
import os
import secrets
import shutil
import statistics

from . import enrollment
from .footprint import lists, memory, starts
from .table import row

# number: (start, list, PSS)
TARGETS = {1000: (60, 30, 8), 10000: (400, 250, 24)}

def _own(path, like):
    os.chown(path, like.st_uid, like.st_gid, follow_symlinks=False)


def _copies(home, record, count):
    """New certificates beside @home."""
    like = os.stat(home)
    for _ in range(count):
        name = secrets.token_hex(16)
        new = os.path.join(os.path.dirname(home), name)
        shutil.copytree(home, new, symlinks=True)
        with open(os.path.join(new, "record.json"), "w", encoding="utf-8") as file:
            json.dump({**record, "name": name, "key_id": secrets.token_hex(20)}, file)
        for folder, folders, files in os.walk(new):
            for path in (folder, *(os.path.join(folder, entry) for entry in folders + files)):
                _own(path, like)
        yield new


def _template(room):
    root = os.path.join(room.layout.state, "certificates")
    for name in os.listdir(root):
        with open(os.path.join(root, name, "record.json"), encoding="utf-8") as file:
            record = json.load(file)
        if record["name"] == enrollment.NAME:
            return os.path.join(root, name), record
    raise FileNotFoundError(enrollment.NAME)


def _exponent(samples, what):
    """Between the two sizes: 1 is linear."""
    few, many = sorted(samples)
    return math.log(statistics.median(samples[many][what]) / statistics.median(samples[few][what])) / math.log(many / few)


def measure(room, given):
    room.ensure_profile(enrollment.NAME, "software", "rsa-2048")
    room.enroll(enrollment.NAME)
    home, record = _template(room)
    made, rows, samples = [], [], {}
    room.records.stop("scepterd")
    try:
        for number, (start, listing, pss) in TARGETS.items():
            made += _copies(home, record, number - 1 - len(made))
            took = starts(room, given.rounds)
            room.restart_daemon()
            asked = lists(room, given.rounds)
            found = memory(room.daemon_pid())
            room.records.stop("scepterd")
            samples[number] = {"start": took, "list": asked, "pss": [found["Pss"]] if found else None}
            rows += [row(f"{number} certificates: start to bus name, ms", took, target=("at most", start)),
                     row(f"{number} certificates: scepter list, ms", asked, target=("at most", listing)),
                     row(f"{number} certificates: PSS, MiB", [found["Pss"]] if found else None,
                         target=("at most", pss))]
    finally:
        for path in made:
            shutil.rmtree(path)
        room.restart_daemon()
    rows += [row(f"{what} grows as the number to the power of", [_exponent(samples, what)])
             for what in ("start", "list", "pss") if samples[1000][what]]
    return [{"title": "scepterd with many certificates", "unit": "", "rows": rows,
             "notes": [f"{given.rounds} starts, {given.rounds} lists of each"], "samples": samples}]
