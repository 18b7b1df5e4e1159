"""Two users on one machine: neither sees, uses or names the other's objects; a hidden object answers as a missing one."""
import json
import os
import pathlib
import pwd
import subprocess

import pytest

import labs
import messages

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as two other users")

LISTENER = pathlib.Path(__file__).with_name("listener.py")
ALICE, BOB = "daemon", "bin"  # accounts every Debian has; the bus wants users that exist


def uid(name):
    return pwd.getpwnam(name).pw_uid


@pytest.fixture(scope="module")
def users():
    with labs.lab() as lab:
        for who in (ALICE, BOB):
            done = lab.scepter("list", "--json", user=uid(who))
            assert done.returncode == 0, f"{who} cannot even connect: {done.stderr}"
        lab.add("device")
        assert lab.enroll("device").returncode == 0
        lab.add("personal", type="user", subject="CN={{UserName}},O=Contoso", san="")
        challenge = lab.challenge()
        challenge.chmod(0o644)
        done = lab.scepter("enroll", "personal", "--wait", "--challenge-file", challenge, user=uid(ALICE))
        assert done.returncode == 0, done.stderr
        yield lab


def names(lab, who):
    return {entry["name"] for entry in lab.json("list", user=uid(who) if who else None)["certificates"]}


def alices(users):
    return [entry for entry in users.json("list")["certificates"] if entry["name"] == "personal"][0]


def test_T19_lists(users):
    assert names(users, ALICE) == {"device", "personal"}
    assert names(users, BOB) == {"device"}
    assert names(users, None) == {"device", "personal"}


def test_subject_is_the_callers(users):
    shown = users.json("show", alices(users)["id"])
    assert f"CN={ALICE}" in shown["subject"] and shown["owner"]["uid"] == uid(ALICE)


def call(lab, who, path, interface, member, *arguments):
    return lab.run("busctl", "--system", "call", "org.scepter1", path, interface, member, *arguments, user=uid(who))


HIDDEN = [
    ("org.freedesktop.DBus.Properties", "GetAll", "s", "org.scepter1.Certificate"),
    ("org.freedesktop.DBus.Properties", "Get", "ss", "org.scepter1.Certificate", "Name"),
    ("org.freedesktop.DBus.Introspectable", "Introspect"),
    ("org.scepter1.Certificate", "GetChain", "a{sv}", "0"),
    ("org.scepter1.Certificate", "TestKey", "a{sv}", "0"),
    ("org.scepter1.Certificate", "Remove", "a{sv}", "0"),
    ("org.scepter1.Certificate", "Cancel", "a{sv}", "0"),
]


@pytest.mark.parametrize("what", HIDDEN, ids=[row[1] for row in HIDDEN])
def test_T19_hidden_is_missing(users, what):
    path = alices(users)["path"]
    missing = "/org/scepter1/certificate/" + "0" * 32
    hidden, absent = call(users, BOB, path, *what), call(users, BOB, missing, *what)
    assert hidden.returncode != 0 and absent.returncode != 0
    assert hidden.stderr.replace(path, "X") == absent.stderr.replace(missing, "X")


def test_managed_objects_and_introspection(users):
    path = alices(users)["path"]
    for member, interface in (("GetManagedObjects", "org.freedesktop.DBus.ObjectManager"),):
        assert path in call(users, ALICE, "/org/scepter1", interface, member).stdout
        assert path not in call(users, BOB, "/org/scepter1", interface, member).stdout
    node = call(users, BOB, "/org/scepter1/certificate", "org.freedesktop.DBus.Introspectable", "Introspect").stdout
    assert path.rsplit("/", 1)[1] not in node


def test_events(users):
    assert "personal" in users.scepter("events", user=uid(ALICE)).stdout
    assert "personal" not in users.scepter("events", user=uid(BOB)).stdout


def openssl_sign(lab, who, key):
    data = lab.write("signed-data", "x")
    user = uid(who) if who else None
    return lab.openssl("dgst", "-provider", "default", "-provider", "ksp", "-sha256", "-sign", key, data, user=user,
                       errors="replace")


def test_T19_keys(users):
    assert openssl_sign(users, ALICE, "ksp:personal").returncode == 0
    assert openssl_sign(users, None, "ksp:" + alices(users)["id"]).returncode == 0
    other, nothing = openssl_sign(users, BOB, "ksp:personal"), openssl_sign(users, BOB, "ksp:personaX")
    assert other.returncode != 0 and nothing.returncode != 0
    assert "There is no key 'personal' for you" in other.stderr and "There is no key 'personaX' for you" in nothing.stderr
    by_id = "ksp:id=" + users.json("show", alices(users)["id"])["uris"][1].split("=")[1]
    assert openssl_sign(users, ALICE, by_id).returncode == 0
    assert openssl_sign(users, BOB, by_id).returncode != 0
    # A device key is root's.
    assert openssl_sign(users, None, "ksp:device").returncode == 0
    assert openssl_sign(users, ALICE, "ksp:device").returncode != 0


