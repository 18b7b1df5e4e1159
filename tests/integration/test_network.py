"""802.1X by cable with the real NetworkManager, wpa_supplicant, hostapd and FreeRADIUS, and certificates that the service got
from the lab's CA: a renewed one takes the connection along, and one that is refused leaves it as it was (T10)."""
import json
import os
import subprocess
import sys
import urllib.request

import pytest
from cryptography import x509

import labs
import radius

APPLY = labs.BUILD / "bin/scepter-apply"
NEEDED = ("/usr/sbin/NetworkManager", "/sbin/wpa_supplicant", "/usr/sbin/hostapd", radius.PROGRAM, "/usr/bin/nmcli",
          "/usr/bin/unshare")


class Network:
    """The room, and outside of it the service with one certificate for the machine and one for the RADIUS server."""

    def __init__(self, lab, folder):
        self.lab, self.dir, self.room, self.days = lab, folder, None, 400
        for path in (folder / "consumers.d", folder / "out"):
            path.mkdir()
        (folder / "scepter.conf").write_text(f"[Service]\nStateDirectory={lab.state}\nConsumersDirectory={folder}/consumers.d\n"
                                             f"AppliedDirectory={folder}/applied\n")
        # A key in a file, as other programs' are: of software, it stays, and the test decrypts it as only root can.
        lab.add("lan", algorithm="rsa-2048\nReuseAtRenewal=yes")
        text = lab.profile_text("radius", subject="CN=radius", san="AlternativeName=dns:radius.contoso.com")
        server = lab.write("radius.profile", text.replace("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"))
        assert lab.scepter("profile", "add", server).returncode == 0
        for name in ("lan", "radius"):
            done = lab.enroll(name)
            assert done.returncode == 0, done.stderr
        self.home = lab.certificate("lan")
        self.take_key()
        pair = lab.certificate("radius") / "current"
        chain = (pair / "chain.pem").read_bytes()
        self.radius = radius.Radius(folder / "radius", (self.home / "anchor.pem").read_bytes(), chain,
                                    (pair / "cert.pem").read_bytes() + chain, self.key("radius"))
        self.publish()
        (folder / "modules").mkdir()
        (folder / "modules/scepter.module").write_text(f"module: {lab.env['SCEPTER_PKCS11']}\n")

    def key(self, name):
        done = subprocess.run(["openssl", "pkey", "-in", self.lab.certificate(name) / "current/key.pem", "-passin",
                               f"file:{self.lab.dir}/lab/etc/host.key"], check=True, capture_output=True)
        return done.stdout

    def take_key(self):
        (self.dir / "client.key").write_bytes(self.key("lan"))

    def certificate(self):
        return (self.home / "current/cert.pem").read_bytes()

    def publish(self):
        """The RADIUS server takes the CRL that the CA has now."""
        points = x509.load_pem_x509_certificate(self.certificate()).extensions.get_extension_for_class(x509.CRLDistributionPoints)
        with urllib.request.urlopen(points.value[0].full_name[0].value, timeout=30) as answer:
            self.radius.trust_crl(answer.read())

    def renew(self, revoked=False, name="lan"):
        """Another certificate is the installed one; its serial number."""
        self.days += 1  # it ends later than the one before, however quickly it follows
        self.lab.ndes("set", "lifetime", f"{self.days}d")
        done = self.lab.scepter("renew", name, "--wait")
        assert done.returncode == 0, done.stderr
        serial = self.lab.json("show", name)["serialNumber"]
        if revoked:
            self.lab.ndes("revoke", serial)
            self.publish()
        return serial.lower()

    def enroll_anew(self):
        """The CA renews none that it has revoked: one with a key of its own, by challenge."""
        done = self.lab.enroll("lan")
        assert done.returncode == 0, done.stderr
        self.take_key()
        return self.lab.json("show", "lan")["serialNumber"].lower()

    def consumer(self, text, certificate="cert.pem"):
        (self.dir / "consumers.d/lan.consumer").write_text(
            f"[Consumer]\nProfile=lan\n[Files]\nFullChain={self.dir}/out/{certificate}\nAnchor={self.dir}/out/anchor.pem\n{text}")

    def open(self):
        self.room = subprocess.Popen(["unshare", "--net", "--mount", "--propagation", "private", sys.executable, "-B",
                                      os.path.join(os.path.dirname(os.path.abspath(__file__)), "network_room.py"), self.dir],
                                     env=self.lab.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

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
        return self.ask("run", APPLY, "--config", self.dir / "scepter.conf", self.home.name)

    def setting(self, name):
        return self.ask("nmcli", "-g", f"802-1x.{name}", "connection", "show", "corp lan")["out"].strip().removeprefix("file://")

    def is_up(self):
        found = self.ask("nmcli", "-g", "GENERAL.STATE", "connection", "show", "corp lan")
        return found["out"].strip() == "activated"

    def written(self, name="cert.pem"):
        """The machine's own certificate in that file."""
        return x509.load_pem_x509_certificate((self.dir / "out" / name).read_bytes())

    def applied(self):
        return json.loads((self.dir / f"applied/{self.home.name}.json").read_text())["consumers"][0]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    if os.getuid() != 0:
        pytest.skip("only root makes networks")
    for path in NEEDED:
        if not os.path.exists(path):
            pytest.skip(f"{path} is not installed")
    with labs.lab() as lab:
        made = Network(lab, tmp_path_factory.mktemp("network"))
        try:
            made.consumer("")
            done = subprocess.run([APPLY, "--config", made.dir / "scepter.conf", made.home.name], capture_output=True, text=True,
                                  check=False)
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
    first, serial = network.radius.let_in(), network.renew()
    assert network.is_up() and serial not in first
    done = network.apply()
    assert done["status"] == 0, done["err"]
    assert network.is_up() and network.radius.let_in() == [*first, serial]
    assert network.written() == x509.load_pem_x509_certificate(network.certificate())
    assert network.apply()["status"] == 0 and network.radius.let_in() == [*first, serial]  # nothing to do


def test_T10_one_that_is_refused_is_rolled_back(network):
    network.consumer("[NetworkManager]\nConnection=5f3c1a52-6c0e-4a8e-9d2e-1f0b5a7c9e11\nTimeout=12\n")
    network.apply()
    good, before, refused = network.written(), network.radius.let_in(), network.radius.refused()
    bad = network.renew(revoked=True)
    done = network.apply()
    assert done["status"] == 1 and "with the one before it is up again" in done["err"], done["err"]
    assert network.radius.refused() > refused
    assert network.written() == good and network.is_up()
    assert network.radius.let_in() == [*before, before[-1]] and bad not in before
    row = network.applied()
    assert row["error"] == "ConsumerFailed" and "journalctl -u NetworkManager" in row["remedy"]
    serial = network.enroll_anew()
    assert network.apply()["status"] == 0 and network.is_up()
    assert network.radius.let_in() == [*before, before[-1], serial]


def test_settings_follow_and_are_put_back(network):
    network.consumer("[NetworkManager]\nConnection=corp lan\nUpdate=yes\nTimeout=12\n", certificate="second.pem")
    serial = network.renew()
    assert network.apply()["status"] == 0
    assert network.setting("client-cert") == str(network.dir / "out/second.pem") and network.is_up()
    assert network.setting("identity") == "pc1" and network.radius.let_in()[-1] == serial
    kept = (network.dir / "nm-etc/system-connections/lan.nmconnection").read_text()
    assert "out/second.pem" in kept  # on the disk, too
    network.consumer("[NetworkManager]\nConnection=corp lan\nUpdate=yes\nTimeout=12\n", certificate="third.pem")
    network.renew(revoked=True)
    done = network.apply()
    assert done["status"] == 1 and "up again" in done["err"], done["err"]
    assert network.setting("client-cert") == str(network.dir / "out/second.pem") and network.is_up()
    assert network.radius.let_in()[-1] == serial and network.written("second.pem").serial_number == int(serial, 16)
    assert "out/second.pem" in (network.dir / "nm-etc/system-connections/lan.nmconnection").read_text()
    network.enroll_anew()


@pytest.mark.skipif(labs.sanitized(), reason="wpa_supplicant loads no module that was built with AddressSanitizer")
def test_a_key_of_the_tpm(network):
    """By p11-kit, the engine and scepter-pkcs11.so; each renewal has another key, and one that is refused the key before."""
    consumer = "[NetworkManager]\nConnection=corp lan\nUpdate=yes\nPrivateKey=pkcs11\nTimeout=12\n"
    lab, network.days = network.lab, network.days + 1
    lab.ndes("set", "lifetime", f"{network.days}d")
    lab.add("tpm-lan", protection="tpm")
    done = lab.enroll("tpm-lan")
    assert done.returncode == 0, done.stderr
    before, network.home = network.home, lab.certificate("tpm-lan")
    network.publish()
    path = network.dir / "consumers.d/tpm-lan.consumer"
    path.write_text(f"[Consumer]\nProfile=tpm-lan\n[Files]\nFullChain={network.dir}/out/tpm.pem\n{consumer}")
    try:
        for _ in range(2):
            shown = lab.json("show", "tpm-lan")
            done = network.apply()
            assert done["status"] == 0, done["err"]
            assert network.is_up() and network.radius.let_in()[-1] == shown["serialNumber"].lower()
            key = bytes.fromhex(network.setting("private-key").partition("id=")[2].partition(";")[0].replace("%", ""))
            assert key.hex() == shown["uris"][1].removeprefix("ksp:id=") and shown["keyProtection"] == "tpm"
            network.renew(name="tpm-lan")
        network.renew(revoked=True, name="tpm-lan")
        done = network.apply()
        assert done["status"] == 1 and "up again" in done["err"], done["err"]
        assert network.is_up() and network.radius.let_in()[-1] == shown["serialNumber"].lower()
        assert key.hex() in network.setting("private-key").replace("%", "").lower()
    finally:
        path.unlink()
        network.home = before


def test_a_connection_that_is_not_there(network):
    network.consumer("[NetworkManager]\nConnection=another\n")
    network.renew()
    done = network.apply()
    assert done["status"] == 1 and "no connection 'another'" in done["err"] and network.is_up()


def test_one_that_is_down_is_left_so(network):
    network.consumer("[NetworkManager]\nConnection=corp lan\n")
    network.ask("nmcli", "connection", "down", "corp lan")
    let_in, serial = network.radius.let_in(), network.renew()
    assert network.apply()["status"] == 0
    assert network.written().serial_number == int(serial, 16)
    assert not network.is_up() and network.radius.let_in() == let_in
