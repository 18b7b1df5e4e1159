"""What a fleet's tools lean on: the list as its published schema has it, and a wait for a certificate that may not be known yet."""
import json
import re
import subprocess

import jsonschema
import pytest

import labs

SCHEMA = json.loads((labs.SOURCE / "packaging/schema/list.schema.json").read_text())


@pytest.fixture(scope="module")
def lab():
    with labs.lab("--no-tpm") as room:
        yield room


def listed(lab):
    found = lab.json("list")
    jsonschema.validate(found, SCHEMA)
    return found["certificates"]


def waiting(lab, *arguments):
    return subprocess.Popen([labs.BUILD / "bin/scepter", "wait", *arguments], env=lab.env, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def test_the_schema_knows_the_words_of_the_service():
    """Every health and activity, as the tables of the code have them."""
    table = (labs.SOURCE / "service/enroll/lifecycle.c").read_text()
    item = SCHEMA["properties"]["certificates"]["items"]["properties"]
    for kind in ("health", "activity"):
        words = re.findall(r'\[%s_\w+\] = \{?"([a-z-]+)"' % kind.upper(), table)
        assert words and sorted(set(words)) == sorted(item[kind]["enum"]), kind


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for wrong in ({}, {"certificates": [{}]}, {"certificates": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)


def test_wait(lab):
    """For one that nobody has heard of: its profile comes, it is pending for a while, and then it is there."""
    assert listed(lab) == []
    waiter = waiting(lab, "soon", "--json")
    try:
        lab.ndes("set", "pending", "approve")
        lab.add("soon")
        assert lab.enroll("soon").returncode == 8
        assert [entry["activity"] for entry in listed(lab)] == ["pending"]
        assert waiter.poll() is None
        lab.ndes("approve")
        lab.ndes("set", "pending", "off")
        lab.clock("+600")
        said, _ = waiter.communicate(timeout=90)
        assert waiter.returncode == 0 and json.loads(said)["name"] == "soon"
    finally:
        waiter.kill()
        waiter.communicate()
    assert [entry["health"] for entry in listed(lab)] == ["valid"]
    assert lab.scepter("wait", "soon", timeout=30).returncode == 0
    assert lab.scepter("wait", listed(lab)[0]["id"], "--applied", timeout=30).returncode == 0


def test_a_restart_is_waited_through(lab):
    waiter = waiting(lab, "later")
    try:
        lab.daemon("restart")
        lab.add("later")
        assert lab.enroll("later").returncode == 0
        assert waiter.wait(90) == 0
    finally:
        waiter.kill()
        waiter.communicate()


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("a", "--nothing")])
def test_wrong_arguments(lab, arguments):
    assert lab.scepter("wait", *arguments).returncode == 2
