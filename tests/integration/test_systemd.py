"""scepter-apply as it is installed: the real systemd starts the shipped unit, because the shipped rule lets the service's user
do so, and its sandbox leaves enough room."""
import pytest

import labs
import machine

INSTALL = r"""
mkdir -p /usr/local/libexec/scepter /etc/scepter/consumers.d /etc/web /srv/l
chmod 711 /srv/l
cp /srv/build/bin/scepterd /srv/build/bin/scepter-worker /srv/build/bin/scepter-apply /usr/local/libexec/scepter/
cp /srv/build/bin/scepter /usr/local/bin/
sed 's|^ExecStart=[^ ]*|ExecStart=/usr/local/libexec/scepter/scepter-apply|' '/srv/build/packaging/scepter-apply@.service' \
    > '/etc/systemd/system/scepter-apply@.service'
cp /srv/source/packaging/polkit/scepter.rules /usr/share/polkit-1/rules.d/
systemd-sysusers /srv/source/packaging/sysusers/scepter.conf
cp /srv/build/dbus/org.scepter1.conf /usr/share/dbus-1/system.d/
busctl -q call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
(umask 027; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > /etc/scepter/host.key; chown root:scepter /etc/scepter/host.key)
printf '[Service]\nTcti=none\n' > /etc/scepter/scepter.conf
printf '[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c "systemd-notify --ready; exec tail -f /dev/null"\n' \
    > /etc/systemd/system/web.service
printf 'ExecReload=/bin/sh -c "echo reloaded >> /run/web-reloaded"\n' >> /etc/systemd/system/web.service
systemctl daemon-reload
systemctl start web.service
useradd -r webuser
systemd-run -q --unit=scepterd -p User=scepter -p Type=notify -p StateDirectory=scepter -p StateDirectoryMode=0711 \
    -p RuntimeDirectory=scepter -p AmbientCapabilities=CAP_IPC_LOCK \
    /usr/local/libexec/scepter/scepterd --exec-workers --weak-workers
systemd-run -q --unit=ndes -p Type=oneshot -p RemainAfterExit=yes \
    /srv/source/tests/lab/lab up /srv/l/lab --no-tpm --no-daemon --build /srv/build
"""
CONSUMER = """[Consumer]
Profile=web
[Files]
Owner=webuser
Group=webuser
Mode=0640
FullChain=/etc/web/full.pem
KeyUri=/etc/web/key.uri
[Units]
Reload=web.service
[TrustStore]
Anchor=yes
"""
PROFILE = """[Profile]
Name=web
[Server]
Url={url}
RootCertificate=/srv/l/lab/ndes/root.pem
Challenge=ask
[Key]
Protection=software
[Subject]
Name=CN=pc1,O=Contoso
AlternativeName=dns:pc1.contoso.com
KeyUsage=digitalSignature keyEncipherment
ExtendedKeyUsage=1.3.6.1.5.5.7.3.2
"""


class Installed(machine.Machine):
    def good(self, script):
        done = self.run(script)
        assert done.returncode == 0, done.stderr + self.run("journalctl -b --no-pager -n 40").stdout
        return done.stdout

    def write(self, path, text):
        self.good(f"cat > {path} <<'END'\n{text}END\n")

    def until(self, times, event):
        """So many of these were told."""
        self.good(f"test $(timeout 30 grep -m{times} {event} < <(scepter events web --follow --json) | wc -l) = {times}")

    def idle(self):
        """An event is told before the property of its certificate."""
        self.good("timeout 30 bash -c 'until scepter show web | grep -q \"^Activity *idle\"; do :; done'")


@pytest.fixture(scope="module")
def installed():
    made = Installed(build=labs.BUILD.resolve(), source=labs.SOURCE)
    try:
        made.good(INSTALL)
        made.write("/etc/scepter/consumers.d/web.consumer", CONSUMER)
        made.write("/srv/web.profile", PROFILE.format(url=made.good(". /srv/l/lab/env; echo $LAB_URL").strip()))
        made.good("scepter profile add /srv/web.profile; /srv/source/tests/lab/lab challenge /srv/l/lab > /srv/challenge; "
                  "scepter enroll web --wait --challenge-file /srv/challenge")
        yield made
    finally:
        made.close()


def test_the_unit_does_all_of_it(installed):
    installed.idle()
    assert installed.good("stat -c '%U %G %a' /etc/web/full.pem /etc/web/key.uri") == "webuser webuser 640\n" * 2
    assert installed.good("cat /run/web-reloaded") == "reloaded\n"
    installed.good("openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt -untrusted /etc/web/full.pem /etc/web/full.pem")
    assert installed.good("stat -c '%U %a' /var/lib/scepter-apply/*.json") == "root 644\n"


def test_T10_a_unit_that_is_missing(installed):
    serial = installed.good("scepter show web | grep Serial")
    installed.write("/etc/scepter/consumers.d/bad.consumer", "[Consumer]\nProfile=web\n[Units]\nStart=missing.service\n")
    installed.until(1, "APPLY_FAILED")
    shown = installed.good("scepter show web")
    assert "apply-pending" in shown and "missing.service" in shown and "systemctl status missing.service" in shown
    installed.good("rm /etc/scepter/consumers.d/bad.consumer; touch /etc/scepter/consumers.d/web.consumer")
    installed.until(2, "CERT_APPLIED")
    installed.idle()
    assert installed.good("scepter show web | grep Serial") == serial
    assert installed.good("cat /run/web-reloaded") == "reloaded\n"


MANAGER = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"


@pytest.mark.parametrize("method,unit,allowed", [("StartUnit", "scepter-apply@{id}.service", True),
                                                 ("StopUnit", "scepter-apply@{id}.service", False),
                                                 ("RestartUnit", "scepter-apply@{id}.service", False),
                                                 ("StartUnit", "web.service", False),
                                                 ("StartUnit", "scepter-apply@{id}x.service", False)])
def test_what_the_service_may(installed, method, unit, allowed):
    name = unit.format(id=installed.good("ls /var/lib/scepter/certificates").strip())
    done = installed.run(f"setpriv --reuid=scepter --regid=scepter --clear-groups busctl call {MANAGER} {method} ss {name} replace")
    assert (done.returncode == 0) == allowed, done.stderr
    assert allowed or "authentication required" in done.stderr


def test_removal(installed):
    """Last: it is gone then."""
    name = installed.good("ls /var/lib/scepter/certificates").strip()
    installed.good("scepter remove web")
    installed.good(f"systemctl start scepter-apply@{name}.service")  # joins the one that the daemon has started
    assert installed.good("ls /etc/web /var/lib/scepter-apply; ls /usr/local/share/ca-certificates | grep scepter || true") == \
        "/etc/web:\n\n/var/lib/scepter-apply:\n"