def test_denied(users):
    for arguments in (("enroll", "device"), ("remove", "device"), ("key", "test", "device"), ("profile", "remove", "device")):
        done = users.scepter(*arguments, "--json", user=uid(BOB))
        assert done.returncode == 4, (arguments, done.stdout)
        error = json.loads(done.stdout)["error"]
        assert error["name"] == "NotAuthorized" and error["remedy"]
    profile = users.write("p.profile", users.profile_text("p"))
    assert users.scepter("profile", "add", profile, user=uid(BOB)).returncode == 4
    document = labs.SOURCE / "tests/data/policy/intune.syncml"
    copy = users.write("x.syncml", document.read_text())
    assert users.scepter("syncml", "apply", copy, user=uid(BOB)).returncode == 4
    assert users.scepter("enroll", "personal", "--for", ALICE, user=uid(BOB)).returncode == 4
    assert names(users, None) >= {"device", "personal"}


def test_T19_own_profile_is_variables_alone(users):
    text = users.profile_text("mine", type="user", subject="CN=root", san="")
    done = users.scepter("profile", "add", users.write("mine.profile", text), "--user", "--json", user=uid(BOB))
    assert done.returncode == 2 and "variables alone" in done.stdout
    text = users.profile_text("mine", type="user", subject="CN={{UserName}}", san="")
    done = users.scepter("profile", "add", users.write("mine.profile", text), "--user", user=uid(BOB))
    assert done.returncode == 0, done.stderr
    listed = users.json("profile", "list", user=uid(ALICE))["profiles"]
    assert "mine" not in {profile["name"] for profile in listed}
    # Its worker reaches no address of this machine.
    done = users.enroll("mine", "--json", user=uid(BOB))
    assert done.returncode == 4 and "address of this machine" in done.stdout, done.stdout


def test_limits(users):
    """Sixteen profiles of one's own, and no more."""
    for number in range(16):
        path = users.write("limit.profile", users.profile_text(f"limit-{number}", type="user", subject="CN={{UserName}}", san=""))
        done = users.scepter("profile", "add", path, "--user", "--json", user=uid(BOB))
        if done.returncode:
            break
    assert json.loads(done.stdout)["error"]["name"] == "LimitExceeded", done.stdout
    # Another user is not concerned.
    path = users.write("limit.profile", users.profile_text("alices", type="user", subject="CN={{UserName}}", san=""))
    assert users.scepter("profile", "add", path, "--user", user=uid(ALICE)).returncode == 0


def test_signals_about_others_do_not_arrive(users):
    """Bob listens to all he can; Alice removes her certificate; only her own listener hears of it."""
    listener = users.write("listener.py", LISTENER.read_text())

    def listen(who):
        return subprocess.Popen(
            ["setpriv", f"--reuid={uid(who)}", f"--regid={uid(who)}", "--clear-groups", "/usr/bin/python3", "-B",
             listener, users.env["DBUS_SYSTEM_BUS_ADDRESS"]], stdout=subprocess.PIPE, text=True)
    users.add("loud")
    bob = listen(BOB)
    try:
        assert bob.stdout.readline() == "listening\n"
        challenge = users.challenge()
        challenge.chmod(0o644)
        assert users.scepter("enroll", "personal", "--wait", "--challenge-file", challenge, user=uid(ALICE)).returncode == 0
        # A broadcast about a device object marks the end: all that was sent before it has arrived.
        assert users.enroll("loud").returncode == 0
        heard = ""
        loud = [entry["path"] for entry in users.json("list")["certificates"] if entry["name"] == "loud"][0]
        while loud not in heard:
            line = bob.stdout.readline()
            assert line, heard
            heard += line
        assert alices(users)["path"] not in heard
    finally:
        bob.kill()
        bob.wait()


USER_CSP = "./User/Vendor/MSFT/ClientCertificateInstall/SCEP"


def test_nodes_of_a_user(users):
    """./User nodes belong to the user the administrator names; each user has instances of his own."""
    def message():
        m = messages.Message()
        m.add(f"{messages.MSFT}/CertificateStore/Root/users/EncodedCertificate", messages.root_base64(users), "b64")
        return m, messages.install(m, messages.csp_values(users), f"{USER_CSP}/mail")

    m, exec_ = message()
    assert messages.apply(users, m).codes[exec_] == 404  # nobody was named
    for who in (ALICE, BOB):
        m, exec_ = message()
        answer = messages.apply(users, m, "--user", who)
        assert answer.codes[exec_] == 202, answer.reasons
    m = messages.Message()
    alone, device = m.get(f"{USER_CSP}/mail/Status"), m.get(f"{messages.CSP}/mail/Status")
    answer = messages.apply(users, m, "--user", BOB)
    assert answer.codes[alone] == 200 and answer.codes[device] == 404
    owners = {entry["id"]: users.json("show", entry["id"])["owner"]["name"]
              for entry in users.json("list")["certificates"] if entry["name"] == "mail"}
    assert sorted(owners.values()) == sorted([ALICE, BOB])
    for certificate, who in owners.items():
        users.wait_for(certificate, "idle", "failed")
        assert users.json("show", certificate)["health"] == "valid"
    assert "mail" in names(users, ALICE) and "mail" in names(users, BOB)
    # One user's goes; the other's, made from the same profile, stays.
    m = messages.Message()
    gone = m.command("Delete", f"{USER_CSP}/mail")
    assert messages.apply(users, m, "--user", ALICE).codes[gone] == 200
    assert "mail" not in names(users, ALICE) and "mail" in names(users, BOB)
    assert messages.apply(users, m, "--user", ALICE).codes[gone] == 404
    assert messages.apply(users, m, "--user", BOB).codes[gone] == 200
    assert users.scepter("profile", "show", "mail").returncode == 3
    assert users.scepter("syncml", "apply", users.write("m.syncml", m.text()), "--user", "nobody-here").returncode == 3
