"""Names that are others at a renewal than at the enrollment: told and kept, until somebody accepts them. And certificates that
lack something, which wait for the same word."""
import contextlib
import json
import os
import pwd
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import labs
from test_placed import place, secret, valid
from test_renewal import another, come, events, heal, now, ready, requests, set_clock, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a /sys of the lab's own and other users")
pytest.importorskip("dbusmock", reason="python3-dbusmock is not installed")
import neighbours  # noqa: E402

ALICE = "daemon"
DEVICE = {"subject": "CN={{DeviceName}},O=Contoso", "san": "AlternativeName=dns:{{DeviceName}}.contoso.com"}
DAY = 86400


@pytest.fixture(scope="module")
def lab():
    """A service that does not answer is given up after a second."""
    with labs.lab("--no-tpm", "--own-sys", "--", "--clock-scale", "5") as made:
        heal(made)
        yield made


@pytest.fixture
def ndes(lab):
    yield lab.ndes
    heal(lab)


@contextlib.contextmanager
def named(lab, static):
    """What this machine is called while it lasts."""
    with neighbours.hostname(lab, static=static) as hostnamed:
        yield hostnamed


def told(lab, name):
    return [(event["names"], event["newNames"]) for event in events(lab, name, "NAMES_DIFFER")]


def both(name):
    return f"CN={name},O=Contoso; dns:{name}.contoso.com"


def accept(lab, name, *options):
    return lab.scepter("renew", name, "--accept", "--json", *options)


def error_of(done):
    return json.loads(done.stdout)["error"]


def test_a_difference_is_told_once_and_kept_out(lab, ndes):
    with named(lab, "pc7"):
        first = ready(lab, "n-device", **DEVICE)
        assert first["subject"] == "CN=pc7,O=Contoso"
        second = come(lab, "n-device", first)
    assert not told(lab, "n-device") and second["newNames"] == []
    with named(lab, "pc8"):
        third = come(lab, "n-device", second)
        assert third["subject"] == "CN=pc7,O=Contoso"
        assert told(lab, "n-device") == [(both("pc7"), both("pc8"))]
        assert third["newNames"] == ["CN=pc8,O=Contoso", "dns:pc8.contoso.com"]
        event = events(lab, "n-device", "NAMES_DIFFER")[0]
        assert "--accept n-device" in event["remedy"]
        text = lab.scepter("show", "n-device").stdout
        assert "dns:pc8.contoso.com" in text and "scepter renew --accept n-device" in text
        # nor by attempts that fail, nor by the renewal after that, nor by a daemon that has forgotten
        ndes("set", "http-status", "503")
        assert lab.scepter("renew", "n-device", "--wait").returncode != 0
        heal(lab)
        lab.daemon("restart")
        set_clock(lab, now(lab) + 60)
        done = lab.scepter("renew", "n-device", "--wait")
        assert done.returncode == 0, done.stderr
        assert len(told(lab, "n-device")) == 1
    with named(lab, "pc9"):
        fifth = come(lab, "n-device", lab.json("show", "n-device"))
        assert told(lab, "n-device")[1:] == [(both("pc7"), both("pc9"))]
    with named(lab, "pc7"):
        sixth = come(lab, "n-device", fifth)
        assert sixth["newNames"] == [] and len(told(lab, "n-device")) == 2
    with named(lab, "pc9"):
        come(lab, "n-device", sixth)
        assert len(told(lab, "n-device")) == 3  # it came anew


def test_a_source_that_does_not_answer(lab):
    """The renewal is what it would be without the question; who has asked for new names is told."""
    with named(lab, "pc7") as hostnamed:
        first = ready(lab, "n-silent", **DEVICE)
        with hostnamed.silent():
            second = come(lab, "n-silent", first)
            assert second["subject"] == first["subject"] and not told(lab, "n-silent")
            done = accept(lab, "n-silent")
            assert done.returncode == 7 and error_of(done)["name"] == "Timeout"
            assert "DeviceName" in error_of(done)["message"] and "again" in error_of(done)["remedy"]
        after = lab.json("show", "n-silent")
        assert after["activity"] == "idle" and after["thumbprint"] == second["thumbprint"] and after["newNames"] == []
        set_clock(lab, now(lab) + 60)
        assert accept(lab, "n-silent", "--wait").returncode == 0  # somebody answers, and nothing differs


def started(lab, *command):
    return subprocess.Popen([str(part) for part in (labs.BUILD / "bin/scepter", *command)], env=lab.env, stdout=subprocess.PIPE,
                            text=True)


