"""User-verified keys at the key socket: a PIN with each operation, counted where it is wrong, whoever gives it and whatever
becomes of the service meanwhile."""
import os

import pytest

import frames
import labs
import pins
from frames import CODE, DATA, DERIVE, DIGEST, HANDLE, KEY_ID, MESSAGE, PIN, SCHEME, SHA256, SIGN, VERIFY, WANTS_PIN
from pins import ALICE, BOB, RIGHT, WRONG

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other users")
ECDSA = 2


@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        pins.enroll(made, "alices", ALICE)
        pins.enroll(made, "bobs", BOB)
        pins.enroll(made, "bobs-plain", BOB, protection="software")
        yield made


@pytest.fixture(autouse=True)
def forgotten(lab):
    for name in ("alices", "bobs"):
        pins.forgotten(lab, name)
    lab.clock(0)


def connect(lab, user=None):
    return frames.Channel(lab.env["SCEPTER_KEYS"], user and pins.uid(user))


def signing(handle, pin=None):
    return {HANDLE: handle, SCHEME: ECDSA, DIGEST: SHA256, DATA: bytes(32), **({} if pin is None else {PIN: pin})}


def sign(channel, handle, pin=None):
    return channel.call(SIGN, signing(handle, pin))[DATA]


def refused(call, *arguments):
    with pytest.raises(frames.Refused) as why:
        call(*arguments)
    return why.value.code, why.value.text


def left(call, *arguments):
    """How many tries a wrong PIN leaves."""
    code, text = refused(call, *arguments)
    assert code == "TpmWrongAuth" and WRONG not in text, text
    return int(text.split(": ")[1].split()[0])


def verify(channel, handle, pin):
    return channel.call(VERIFY, {HANDLE: handle, PIN: pin})


def test_which_keys_want_one(lab):
    with connect(lab, BOB) as bob:
        for name, wants in (("bobs", True), ("bobs-plain", False)):
            handle, answer = bob.open(name)
            assert (WANTS_PIN in answer) == wants == (WANTS_PIN in bob.describe(answer[KEY_ID]))
            if not wants:
                assert refused(verify, bob, handle, RIGHT)[0] == "InvalidArgument"
                assert sign(bob, handle) and sign(bob, handle, RIGHT)


def test_each_use(lab):
    """Without one nothing is tried; a right one is good for one use."""
    with connect(lab, ALICE) as alice:
        handle, answer = alice.open("alices")
        for _ in range(2):
            assert refused(sign, alice, handle)[0] == "PinNeeded"
            assert sign(alice, handle, RIGHT)
        assert verify(alice, handle, RIGHT) == {}
        assert refused(sign, alice, handle)[0] == "PinNeeded"
        point = answer[frames.SPKI][-65:]  # X9.62
        assert refused(alice.call, DERIVE, {HANDLE: handle, DATA: point})[0] == "PinNeeded"
        assert len(alice.call(DERIVE, {HANDLE: handle, DATA: point, PIN: RIGHT})[DATA]) == 32
    assert not pins.tries(lab, "alices") and pins.counter(lab) == 0


@pytest.mark.parametrize("pin", ["", "123", "1" * 33, "1234\n", b"\0" * 4])
def test_what_is_none(lab, pin):
    """It is no request at all, and no try."""
    with connect(lab, ALICE) as alice:
        handle, _ = alice.open("alices")
        alice.send(frames.frame(SIGN, 1, signing(handle, pin)))
        assert refused(alice.receive)[0] == "ProtocolError" and alice.ended()
    assert not pins.tries(lab, "alices")


def test_wrong_ones(lab):
    with connect(lab, ALICE) as alice:
        handle, _ = alice.open("alices")
        assert [left(sign, alice, handle, WRONG), left(verify, alice, handle, WRONG)] == [4, 3]
        assert sign(alice, handle, RIGHT)
        assert [left(call, alice, handle, WRONG) for call in (verify, sign, verify, sign, sign)] == [4, 3, 2, 1, 0]
        for pin in (RIGHT, WRONG):
            for call in (sign, verify):
                assert refused(call, alice, handle, pin)[0] == "PinLocked"
        assert pins.counter(lab) == 7  # five, and the two that a right one ended here and not in the TPM
        lab.clock(24 * 3600 + 60)
        assert sign(alice, handle, RIGHT)


def test_others(lab):
    """Nobody else sees it; root is counted as its owner is, and has no more tries."""
    with connect(lab, ALICE) as alice, connect(lab, BOB) as bob, connect(lab) as root:
        handle, answer = alice.open("alices")
        assert refused(bob.open, "alices")[0] == refused(bob.open, answer[KEY_ID])[0] == "NotFound"
        assert refused(verify, bob, handle, WRONG)[0] == refused(sign, bob, handle, WRONG)[0] == "NotFound"
        assert refused(bob.describe, answer[KEY_ID])[0] == "NotFound"
        roots = root.open(answer[KEY_ID])[0]
        assert refused(sign, root, roots)[0] == "PinNeeded"
        assert [left(sign, *who, WRONG) for who in ((root, roots), (alice, handle), (root, roots))] == [4, 3, 2]
        assert pins.counter(lab) == 3


