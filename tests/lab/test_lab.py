"""The lab itself: starts, ends only what it started, comes back, and says what is wrong."""
import json
import os
import signal
import socket
import subprocess

import pytest
from conftest import LAB, need, run

BUILD = os.environ.get("LAB_BUILD", "")


def lab(*arguments, check=True):
    return run(LAB, *arguments, check=check)


@pytest.fixture
def build(folder):
    """The build directory, or one with nothing but the bus policy."""
    if os.path.exists(os.path.join(BUILD, "dbus", "org.scepter1.conf")):
        return BUILD
    path = os.path.join(folder, "build", "dbus")
    os.makedirs(path)
    with open(os.path.join(path, "org.scepter1.conf"), "w", encoding="utf-8") as file:
        file.write('<busconfig><policy user="scepter"><allow own="org.scepter1"/></policy><policy context="default">'
                   '<allow send_destination="org.scepter1"/></policy></busconfig>\n')
    return os.path.dirname(path)


@pytest.fixture
def place(folder):
    for program in ("swtpm", "dbus-daemon", "openssl", "curl"):
        need(program)
    os.chmod(folder, 0o711)
    path = os.path.join(folder, "lab")
    yield path
    lab("down", path)


@pytest.fixture
def with_daemon():
    if not os.path.exists(os.path.join(BUILD, "bin", "scepterd")):
        pytest.skip("LAB_BUILD names no build directory with scepterd")


def pids(place):
    found = {}
    for name in os.listdir(os.path.join(place, "pids")):
        with open(os.path.join(place, "pids", name), encoding="utf-8") as file:
            found[name.removesuffix(".json")] = json.load(file)["pid"]
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def environment(place):
    text = run("/bin/sh", "-c", f". {place}/env; env -0").stdout
    return dict(item.split("=", 1) for item in text.split("\0") if "=" in item)


def test_up_and_down(place, build):
    lab("up", place, "--build", build, "--no-daemon")
    running = pids(place)
    assert sorted(running) == ["dbus-daemon", "ndes", "swtpm"] and all(map(alive, running.values()))
    env = environment(place)
    for name in ("DBUS_SYSTEM_BUS_ADDRESS", "SCEPTER_KEYS", "LAB_URL", "LAB_TLS_URL", "LAB_TLS_CA", "LAB_ROOT", "LAB_ROOT_SHA1", "LAB_TCTI",
                 "LAB_STATE", "OPENSSL_MODULES", "SCEPTER_PKCS11"):
        assert env[name]
    assert env["PATH"].startswith(os.path.join(build, "bin") + ":")
    assert os.stat(place).st_mode & 0o777 == 0o711
    assert oct(os.stat(os.path.join(place, "etc", "host.key")).st_mode & 0o777) == "0o640"
    page = run("curl", "-sS", "--cacert", env["LAB_TLS_CA"], env["LAB_TLS_URL"] + "?operation=GetCACaps").stdout
    assert "POSTPKIOperation" in page
    fingerprint = run("openssl", "x509", "-in", env["LAB_ROOT"], "-noout", "-fingerprint", "-sha1").stdout
    assert fingerprint.strip().rpartition("=")[2].replace(":", "").lower() == env["LAB_ROOT_SHA1"]
    assert len(lab("challenge", place).stdout.strip()) == 16
    for words in (("frob", "on"), ("fail-info", "many")):
        wrong = lab("ndes", place, "set", *words, check=False)
        assert wrong.returncode == 2 and words[0] in wrong.stdout
    refused = lab("up", place, "--build", build, "--no-daemon", check=False)
    assert refused.returncode == 1 and "already runs" in refused.stdout
    lab("down", place)
    assert not any(map(alive, running.values()))
    lab("down", place)


def test_comes_back_as_it_was(place, build):
    lab("up", place, "--build", build, "--no-daemon")
    before = environment(place)
    lab("down", place)
    lab("up", place, "--build", build, "--no-daemon")
    after = environment(place)
    assert {name: before[name] for name in ("LAB_URL", "LAB_TLS_URL", "LAB_ROOT_SHA1")} == \
        {name: after[name] for name in ("LAB_URL", "LAB_TLS_URL", "LAB_ROOT_SHA1")}


def test_without_tpm(place, build):
    lab("up", place, "--build", build, "--no-daemon", "--no-tpm")
    assert "swtpm" not in pids(place) and environment(place)["LAB_TCTI"] == "none"
    with open(os.path.join(place, "etc", "scepter.conf"), encoding="utf-8") as file:
        assert "Tcti=none\n" in file.read()


