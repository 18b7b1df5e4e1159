"""Bad input: each ends in a named error with a remedy, leaves nothing half-written, and the next request is served."""
import json

import pytest

import labs


def expect(done, name, status, *says):
    """The error as a program reads it: exit status, name, message, remedy."""
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    error = json.loads(done.stdout)["error"]
    assert error["name"] == name, error
    assert error["remedy"], error
    for word in says:
        assert word in error["message"] + error["remedy"], (word, error)


def syncml(lab):
    return (labs.SOURCE / "tests/data/policy/intune.syncml").read_text()


DOCUMENTS = {
    "truncated": lambda lab: syncml(lab)[:2000],
    "dtd": lambda lab: syncml(lab).replace("<SyncML", '<!DOCTYPE x [<!ENTITY a "b">]><SyncML', 1),
    "wrong-namespace": lambda lab: syncml(lab).replace("SYNCML:SYNCML1.2", "urn:other", 1),
    "no-xml": lambda lab: "certainly no XML",
    "nothing": lambda lab: "",
    "binary": lambda lab: b"\x00\xff\xfe" * 100,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document(lab, name):
    path = lab.write(f"{name}.syncml", DOCUMENTS[name](lab))
    expect(lab.scepter("syncml", "apply", path, "--json"), "InvalidDocument", 2)
    lab.serves()


def test_ten_megabytes(lab):
    path = lab.write("large.syncml", "<SyncML>" + "x" * (10 << 20))
    expect(lab.scepter("syncml", "apply", path, "--json"), "TooLarge", 2)
    lab.serves()


PROFILES = [
    # name, what replaces what, error, what it says
    ("unknown-key", ("Protection=", "Protektion="), "InvalidProfile", ["Line 10", "Protektion"]),
    ("unknown-section", ("[Key]", "[Keys]"), "InvalidProfile", ["[Keys]"]),
    ("no-url", ("Url=", "#Url="), "InvalidProfile", ["Url"]),
    ("bad-url", ("Url=http://", "Url=ftp://"), "InvalidProfile", ["Url"]),
    ("bad-subject", ("Name=CN=pc1,O=Contoso", "Name=CN=pc1,Contoso"), "InvalidProfile", ["Subject.Name"]),
    ("stray-brace", ("CN=pc1", "CN=pc1{x"), "InvalidProfile", ["Subject.Name"]),
    ("bad-protection", ("Protection=software", "Protection=hardware"), "InvalidProfile", ["hardware"]),
    ("weak-key", ("Algorithm=rsa-2048", "Algorithm=rsa-1024"), "InvalidProfile", ["rsa-1024"]),
    ("bad-pin", ("RootCertificate=", "CaThumbprint=12\n#"), "InvalidProfile", ["CaThumbprint"]),
    ("no-root", ("RootCertificate=", "#"), "InvalidProfile", ["RootCertificate"]),
    ("twice", ("Algorithm=rsa-2048", "Algorithm=rsa-2048\nAlgorithm=ec-p256"), "InvalidProfile", ["Algorithm"]),
    ("credential", ("Challenge=ask", "Challenge=credential:scepter.challenge.x"), "FileRefused", ["profiles.d"]),
    ("socket", ("Challenge=ask", "Challenge=socket:/run/x"), "FileRefused", ["profiles.d"]),
]


@pytest.mark.parametrize("name,change,error,says", PROFILES, ids=[row[0] for row in PROFILES])
def test_profile(lab, name, change, error, says):
    text = lab.profile_text(f"bad-{name}")
    assert change[0] in text
    path = lab.write(f"bad-{name}.profile", text.replace(*change, 1))
    expect(lab.scepter("profile", "add", path, "--json"), error, 2, *says)
    assert lab.scepter("profile", "show", f"bad-{name}").returncode == 3
    assert not list(lab.state.glob("profiles/*/profile.json.new"))


def test_challenge_file_is_read_by_the_caller(lab):
    """A file: challenge is never opened by the service: the CLI passes its content, and only when the file names it."""
    secret = lab.challenge()
    lab.add("by-file", challenge=f"file:{secret}")
    done = lab.enroll("by-file", challenge=False)
    assert done.returncode == 0, done.stderr
    for path in lab.state.rglob("*"):
        if path.is_file():
            assert secret.read_text().strip() not in path.read_text(errors="replace"), path


def test_root_certificate_that_is_none(lab):
    bad = lab.write("no-cert.pem", "this is no certificate")
    path = lab.write("no-cert.profile", lab.profile_text("no-cert", root=bad))
    expect(lab.scepter("profile", "add", path, "--json"), "InvalidProfile", 2, "RootCertificate")
    assert lab.scepter("profile", "show", "no-cert").returncode == 3


def test_same_name_twice(lab):
    path = lab.add("once")
    expect(lab.scepter("profile", "add", path, "--json"), "AlreadyExists", 1)


def test_pin_that_does_not_match(lab):
    text = lab.profile_text("pinned", server="CaThumbprint=" + "ab" * 20).replace("RootCertificate=", "#")
    assert lab.scepter("profile", "add", lab.write("pinned.profile", text)).returncode == 0
    issued = lab.ndes("issued")
    expect(lab.enroll("pinned", "--json"), "CaMismatch", 6, "ab" * 20, "Lab Root CA")
    # Nothing with a challenge in it was built before the RA chains to the pin.
    assert not list(lab.certificate("pinned").glob("generations/*/request.der"))
    assert lab.ndes("issued") == issued


def test_other_root_in_the_profile(lab):
    other = lab.files / "other.pem"
    made = lab.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other", "-keyout",
                   lab.files / "other.key", "-out", other)
    assert made.returncode == 0
    lab.add("other-root", root=other)
    expect(lab.enroll("other-root", "--json"), "CaMismatch", 6)


