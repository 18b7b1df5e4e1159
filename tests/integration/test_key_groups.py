"""Groups= of a device's profile: whose members use the key beside root, as the profile stands now."""
import grp
import json
import os
import subprocess

import pytest

import frames
import labs
from test_placed import folder, place, secret, shown, valid

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as members of groups")

SOMEBODY = 64901  # no account: a peer is what the kernel says of it
GAMES, MAIL = (grp.getgrnam(name).gr_gid for name in ("games", "mail"))


@pytest.fixture(scope="module")
def lab():
    with labs.lab("--no-tpm") as made:
        yield made


@pytest.fixture(autouse=True)
def emptied(lab):
    yield
    for path in folder(lab).iterdir():
        path.unlink()


def member(lab, *groups, gid=SOMEBODY):
    return frames.Channel(lab.env["SCEPTER_KEYS"], SOMEBODY, gid, groups)


def usable(lab, name, *groups, **options):
    with member(lab, *groups, **options) as channel:
        try:
            handle, _ = channel.open(name)
            return bool(channel.sign(handle))
        except frames.Refused as error:
            assert error.code == "NotFound"
            return False


def placed(lab, name, groups="games", **values):
    """A profile of profiles.d, its certificate installed."""
    place(lab, name, challenge=f"file:{secret(lab, name)}", **keyed(groups), **values)
    return valid(lab, name)


def keyed(groups):
    return {"algorithm": "rsa-2048" + (f"\nGroups={groups}" if groups else "")}


def edit(lab, name, groups, **values):
    before = len(lab.log())
    place(lab, name, challenge=f"file:{folder(lab).parent}/{name}.challenge", **keyed(groups), **values)
    return before


def test_member(lab):
    """By a primary or a supplementary group, and by no other."""
    entry = placed(lab, "web", "games mail")
    assert entry["groups"] == ["games", "mail"]
    assert "games mail" in lab.scepter("show", "web").stdout
    assert lab.json("profile", "show", "web")["groups"] == ["games", "mail"]
    lab.until(lambda: usable(lab, "web", GAMES))
    assert usable(lab, "web", 1, 2, MAIL) and usable(lab, "web", gid=GAMES)
    assert not usable(lab, "web", 1, 2) and not usable(lab, "web")
    lab.add("root-alone")
    assert lab.enroll("root-alone").returncode == 0 and shown(lab, "root-alone")["groups"] == []
    assert not usable(lab, "root-alone", GAMES, MAIL, 0)


def test_program(lab):
    """As nginx does it: ksp.so in a process of a user who is in the group."""
    placed(lab, "nginx")
    lab.until(lambda: usable(lab, "nginx", GAMES))
    data = lab.write("data", "x")
    for groups, works in ((f"--groups={GAMES}", True), ("--clear-groups", False)):
        done = subprocess.run(["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", groups, "openssl", "dgst", "-provider",
                               "default", "-provider", "ksp", "-sha256", "-sign", "ksp:nginx", "-out", "/dev/null", data],
                              env={**lab.env, **lab.users_environment(), **labs.foreign_environment()}, capture_output=True,
                              text=True, timeout=60)
        assert (done.returncode == 0) == works, done.stderr


def test_edited(lab):
    """Another Groups= counts for keys that are open, too, and makes no other certificate."""
    thumbprint = placed(lab, "edited")["thumbprint"]
    lab.until(lambda: usable(lab, "edited", GAMES))
    with member(lab, GAMES) as games, member(lab, MAIL) as mail, frames.Channel(lab.env["SCEPTER_KEYS"]) as root:
        handle, answer = games.open("edited")
        roots, _ = root.open("edited")
        assert games.sign(handle) and answer[frames.KEY_ID] in games.list()
        edit(lab, "edited", "mail")
        lab.until(lambda: shown(lab, "edited")["groups"] == ["mail"])
        with pytest.raises(frames.Refused) as refused:  # the connection and the handle are as they were
            games.sign(handle)
        assert refused.value.code == "NotFound" and answer[frames.KEY_ID] not in games.list()
        lab.until(lambda: usable(lab, "edited", MAIL))
        handle_of_mail, _ = mail.open("edited")
        assert mail.sign(handle_of_mail) and root.sign(roots)
        edit(lab, "edited", "games")
        lab.until(lambda: usable(lab, "edited", GAMES))
        assert games.sign(handle)  # it has the right again
        with pytest.raises(frames.Refused):
            mail.sign(handle_of_mail)
        edit(lab, "edited", "")
        lab.until(lambda: shown(lab, "edited")["groups"] == [])
        with pytest.raises(frames.Refused):
            games.sign(handle)
    lab.until(lambda: shown(lab, "edited")["activity"] == "idle")
    assert shown(lab, "edited")["thumbprint"] == thumbprint