def test_restarts_and_kills(lab):
    """What was tried is on the disk before."""
    with connect(lab, ALICE) as alice:
        handle, _ = alice.open("alices")
        assert left(sign, alice, handle, WRONG) == 4
        with pins.stopped_tpm(lab):
            alice.send(frames.frame(SIGN, 7, signing(handle, WRONG)))
            lab.until(lambda: [path for path in pins.tries(lab, "alices") if path.read_text().startswith("1 2 ")])
            lab.daemon("kill")
    for what, expected in (("restart", 2), ("restart", 1)):
        lab.daemon(what)
        with connect(lab, ALICE) as alice:
            assert left(sign, alice, alice.open("alices")[0], WRONG) == expected
    with connect(lab, ALICE) as alice:
        assert sign(alice, alice.open("alices")[0], RIGHT)


def answers(channel, number):
    """The codes of so many, the name of the error or None."""
    codes = []
    for _ in range(number):
        try:
            channel.receive()
            codes.append(None)
        except frames.Refused as why:
            codes.append(why.code)
    return codes


def test_many_at_once(lab):
    """Eight of a user wait in line, what he asks besides is told so at once; others' keys go on, and his turn has everybody."""
    with connect(lab, ALICE) as one, connect(lab, ALICE) as two, connect(lab, BOB) as bob:
        handles = {channel: channel.open("alices")[0] for channel in (one, two)}
        bobs, plain = bob.open("bobs")[0], bob.open("bobs-plain")[0]
        with pins.stopped_tpm(lab):
            for channel in (one, two):
                channel.send(b"".join(frames.frame(SIGN, n, signing(handles[channel], WRONG)) for n in range(5)))
                if channel is one:
                    lab.until(lambda: pins.tries(lab, "alices"))
            assert answers(two, 2) == ["LimitExceeded"] * 2
            assert sign(bob, plain)
            bob.send(frames.frame(SIGN, 1, signing(bobs, RIGHT)))
        assert answers(bob, 1) == [None]
        assert sorted(answers(one, 5) + answers(two, 3)) == ["PinLocked"] * 3 + ["TpmWrongAuth"] * 5
    assert pins.counter(lab) == 5


def test_who_leaves_tries_no_more(lab):
    with connect(lab, ALICE) as alice:
        handle = alice.open("alices")[0]
        with pins.stopped_tpm(lab):
            with connect(lab, ALICE) as gone:
                theirs = gone.open("alices")[0]
                gone.send(b"".join(frames.frame(SIGN, n, signing(theirs, WRONG)) for n in range(4)))
                lab.until(lambda: pins.tries(lab, "alices"))
            alice.send(frames.frame(SIGN, 9, signing(handle, WRONG)))
        assert refused(alice.receive)[1].endswith("3 tries are left")


def test_not_in_the_journal_or_on_disk(lab):
    with connect(lab, ALICE) as alice:
        handle = alice.open("alices")[0]
        assert sign(alice, handle, RIGHT) and left(sign, alice, handle, WRONG) == 4
    held = [path for path in lab.state.rglob("*") if path.is_file() and
            any(pin.encode() in path.read_bytes() for pin in (RIGHT, WRONG))]
    assert not held and RIGHT not in lab.log() and WRONG not in lab.log()


@pytest.mark.skipif(labs.sanitized(), reason="AddressSanitizer maps more memory than can be looked through")
def test_gone_from_where_requests_are_read(lab):
    """Of a request that was answered nothing stays; of one that does not end, no longer than its connection does. (tpm2-tss
    leaves an authorisation value in a session that it freed; that is not looked for.)"""
    done, half = (frames.field(PIN, f"a PIN of {what}") for what in ("a request", "half of one"))
    with connect(lab, ALICE) as alice:
        handle = alice.open("alices")[0]
        assert left(sign, alice, handle, "a PIN of a request") == 4
        alice.send(frames.HEADER.pack(1, SIGN, 0, 3, 1000) + half)
        lab.until(lambda: half in memory(lab.daemon_pid()))
        assert done not in memory(lab.daemon_pid())
    lab.until(lambda: half not in memory(lab.daemon_pid()))


def memory(pid):
    found = []
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as octets:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            octets.seek(begin)
            try:
                found.append(octets.read(end - begin))
            except OSError:  # a guard page
                pass
    return b"".join(found)
