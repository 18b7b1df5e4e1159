"""The shipped units in a real systemd: what they let through is what the service needs, and little else."""
import json
import re
import subprocess

import pytest

import installed
import labs

SERVICES = {"scepterd.service": 1.2, "scepter-parse@.service": 0.5, "scepter-worker@.service": 1.5, "scepter-apply@.service": 3.0}
UNITS = [*SERVICES, "scepterd.socket", "scepter-parse.socket", "scepter-worker.socket"]


@pytest.mark.parametrize("unit", SERVICES)
def test_exposure(unit, tmp_path):
    """As systemd counts it; a worker that talks to servers cannot do without sockets."""
    text = (labs.BUILD / "packaging" / unit).read_text()
    (tmp_path / unit).write_text(text.replace("%i", "0" * 32))
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", tmp_path / unit],
                          capture_output=True, text=True, check=False)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    print(unit, found[1])
    assert float(found[1]) <= SERVICES[unit]


@pytest.fixture(scope="module")
def room():
    made = installed.Installed()
    try:
        made.good("groupadd -g 64950 crew")
        made.enroll("web", key="Groups=crew")
        yield made
    finally:
        made.close()


def test_every_line_is_understood(room):
    said = room.run("systemd-analyze verify --man=no " + " ".join(f"/lib/systemd/system/{unit}" for unit in UNITS))
    assert not [line for line in said.stderr.splitlines() if "scepter" in line], said.stderr


def test_an_enrollment_through_the_units(room):
    """Both kinds of workers ran, as users of their own; none is left, and no unit has failed."""
    assert "Activity        idle" in room.good("scepter show web")
    log = room.good("journalctl -b -o json --no-pager _COMM=systemd")
    units = {json.loads(line).get("UNIT", "") for line in log.splitlines()}
    assert [unit for unit in units if unit.startswith("scepter-parse@")]
    assert [unit for unit in units if unit.startswith("scepter-worker@")]
    assert room.good("systemctl list-units --failed --no-legend --plain 'scepter*'") == ""


def test_the_program_that_checks_bundles(room):
    """The command finds it where it was installed."""
    done = room.run("scepter attest --verify /dev/null")
    assert done.returncode == 1 and "This is no bundle" in done.stdout, done.stderr


def test_who_runs(room):
    assert room.good("ps -o user= -C scepterd").split() == ["scepter"]
    assert "Groups:" in room.good("grep Groups: /proc/$(pidof scepterd)/status")
    assert room.good("stat -c '%U %a' /var/lib/scepter /run/scepter /run/scepter/keys.sock /run/scepter/worker.sock") == \
        "scepter 711\nroot 755\nroot 666\nscepter 600\n"


# Where, what is tried, and whether it has to work. A probe runs with all that the unit sets, but for its program.
PROBES = [
    ("scepterd.service", "touch /var/lib/scepter/probe", True),
    ("scepterd.service", "cat /etc/scepter/host.key", True),
    ("scepterd.service", "busctl call org.freedesktop.DBus / org.freedesktop.DBus GetId", True),
    ("scepterd.service", "touch /run/scepter/probe", False),
    ("scepterd.service", "touch /etc/scepter/probe", False),
    ("scepterd.service", "touch /usr/probe", False),
    ("scepterd.service", "ls /root", False),
    ("scepterd.service", "python3 -c 'import socket; socket.socket(socket.AF_INET)'", False),
    ("scepterd.service", "python3 -c 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)'", False),
    ("scepterd.service", "unshare --user true", False),
    ("scepterd.service", "mount -t tmpfs tmpfs /tmp", False),
    ("scepterd.service", "cat /proc/1/environ", False),
    ("scepterd.service", "kill -0 1", False),
    ("scepter-worker@0.service", "python3 -c 'import socket; socket.socket(socket.AF_INET)'", True),
    ("scepter-worker@0.service", "python3 -c 'import socket; socket.socket(socket.AF_UNIX)'", False),
    *[(unit, command, False)
      for unit in ("scepter-worker@0.service", "scepter-parse@0.service")
      for command in ("ls /var/lib/scepter", "cat /etc/scepter/host.key", "ls /run/dbus", "ls /run/scepter", "ls /etc/scepter",
                      "touch /tmp/../usr/probe", "ls /root", "ls /dev/tpmrm0 /dev/mem", "cat /proc/1/environ", "kill -0 1",
                      "unshare --user true", "cat /dev/tpmrm0")],
    ("scepter-parse@0.service", "python3 -c 'import socket; socket.socket(socket.AF_INET)'", False),
    ("scepter-parse@0.service", "python3 -c 'import socket; socket.socket(socket.AF_UNIX)'", False),
]


