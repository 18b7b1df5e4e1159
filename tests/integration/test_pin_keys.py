"""User-verified keys in programs, by PKCS#11 and by OpenSSL: who asks for the PIN, what it is good for, and what a wrong one
does."""
import os
import re
import shutil

import pytest

import labs
import pins
from pins import ALICE, RIGHT, WRONG
from terminal import Program
from test_pkcs11 import readable, sane

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")
KEYS = {"pin-ec": "ec-p256", "pin-rsa": "rsa-2048"}
PLAIN = "plain"


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        for name, algorithm in KEYS.items():
            pins.enroll(made, name, ALICE, algorithm)
        pins.enroll(made, PLAIN, ALICE, protection="software")
        yield made


@pytest.fixture(autouse=True)
def forgotten(lab):
    for name in KEYS:
        pins.forgotten(lab, name)


def drive(lab, case, name):
    folder = readable(lab)
    certificate = lab.write(f"{name}.pem", (lab.certificate(name) / "current/cert.pem").read_bytes())
    done = lab.run(folder / "drive-pkcs11", folder / "scepter-pkcs11.so", case, f"Scepter uid {pins.uid(ALICE)}", name, certificate,
                   RIGHT, user=pins.uid(ALICE), env=sane())
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.parametrize("case", ["pin", "pin-fork"])
@pytest.mark.parametrize("name", KEYS)
def test_pkcs11(lab, case, name):
    drive(lab, case, name)
    assert not pins.tries(lab, name) and pins.counter(lab) == 0


@pytest.mark.parametrize("name", KEYS)
def test_pkcs11_wrong(lab, name):
    drive(lab, "pin-wrong", name)
    assert pins.counter(lab) == 9


def test_pkcs11_without(lab):
    drive(lab, "pin-none", PLAIN)
