"""Who may do what with whose key: three users and root, a device's key, one that a group may use, one's own and another's; in
software and in the TPM, RSA and EC; each user first proven able to connect. What one may not use does not exist for him."""
import grp
import os
import pwd

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

import frames
import labs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other users")

GROUP = "games"
# Name, and the groups besides the primary one.
USERS = {"daemon": (), "bin": (grp.getgrnam(GROUP).gr_gid,), "mail": (grp.getgrnam("www-data").gr_gid,)}
MEMBER = "bin"
KEYS = ("device", "shared", "own", "other")
KINDS = ("software-rsa-2048", "tpm-rsa-2048", "software-ec-p256", "tpm-ec-p256")
# What who may with which key; delete is D-Bus' Remove, agree is DECRYPT of an RSA key and DERIVE of an EC one.
USE = {"list", "describe", "open", "open-by-id", "sign", "agree"}
MAY = {("daemon", "own"): USE | {"delete"}, ("bin", "own"): USE | {"delete"}, ("mail", "own"): USE | {"delete"},
       (MEMBER, "shared"): USE,
       **{("root", key): USE | {"delete"} for key in KEYS}}
ROWS = [(user, key, kind) for user in (*USERS, "root") for key in KEYS for kind in KINDS if (user, key) != ("root", "own")]
ROOTS_OTHER = "sys"  # whose key root deletes


def uid(name):
    return pwd.getpwnam(name).pw_uid


def other(user):
    names = list(USERS)
    return names[(names.index(user) + 1) % len(names)] if user in names else ROOTS_OTHER


@pytest.fixture(scope="module")
def room():
    with labs.lab() as lab:
        for kind in KINDS:
            protection, _, algorithm = kind.partition("-")
            lab.add(f"device-{kind}", protection=protection, algorithm=algorithm)
            lab.add(f"shared-{kind}", protection=protection, algorithm=f"{algorithm}\nGroups={GROUP}")
            lab.add(f"personal-{kind}", type="user", subject="CN={{UserName}},O=Contoso", san="", protection=protection,
                    algorithm=algorithm)
            for name in ("device", "shared"):
                done = lab.enroll(f"{name}-{kind}")
                assert done.returncode == 0, done.stderr
            for user in (*USERS, ROOTS_OTHER):
                done = lab.enroll(f"personal-{kind}", "--for", user)
                assert done.returncode == 0, done.stderr
        lab.ids = {entry["id"]: lab.json("show", entry["id"]) for entry in lab.json("list")["certificates"]}
        yield lab


def connect(lab, user):
    if user == "root":
        return frames.Channel(lab.env["SCEPTER_KEYS"])
    return frames.Channel(lab.env["SCEPTER_KEYS"], uid(user), pwd.getpwnam(user).pw_gid, USERS[user])


def certificate(lab, user, key, kind):
    """What 'scepter show' says of it."""
    owner = {"own": user, "other": other(user)}.get(key)
    name = f"personal-{kind}" if owner else f"{key}-{kind}"
    return next(shown for shown in lab.ids.values() if shown["name"] == name and owner in (None, shown["owner"]["name"]))


def key_id(shown):
    return bytes.fromhex(shown["uris"][1].split("id=")[1])


def attempt(call, *arguments):
    """None, or how it was refused."""
    try:
        call(*arguments)
        return None
    except frames.Refused as error:
        return error


@pytest.mark.parametrize("user", [*USERS, "root"])
def test_can_connect(room, user):
    """That nothing but the rights stands between him and a key: an answer comes, on the socket and on the bus."""
    with connect(room, user) as channel:
        assert attempt(channel.open, "nothing").code == "NotFound"
    assert room.run("busctl", "--system", "call", "org.scepter1", "/org/scepter1", "org.freedesktop.DBus.Peer", "Ping",
                    user=None if user == "root" else uid(user)).returncode == 0


def scheme(kind):
    return frames.PKCS1 if "rsa" in kind else frames.ECDSA


def verify(public, signature):
    digest = utils.Prehashed(hashes.SHA256())
    if isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, bytes(32), ec.ECDSA(digest))
    else:
        public.verify(signature, bytes(32), padding.PKCS1v15(), digest)