@contextlib.contextmanager
def asking(lab, name, hostnamed):
    """A renewal has asked what nobody answers. Yields what comes of it, once it has ended, and a wait for the next question."""
    said = {}
    rule = "type='method_call',interface='org.freedesktop.DBus.Properties',path='/org/freedesktop/hostname1'"
    with subprocess.Popen(["dbus-monitor", "--address", lab.env["DBUS_SYSTEM_BUS_ADDRESS"], rule], stdout=subprocess.PIPE,
                          text=True) as bus:
        def asked():
            assert any("StaticHostname" in line for line in bus.stdout)

        try:
            assert bus.stdout.readline()  # it listens
            with hostnamed.silent(), started(lab, "renew", name, "--json") as renewal:
                asked()
                yield said, asked
                said |= json.loads(renewal.communicate()[0])
        finally:
            bus.kill()


def test_cancel_while_nobody_answers(lab):
    """The question is all there is to end: nothing has begun."""
    with named(lab, "pc7") as hostnamed:
        first = ready(lab, "n-cancel", **DEVICE)
        with asking(lab, "n-cancel", hostnamed) as (said, _):
            assert lab.scepter("cancel", "n-cancel").returncode == 0
    assert said["error"]["name"] == "Cancelled"
    shown = lab.json("show", "n-cancel")
    assert shown["activity"] == "idle" and shown["thumbprint"] == first["thumbprint"]
    assert requests(lab, "n-cancel") == [19] and not events(lab, "n-cancel", "RENEW_DUE")


def test_a_second_word_waits_for_the_first(lab, ndes):
    """Where a failure is on record, it is not taken for the end of what only begins."""
    with named(lab, "pc7") as hostnamed:
        first = ready(lab, "n-join", **DEVICE)
        set_clock(lab, now(lab) + 60)
        ndes("set", "http-status", "503")
        assert lab.scepter("renew", "n-join", "--wait").returncode == 6
        heal(lab)
        with asking(lab, "n-join", hostnamed):
            done = lab.scepter("renew", "n-join", "--wait")
            assert done.returncode == 0, done.stderr
    assert another(first)(lab.json("show", "n-join"))


@pytest.mark.parametrize("command", [("remove", "n-remove"), ("profile", "remove", "n-profile")])
def test_what_is_asked_for_meanwhile_comes_first(lab, command):
    with named(lab, "pc7") as hostnamed:
        ready(lab, command[-1], **DEVICE)
        with asking(lab, command[-1], hostnamed) as (said, _):
            done = lab.scepter(*command)
            assert done.returncode == 0, done.stderr
    assert said["error"]["name"] == "Cancelled"


def test_an_enrollment_comes_first(lab):
    with named(lab, "pc7") as hostnamed:
        first = ready(lab, "n-enroll", **DEVICE)
        set_clock(lab, now(lab) + 60)
        with asking(lab, "n-enroll", hostnamed) as (said, asked):
            enrolling = started(lab, "enroll", "n-enroll", "--wait", "--challenge-file", lab.challenge())
            asked()
        enrolling.communicate()  # somebody answers again
    assert enrolling.returncode == 0 and said["error"]["name"] == "Cancelled"
    assert another(first)(lab.json("show", "n-enroll")) and requests(lab, "n-enroll") == [19, 19]


def test_what_was_told_stays_while_nobody_answers(lab):
    with named(lab, "pc7") as hostnamed:
        first = ready(lab, "n-stays", **DEVICE)
        hostnamed.mock.UpdateProperties("org.freedesktop.hostname1", {"StaticHostname": "pc8"})
        second = come(lab, "n-stays", first)
        with hostnamed.silent():
            third = come(lab, "n-stays", second)
        assert third["newNames"][0] == "CN=pc8,O=Contoso" and len(told(lab, "n-stays")) == 1


def test_accept_without_a_difference(lab):
    with named(lab, "pc7"):
        first = ready(lab, "n-same", **DEVICE)
        set_clock(lab, now(lab) + 60)
        done = accept(lab, "n-same", "--wait")
        assert done.returncode == 0, done.stderr
    shown = lab.json("show", "n-same")
    assert another(first)(shown) and requests(lab, "n-same") == [19, 17]  # a renewal like any other
    assert not told(lab, "n-same")


