"""A profile goes in, a certificate comes out: every protection and algorithm of this version, each way of the server."""
import json
import os
import stat
import subprocess

import pytest

import labs

KEYS = [
    # protection, algorithm, where the key is
    ("tpm", "rsa-2048", "tpm"),
    ("tpm", "rsa-3072", "tpm"),
    ("tpm", "ec-p256", "tpm"),
    ("tpm-preferred", "rsa-2048", "tpm"),
    ("tpm-preferred", "rsa-4096", "software"),
    ("software", "rsa-2048", "software"),
    ("software", "ec-p256", "software"),
]


def modes(path):
    return {item.name: stat.S_IMODE(item.lstat().st_mode) for item in path.iterdir() if not item.is_symlink()}


def check_installed(lab, name, place):
    home = lab.certificate(name)
    current = home / "current"
    chain = lab.openssl("verify", "-CAfile", lab.root, "-untrusted", current / "chain.pem", current / "cert.pem")
    assert chain.returncode == 0, chain.stderr
    assert os.readlink(current) == "generations/1"
    # The secrets of the request are gone, what stays has the modes of design.md §6.
    assert modes(current.resolve()) == {"key.pem": 0o600, "cert.pem": 0o644, "chain.pem": 0o644}
    assert modes(home) == {"record.json": 0o600, "events.jsonl": 0o600, "anchor.pem": 0o644, "generations": 0o711}
    first = (current / "key.pem").read_text().splitlines()[0]
    assert first == ("-----BEGIN TSS2 PRIVATE KEY-----" if place == "tpm" else "-----BEGIN ENCRYPTED PRIVATE KEY-----")


@pytest.mark.parametrize("protection,algorithm,place", KEYS)
def test_key(lab, protection, algorithm, place):
    name = f"{protection}-{algorithm}"
    lab.add(name, protection=protection, algorithm=algorithm)
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    shown = lab.json("show", name)
    assert shown["health"] == "valid" and shown["activity"] == "idle" and shown["status"] == 1
    assert shown["keyProtection"] == place and shown["keyAlgorithm"] == algorithm
    attributes = {"fixedTPM", "fixedParent", "sensitiveDataOrigin"}
    assert attributes <= set(shown["keyAttributes"]) if place == "tpm" else shown["keyAttributes"] == []
    if protection == "tpm-preferred" and place == "software":
        assert "cannot make rsa-4096" in shown["keyProtectionReason"]
    check_installed(lab, name, place)
    test = lab.json("key", "test", name)
    assert test["protection"] == place


def test_certificate_is_what_the_profile_says(lab):
    lab.add("exact", subject="CN={{DeviceName}}x,OU=Mobile+L=Redmond,O=\"Finance, Group\"",
            san="AlternativeName=email:a@b.example\nAlternativeName=upn:jane@corp.example\n"
                "AlternativeName=uri:tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-4\nAlternativeName=dns:pc.example\n"
                "AlternativeName=ip:192.0.2.1\nAlternativeName=ip:2001:db8::1\nAlternativeName=rid:1.2.3.4\n"
                "AlternativeName=dirname:CN={{DeviceName}},O=b\nAlternativeName=other:1.2.3.4:text\n"
                "AlternativeName=guid:{00112233-4455-6677-8899-aabbccddeeff}")
    assert lab.enroll("exact").returncode == 0
    text = lab.openssl("x509", "-in", lab.certificate("exact") / "current/cert.pem", "-noout", "-text",
                       "-nameopt", "sep_multiline,esc_msb").stdout.replace("::", ":")  # as OpenSSL 3.0 has it before othernames
    host = os.uname().nodename.split(".")[0]
    assert f"CN={host}x" in text and "O=Finance, Group" in text
    assert lab.json("show", "exact")["subject"] == f"CN={host}x,OU=Mobile+L=Redmond,O=Finance\\, Group"
    for wanted in ("email:a@b.example", "UPN:jane@corp.example", "URI:tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-4",
                   "DNS:pc.example", "IP Address:192.0.2.1", "IP Address:2001:DB8:0:0:0:0:0:1", "Registered ID:1.2.3.4",
                   f"DirName:/CN={host}/O=b", "othername: 1.2.3.4:text", "Digital Signature, Key Encipherment", "TLS Web Client Authentication"):
        assert wanted in text, wanted