def test_no_challenge(lab):
    lab.add("unasked")
    expect(lab.enroll("unasked", "--json", challenge=False), "ChallengeNeeded", 6, "--challenge-file")


def test_unsupported_by_name(lab):
    lab.add("reusable", server="ChallengeReusable=yes")
    expect(lab.enroll("reusable", "--json"), "NotSupported", 1, "ChallengeReusable")


USAGE = [
    [],
    ["frobnicate"],
    ["enroll"],
    ["profile"],
    ["profile", "add"],
    ["profile", "add", "/nonexistent/file"],
    ["list", "superfluous"],
    ["show"],
    ["--no-such-option", "list"],
    ["enroll", "x", "--challenge-file", "/nonexistent/file"],
    ["profile", "add", "/etc/passwd", "--format", "toml"],
    ["renew", "x"],
    ["diagnose", "a", "b"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=[" ".join(row) or "nothing" for row in USAGE])
def test_usage(lab, arguments):
    done = lab.scepter(*arguments)
    assert done.returncode in (1, 2, 3), (done.returncode, done.stderr)
    assert done.stderr.startswith(("scepter: ", "Usage: ", "usage: ")), done.stderr
    assert "  " in done.stderr or "sage" in done.stderr


def test_missing_objects(lab):
    for arguments in (("show", "nothing"), ("enroll", "nothing"), ("remove", "nothing"), ("cancel", "nothing"),
                      ("key", "test", "nothing"), ("profile", "remove", "nothing"), ("show", "0" * 32)):
        expect(lab.scepter(*arguments, "--json"), "NotFound", 3)


def test_nothing_to_cancel(lab):
    lab.add("at-rest")
    assert lab.enroll("at-rest").returncode == 0
    expect(lab.scepter("cancel", "at-rest", "--json"), "NotFound", 3, "under way")


def test_no_service(lab):
    done = lab.scepter("list", "--json", env={"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={lab.dir}/nowhere"})
    expect(done, "NoService", 1, "system bus")
    lab.daemon("kill")
    expect(lab.scepter("list", "--json"), "NoService", 1, "scepterd")
    lab.daemon("restart")
    lab.serves()
    env = {"SCEPTER_KEYS": f"{lab.dir}/nowhere"}
    done = lab.run("openssl", "pkey", "-provider", "default", "-provider", "ksp", "-in", "ksp:x", "-pubout",
                   env={**labs.foreign_environment(), **env})
    assert done.returncode != 0 and "does not answer at" in done.stderr