def test_accept_waits_for_a_challenge(lab):
    with named(lab, "pc7"):
        first = ready(lab, "n-accept", **DEVICE)
    with named(lab, "pc8"):
        done = accept(lab, "n-accept", "--wait")
        assert done.returncode == 6, done.stdout
        shown = lab.json("show", "n-accept")
        assert shown["activity"] == "needs-challenge" and shown["thumbprint"] == first["thumbprint"]
        assert shown["health"] == "valid" and "challenge" in shown["lastError"]["message"]
        assert events(lab, "n-accept", "CHALLENGE_NEEDED") and requests(lab, "n-accept") == [19]
        done = lab.enroll("n-accept")
        assert done.returncode == 0, done.stderr
        second = lab.json("show", "n-accept")
        assert second["subject"] == "CN=pc8,O=Contoso" and second["newNames"] == []
        assert requests(lab, "n-accept") == [19, 19]
        text = lab.openssl("x509", "-in", lab.certificate("n-accept") / "current/cert.pem", "-noout", "-ext", "subjectAltName").stdout
        assert "DNS:pc8.contoso.com" in text
        # and from here it is renewed as what it is now
        third = come(lab, "n-accept", second)
        assert third["subject"] == "CN=pc8,O=Contoso" and requests(lab, "n-accept") == [19, 19, 17]
        assert not told(lab, "n-accept")


def test_accept_with_a_challenge_at_hand(lab):
    """A file has one whenever it is needed."""
    with named(lab, "pc7"):
        path = secret(lab, "n-file")
        place(lab, "n-file", challenge=f"file:{path}", **DEVICE)
        first = valid(lab, "n-file")
    with named(lab, "pc8"):
        second = come(lab, "n-file", first)
        assert second["subject"] == "CN=pc7,O=Contoso" and second["newNames"]
        path.write_text(lab.challenge().read_text())
        set_clock(lab, now(lab) + 60)
        done = accept(lab, "n-file", "--wait")
        assert done.returncode == 0, done.stderr
        third = lab.json("show", "n-file")
        assert third["subject"] == "CN=pc8,O=Contoso" and third["newNames"] == [] and another(second)(third)
    assert requests(lab, "n-file") == [19, 17, 19]


def test_a_user(lab):
    uid = pwd.getpwnam(ALICE).pw_uid
    values = {"type": "user", "subject": "CN={{EmailAddress}},O=Contoso", "san": "AlternativeName=email:{{EmailAddress}}"}
    lab.add("n-user", **values)
    with neighbours.directory(lab, neighbours.attributes(uid, mail=["alice@corp.example"])) as sssd:
        challenge = lab.challenge()
        challenge.chmod(0o644)
        done = lab.scepter("enroll", "n-user", "--wait", "--challenge-file", challenge, user=uid)
        assert done.returncode == 0, done.stderr
        first = lab.json("show", "n-user")
        sssd.method("GetUserAttr", "sas", "a{sv}", neighbours.attributes(uid, mail=["a.married@corp.example"]))
        second = come(lab, "n-user", first)
        assert second["newNames"] == ["CN=a.married@corp.example,O=Contoso", "email:a.married@corp.example"]
        assert second["subject"] == "CN=alice@corp.example,O=Contoso" and len(told(lab, "n-user")) == 1
        done = lab.scepter("renew", "n-user", "--accept", "--wait", user=uid)
        assert done.returncode == 6, done.stderr
        challenge = lab.challenge()
        challenge.chmod(0o644)
        done = lab.scepter("enroll", "n-user", "--wait", "--challenge-file", challenge, user=uid)
        assert done.returncode == 0, done.stderr
        assert lab.json("show", "n-user")["subject"] == "CN=a.married@corp.example,O=Contoso"
        with sssd.silent():  # an account whose directory is out of reach
            third = come(lab, "n-user", lab.json("show", "n-user"))
        assert third["subject"] == "CN=a.married@corp.example,O=Contoso" and third["newNames"] == []


def test_accept_where_the_profile_is_gone(lab):
    with named(lab, "pc7"):
        first = ready(lab, "n-gone", **DEVICE)
        assert lab.scepter("profile", "remove", "n-gone").returncode == 0
        done = accept(lab, "n-gone")
        assert done.returncode == 3 and error_of(done)["name"] == "NotFound"
        assert "profile" in error_of(done)["message"] and "Add the profile again" in error_of(done)["remedy"]
    assert lab.json("show", "n-gone")["thumbprint"] == first["thumbprint"]


def test_accept_while_something_runs(lab, ndes):
    with named(lab, "pc7"):
        ready(lab, "n-busy", **DEVICE)
        ndes("set", "pending", "approve")
        assert lab.scepter("renew", "n-busy").returncode == 0
        lab.wait_for("n-busy", "pending")
        done = accept(lab, "n-busy")
        assert done.returncode == 1 and error_of(done)["name"] == "Busy" and "cancel" in error_of(done)["remedy"]
        assert lab.scepter("cancel", "n-busy").returncode == 0


# refused.pem

LACKING = [("eku", "drop-eku", "the extended key usage"), ("san", "drop-san", "the alternative name")]


