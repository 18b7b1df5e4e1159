"""Who may do what with whose key: three users and root, a device's key, one that a group may use, one's own and another's; each
first proven able to connect. What one may not use does not exist for him."""
import grp
import os
import pwd

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

import frames
import labs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other users")

GROUP = "games"
# Name, and the groups besides the primary one.
USERS = {"daemon": (), "bin": (grp.getgrnam(GROUP).gr_gid,), "mail": (grp.getgrnam("www-data").gr_gid,)}
MEMBER = "bin"
KEYS = ("device", "shared", "own", "other")
# What who may with which key; delete is D-Bus' Remove.
USE = {"list", "describe", "open", "open-by-id", "sign", "decrypt"}
MAY = {("daemon", "own"): USE | {"delete"}, ("bin", "own"): USE | {"delete"}, ("mail", "own"): USE | {"delete"},
       (MEMBER, "shared"): USE,
       **{("root", key): USE | {"delete"} for key in KEYS}}
ROWS = [*((user, key) for user in USERS for key in KEYS), *(("root", key) for key in KEYS if key != "own")]
ROOTS_OTHER = "sys"  # whose key root deletes


def uid(name):
    return pwd.getpwnam(name).pw_uid


def other(user):
    names = list(USERS)
    return names[(names.index(user) + 1) % len(names)] if user in names else ROOTS_OTHER


@pytest.fixture(scope="module")
def room():
    with labs.lab("--no-tpm") as lab:
        lab.add("device")
        lab.add("shared", algorithm=f"rsa-2048\nGroups={GROUP}")
        lab.add("personal", type="user", subject="CN={{UserName}},O=Contoso", san="")
        for name in ("device", "shared"):
            assert lab.enroll(name).returncode == 0
        for user in (*USERS, ROOTS_OTHER):
            done = lab.enroll("personal", "--for", user)
            assert done.returncode == 0, done.stderr
        lab.ids = {entry["id"]: lab.json("show", entry["id"]) for entry in lab.json("list")["certificates"]}
        yield lab


def connect(lab, user):
    if user == "root":
        return frames.Channel(lab.env["SCEPTER_KEYS"])
    return frames.Channel(lab.env["SCEPTER_KEYS"], uid(user), pwd.getpwnam(user).pw_gid, USERS[user])


def certificate(lab, user, key):
    """What 'scepter show' says of it."""
    owner = {"own": user, "other": other(user)}.get(key)
    return next(shown for shown in lab.ids.values()
                if (shown["owner"]["name"] == owner if owner else shown["name"] == key))


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


@pytest.mark.parametrize("user,key", ROWS)
def test_use(room, user, key):
    may, shown = MAY.get((user, key), set()), certificate(room, user, key)
    # Another user's by the certificate's id, as everybody's own has the same name.
    name = shown["id"] if key == "other" else shown["name"]
    with connect(room, user) as channel, connect(room, "root") as roots:
        assert (key_id(shown) in channel.list()) == ("list" in may)
        refusals = {"open": attempt(channel.open, name), "open-by-id": attempt(channel.open, key_id(shown)),
                    "describe": attempt(channel.describe, key_id(shown)), "chain": attempt(channel.describe, key_id(shown), 1)}
        assert (refusals.pop("chain") is None) == ("describe" in may)
        assert {what for what, refusal in refusals.items() if not refusal} == may & {"open", "open-by-id", "describe"}
        handle, answer = roots.open(shown["id"])
        public = load_der_public_key(answer[frames.SPKI])
        assert len(roots.sign(handle)) == 256  # the key itself works
        sealed = public.encrypt(b"for this key alone", padding.PKCS1v15())
        if "open" in may:
            handle, _ = channel.open(name)
        # Where it does not open: the number that another connection has it under is nobody else's.
        refusals = {"sign": attempt(channel.sign, handle), "decrypt": attempt(channel.decrypt, handle, sealed)}
        assert {what for what, refusal in refusals.items() if not refusal} == may & {"sign", "decrypt"}
        if "decrypt" in may:
            assert channel.decrypt(handle, sealed) == b"for this key alone"


@pytest.mark.parametrize("user,key", [row for row in ROWS if "open" not in MAY.get(row, set())])
def test_hidden_is_missing(room, user, key):
    """In the same words."""
    shown = certificate(room, user, key)
    absent = "0" * 32
    with connect(room, user) as channel:
        hidden, missing = attempt(channel.open, shown["id"]), attempt(channel.open, absent)
        assert (hidden.code, hidden.text.replace(shown["id"], absent)) == (missing.code, missing.text)
        for ask in (channel.open, channel.describe):
            hidden, missing = attempt(ask, key_id(shown)), attempt(ask, bytes(20))
            assert (hidden.code, hidden.text, hidden.remedy) == (missing.code, missing.text, missing.remedy)


@pytest.mark.parametrize("user", list(USERS))
def test_names_are_ones_own(room, user):
    """Four certificates have the name 'personal': each user's program gets its user's."""
    with connect(room, user) as channel:
        _, answer = channel.open("personal")
        assert answer[frames.KEY_ID] == key_id(certificate(room, user, "own"))


def call(lab, user, shown, method):
    return lab.run("busctl", "--system", "call", "org.scepter1", shown["path"], "org.scepter1.Certificate", method, "a{sv}",
                   "0", user=None if user == "root" else uid(user))


@pytest.mark.parametrize("method", ["Renew", "Cancel", "TestKey"])
@pytest.mark.parametrize("key", ["device", "shared"])
@pytest.mark.parametrize("user", list(USERS))
def test_use_is_no_more_than_use(room, user, key, method):
    """A group's member renews nothing, either."""
    done = call(room, user, certificate(room, user, key), method)
    assert done.returncode != 0 and "You may not do this" in done.stderr, done.stderr


def rank(row):
    return "delete" in MAY.get(row, set()), row[0] == "root"


@pytest.mark.parametrize("user,key", sorted(ROWS, key=rank))
def test_delete(room, user, key):
    """Who may not first, so that it is there; then each his own; then root."""
    shown = certificate(room, user, key)
    may = "delete" in MAY.get((user, key), set())
    there = {entry["id"] for entry in room.json("list")["certificates"]}
    assert shown["id"] in there
    done = call(room, user, shown, "Remove")
    assert (done.returncode == 0) == may, done.stderr
    left = {entry["id"] for entry in room.json("list")["certificates"]}
    assert left == there - ({shown["id"]} if may else set())
    with connect(room, "root") as channel:
        assert (attempt(channel.open, shown["id"]) is not None) == may