def test_somebody_has_to_come(lab):
    """A profile that waits for a challenge by hand is never enrolled by itself; its groups count all the same."""
    place(lab, "asks", **keyed("games"))
    lab.until(lambda: "asks" in {one["name"] for one in lab.json("profile", "list")["profiles"]})
    assert lab.enroll("asks").returncode == 0
    lab.until(lambda: usable(lab, "asks", GAMES))
    place(lab, "asks", **keyed("mail"))
    lab.until(lambda: usable(lab, "asks", MAIL))
    assert not usable(lab, "asks", GAMES)


def test_removed(lab):
    """A certificate that outlives its profile is root's; one that is removed is nobody's, in an open handle neither."""
    placed(lab, "left")
    lab.until(lambda: usable(lab, "left", GAMES))
    with member(lab, GAMES) as games, frames.Channel(lab.env["SCEPTER_KEYS"]) as root:
        handle, _ = games.open("left")
        roots, _ = root.open("left")
        (folder(lab) / "left.profile").unlink()
        lab.until(lambda: "left" not in {one["name"] for one in lab.json("profile", "list")["profiles"]})
        with pytest.raises(frames.Refused):
            games.sign(handle)
        assert shown(lab, "left")["groups"] == [] and root.sign(roots)
        assert lab.scepter("remove", "left").returncode == 0
        with pytest.raises(frames.Refused) as refused:
            root.sign(roots)
        assert refused.value.code == "NotFound"


def test_group_that_is_gone(lab):
    """Its number may be another group's by then. Found at the start; that it is found at once, test_activation shows."""
    accounts = lab.dir / "lab/etc/group"
    before = accounts.read_text()
    accounts.write_text(before + "crew:x:64950:\n")
    try:
        placed(lab, "crews", "crew games")
        lab.until(lambda: usable(lab, "crews", 64950))
        lab.daemon("restart")
        assert usable(lab, "crews", 64950)  # from the first moment: who comes is let in when groups are known
        accounts.write_text(before)
        lab.daemon("restart")
        assert not usable(lab, "crews", 64950) and usable(lab, "crews", GAMES)
        assert "group 'crew', which a profile names in Groups=, does not exist" in lab.log()
    finally:
        accounts.write_text(before)


REFUSED = {
    "missing": ({"algorithm": "rsa-2048\nGroups=games no-such-group"}, "no-such-group", "groupadd --system no-such-group"),
    "nine": ({"algorithm": "rsa-2048\nGroups=games mail bin sys adm tty disk lp news"}, "more than 8 groups", ""),
    "user": ({"algorithm": "rsa-2048\nGroups=games", "type": "user"}, "device profiles", ""),
    "number": ({"algorithm": "rsa-2048\nGroups=60"}, "'60'", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(lab, case):
    values, word, remedy = REFUSED[case]
    done = lab.scepter("profile", "add", lab.write("wrong.profile", lab.profile_text(f"wrong-{case}", **values)), "--json")
    error = json.loads(done.stdout)["error"]
    assert error["name"] == "InvalidProfile" and word in error["message"] and error["remedy"] and remedy in error["remedy"]
    assert f"wrong-{case}" not in {one["name"] for one in lab.json("profile", "list")["profiles"]}


def test_refused_in_a_file(lab):
    """What the profile was before stays, its groups among it."""
    placed(lab, "stays")
    lab.until(lambda: usable(lab, "stays", GAMES))
    before = edit(lab, "stays", "no-such-group")
    lab.until(lambda: "Profile file stays.profile: Key.Groups: there is no group 'no-such-group'" in lab.log()[before:])
    assert shown(lab, "stays")["groups"] == ["games"] and usable(lab, "stays", GAMES)
