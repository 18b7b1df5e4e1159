"""certmonger with 1, 100 and 1,000 certificates, for what scepterd needs with as many: start to the first answer, 'getcert list',
memory while idle.

The requests are copies of one that it has enrolled, each with an id of its own.
"""
import os
import re
import sys

from . import peers
from .footprint import memory
from .room import BenchError
from .table import row

SIZES = (1, 100, 1000)


def _copies(daemon, first, count):
    folder = daemon.path("REQUESTS_DIR")
    (name,) = os.listdir(folder) if first is None else (first,)
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        text = file.read()
    for number in range(len(os.listdir(folder)), count):
        with open(os.path.join(folder, f"copy-{number}"), "w", encoding="utf-8") as file:
            file.write(re.sub(r"^id=.*$", f"id=copy-{number}", text, flags=re.M))
    return name


def measure(room, given):
    room.switch(caps="modern-sha384", reply_shape="rfc", root_included="on", challenge_encoding="any")
    rows, first = [], None
    try:
        client = peers.Certmonger(room)
        client.prepare()
        client.run()
        client.close()
    except BenchError as error:
        print(f"  certmonger takes no part: {error}", file=sys.stderr)
        return []
    for size in SIZES if not given.quick else SIZES[:2]:
        first = _copies(client.daemon, first, size)
        took = client.daemon.start()
        try:
            asked = [room.timed("getcert", "list") for _ in range(3)]
            found = memory(client.daemon.process.pid)
        finally:
            client.daemon.stop()
        rows += [row(f"{size} certificates: start to the first answer, ms", [took]),
                 row(f"{size} certificates: getcert list, ms", asked),
                 row(f"{size} certificates: PSS, MiB", [found["Pss"]] if found else None)]
    return [{"title": "certmonger, beside it", "unit": "", "rows": rows, "notes": ["one start of each"]}]
