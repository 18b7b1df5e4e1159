"""Renewals of EC certificates: signed by the old one, or with a challenge by the way that the server takes."""
import pytest

from test_ec import heal, is_ours, lab, ndes, record, switch  # noqa: F401, two are fixtures
from test_renewal import another, events, ready, requests, set_clock, until


@pytest.mark.parametrize("protection", ["tpm", "software"])
@pytest.mark.parametrize("switches,types,way", [
    ("", [17], "renewal"),
    ("renewal type-19, kari-kdf sha1, kari-wrap aes256", [17, 19], "signed-pkcsreq"),
    ("pending 2, encoding ber, kari-kdf sha384", [17, 20, 20], "renewal"),
])
def test_renewal_by_the_old_ec_key(lab, ndes, protection, switches, types, way):  # noqa: F811
    """Signed, polled and opened with the key of the certificate that is renewed."""
    name = f"r-{protection}-{len(types)}"
    first = ready(lab, name, algorithm="ec-p256", protection=protection)
    switch(lab, "ec-reply kari, " + switches)
    second = come_polled(lab, name, first)
    assert requests(lab, name)[1:] == types
    is_ours(lab, name, second, protection=protection)
    assert record(lab, name)["renewed_by"] == way
    keys = [(lab.certificate(name) / f"generations/{n}/key.pem").read_text() for n in (1, 2)]
    assert keys[0] != keys[1]


def come_polled(lab, name, before):
    """As come(), with the clock following each poll."""
    set_clock(lab, before["renewAt"] + 1)
    for _ in range(4):
        shown = until(lab, name, lambda shown: shown["activity"] == "pending" or another(before)(shown))
        if another(before)(shown):
            break
        left = record(lab, name)
        if left["next_poll"]:  # or else it has come meanwhile
            set_clock(lab, left["next_poll"] + 1)
        until(lab, name, lambda shown: record(lab, name)["polls"] != left["polls"] or another(before)(shown))
    assert another(before)(shown)
    return shown


def test_the_way_that_worked(lab, ndes):  # noqa: F811
    """The next challenge goes by it at once; and by the other one, should the server have changed its mind."""
    switch(lab, "foreign-signer refuse, ec-reply kari")
    first = ready(lab, "learns", algorithm="ec-p256", method="challenge")
    assert requests(lab, "learns") == [19, 19] and record(lab, "learns")["direct"]
    set_clock(lab, first["renewAt"] + 1)
    lab.wait_for("learns", "needs-challenge")
    assert lab.enroll("learns").returncode == 0
    assert requests(lab, "learns") == [19, 19, 19] and record(lab, "learns")["direct"]
    heal(lab)  # no signature by an EC key is taken any more
    second = lab.json("show", "learns")
    set_clock(lab, second["renewAt"] + 1)
    lab.wait_for("learns", "needs-challenge")
    assert lab.enroll("learns").returncode == 0
    assert requests(lab, "learns") == [19] * 5 and not record(lab, "learns")["direct"]
    assert [event["method"] for event in events(lab, "learns", "RENEW_REFUSED")] == ["challenge", "challenge-direct"]


@pytest.mark.parametrize("how", ["refuse", "http-500"])
def test_renewal_falls_to_a_challenge(lab, ndes, how):  # noqa: F811
    """A server that takes no EC signature: both signed ways are tried, then the challenge, and the RSA transport key."""
    name = f"falls-{how}"
    first = ready(lab, name, algorithm="ec-p256")
    ndes("set", "ec-reply", how)
    set_clock(lab, first["renewAt"] + 1)
    lab.wait_for(name, "needs-challenge")
    assert requests(lab, name) == [19, 17, 19]
    assert lab.enroll(name).returncode == 0
    is_ours(lab, name, lab.json("show", name))
