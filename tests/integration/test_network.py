"""802.1X by cable with the real NetworkManager, wpa_supplicant and hostapd: a renewed certificate takes the connection along,
and one that is refused leaves it as it was (T10)."""
import json
import os
import shutil
import subprocess
import sys

import pytest

import labs

APPLY = labs.BUILD / "bin/scepter-apply"
NEEDED = ("/usr/sbin/NetworkManager", "/sbin/wpa_supplicant", "/usr/sbin/hostapd", "/usr/bin/nmcli", "/usr/bin/unshare")
ID = "0123456789abcdef" * 2


def openssl(*words, **options):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, **options)


class Network:
    """The room, and beside it a state of the service's with certificates of our own."""

    def __init__(self, folder):
        self.dir = folder
        self.home = folder / "state/certificates" / ID
        for path in (self.home / "generations", folder / "consumers.d", folder / "out", folder / "ca"):
            path.mkdir(parents=True)
        (self.home / "record.json").write_text(json.dumps({"version": 1, "name": "lan", "owner": 2**32 - 1}))
        (folder / "scepter.conf").write_text(f"[Service]\nStateDirectory={folder}/state\nConsumersDirectory={folder}/consumers.d\n"
                                             f"AppliedDirectory={folder}/applied\n")
        for name in ("good", "bad"):
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"ca/{name}.key", "-out",
                    folder / f"ca/{name}.pem", "-subj", f"/CN={name} CA", "-days", "30")
        openssl("genrsa", "-out", folder / "client.key", "2048")
        openssl("genrsa", "-out", folder / "server.key", "2048")
        shutil.copy(folder / "ca/good.pem", folder / "ca.pem")
        (folder / "server.pem").write_bytes(self.issue("good", folder / "server.key", "radius"))
        self.generation = 0
        self.room = None

    def issue(self, ca, key, name):
        request, result = self.dir / "ca/request", self.dir / "ca/result"
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.dir / f"ca/{ca}.pem", "-CAkey", self.dir / f"ca/{ca}.key", "-days", "10",
                "-out", result)
        return result.read_bytes()

    def renew(self, ca):
        """Another certificate of this CA is the installed one."""
        self.generation += 1
        place = self.home / f"generations/{self.generation}"
        place.mkdir()
        (place / "cert.pem").write_bytes(self.issue(ca, self.dir / "client.key", "pc1"))
        (place / "chain.pem").write_bytes(b"")
        openssl("pkcs8", "-topk8", "-in", self.dir / "client.key", "-passout", "pass:x", "-out", place / "key.pem")
        shutil.copy(self.dir / "ca/good.pem", self.home / "anchor.pem")
        (self.home / "current").unlink(missing_ok=True)
        (self.home / "current").symlink_to(f"generations/{self.generation}")
        return (place / "cert.pem").read_bytes()

    def consumer(self, text, certificate="cert.pem"):
        (self.dir / "consumers.d/lan.consumer").write_text(
            f"[Consumer]\nProfile=lan\n[Files]\nCertificate={self.dir}/out/{certificate}\nAnchor={self.dir}/out/anchor.pem\n{text}")

    def open(self):
        self.room = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", sys.executable, "-B",
                                      os.path.join(os.path.dirname(os.path.abspath(__file__)), "network_room.py"), self.dir],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        if self.room:
            self.room.communicate(timeout=30)

    def ask(self, verb, *words):
        self.room.stdin.write(json.dumps([verb, *map(str, words)]) + "\n")
        self.room.stdin.flush()
        answer = self.room.stdout.readline()
        assert answer, "the room is gone"
        return json.loads(answer)

    def apply(self):
        return self.ask("run", APPLY, "--config", self.dir / "scepter.conf", ID)

    def setting(self, name):
        return self.ask("nmcli", "-g", f"802-1x.{name}", "connection", "show", "corp lan")["out"].strip().removeprefix("file://")

    def is_up(self):
        found = self.ask("nmcli", "-g", "GENERAL.STATE", "connection", "show", "corp lan")
        return found["out"].strip() == "activated"

    def successes(self):
        return (self.dir / "hostapd.log").read_text().count("CTRL-EVENT-EAP-SUCCESS")

    def written(self, name="cert.pem"):
        return (self.dir / "out" / name).read_bytes()


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    if os.getuid() != 0:
        pytest.skip("only root makes networks")
    for path in NEEDED:
        if not os.path.exists(path):
            pytest.skip(f"{path} is not installed")
    made = Network(tmp_path_factory.mktemp("network"))
    try:
        made.consumer("")
        made.renew("good")
        done = subprocess.run([APPLY, "--config", made.dir / "scepter.conf", ID], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.open()
        up = made.ask("up")
        logs = "".join(path.read_text()[-3000:] for path in made.dir.glob("*.log")) if up["status"] else ""
        assert up["status"] == 0, up["err"] + logs
        yield made
    finally:
        made.close()


def test_a_renewed_certificate_is_taken_up(network):
    network.consumer("[NetworkManager]\nConnection=corp lan\nTimeout=30\n")
    before, certificate = network.successes(), network.renew("good")
    done = network.apply()
    assert done["status"] == 0, done["err"]
    assert network.written() == certificate and network.is_up() and network.successes() > before
    before = network.successes()
    assert network.apply()["status"] == 0 and network.successes() == before  # nothing to do


def test_T10_one_that_is_refused_is_rolled_back(network):
    network.consumer("[NetworkManager]\nConnection=5f3c1a52-6c0e-4a8e-9d2e-1f0b5a7c9e11\nTimeout=12\n")
    network.apply()
    good, before = network.written(), network.successes()
    network.renew("bad")
    done = network.apply()
    assert done["status"] == 1 and "with the one before it is up again" in done["err"], done["err"]
    assert network.written() == good and network.is_up() and network.successes() > before
    row = json.loads((network.dir / f"applied/{ID}.json").read_text())["consumers"][0]
    assert row["error"] == "ConsumerFailed" and "journalctl -u NetworkManager" in row["remedy"]
    certificate = network.renew("good")
    assert network.apply()["status"] == 0 and network.written() == certificate and network.is_up()


def test_settings_follow_and_are_put_back(network):
    network.consumer("[NetworkManager]\nConnection=corp lan\nUpdate=yes\nTimeout=12\n", certificate="second.pem")
    certificate = network.renew("good")
    assert network.apply()["status"] == 0
    assert network.setting("client-cert") == str(network.dir / "out/second.pem") and network.is_up()
    assert network.setting("identity") == "pc1"
    kept = (network.dir / "nm-etc/system-connections/lan.nmconnection").read_text()
    assert "out/second.pem" in kept  # on the disk, too
    network.consumer("[NetworkManager]\nConnection=corp lan\nUpdate=yes\nTimeout=12\n", certificate="third.pem")
    network.renew("bad")
    done = network.apply()
    assert done["status"] == 1 and "up again" in done["err"], done["err"]
    assert network.setting("client-cert") == str(network.dir / "out/second.pem") and network.is_up()
    assert network.written("second.pem") == certificate
    assert "out/second.pem" in (network.dir / "nm-etc/system-connections/lan.nmconnection").read_text()


def test_a_connection_that_is_not_there(network):
    network.consumer("[NetworkManager]\nConnection=another\n")
    network.renew("good")
    done = network.apply()
    assert done["status"] == 1 and "no connection 'another'" in done["err"] and network.is_up()


def test_one_that_is_down_is_left_so(network):
    network.consumer("[NetworkManager]\nConnection=corp lan\n")
    network.ask("nmcli", "connection", "down", "corp lan")
    certificate = network.renew("good")
    assert network.apply()["status"] == 0
    assert network.written() == certificate and not network.is_up()
