"""A machine with the service installed: what 'cmake --install' puts there, started by the shipped units."""
import os
import pathlib
import subprocess
import tempfile

import pytest

import labs
import machine

# What the package does on a machine it is installed on, and a server of the lab's beside it.
INSTALL = r"""
cp -a --no-preserve=ownership /srv/tree/. /
mkdir -p /etc/scepter/consumers.d /srv/l
chmod 711 /srv/l
systemd-sysusers scepter.conf
systemd-tmpfiles --create scepter.conf
(umask 027; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > /etc/scepter/host.key; chown root:scepter /etc/scepter/host.key)
busctl -q call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
systemctl daemon-reload
"""
START = r"""
systemctl -q enable scepterd.service
systemctl start scepterd.service
"""
NDES = r"""
systemd-run -q --unit=ndes -p Type=oneshot -p RemainAfterExit=yes \
    /srv/source/tests/lab/lab up /srv/l/lab {options} --no-daemon --build /srv/build
"""
PROFILE = """[Profile]
Name={name}
Type={type}
[Server]
Url={url}
RootCertificate={root}
Challenge=ask
[Key]
Protection={protection}
{key}
[Subject]
Name={subject}
KeyUsage=digitalSignature keyEncipherment
ExtendedKeyUsage=1.3.6.1.5.5.7.3.2
"""
DEFAULTS = {"root": "/srv/l/lab/ndes/root.pem", "type": "device", "protection": "software", "key": "", "subject": "CN=pc1,O=Contoso"}


def tree():
    """The installed files, below a folder."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scepter-tree."))
    folder.chmod(0o755)  # it becomes /
    subprocess.run(["cmake", "--install", labs.BUILD.resolve()], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "DESTDIR": str(folder)})
    return folder


class Commands:
    """What is done on a machine that has run(), and url of the lab's server."""

    def good(self, script):
        done = self.run(script)
        assert done.returncode == 0, done.stderr + self.run("journalctl -b --no-pager -n 60").stdout
        return done.stdout

    def write(self, path, text):
        self.good(f"cat > {path} <<'END'\n{text}END\n")

    def profile(self, name, **values):
        self.write(f"/srv/{name}.profile", PROFILE.format(**{**DEFAULTS, "name": name, "url": self.url, **values}))

    def challenge(self):
        self.good("/srv/source/tests/lab/lab challenge /srv/l/lab > /srv/challenge.new; chmod 644 /srv/challenge.new; "
                  "mv /srv/challenge.new /srv/challenge")
        return "/srv/challenge"

    def enroll(self, name, **values):
        self.profile(name, **values)
        self.good(f"scepter profile add /srv/{name}.profile; "
                  f"scepter enroll {name} --wait --challenge-file {self.challenge()}")

    def until(self, times, event, name="web"):
        """So many of these were told."""
        self.good(f"test $(timeout 30 grep -m{times} {event} < <(scepter events {name} --follow --json) | wc -l) = {times}")

    def idle(self, name="web"):
        """An event is told before the property of its certificate."""
        self.good(f"timeout 30 bash -c 'until scepter show {name} | grep -q \"^Activity *idle\"; do :; done'")


class Installed(machine.Machine, Commands):
    def __init__(self, config="[Service]\nTcti=none\n", tpm=False, start=True, prepare=""):
        """@prepare: run as root before the service is started."""
        if labs.sanitized():
            pytest.skip("AddressSanitizer takes more room than the unit of a worker gives (LimitAS=)")
        self.tree = tree()
        super().__init__(build=labs.BUILD.resolve(), source=labs.SOURCE, tree=self.tree)
        try:
            self.good(INSTALL)
            self.good(NDES.format(options="" if tpm else "--no-tpm"))
            self.url = self.good(". /srv/l/lab/env; echo $LAB_URL").strip()
            self.write("/etc/scepter/scepter.conf", config)
            self.good(prepare or "true")
            if start:
                self.good(START)
        except BaseException:
            self.close()
            raise

    def close(self):
        super().close()
        subprocess.run(["rm", "-rf", self.tree], check=True)