@pytest.mark.parametrize("kind,switch,words", LACKING, ids=[row[0] for row in LACKING])
def test_one_that_lacks_something_is_accepted(lab, ndes, kind, switch, words):
    name = f"a-{kind}"
    lab.add(name)
    ndes("set", switch, "on")
    assert lab.enroll(name).returncode == 6
    home, before = lab.certificate(name), lab.json("show", name)
    assert before["deviations"][0].startswith(f"kept: {words}") and "--accept" in before["lastError"]["remedy"]
    kept = (home / "refused.pem").read_text()
    lab.daemon("restart")
    ndes("set", "http-status", "503")  # nobody has to be asked
    done = accept(lab, name, "--wait")
    assert done.returncode == 0, done.stdout
    shown = lab.json("show", name)
    assert shown["health"] == "valid" and shown["activity"] == "idle" and shown["lastError"]["name"] == ""
    assert shown["deviations"][0].startswith(f"kept: {words}")  # what was accepted stays to be seen
    assert (home / "current/cert.pem").read_text() == kept and not (home / "refused.pem").exists()
    assert lab.scepter("key", "test", name).returncode == 0
    done = lab.openssl("verify", "-attime", now(lab), "-CAfile", lab.root, "-untrusted", home / "current/chain.pem", home / "current/cert.pem")
    assert done.returncode == 0, done.stderr
    assert requests(lab, name) == [19] and len(events(lab, name, "CERT_INSTALLED")) == 1
    heal(lab)
    assert another(shown)(come(lab, name, shown))


def test_a_renewal_that_lacks_something_is_accepted(lab, ndes):
    first = ready(lab, "a-renewal")
    ndes("set", "drop-eku", "on")
    set_clock(lab, now(lab) + 60)
    assert lab.scepter("renew", "a-renewal", "--wait").returncode == 6
    assert lab.json("show", "a-renewal")["thumbprint"] == first["thumbprint"]
    done = accept(lab, "a-renewal", "--wait")
    assert done.returncode == 0, done.stdout
    shown = lab.json("show", "a-renewal")
    assert another(first)(shown) and shown["notAfter"] > first["notAfter"]
    assert (lab.certificate("a-renewal") / "current").readlink().name == "2"


def test_one_that_came_right_later_is_not_accepted_again(lab, ndes):
    """Another answer has replaced what was kept."""
    lab.add("a-right")
    ndes("set", "drop-eku", "on")
    assert lab.enroll("a-right").returncode == 6
    ndes("set", "drop-eku", "off")
    assert lab.enroll("a-right").returncode == 0
    first = lab.json("show", "a-right")
    assert not (lab.certificate("a-right") / "refused.pem").exists()
    set_clock(lab, now(lab) + 60)
    assert accept(lab, "a-right", "--wait").returncode == 0  # a renewal
    assert another(first)(lab.json("show", "a-right")) and requests(lab, "a-right")[-1] == 17


def test_one_that_has_expired_is_refused(lab, ndes):
    lab.add("a-late")
    ndes("set", "drop-eku", "on")
    assert lab.enroll("a-late").returncode == 6
    set_clock(lab, now(lab) + 3 * DAY)
    done = accept(lab, "a-late")
    assert done.returncode == 6 and error_of(done)["name"] == "CertificateRefused", done.stdout
    assert "expired" in error_of(done)["message"] and error_of(done)["remedy"]
    assert lab.json("show", "a-late")["activity"] == "failed"


def forged(real, issuer):
    """The same certificate by somebody else."""
    builder = x509.CertificateBuilder(issuer, real.subject, real.public_key(), real.serial_number, real.not_valid_before,
                                      real.not_valid_after)
    return builder.sign(rsa.generate_private_key(65537, 2048), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_one_of_another_root_is_refused(lab, ndes):
    """What lies there is judged again: the file's word is not enough."""
    lab.add("a-root")
    ndes("set", "drop-eku", "on")
    assert lab.enroll("a-root").returncode == 6
    home = lab.certificate("a-root")
    real = x509.load_pem_x509_certificate((home / "refused.pem").read_bytes())
    stranger = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "Stranger")])
    for issuer, says in ((stranger, "leads to no root"), (real.issuer, "does not chain to the root")):
        (home / "refused.pem").write_bytes(forged(real, issuer))
        done = accept(lab, "a-root")
        assert done.returncode == 6 and error_of(done)["name"] == "CertificateRefused", done.stdout
        assert says in error_of(done)["message"] and error_of(done)["remedy"]
        assert lab.json("show", "a-root")["activity"] == "failed" and not (home / "current").exists()
