"""The shipped polkit rules in a real polkitd: the service starts the unit of one certificate and asks for the serial number, and
nobody does anything else."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import labs

HERE = pathlib.Path(__file__).resolve().parent
RULE = labs.SOURCE / "packaging/polkit/scepter.rules"
UNITS = "org.freedesktop.systemd1.manage-units"
ID = "0123456789abcdef" * 2
GOOD = {"verb": "start", "unit": f"scepter-apply@{ID}.service"}
# user, action, details, answer
CASES = [
    ("scepter", UNITS, GOOD, True),
    ("another", UNITS, GOOD, False),
    ("scepter", "org.freedesktop.systemd1.manage-unit-files", GOOD, False),
    ("scepter", "org.freedesktop.systemd1.reload-daemon", GOOD, False),
    *[("scepter", UNITS, {**GOOD, "verb": verb}, False)
      for verb in ("stop", "restart", "reload", "kill", "set-property", "Start", "")],
    *[("scepter", UNITS, {**GOOD, "unit": unit}, False)
      for unit in (f"scepter-apply@{ID.upper()}.service", f"scepter-apply@{ID[1:]}.service", f"scepter-apply@{ID}0.service",
                   f"scepter-apply@{ID}.service\n", f"x-scepter-apply@{ID}.service", f"scepter-apply@{ID}.target",
                   f"scepter-apply@{ID}xservice", "scepter-apply@.service", "ssh.service", f"scepter-apply@{'g' * 32}.service",
                   f"a.service\nscepter-apply@{ID}.service", "")],
    ("scepter", UNITS, {"verb": "start"}, False),
    ("scepter", UNITS, {"unit": GOOD["unit"]}, False),
    ("scepter", UNITS, {}, False),
    ("scepter", "org.freedesktop.hostname1.get-hardware-serial", {}, True),
    ("another", "org.freedesktop.hostname1.get-hardware-serial", {}, False),
    ("scepter", "org.freedesktop.hostname1.get-product-uuid", {}, False),
    ("scepter", "org.freedesktop.hostname1.set-static-hostname", {}, False),
]


@pytest.fixture(scope="module")
def answers():
    if os.getuid() != 0:
        pytest.skip("only root can put rules before a polkitd")
    for program in ("/usr/lib/polkit-1/polkitd", "/usr/share/polkit-1/actions/org.freedesktop.systemd1.policy"):
        if not os.path.exists(program):
            pytest.skip(f"{program} is not installed")
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    with labs.open_folder() as place:
        cases = [{"user": user, "action": action, "details": details} for user, action, details, _ in CASES]
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, "-B", HERE / "polkit_room.py", place,
                               RULE], input=json.dumps(cases), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_rule(answers, number):
    assert answers[number] == CASES[number][3], CASES[number]


def test_the_daemon_asks_for_what_the_rule_allows():
    """The unit's name, the verb and the user are written in three places."""
    assert '"scepter-apply@%s.service"' in (labs.SOURCE / "service/work/applier.c").read_text()
    assert '"StartUnit"' in (labs.SOURCE / "service/work/applier.c").read_text()
    assert 'subject.user == "scepter"' in RULE.read_text()
    assert "\nu scepter " in (labs.SOURCE / "packaging/sysusers/scepter.conf").read_text()
    assert (labs.SOURCE / "packaging/systemd/scepter-apply@.service").exists()
