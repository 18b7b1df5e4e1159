"""What the TPM says about a key: written down, checked by our program, and by hand with tpm2-tools and openssl, as scepter-attest(7)
has it."""
import base64
import hashlib
import json
import os
import shutil
import subprocess

import pytest

import labs
from terminal import Typed

PARTS = ("certificate", "public", "certifyInfo", "certifySignature", "attesterPublic", "creationData", "creationInfo",
         "creationSignature", "nonce")
PIN = "4711 right"


def made_by(maker, state):
    """A swtpm as it comes from its maker: with certificates of its endorsement keys."""
    for folder in (maker, state):
        folder.mkdir(parents=True)
    (maker / "options").write_text("--platform-manufacturer Lab\n--platform-version 1\n--platform-model Lab\n")
    (maker / "localca.conf").write_text(f"statedir = {maker}\nsigningkey = {maker}/key.pem\nissuercert = {maker}/maker.pem\n"
                                        f"certserial = {maker}/serial\n")
    (maker / "setup.conf").write_text("create_certs_tool = /usr/bin/swtpm_localca\n"
                                      f"create_certs_tool_config = {maker}/localca.conf\n"
                                      f"create_certs_tool_options = {maker}/options\n")
    done = subprocess.run(["swtpm_setup", "--tpm2", "--tpmstate", state, "--config", maker / "setup.conf", "--createek",
                           "--create-ek-cert"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def lab():
    for program in ("swtpm_setup", "swtpm_localca", "tpm2_print"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")

    def before(folder):
        made_by(folder.parent / "maker", folder / "tpm/state")
        (folder / "tpm").chmod(0o711)
    with labs.lab(before=before) as made:
        for name, algorithm in (("ec", "ec-p256"), ("rsa", "rsa-2048")):
            made.add(name, protection="tpm", algorithm=algorithm)
            assert made.enroll(name).returncode == 0
        yield made


def attest(lab, name, nonce="a nonce"):
    """The bundle, and where it lies."""
    path = lab.files / f"{name}.bundle"
    done = lab.scepter("attest", name, "--nonce", lab.write("nonce", nonce), "--output", path)
    assert done.returncode == 0 and str(path) in done.stdout, done.stderr
    return json.loads(path.read_text()), path


def verify(lab, bundle, *options, **run_options):
    path = bundle if not isinstance(bundle, dict) else lab.write("changed.bundle", json.dumps(bundle))
    done = lab.scepter("attest", "--verify", path, *options, "--json", **run_options)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["proved"] else 1)
    return report, {finding["check"]: finding["result"] for finding in report["findings"]}


def everything(lab, nonce="a nonce"):
    return ("--nonce", lab.write("nonce", nonce), "--ca", lab.root, "--ek-ca", lab.dir / "maker/maker.pem")


@pytest.mark.parametrize("name", ["ec", "rsa"])
def test_verify(lab, name):
    bundle, path = attest(lab, name)
    assert bundle["version"] == 1 and base64.b64decode(bundle["nonce"]) == b"a nonce" and len(bundle["endorsement"]) >= 1
    report, results = verify(lab, path)
    assert report["consistent"] and not report["proved"]  # nobody has said whose key has signed
    assert {check for check, result in results.items() if result == "open"} == {"nonce", "name", "authority", "endorsement",
                                                                                "same-tpm"}
    report, results = verify(lab, path, *everything(lab), "--attester", report["attester"])
    assert report["consistent"] and report["proved"]
    assert {check for check, result in results.items() if result == "open"} == {"same-tpm"}


def test_one_attester(lab):
    """All keys have the same, a restart and another nonce change nothing, and without its file there is another."""
    first, _ = attest(lab, "ec")
    lab.daemon("restart")
    for name, nonce in (("rsa", "a nonce"), ("ec", "another"), ("ec", "")):
        bundle, path = attest(lab, name, nonce)
        assert bundle["attesterPublic"] == first["attesterPublic"]
        assert verify(lab, path, *everything(lab, nonce))[0]["consistent"]
    (lab.state / "attestation/key.pem").unlink()
    bundle, path = attest(lab, "ec")
    assert bundle["attesterPublic"] != first["attesterPublic"]
    assert verify(lab, path)[0]["consistent"]
    file = lab.state / "attestation/key.pem"
    assert file.stat().st_mode & 0o777 == 0o600 and file.stat().st_uid == lab.state.stat().st_uid


WRONG = [
    ("nonce", lambda lab: ("--nonce", lab.write("nonce", "another"))),
    ("authority", lambda lab: ("--ca", lab.dir / "maker/maker.pem")),
    ("endorsement", lambda lab: ("--ek-ca", lab.root)),
    ("name", lambda lab: ("--attester", "000b" + "00" * 32)),
]


@pytest.mark.parametrize("check,options", WRONG, ids=[row[0] for row in WRONG])
def test_what_the_verifier_knows(lab, check, options):
    _, path = attest(lab, "ec")
    report, results = verify(lab, path, *options(lab))
    assert not report["consistent"] and results[check] == "failed"


def test_bundles_that_were_mixed(lab):
    """Each member of one that belongs to another key, in its place."""
    ours, _ = attest(lab, "ec")
    theirs, _ = attest(lab, "rsa")
    for member in PARTS:
        if ours[member] != theirs[member]:
            report, _ = verify(lab, {**ours, member: theirs[member]})
            assert not report["consistent"], member
    assert not verify(lab, {})[0]["consistent"]
    assert verify(lab, {**theirs})[0]["consistent"]


def test_pipes(lab):
    done = lab.scepter("attest", "ec", "--nonce", "-", input="piped")
    assert done.returncode == 0, done.stderr
    again = lab.scepter("attest", "--verify", "-", "--nonce", lab.write("nonce", "piped"), input=done.stdout)
    assert again.returncode == 1 and "proved  nonce" in again.stdout, again.stdout + again.stderr
    assert json.loads(lab.scepter("attest", "ec", "--json").stdout)["nonce"] == ""
    output = lab.files / "json.bundle"
    assert json.loads(lab.scepter("attest", "ec", "--output", output, "--json").stdout) == {"output": str(output)}


STATUS = [
    (["attest"], 2),
    (["attest", "nobody"], 3),
    (["attest", "ec", "--nonce", "/nonexistent"], 3),
    (["attest", "ec", "--nonce", "/usr/bin/openssl"], 2),
    (["attest", "ec", "--output", "/nonexistent/bundle"], 1),
    (["attest", "--verify"], 2),
    (["attest", "--verify", "/nonexistent"], 3),
    (["attest", "--verify", "/dev/null", "more"], 2),
    (["attest", "--verify", "/dev/null", "--ca", "/etc/hostname"], 2),
    (["attest", "--verify", "/dev/null", "--attester", "000b"], 2),
    (["attest", "--verify", "/dev/null"], 1),
    (["attest", "--verify", "/etc/passwd"], 1),
]


@pytest.mark.parametrize("words,status", STATUS, ids=[" ".join(row[0]) for row in STATUS])
def test_status(lab, words, status):
    done = lab.scepter(*words)
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr or "failed" in done.stdout


def test_an_error_as_json(lab):
    done = lab.scepter("attest", "--verify", "/dev/null", "--ca", "/etc/hostname", "--json")
    assert done.returncode == 2 and json.loads(done.stdout)["error"]["name"] == "InvalidArgument" and not done.stderr


def test_in_software(lab):
    lab.add("soft")
    assert lab.enroll("soft").returncode == 0
    done = lab.scepter("attest", "soft")
    assert done.returncode == 5 and "in software" in done.stderr and not done.stdout
    assert "Protection=tpm" in done.stderr


def test_with_a_pin(lab):
    lab.add("verified", protection="user-verified", type="user", algorithm="ec-p256")
    done = Typed(lab, "enroll", "verified", "--wait", "--challenge-file", lab.challenge(), lines=[PIN, PIN])
    assert done.status == 0, done.text
    path = lab.files / "verified.bundle"
    done = Typed(lab, "attest", "verified", "--output", path, lines=["4711 wrong"])
    assert done.status == 5 and "wrong" in done.text and "left" in done.text and not path.exists()
    done = Typed(lab, "attest", "verified", "--output", path, lines=[PIN])
    assert done.status == 0, done.text
    assert verify(lab, path)[0]["consistent"]


class Hand:
    """What scepter-attest(7) tells to do by hand, in a directory with the members in files of their own."""

    def __init__(self, lab, bundle, folder):
        self.env = {**os.environ, "TPM2TOOLS_TCTI": lab.env["LAB_TCTI"]}
        self.folder = folder
        for member in PARTS:
            (folder / member).write_bytes(base64.b64decode(bundle[member]))
        for number, certificate in enumerate(bundle["endorsement"]):
            (folder / f"endorsement.{number}").write_bytes(base64.b64decode(certificate))

    def __call__(self, command, check=True):
        done = subprocess.run(["sh", "-ec", command], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, command + "\n" + done.stdout + done.stderr
        return done.stdout if check else done.returncode


@pytest.mark.parametrize("name", ["ec", "rsa"])
def test_by_hand(lab, tmp_path, name):
    bundle, _ = attest(lab, name)
    hand = Hand(lab, bundle, tmp_path)
    hand("tpm2_print -t TPMT_PUBLIC -f pem public > public.pem")
    hand("tpm2_print -t TPMT_PUBLIC -f pem attesterPublic > attester.pem")
    assert hand("openssl x509 -inform DER -in certificate -noout -pubkey") == (tmp_path / "public.pem").read_text()
    assert "fixedtpm|fixedparent|sensitivedataorigin" in hand("tpm2_print -t TPMT_PUBLIC public")
    assert "restricted|sign" in hand("tpm2_print -t TPMT_PUBLIC attesterPublic")
    qualifying = hand("cat certificate nonce | sha256sum | cut -d' ' -f1").strip()
    for statement, kind in (("certify", "8017"), ("creation", "801a")):
        check = f"tpm2_checkquote -u attester.pem -g sha256 -m {statement}Info -s {statement}Signature -q "
        hand(check + qualifying)
        assert hand(check + "00" * 32, check=False) != 0
        printed = subprocess.run(["tpm2_print", "-t", "TPMS_ATTEST", f"{statement}Info"], cwd=tmp_path, capture_output=True,
                                 text=True, check=False).stdout
        assert "magic: ff544347" in printed and f"type: {kind}" in printed and f"extraData: {qualifying}" in printed
    # names: in the statement about the key that of the key, in the other that of the attestation key and the hash
    certify, creation = (tmp_path / "certifyInfo").read_bytes(), (tmp_path / "creationInfo").read_bytes()
    digest = {part: hashlib.sha256((tmp_path / part).read_bytes()).digest() for part in ("public", "attesterPublic", "creationData")}
    assert b"\0\x22\0\x0b" + digest["public"] in certify
    assert b"\0\x22\0\x0b" + digest["attesterPublic"] + b"\0\x20" + digest["creationData"] == creation[-70:]
    report, _ = verify(lab, bundle)
    assert report["attester"] == "000b" + digest["attesterPublic"].hex()


def test_a_challenge_by_hand(lab, tmp_path):
    """What shows that the attestation key is in the TPM of the endorsement certificate: only that TPM gives the secret back."""
    bundle, _ = attest(lab, "ec")
    name = verify(lab, bundle)[0]["attester"]
    hand = Hand(lab, bundle, tmp_path)
    shutil.copy(lab.state / "attestation/key.pem", tmp_path / "key.pem")
    # the verifier, who has the bundle alone
    hand("openssl x509 -inform DER -in endorsement.0 -noout -pubkey > ek.pem; printf secret > secret")
    for challenge, challenged in (("right", name), ("wrong", "000b" + "00" * 32)):
        hand(f"tpm2_makecredential -T none -G rsa -u ek.pem -s secret -n {challenged} -o {challenge}")
    # the machine, as root
    lab.daemon("kill")
    try:
        flush = "tpm2_flushcontext -t; tpm2_flushcontext -l; "
        hand(flush + "tpm2_createek -G rsa -c ek.ctx -u ek.pub")
        hand(flush + "tpm2_load -Q -r key.pem -c key.ctx")
        for challenge, status in (("right", 0), ("wrong", 1)):
            hand(flush + "tpm2_startauthsession -Q --policy-session -S session.ctx; tpm2_policysecret -Q -S session.ctx -c e")
            done = hand(f"tpm2_flushcontext -t; tpm2_activatecredential -Q -c key.ctx -C ek.ctx -i {challenge} -o {challenge}.out "
                        "-P session:session.ctx", check=False)
            assert (done != 0) == (status != 0)
        assert (tmp_path / "right.out").read_text() == "secret"
        hand(flush)
    finally:
        lab.daemon("restart")
