"""The vocabulary of events as policy/events.c has it, and the check of one event against it."""
import re

import labs

ALWAYS = {"time": int, "event": str, "certificate": str, "name": str, "message": str}
SOMETIMES = {"profile": str, "windows": int}
SHAPES = {"TEXT": str, "NUMBER": int, "LIST": list}


def _bits(text):
    return re.findall(r"F\((\w+)\)", text)


def _read():
    text = (labs.SOURCE / "policy/events.c").read_text()
    fields = {constant: (name, SHAPES[shape]) for constant, name, shape in
              re.findall(r'\[EVENT_(\w+)\] = \{"(\w+)", "SCEPTER_\w+", EVENT_(\w+)\}', text)}
    rows = {}
    for name, number, masks in re.findall(r'\[EVENT_\w+\] = \{"(\w+)",\s*"\w{32}",\s*(\d+),\s*LOG_\w+,([^{}]*)\}', text):
        required, optional = re.sub(r"\s+", "", masks).rsplit(",", 1)
        rows[name] = (int(number), [fields[bit] for bit in _bits(required)], [fields[bit] for bit in _bits(optional)])
    assert len(rows) > 10 and len(fields) > 20
    return rows


EVENTS = _read()


def check(event):
    """One event is what the table says: its members, their types, its number."""
    number, required, optional = EVENTS[event["event"]]
    known = {**ALWAYS, **dict(required)}
    for member, kind in known.items():
        assert isinstance(event.get(member), kind), (member, event)
        assert event[member] or kind is int, (member, event)
    known.update(SOMETIMES)
    known.update(dict(optional))
    for member, value in event.items():
        assert member in known and isinstance(value, known[member]), (member, event)
    if event["event"] == "ENROL_FAILED":
        number = 307 if event["stage"] in ("discover", "choose") else 32
    assert event.get("windows", 0) == number, event
    assert not [value for value in event.values() if isinstance(value, str) and re.search(r"[\x00-\x1f]", value)], event
