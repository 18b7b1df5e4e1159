"""The vocabulary of events: table, journal catalog and scepter-events(7) say the same."""
import os
import re
import shutil
import subprocess

import pytest

import house

CATALOG = "packaging/journal/scepter.catalog"
ALWAYS = {"SCEPTER_EVENT", "SCEPTER_CERTIFICATE", "SCEPTER_NAME", "MESSAGE"}


def _fields():
    """{constant: (name in JSON, name in the journal)}"""
    rows = {constant: (name, journal) for constant, name, journal in
            re.findall(r'\[EVENT_(\w+)\] = \{"(\w+)", "(SCEPTER_\w+)", EVENT_\w+\}', house.read("policy/events.c"))}
    assert len(rows) > 20
    return rows


def _events():
    """[(name, id, number, priority, required fields, optional fields)]"""
    rows = []
    for name, message_id, number, priority, masks in re.findall(
            r'\[EVENT_\w+\] = \{"(\w+)",\s*"(\w{32})",\s*(\d+),\s*LOG_(\w+),([^{}]*)\}', house.read("policy/events.c")):
        required, optional = re.sub(r"\s+", "", masks).rsplit(",", 1)
        rows.append((name, message_id, int(number), priority, re.findall(r"F\((\w+)\)", required),
                     re.findall(r"F\((\w+)\)", optional)))
    assert len(rows) == len(re.findall(r"^\s+EVENT_\w+,$", house.read("policy/events.h").split("_EVENT_MAX")[0], flags=re.M))
    return rows


def _entries():
    """{id: (headers, text)} of the catalog."""
    entries = {}
    for part in re.split(r"^-- ", house.read(CATALOG), flags=re.M)[1:]:
        message_id, rest = part.split("\n", 1)
        head, text = rest.split("\n\n", 1)
        assert message_id not in entries, f"{message_id} is there twice"
        entries[message_id] = dict(line.split(": ", 1) for line in head.split("\n")), text
    return entries


def test_every_event_has_its_entry():
    assert list(_entries()) == [row[1] for row in _events()], "same ids, in the same order"


@pytest.mark.parametrize("row", _events(), ids=[row[0] for row in _events()])
def test_entry(row):
    name, message_id, number, _, required, _ = row
    headers, text = _entries()[message_id]
    assert headers["Subject"].startswith(f"{name}: ") and headers["Defined-By"] == "scepter"
    assert headers["Documentation"] == "man:scepter-events(7)"
    there = ALWAYS | {_fields()[constant][1] for constant in required}
    for field in re.findall(r"@([^@\s]+)@", text):
        assert field in there, f"{name}: not every entry has {field}"
    for field in re.findall(r"SCEPTER_\w+", text):
        assert field in there | {journal for _, journal in _fields().values()}, f"{name}: there is no field {field}"
    if number in (36, 39, 32):
        assert f"event {number}" in text, f"{name} does not tell Windows' number"
    # What happened, and what to do about it.
    assert len(text.strip().split("\n\n")) >= 2 or name == "CERT_REMOVED"
    assert all(len(line) <= 120 for line in text.split("\n"))


def test_the_journal_reads_the_catalog(tmp_path):
    if not shutil.which("journalctl"):
        pytest.skip("journalctl is not installed")
    place = tmp_path / "usr/lib/systemd/catalog"
    place.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(os.path.join(house.TOP, CATALOG), place)
    for arguments in (["--update-catalog"], ["--list-catalog"]):
        result = subprocess.run(["journalctl", f"--root={tmp_path}", *arguments], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, check=False)
        assert result.returncode == 0, result.stdout
    listed = dict(line.split(" ", 1) for line in result.stdout.strip().split("\n"))
    assert set(listed) == {row[1] for row in _events()}, result.stdout
    assert all("scepter: " in line for line in listed.values())


def test_each_event_is_raised():
    """A name nobody uses is a promise nobody keeps."""
    code = "".join(house.without_comments(house.read(path)) for path in house.files("service/enroll", "service/objects"))
    for name, *_ in _events():
        assert re.search(rf"\bEVENT_{name}\b", code), f"nothing raises {name}"


def _paragraphs():
    """{tag: text} of scepter-events(7), fonts and escapes taken out."""
    text = house.read("packaging/man/scepter-events.7").replace("\\-", "-")
    return {tag: " ".join(rest.split()) for tag, rest in
            re.findall(r"^\.TP\n\.BR? (\w+)([^\0]*?)(?=\n\.(?:TP|PP|SH))", text, flags=re.M)}


@pytest.mark.parametrize("row", _events(), ids=[row[0] for row in _events()])
def test_page(row):
    name, _, number, priority, required, optional = row
    numbers = "32 or 307" if number == 32 else str(number)
    names = [_fields()[bit][0] for bit in required] + [f"[{_fields()[bit][0]}]" for bit in optional]
    head = "; ".join([f"Windows {numbers}"] * (number > 0) + [priority.lower()] + [", ".join(names)] * bool(names))
    assert _paragraphs()[name].startswith(f"{head}. .br "), f"scepter-events(7): '{name}' begins with '{head}.'"


def test_fields_of_the_page():
    told = {tag: re.match(r'"? ?" \((\w+)\)"', rest) for tag, rest in _paragraphs().items() if not tag.isupper()}
    told = {tag: found and found[1] for tag, found in told.items()}
    common = {"time": None, "event": "SCEPTER_EVENT", "certificate": "SCEPTER_CERTIFICATE", "name": "SCEPTER_NAME",
              "message": "MESSAGE", "windows": "SCEPTER_WINDOWS", "profile": "SCEPTER_PROFILE"}
    assert told == {**common, **dict(_fields().values())}
    code = house.read("service/events/line.c")
    for member, field in common.items():
        assert f'"{member}"' in code and (field in (None, "MESSAGE") or f'"{field}"' in code), member


def test_events_of_the_page():
    assert [tag for tag in _paragraphs() if tag.isupper()] == [row[0] for row in _events()]


def test_stages_of_the_page():
    """The steps an enrollment can end at."""
    code = "".join(house.without_comments(house.read(path)) for path in house.files("service/enroll"))
    stages = set(re.findall(r'stage = "(\w+)"', code)) - {"begin"}
    told = re.search(r"ended at: (.*?)\.", _paragraphs()["stage"])[1]
    assert stages == set(re.split(r", | or ", told))