def agreement(public):
    """Something for the key alone, and what it makes of that."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        ours = ec.generate_private_key(public.curve)
        point = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return point, ours.exchange(ec.ECDH(), public)
    return public.encrypt(b"for this key alone", padding.PKCS1v15()), b"for this key alone"


@pytest.mark.parametrize("user,key,kind", ROWS)
def test_use(room, user, key, kind):
    may, shown = MAY.get((user, key), set()), certificate(room, user, key, kind)
    # Another user's by the certificate's id, as everybody's own has the same name.
    name = shown["id"] if key == "other" else shown["name"]
    with connect(room, user) as channel, connect(room, "root") as roots:
        agree = channel.decrypt if "rsa" in kind else channel.derive
        assert (key_id(shown) in channel.list()) == ("list" in may)
        refusals = {"open": attempt(channel.open, name), "open-by-id": attempt(channel.open, key_id(shown)),
                    "describe": attempt(channel.describe, key_id(shown)), "chain": attempt(channel.describe, key_id(shown), 1)}
        assert (refusals.pop("chain") is None) == ("describe" in may)
        assert {what for what, refusal in refusals.items() if not refusal} == may & {"open", "open-by-id", "describe"}
        handle, answer = roots.open(shown["id"])
        public = load_der_public_key(answer[frames.SPKI])
        verify(public, roots.sign(handle, scheme=scheme(kind)))  # the key itself works
        sent, agreed = agreement(public)
        if "open" in may:
            handle, _ = channel.open(name)
        # Where it does not open: the number that another connection has it under is nobody else's.
        refusals = {"sign": attempt(channel.sign, handle, bytes(32), scheme(kind)), "agree": attempt(agree, handle, sent)}
        assert {what for what, refusal in refusals.items() if not refusal} == may & {"sign", "agree"}
        assert {refusal.code for refusal in refusals.values() if refusal} <= {"NotFound"}
        if "agree" in may:
            verify(public, channel.sign(handle, scheme=scheme(kind)))
            assert agree(handle, sent) == agreed


@pytest.mark.parametrize("user,key,kind", [row for row in ROWS if "open" not in MAY.get(row[:2], set())])
def test_hidden_is_missing(room, user, key, kind):
    """In the same words."""
    shown = certificate(room, user, key, kind)
    absent = "0" * 32
    with connect(room, user) as channel:
        hidden, missing = attempt(channel.open, shown["id"]), attempt(channel.open, absent)
        assert (hidden.code, hidden.text.replace(shown["id"], absent)) == (missing.code, missing.text)
        for ask in (channel.open, channel.describe):
            hidden, missing = attempt(ask, key_id(shown)), attempt(ask, bytes(20))
            assert (hidden.code, hidden.text, hidden.remedy) == (missing.code, missing.text, missing.remedy)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", list(USERS))
def test_names_are_ones_own(room, user, kind):
    """Four certificates have the name: each user's program gets its user's."""
    with connect(room, user) as channel:
        _, answer = channel.open(f"personal-{kind}")
        assert answer[frames.KEY_ID] == key_id(certificate(room, user, "own", kind))


def call(lab, user, shown, method):
    return lab.run("busctl", "--system", "call", "org.scepter1", shown["path"], "org.scepter1.Certificate", method, "a{sv}",
                   "0", user=None if user == "root" else uid(user))


@pytest.mark.parametrize("method", ["Renew", "Cancel", "TestKey"])
@pytest.mark.parametrize("key", ["device", "shared"])
@pytest.mark.parametrize("user", list(USERS))
def test_use_is_no_more_than_use(room, user, key, method):
    """A group's member renews nothing, either."""
    done = call(room, user, certificate(room, user, key, "tpm-ec-p256"), method)
    assert done.returncode != 0 and "You may not do this" in done.stderr, done.stderr


def rank(row):
    return "delete" in MAY.get(row[:2], set()), row[0] == "root"


@pytest.mark.parametrize("user,key,kind", sorted(ROWS, key=rank))
def test_delete(room, user, key, kind):
    """Who may not first, so that it is there; then each his own; then root."""
    shown = certificate(room, user, key, kind)
    may = "delete" in MAY.get((user, key), set())
    there = {entry["id"] for entry in room.json("list")["certificates"]}
    assert shown["id"] in there
    done = call(room, user, shown, "Remove")
    assert (done.returncode == 0) == may, done.stderr
    left = {entry["id"] for entry in room.json("list")["certificates"]}
    assert left == there - ({shown["id"]} if may else set())
    with connect(room, "root") as channel:
        assert (attempt(channel.open, shown["id"]) is not None) == may