def test_ends_nobody_else(place, build):
    """A pid that belongs to somebody else by now, and a record that is damaged."""
    lab("up", place, "--build", build, "--no-daemon")
    with subprocess.Popen(["sleep", "1000"]) as other:
        ndes = pids(place)["ndes"]
        with open(os.path.join(place, "pids", "ndes.json"), "w", encoding="utf-8") as file:
            json.dump({"pid": other.pid, "start": "1"}, file)
        with open(os.path.join(place, "pids", "scepterd.json"), "w", encoding="utf-8") as file:
            file.write("{")
        lab("down", place)
        survived = other.poll() is None
        other.kill()
    os.kill(ndes, signal.SIGTERM)
    assert survived


def test_partial_lab_goes_down(place, build):
    lab("up", place, "--build", build, "--no-daemon")
    running = pids(place)
    os.kill(running["dbus-daemon"], signal.SIGKILL)
    os.unlink(os.path.join(place, "pids", "dbus-daemon.json"))
    lab("down", place)
    assert not any(map(alive, running.values()))


def test_failing_up_cleans_up(place, build, folder):
    """A daemon that says why and ends."""
    broken = os.path.join(folder, "broken")
    os.makedirs(os.path.join(broken, "bin"))
    os.symlink(os.path.join(build, "dbus"), os.path.join(broken, "dbus"))
    for name in ("scepterd", "scepter-worker", "scepter-parse", "scepter-apply"):
        path = os.path.join(broken, "bin", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\necho the sky is falling >&2\nexit 3\n")
        os.chmod(path, 0o755)
    os.chmod(broken, 0o755)
    result = lab("up", place, "--build", broken, check=False)
    assert result.returncode == 1 and "scepterd ended with status 3" in result.stdout
    assert "the sky is falling" in result.stdout
    assert not os.path.exists(os.path.join(place, "bus", "socket")) and pids(place) == {}


def test_wrong_use(place, build, folder):
    assert lab("up", place, "--build", folder, check=False).returncode == 1
    assert lab("challenge", os.path.join(folder, "nowhere"), check=False).returncode == 1
    assert lab("daemon", os.path.join(folder, "nowhere"), "restart", check=False).returncode == 1
    assert lab("down", os.path.join(folder, "nowhere")).returncode == 0
    assert lab("frob", place, check=False).returncode == 2
    assert lab("ndes", place, "set", "fail-info", check=False).returncode == 2
    assert "too long" in lab("up", os.path.join(folder, "x" * 90), "--build", build, check=False).stdout
    assert "fail-info" in lab("ndes", place, "help").stdout


def test_only_the_daemon_may_have_the_name(place, build):
    """Another uid does get to the bus; the name it does not get."""
    if os.getuid() != 0:
        pytest.skip("acting as other users needs root")
    need("busctl")
    lab("up", place, "--build", build, "--no-daemon", "--no-tpm")

    def as_uid(uid, *call):
        return run("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "busctl", "--system", "call",
                   "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", *call, check=False,
                   env={**os.environ, **environment(place)})

    assert as_uid(64821, "GetId").returncode == 0
    assert "denied" in as_uid(64821, "RequestName", "su", "org.scepter1", "0").stdout
    assert as_uid(64811, "RequestName", "su", "org.scepter1", "0").stdout.strip() == "u 1"


def test_control_is_the_owners(place, build):
    if os.getuid() != 0:
        pytest.skip("acting as other users needs root")
    lab("up", place, "--build", build, "--no-daemon", "--no-tpm")
    code = f"import socket; socket.socket(socket.AF_UNIX).connect({place + '/ndes/control'!r})"
    result = run("setpriv", "--reuid=64821", "--regid=64821", "--clear-groups", "/usr/bin/python3", "-c", code,
                 check=False)
    assert result.returncode == 1 and "PermissionError" in result.stdout
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(place + "/ndes/control")


def test_daemon(place, with_daemon):
    lab("up", place, "--build", BUILD, "--", "--clock-scale", "2")
    first = pids(place)
    assert sorted(first) == ["dbus-daemon", "ndes", "scepterd", "swtpm"]
    with open(f"/proc/{first['scepterd']}/cmdline", "rb") as file:
        assert b"--clock-scale\x002" in file.read()
    lab("daemon", place, "kill")
    assert not alive(first["scepterd"])
    assert lab("daemon", place, "kill", check=False).returncode == 1
    lab("daemon", place, "restart")
    second = pids(place)
    lab("daemon", place, "restart")
    third = pids(place)
    assert len({first["scepterd"], second["scepterd"], third["scepterd"]}) == 3
    assert first["ndes"] == third["ndes"]
    names = run("busctl", "--system", "list", "--acquired", env={**os.environ, **environment(place)}).stdout
    assert "org.scepter1" in names
