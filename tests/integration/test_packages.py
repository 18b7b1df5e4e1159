"""The Debian packages: what lintian says of them, and what an administrator sees who installs, upgrades, removes and purges them
on a booted machine with a live certificate."""
import os
import pwd
import re
import subprocess

import pytest

import installed
import labs
import machine
import packed

SIGN = "openssl dgst -provider default -provider ksp -sha256 -sign ksp:web -out /dev/null /etc/passwd"


@pytest.fixture(scope="module")
def packages():
    with packed.open_packages() as place:
        yield place


def test_lintian(packages):
    """Not as root: it refuses."""
    nobody = pwd.getpwnam("nobody").pw_uid
    changes = next((packages / "first").glob("*.changes"))
    done = subprocess.run(["lintian", "--fail-on", "error,warning", changes], capture_output=True, text=True,
                          user=nobody if os.getuid() == 0 else None, env={**os.environ, "HOME": "/tmp"}, check=False)
    print(done.stdout or "lintian: nothing")
    assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", packed.NAMES)
def test_dependencies(packages, name):
    """The walls between the parts, as dpkg sees them."""
    package = next((packages / "first").glob(f"{name}_*.deb"))
    depends = subprocess.run(["dpkg-deb", "-f", package, "Depends"], capture_output=True, text=True, check=True).stdout
    found = {re.split(r"[ (:|]", word.strip())[0].removesuffix("t64") for word in depends.split(",")}  # t64: Debian 13
    if name == "scepter":
        assert {"libtss2-tcti-device0", "libdbus-1-3", "libsystemd0"} <= found
    else:
        assert found == {"libc6", "libssl3"}, depends


class Debian(machine.Machine, installed.Commands):
    """A machine on which packages are installed, and nothing by hand."""

    def __init__(self, packages):
        super().__init__(build=labs.BUILD.resolve(), source=labs.SOURCE, packages=packages)
        try:
            self.good("mkdir -p /srv/l; chmod 711 /srv/l")
            self.good(installed.NDES.format(options="--no-tpm"))
            self.url = self.good(". /srv/l/lab/env; echo $LAB_URL").strip()
        except BaseException:
            self.close()
            raise

    def serial(self):
        return self.good("scepter show web | grep Serial")


@pytest.fixture(scope="module")
def debian(packages):
    made = Debian(packages)
    try:
        missing = made.run("dpkg --simulate -i /srv/packages/first/*.deb")
        if missing.returncode:
            pytest.skip("dependencies are not installed: " + missing.stderr[-400:])
        yield made
    finally:
        made.close()


def test_install(debian):
    """The bus knew no user 'scepter' when the policy was unpacked; the service is there all the same, at once."""
    debian.good("dpkg -i $(ls /srv/packages/first/*.deb | grep -v dbgsym)")
    assert debian.good("systemctl is-active scepterd.service scepterd.socket").split() == ["active", "active"]
    assert debian.good("systemctl is-enabled scepterd.service scepterd.socket").split() == ["enabled", "enabled"]
    assert debian.good("stat -c '%U %G %a %s' /etc/scepter/host.key") == "root scepter 640 64\n"
    assert debian.good("id -Gn scepter").split() == ["scepter", "tss"]
    debian.good("printf '[Service]\\nTcti=none\\n' > /etc/scepter/scepter.conf; systemctl restart scepterd")
    debian.enroll("web")
    debian.good(SIGN)
    assert "token: Scepter\n" in debian.good("p11-kit list-modules")


def test_upgrade(debian):
    """The certificate, its key and the host's secret stay; who signs meanwhile waits for the new service."""
    before, key = debian.serial(), debian.good("sha256sum /etc/scepter/host.key")
    socket = debian.good("stat -c %i /run/scepter/keys.sock")
    pid = debian.good("pidof scepterd")
    debian.good("dpkg -i /srv/packages/second/*.deb & upgrade=$!; "
                f"while kill -0 $upgrade 2> /dev/null; do {SIGN}; done; wait $upgrade")
    assert debian.good("pidof scepterd") != pid
    assert debian.good("stat -c %i /run/scepter/keys.sock") == socket
    assert debian.serial() == before and debian.good("sha256sum /etc/scepter/host.key") == key
    debian.good(SIGN)
    debian.good(f"scepter renew web --wait; {SIGN}")
    assert debian.serial() != before


def test_remove_and_come_back(debian):
    """Without the program its keys stay, and it finds them again."""
    before = debian.serial()
    debian.good("dpkg -r scepter")
    assert debian.run("pidof scepterd").returncode != 0
    assert debian.run("systemctl is-active scepterd.socket").stdout.strip() != "active"
    debian.good("test -e /etc/scepter/host.key; ls /var/lib/scepter/certificates/*/record.json")
    debian.good("dpkg -i /srv/packages/second/scepter.deb")
    assert debian.serial() == before
    debian.good(SIGN)


def test_purge(debian):
    debian.good("dpkg -P scepter scepter-openssl scepter-pkcs11")
    left = debian.good("ls -d /etc/scepter/host.key /var/lib/scepter /var/lib/scepter-apply /run/scepter/*.sock "
                       "/etc/systemd/system/*/scepter* 2>/dev/null || true")
    assert left == ""
    # what an administrator wrote is his
    assert debian.good("ls /etc/scepter") == "scepter.conf\n"
    assert debian.good("systemctl list-units --failed --no-legend --plain 'scepter*'") == ""
