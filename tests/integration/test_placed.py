"""Profiles that root places in profiles.d, and the sources of challenges that only those may name."""
import contextlib
import json
import os
import socket
import threading

import pytest

import labs
from test_renewal import set_clock


@pytest.fixture(scope="module")
def lab():
    with labs.lab("--no-tpm") as made:
        yield made


@pytest.fixture(autouse=True)
def healed(lab):
    yield
    lab.ndes("reset")
    for path in folder(lab).iterdir():
        path.unlink()


def folder(lab):
    return lab.dir / "lab/etc/profiles.d"


def place(lab, name, content=None, mode=0o644, file=None, **values):
    """As an administrator's tool does: written beside, then renamed."""
    path = folder(lab) / (file or f"{name}.profile")
    beside = path.with_suffix(".new")
    beside.write_text(lab.profile_text(name, **values) if content is None else content)
    beside.chmod(mode)
    beside.rename(path)
    return path


def secret(lab, name):
    path = folder(lab).parent / f"{name}.challenge"
    path.write_text(lab.challenge().read_text())
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 64811, 64811)
    return path


def shown(lab, name):
    done = lab.scepter("show", name, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def valid(lab, name, other_than=""):
    return lab.until(lambda: (one := shown(lab, name)) and one["activity"] == "idle" and one["health"] == "valid"
                     and one["thumbprint"] != other_than and one)


def profiles(lab):
    return {one["name"] for one in lab.json("profile", "list")["profiles"]}


def issued(lab):
    return int(lab.ndes("issued").strip().split()[-1])


def test_it_enrolls_by_itself(lab):
    """And once: neither a restart nor a touch makes another certificate."""
    path = place(lab, "wifi", challenge=f"file:{secret(lab, 'wifi')}")
    first = valid(lab, "wifi")
    before = issued(lab)
    lab.daemon("restart")
    path.touch()
    assert valid(lab, "wifi")["thumbprint"] == first["thumbprint"] and issued(lab) == before
    assert lab.json("profile", "show", "wifi")["challengeKind"] == "file"


def test_paths_beside_it(lab):
    """RootCertificate= relative to the directory; it is read there, by the service."""
    (folder(lab) / "root.pem").write_bytes(open(lab.root, "rb").read())
    place(lab, "beside", root="root.pem", challenge=f"file:{secret(lab, 'beside')}")
    valid(lab, "beside")


def test_edited(lab):
    """What shows in the certificate makes another one, anything else does not."""
    challenge = f"file:{secret(lab, 'edited')}"
    place(lab, "edited", challenge=challenge)
    first = valid(lab, "edited")
    place(lab, "edited", challenge=challenge, count=7)
    lab.until(lambda: lab.json("profile", "show", "edited")["retryCount"] == 7)
    assert shown(lab, "edited")["thumbprint"] == first["thumbprint"]
    secret(lab, "edited")
    place(lab, "edited", challenge=challenge, count=7, subject="CN=pc2,O=Contoso")
    assert valid(lab, "edited", first["thumbprint"])["subject"].startswith("CN=pc2")


def test_gone(lab):
    """The profile goes with its file, the certificate stays and belongs to none; while the service is down, too."""
    for name, down in (("gone", False), ("gone-down", True)):
        path = place(lab, name, challenge=f"file:{secret(lab, name)}")
        valid(lab, name)
        if down:
            lab.daemon("kill")
        path.unlink()
        if down:
            lab.daemon("restart")
        lab.until(lambda: name not in profiles(lab))
        assert shown(lab, name)["health"] == "valid"
        assert lab.scepter("key", "test", name).returncode == 0


def test_missing_for_a_moment(lab):
    """Whoever writes it anew, or takes it away and brings it back, finds certificate and key where they were."""
    path = place(lab, "moment", challenge=f"file:{secret(lab, 'moment')}")
    first = valid(lab, "moment")
    asked = len(lab.ndes("log", "4003").splitlines())
    for noticed in (False, True):
        path.rename(path.with_suffix(".away"))
        if noticed:
            lab.until(lambda: "moment" not in profiles(lab))
        path.with_suffix(".away").rename(path)
        again = lab.until(lambda: shown(lab, "moment") if "moment" in profiles(lab) and shown(lab, "moment")["profile"] else None)
        assert (again["id"], again["thumbprint"]) == (first["id"], first["thumbprint"])
    assert len(lab.ndes("log", "4003").splitlines()) == asked


def test_removed_by_its_file_alone(lab):
    place(lab, "kept")
    lab.until(lambda: "kept" in profiles(lab))
    done = lab.scepter("profile", "remove", "kept", "--json")
    error = json.loads(done.stdout)["error"]
    assert done.returncode != 0 and "kept.profile" in error["message"] and "file" in error["remedy"]


def test_ask_waits_for_somebody(lab):
    place(lab, "asks")
    lab.until(lambda: "asks" in profiles(lab))
    assert shown(lab, "asks") is None
    assert lab.enroll("asks").returncode == 0


WRONG = {
    "key": ({"content": "[Profile]\nName=w\nColour=red\n"}, "Line 3"),
    "value": ({"protection": "hardware"}, "Protection"),
    "empty": ({"content": ""}, "it is empty"),
    "writable": ({"mode": 0o666}, "lets others than its owner write it"),
    "root": ({"root": "nothing.pem"}, "RootCertificate=nothing.pem"),
    "reusable": ({"server": "ChallengeReusable=yes", "challenge": "file:/nothing"}, "ChallengeReusable"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_file_is_told_and_the_rest_is_served(lab, case):
    values, says = WRONG[case]
    start = len(lab.log())
    place(lab, f"wrong-{case}", **values)
    lab.until(lambda: says in lab.log()[start:])
    assert f"wrong-{case}" in lab.log()[start:]
    place(lab, f"right-{case}")
    lab.until(lambda: f"right-{case}" in profiles(lab))


def test_what_was_stays_while_the_file_is_wrong(lab):
    path = place(lab, "stays")
    lab.until(lambda: "stays" in profiles(lab))
    start = len(lab.log())
    place(lab, "stays", content="[Profile]\nName=\n")
    lab.until(lambda: "stays.profile" in lab.log()[start:])
    assert "stays" in profiles(lab)
    path.unlink()
    lab.until(lambda: "stays" not in profiles(lab))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_only_roots_files_count(lab):
    start = len(lab.log())
    path = folder(lab) / "foreign.profile"
    path.write_text(lab.profile_text("foreign"))
    os.chown(path, 64821, 64821)
    lab.until(lambda: "foreign.profile" in lab.log()[start:])
    assert "foreign" not in profiles(lab)
    (folder(lab) / "link.profile").symlink_to(lab.write("elsewhere", lab.profile_text("linked")))
    lab.until(lambda: "link.profile" in lab.log()[start:])
    assert "linked" not in profiles(lab)


def test_challenge_file_that_comes_later(lab):
    """It is read when it is needed: the enrollment is tried again by itself."""
    path = folder(lab).parent / "later.challenge"
    place(lab, "later", challenge=f"file:{path}")
    lab.until(lambda: (one := shown(lab, "later")) and one["activity"] == "failed" and one)
    assert str(path) in shown(lab, "later")["lastError"]["message"]
    secret(lab, "later")
    lab.clock("+20000")
    valid(lab, "later")


class Agent:
    """Listens at a socket and writes what answer(number) gives; remembers the names of those who connected."""

    def __init__(self, path, answer):
        self.path, self.answer, self.peers = path, answer, []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o666)
        self._listener.listen()
        self._held = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.peers.append(connection.getpeername())
            text = self.answer(len(self.peers))
            if text is None:  # it never answers
                self._held.append(connection)
                continue
            with contextlib.suppress(OSError):
                connection.sendall(text)
            connection.close()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._held:
            connection.close()
        self.path.unlink()


@contextlib.contextmanager
def agent(lab, answer):
    made = Agent(lab.files / "agent", answer)
    try:
        yield made
    finally:
        made.close()


def fresh(lab):
    return lambda number: lab.challenge().read_bytes() + b"\n"


def test_agent(lab):
    """It learns whose challenge is wanted, and renewals by challenge need nobody either."""
    lab.ndes("set", "lifetime", "2d")
    with agent(lab, fresh(lab)) as made:
        place(lab, "agent", challenge=f"socket:{made.path}", method="challenge")
        first = valid(lab, "agent")
        assert len(made.peers) == 1
        name = made.peers[0]
        assert name[:1] == b"\0" and name.decode().split("/", 1)[1] == f"scepter/{lab.certificate('agent').name}/agent"
        set_clock(lab, first["renewAt"] + 1)
        second = valid(lab, "agent", first["thumbprint"])
        assert len(made.peers) == 2 and second["notAfter"] > first["notAfter"]


@pytest.mark.parametrize("answer,says", [(b"", "gave none"), (b"\n\n", "gave none"), (b"x" * 70000, "more than")],
                         ids=["nothing", "line-ends", "too-much"])
def test_agent_that_fails(lab, answer, says):
    """Told, and asked again later."""
    name = f"bad-{len(answer)}"
    with agent(lab, lambda number: answer if number == 1 else fresh(lab)(number)) as made:
        place(lab, name, challenge=f"socket:{made.path}")
        one = lab.until(lambda: (one := shown(lab, name)) and one["lastError"]["name"] and one)
        assert says in one["lastError"]["message"] and str(made.path) in one["lastError"]["message"]
        lab.clock("+20000")
        valid(lab, name)


def test_no_agent_yet(lab):
    place(lab, "no-agent", challenge=f"socket:{lab.files}/agent")
    one = lab.until(lambda: (one := shown(lab, "no-agent")) and one["lastError"]["name"] and one)
    assert "cannot be reached" in one["lastError"]["message"]
    with agent(lab, fresh(lab)):
        lab.clock("+20000")
        valid(lab, "no-agent")


def test_silent_agent_is_cancelled(lab):
    """An agent that does not answer holds nothing up, and the request can be ended."""
    with agent(lab, lambda number: None) as made:
        place(lab, "silent", challenge=f"socket:{made.path}")
        lab.until(lambda: made.peers)
        lab.serves()
        assert shown(lab, "silent")["activity"] == "requesting"
        assert lab.scepter("cancel", "silent").returncode == 0
        lab.wait_for("silent", "idle")
        assert lab.enroll("silent").returncode == 0, "somebody has one after all"


def test_killed_while_the_agent_is_asked(lab):
    with agent(lab, lambda number: None if number == 1 else fresh(lab)(number)) as made:
        place(lab, "killed", challenge=f"socket:{made.path}")
        lab.until(lambda: made.peers)
        lab.daemon("kill")
        lab.daemon("restart")
        valid(lab, "killed")
        assert len(made.peers) == 2
