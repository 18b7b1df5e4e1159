"""AppArmor's profiles: its parser takes them, each unit asks for one that is there, and what a unit runs may run under it."""
import os
import re
import shutil
import subprocess

import pytest

import house

PROFILES = ("scepterd", "scepter-worker")
UNITS = ("scepterd.service", "scepter-parse@.service", "scepter-worker@.service")
PARSER = shutil.which("apparmor_parser", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _built(name):
    with open(os.path.join(house.BUILD, "packaging", name), encoding="utf-8") as file:
        return file.read()


def _parse(text):
    """Without a kernel that has AppArmor, and without root."""
    if not PARSER:
        pytest.skip("apparmor is not installed")
    return subprocess.run([PARSER, "--skip-kernel-load", "--skip-cache", "--debug"], input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", PROFILES)
def test_the_parser_takes_it(name):
    done = _parse(_built(f"apparmor/{name}"))
    assert done.returncode == 0, done.stderr


def test_the_parser_refuses():
    text = _built("apparmor/scepterd")
    assert _parse(text.replace("/etc/machine-id r,", "/etc/machine-id r")).returncode != 0


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_asks_for_one_that_runs_its_program(unit):
    text = _built(unit)
    name = re.search(r"^AppArmorProfile=-(.*)$", text, flags=re.M)[1]
    program = re.search(r"^ExecStart=(\S+)", text, flags=re.M)[1]
    profiles = "".join(_built(f"apparmor/{file}") for file in PROFILES)
    body = re.search(rf"^profile {name} .*?^}}", profiles, flags=re.M | re.S)
    assert body and f"  {program} mr,\n" in body[0], (name, program)