@pytest.fixture(scope="module")
def probes(room):
    """All of a unit in one run of it: what each one said."""
    answers = {}
    for unit in {row[0] for row in PROBES}:
        commands = [command for where, command, _ in PROBES if where == unit]
        lines = "".join(f"( {command} ) >/dev/null 2>&1; echo $?\n" for command in commands)
        room.write("/usr/local/bin/probe", "#!/bin/bash\n" + lines)
        template = unit.replace("@0.", "@.")
        room.good("chmod 755 /usr/local/bin/probe; "
                  f"sed -e 's|^ExecStart=.*|ExecStart=/usr/local/bin/probe|; s|^StandardInput=.*||; s|^Type=.*||; "
                  "s|^BusName=.*||; s|^Restart=.*||; s|^WatchdogSec=.*||; s|^RuntimeMaxSec=.*||; "
                  f"s|^Requires=.*||; s|^After=.*||' /lib/systemd/system/{template} > /run/systemd/system/probe.service; "
                  "sed -i 's|^.Service.|[Service]\\nType=oneshot\\nStandardOutput=truncate:/srv/probed|' /run/systemd/system/probe.service; "
                  "systemctl daemon-reload; systemctl start probe.service")
        statuses = [int(line) for line in room.good("cat /srv/probed").split()]
        assert len(statuses) == len(commands)
        answers.update({(unit, command): status for command, status in zip(commands, statuses)})
    return answers


@pytest.mark.parametrize("unit,command,works", PROBES)
def test_probe(probes, unit, command, works):
    status = probes[unit, command]
    assert (status == 0) == works, f"status {status}"


def test_why_there_is_no_PrivateUsers(room):
    """With it, everybody who connects to the key socket is nobody: the service could not tell whose key may be used."""
    room.good("mkdir -p /run/systemd/system/scepterd.service.d; "
              "printf '[Service]\\nPrivateUsers=yes\\n' > /run/systemd/system/scepterd.service.d/users.conf; "
              "systemctl daemon-reload; systemctl restart scepterd.service")
    sign = ("setpriv --reuid=64951 --regid=64951 --groups=64950 "
            "openssl dgst -provider default -provider ksp -sha256 -sign ksp:web -out /dev/null /etc/passwd")
    try:
        assert room.run(sign).returncode != 0
    finally:
        room.good("rm /run/systemd/system/scepterd.service.d/users.conf; systemctl daemon-reload; systemctl restart scepterd.service")
    room.good(sign)


def test_activation_by_the_bus(room):
    room.good("systemctl stop scepterd.service")
    assert "web" in room.good("scepter list")
    assert room.good("systemctl is-active scepterd.service").strip() == "active"


def test_the_watchdog(room):
    """A service that stands still is started anew."""
    room.good("mkdir -p /run/systemd/system/scepterd.service.d; "
              "printf '[Service]\\nWatchdogSec=2s\\n' > /run/systemd/system/scepterd.service.d/watchdog.conf; "
              "systemctl daemon-reload; systemctl restart scepterd.service")
    before = room.good("pidof scepterd").strip()
    room.good(f"kill -STOP {before}; timeout 60 tail --pid={before} -f /dev/null; scepter list")
    assert room.good("systemctl show -P NRestarts scepterd.service").strip() == "1"


def test_the_service_is_killed_and_comes_back(room):
    before = room.good("pidof scepterd").strip()
    room.good(f"kill -KILL {before}; timeout 60 tail --pid={before} -f /dev/null; scepter list")
    assert room.good("pidof scepterd").strip() != before


def test_a_unit_that_waits_for_a_certificate(room):
    """Its name has characters that units escape; it is not there yet when the unit is started."""
    name = "corp-wifi.1"
    target = room.good(f"systemd-escape --template=scepter-ready@.target {name}").strip()
    room.write("/etc/systemd/system/user-of-it.service", f"[Unit]\nWants={target}\nAfter={target}\n"
               "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'scepter list > /srv/listed'\n")
    room.good("systemctl daemon-reload; systemctl start --no-block user-of-it.service")
    room.good(f"timeout 30 sh -c 'until systemctl is-active \"{target.replace('.target', '.service')}\" | grep -q activating; do :; done'")
    assert room.good("systemctl show -P ActiveState user-of-it.service") == "inactive\n"
    room.enroll(name)
    room.good("systemctl start user-of-it.service")  # joins the job that waits
    assert name in room.good("cat /srv/listed")
    assert room.good(f"systemctl is-active '{target}'") == "active\n"


def test_T14_no_engines_no_legacy_provider(room):
    """OpenSSL as distributions of the day after tomorrow have it: what it loads for other programs is not there."""
    room.good("rm -f /usr/lib/*/engines-3/*.so /usr/lib/*/ossl-modules/legacy.so; systemctl restart scepterd.service")
    assert room.run("openssl list -providers -provider legacy").returncode != 0
    for algorithm in ("rsa-2048", "ec-p256"):
        room.enroll(f"bare-{algorithm}", key=f"Algorithm={algorithm}")
        room.good(f"scepter key test bare-{algorithm}; "
                  f"openssl dgst -provider default -provider ksp -sha256 -sign ksp:bare-{algorithm} -out /dev/null /etc/passwd")


@pytest.mark.parametrize("binary", ["bin/scepterd", "bin/scepter-worker", "bin/scepter-parse", "bin/scepter", "modules/ksp.so", "modules/scepter-pkcs11.so"])
def test_T14_nothing_of_ours_calls_an_engine(binary):
    done = subprocess.run(["nm", "-D", "--undefined-only", labs.BUILD / binary], capture_output=True, text=True, check=True)
    assert not re.search(r"\bU ENGINE_", done.stdout)