@pytest.mark.parametrize("name,template", [("by-name", "WLAN-Ger\u00e4te"), ("by-oid", "1.3.6.1.4.1.311.21.8.1.2"), ("none", None)])
def test_template_is_asked_for(lab, name, template):
    lab.add(f"template-{name}", subject=f"CN=template-{name}", san=f"TemplateName={template}" if template else "")
    assert lab.enroll(f"template-{name}").returncode == 0
    issued = [json.loads(line) for line in lab.ndes("log", "4006").splitlines()]
    assert [event.get("templateAsked") for event in issued if f"template-{name}" in event["subject"]] == [template]


SERVERS = [
    ("ndes", [], "3DES, SHA-256, POST"),
    ("modern", [("caps", "modern"), ("reply-shape", "rfc")], "AES-128, SHA-256, POST"),
    ("standard-alone", [("caps", "standard"), ("reply-shape", "rfc")], "AES-128, SHA-256, POST"),
    ("get-only", [("get-only", "on")], "3DES, SHA-256, GET"),
    ("one-tier", [("single-tier", "on")], "3DES, SHA-256, POST"),
    ("one-ra", [("ra", "one")], "3DES, SHA-256, POST"),
    ("no-ra", [("ra", "none")], "3DES, SHA-256, POST"),
    ("root-included", [("root-included", "on")], "3DES, SHA-256, POST"),
    ("ber", [("encoding", "ber")], "3DES, SHA-256, POST"),
    ("full-signature-oid", [("signature", "full")], "3DES, SHA-256, POST"),
    ("oaep", [("transport", "oaep")], "3DES, SHA-256, POST"),
    ("ca-first", [("order", "ca-first")], "3DES, SHA-256, POST"),
    ("no-content-type", [("content-type", "none")], "3DES, SHA-256, POST"),
]


@pytest.mark.parametrize("name,switches,exchange", SERVERS, ids=[row[0] for row in SERVERS])
def test_server(lab, ndes, name, switches, exchange):
    for switch in switches:
        ndes("set", *switch)
    lab.add(f"at-{name}", algorithm="rsa-2048")
    done = lab.enroll(f"at-{name}")
    assert done.returncode == 0, done.stderr
    events = lab.json("events", f"at-{name}")["events"]
    assert [event["exchange"] for event in events if event["event"] == "REQUEST_GENERATED"] == [exchange]
    assert lab.json("show", f"at-{name}")["health"] == "valid"


def test_repeated_request_is_the_running_one(lab, ndes):
    lab.add("twice")
    ndes("set", "delay", "1s")
    challenge = lab.challenge()
    first = subprocess.Popen([labs.BUILD / "bin/scepter", "enroll", "twice", "--wait", "--challenge-file", challenge],
                             env=lab.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while lab.scepter("show", "twice").returncode:
        assert first.poll() is None
    second = lab.scepter("enroll", "twice", "--challenge-file", challenge)
    assert second.returncode == 0, second.stderr
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert len([entry for entry in lab.json("list")["certificates"] if entry["name"] == "twice"]) == 1


def test_removal_leaves_nothing(lab):
    lab.add("gone")
    assert lab.enroll("gone").returncode == 0
    home = lab.certificate("gone")
    assert lab.scepter("remove", "gone").returncode == 0
    assert not home.exists()
    assert lab.scepter("show", "gone").returncode == 3
    assert lab.scepter("profile", "remove", "gone").returncode == 0
    assert lab.scepter("profile", "show", "gone").returncode == 3


def test_profile_removal_orphans_or_takes_along(lab):
    for name, option in (("stays", []), ("goes", ["--with-certificates"])):
        lab.add(name)
        assert lab.enroll(name).returncode == 0
        assert lab.scepter("profile", "remove", name, *option).returncode == 0
    assert lab.json("show", "stays")["profile"] in ("/", "", None)
    assert lab.scepter("show", "goes").returncode == 3
