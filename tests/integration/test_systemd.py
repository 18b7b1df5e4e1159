"""scepter-apply as it is installed: the real systemd starts the shipped unit, because the shipped rule lets the service's user
do so, and its sandbox leaves enough room."""
import pytest

from installed import Installed

PREPARE = r"""
mkdir -p /etc/web
printf '[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/sh -c "systemd-notify --ready; exec tail -f /dev/null"\n' \
    > /etc/systemd/system/web.service
printf 'ExecReload=/bin/sh -c "echo reloaded >> /run/web-reloaded"\n' >> /etc/systemd/system/web.service
systemctl daemon-reload
systemctl start web.service
useradd -r webuser
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


@pytest.fixture(scope="module")
def installed():
    made = Installed(prepare=PREPARE)
    try:
        made.write("/etc/scepter/consumers.d/web.consumer", CONSUMER)
        made.enroll("web")
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


def test_removal_while_it_is_applied(installed):
    """systemd takes the start of a unit that runs for that run, which knows nothing of the removal."""
    held = "/run/systemd/system/scepter-apply@.service.d"
    installed.good(f"mkfifo /run/began /run/go; mkdir {held}; "
                   f"printf '[Service]\\nExecStartPost=+/bin/sh -c \"echo > /run/began; read go < /run/go\"\\n' > {held}/held.conf; "
                   "systemctl daemon-reload")
    installed.good(f"scepter enroll web --challenge-file {installed.challenge()}; timeout 60 cat /run/began")
    assert "full.pem" in installed.good("ls /etc/web")
    installed.good(f"scepter remove web; rm -r {held}; systemctl daemon-reload; echo > /run/go")
    installed.good("timeout 60 bash -c 'until test -z \"$(ls /var/lib/scepter-apply)\"; do :; done'")
    assert installed.good("ls /etc/web; ls /usr/local/share/ca-certificates | grep scepter || true") == ""
