"""SyncML messages: time of a reading, and how much memory it takes, by number of enrollments and at the largest size.

The messages are made of the sample's own enrollment, each with a name of its own. Cost per enrollment is compared with
that of a message with ten: linear is a ratio of one.
"""
import os
import re
import statistics
import subprocess

from .room import BenchError
from .table import row

MESSAGE_MAX = 524288  # MaxMsgSize of Intune's messages
SAMPLE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../data/policy/intune.syncml")
ENROLL = re.compile(r"\s*<Add><CmdID>6</CmdID>.*?</Add>", re.DOTALL)


def _message(sample, count):
    """The sample with @count enrollments in the place of its one."""
    one = ENROLL.search(sample)[0]
    many = "".join(one.replace("<CmdID>6<", f"<CmdID>{100 + i}<").replace("%3BHash", f"_{i}%3BHash") for i in range(count))
    return ENROLL.sub(lambda _: many, sample, count=1)


def _largest(sample):
    """As many enrollments as fit, then a comment."""
    count = (MESSAGE_MAX - len(_message(sample, 0))) // len(ENROLL.search(sample)[0]) - 1
    text = _message(sample, count)
    return count, text.replace("<Final/>", f"<!--{'x' * (MESSAGE_MAX - len(text.encode()) - 7)}--><Final/>")


def _data(sample):
    """Few enrollments, and much data of nodes nobody knows."""
    text = _message(sample, 1)
    node = "<Add><CmdID>{}</CmdID><Item><Target><LocURI>./Vendor/MSFT/Other/{}</LocURI></Target><Data>{}</Data></Item></Add>"
    room = (MESSAGE_MAX - len(text.encode())) // 200 - len(node) - 8
    return text.replace("<Final/>", "".join(node.format(1000 + i, i, "x" * room) for i in range(200)) + "<Final/>")


def _measure(room, name, text, rounds):
    path = os.path.join(room.dir, f"{name}.syncml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    result = subprocess.run([room.find("bench-documents"), path, str(rounds)], env=room.env, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise BenchError(f"bench-documents: {result.stderr.strip()}")
    found = [line.split() for line in result.stdout.splitlines()]
    return ([float(value) / 1e3 for what, value in found if what == "time"],
            [int(value) / 1024 for what, value in found if what == "memory"])


def measure(room, given):
    with open(SAMPLE, encoding="utf-8") as file:
        sample = file.read()
    rounds = 20 * given.rounds
    largest_count, largest = _largest(sample)
    times, rows, memory = {}, [], []
    for count in (1, 10, 100):
        text = _message(sample, count)
        times[count], _ = _measure(room, str(count), text, rounds)
        each = [time / count for time in times[count]]
        base = statistics.median(times[10]) / 10 if 10 in times else None
        rows.append(row(f"{count} enrollment{'s' * (count > 1)}, {len(text) // 1024} KiB: ms", times[count],
                        [one / base for one in each] if count == 100 else None,
                        ("at most", 1.3) if count == 100 else None, "ratio"))
    for what, text in ((f"512 KiB, {largest_count} enrollments", largest), ("512 KiB, 200 other nodes", _data(sample))):
        if len(text.encode()) > MESSAGE_MAX:
            raise BenchError("the message is larger than it should be")
        took, grown = _measure(room, "largest", text, rounds)
        rows.append(row(f"{what}: ms", took, target=("at most", 10)))
        for _ in range(4):
            grown += _measure(room, "largest", text, 1)[1]
        memory.append(row(f"{what}: growth, MiB", grown, target=("at most", 8)))
    return [{"title": "document_read()", "unit": "", "ratio": "per enrollment", "rows": rows + memory,
             "notes": [f"{rounds} readings each; the ratio is to a message of ten"], "samples": {"times": times}}]
