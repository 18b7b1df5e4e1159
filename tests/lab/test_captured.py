"""Requests of six real clients: their outer layer is read, their signatures verify, and their envelopes, whose
keys nobody has, are refused as foreign and not as malformed."""
import os
import re

import pytest
from conftest import CAPTURED

from ndes import ber, ca, cms, messages


def requests():
    found = []
    for folder in sorted(os.listdir(CAPTURED)):
        path = os.path.join(CAPTURED, folder)
        if os.path.isdir(path):
            found += [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(".req.der")]
    return found


def fingerprints():
    """File: digest and message type, as the list beside the files has them."""
    with open(os.path.join(CAPTURED, "FINGERPRINTS.txt"), encoding="utf-8") as file:
        return {match[1]: (match[2], int(match[3])) for match in
                re.finditer(r"captured/(\S+\.req\.der): \S+ v=v1 dig=(\S+) .*?'type': '(\d+)'", file.read())}


@pytest.fixture(scope="module")
def stranger():
    key, name = ca.new_key(), ca.name(common_name="nobody")
    now = ca.datetime.datetime.now(ca.datetime.timezone.utc)
    return ca.Authority(key, ca.issue(key, name, name, ca.spki_of(key), [], now, now + ca.YEAR))


@pytest.mark.parametrize("path", requests(), ids=lambda path: "/".join(path.split("/")[-2:]))
def test_request(path, stranger):
    with open(path, "rb") as file:
        data = file.read()
    digest, kind = fingerprints()["/".join(path.split("/")[-2:])]
    outer = messages.open_outer(data)
    assert (outer.digest, outer.kind) == (digest, kind)
    assert len(outer.nonce) == 16 and outer.transaction
    with pytest.raises(cms.NotForUs):
        cms.open_enveloped(outer.envelope, stranger)
    with pytest.raises(messages.Undecodable) as refusal:
        messages.open_request(data, stranger)
    assert refusal.value.event == 18


@pytest.mark.parametrize("path", requests(), ids=lambda path: "/".join(path.split("/")[-2:]))
def test_damaged_request(path):
    """One bit of the content, of the signature, and the second half missing."""
    with open(path, "rb") as file:
        data = file.read()
    content = messages.open_outer(data).envelope
    for at in (data.index(content[200:230]), len(data) - 20):
        damaged = bytearray(data)
        damaged[at] ^= 1
        with pytest.raises(messages.Undecodable):
            messages.open_outer(bytes(damaged))
    with pytest.raises(messages.Undecodable):
        messages.open_outer(data[:len(data) // 2])


def test_there_are_enough():
    assert len(requests()) >= 15


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x80", b"\x00" * 100, b"\x30\x84\xff\xff\xff\xff",
                                  b"\x30\x03\x02\x01\x00", b"\xa0\x80\x00\x00", b"<html>"])
def test_no_message(data):
    with pytest.raises(messages.Undecodable) as refusal:
        messages.open_outer(data)
    assert refusal.value.event == 16


def test_forms_are_equal():
    """What the two writers write reads as the same."""
    payload = bytes(range(256)) * 20
    for form in (ber.Der, ber.Indefinite):
        node = ber.read(form.seq(ber.oid(cms.DATA), form.context(0, form.octet_string(payload)),
                                 form.context_octets(1, payload)))
        assert node[0].oid() == cms.DATA
        assert node[1][0].octets() == payload and node[2].octets() == payload
        assert ber.read(node[1].der()).context(0) is None
