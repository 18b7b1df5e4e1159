"""A name service that hangs, as sssd does behind a network that is down: whoever is waiting for it waits alone. Programs
use their keys, at the key socket and from its first moments on, and certificates are enrolled meanwhile."""
import contextlib
import os
import pwd
import socket
import subprocess
import threading

import pytest

import frames
import labs
import messages
from test_placed import folder, place, secret

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for accounts of the lab's own"),
              pytest.mark.skipif(labs.sanitized(), reason="a library cannot be loaded before AddressSanitizer's")]
USER, GROUP, GID = "daemon", "crew", 64950
# More than the service has threads for what is not its loop's.
ASKED = max(os.cpu_count(), 4) + 2


class NameService:
    """What name-source.c asks. It knows nobody, and hangs at what it is told to."""

    def __init__(self, path):
        self.changed, self.hanging, self.held = threading.Condition(), (), []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with connection.makefile() as file:
                    question = file.readline()
                with self.changed:
                    if question.startswith(self.hanging or "\n"):
                        self.held.append(connection)
                        self.changed.notify_all()
                    else:
                        connection.close()

    @contextlib.contextmanager
    def hang(self, *questions):
        """Those that begin so are not answered."""
        self.hanging = questions
        try:
            yield
        finally:
            self.answer()

    def wait(self, number):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.held) >= number, 60), f"{len(self.held)} came"

    def answer(self):
        with self.changed:
            self.hanging = ()
            while self.held:
                self.held.pop().close()

    def close(self):
        self.answer()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(scope="module")
def room():
    services = []

    def prepare(directory):
        services.append(NameService(directory.parent / "names.sock"))
        os.environ["LAB_NAME_SERVICE"] = str(directory.parent / "names.sock")
        (directory / "etc").mkdir(mode=0o755)
        (directory / "etc/nsswitch.conf").write_text("passwd: lab files\ngroup: lab files\n")

    os.environ["LAB_PRELOAD"] = str(labs.BUILD / "lib/name-source.so")
    try:
        with labs.lab("--no-tpm", before=prepare) as lab:
            lab.names = services[0]
            with open(lab.dir / "lab/etc/group", "a", encoding="utf-8") as groups:
                groups.write(f"{GROUP}:x:{GID}:\n")
            lab.add("device", algorithm="ec-p256")
            lab.add("personal", type="user", subject="CN={{UserName}}", san="", algorithm="ec-p256")
            lab.add("nameless", type="user", subject="CN=somebody", san="", algorithm="ec-p256")
            assert lab.enroll("device").returncode == 0
            assert lab.enroll("personal", "--for", USER).returncode == 0
            yield lab
            lab.names.answer()
    finally:
        del os.environ["LAB_PRELOAD"], os.environ["LAB_NAME_SERVICE"]
        for service in services:
            service.close()


def signs(lab, name, user=None, groups=()):
    uid = user and pwd.getpwnam(user).pw_uid
    with frames.Channel(lab.env["SCEPTER_KEYS"], uid, groups=groups) as channel:
        return bool(channel.sign(channel.open(name)[0], scheme=frames.ECDSA))


def serves(lab, name):
    """Keys are used, and a certificate is enrolled, which takes the pool, workers and the disk."""
    assert signs(lab, "device") and signs(lab, "personal", USER)
    lab.add(name, algorithm="ec-p256")
    done = lab.enroll(name)
    assert done.returncode == 0, done.stderr
    assert signs(lab, name)


def enroll(lab, number):
    return ("enroll", "personal", "--for", f"slow-{number}")


def resolve(lab, number):
    return ("profile", "show", "personal", "--resolve", "--user", f"slow-{number}")


def syncml(lab, number):
    m = messages.Message()
    m.get("./User/Vendor/MSFT/ClientCertificateInstall/SCEP/mail/Status")
    return ("syncml", "apply", lab.write(f"slow-{number}.syncml", m.text()), "--user", f"slow-{number}")


def add(lab, number):
    return ("profile", "add", lab.write(f"slow-{number}.profile", lab.profile_text(
        f"slow-{number}", algorithm=f"ec-p256\nGroups=slow-{number}")))


ASKS = {"enroll": (enroll, "login slow-"), "resolve": (resolve, "login slow-"), "syncml": (syncml, "login slow-"),
        "add": (add, "group slow-")}


@contextlib.contextmanager
def asking(lab, commands, *questions):
    """These commands, begun, with questions of theirs unanswered."""
    programs = []
    try:
        with lab.names.hang(*questions):
            for words in commands:
                programs.append(subprocess.Popen([str(word) for word in (labs.BUILD / "bin/scepter", *words)], env=lab.env,
                                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
            lab.names.wait(min(os.cpu_count(), 4))
            yield programs
    finally:
        for program in programs:
            program.kill()
            program.communicate()


@pytest.mark.parametrize("ask", ASKS)
def test_many_wait_for_names(room, ask):
    """More than there are threads; each is answered once the name service is, that there is nobody of the name."""
    command, question = ASKS[ask]
    with asking(room, [command(room, number) for number in range(ASKED)], question) as programs:
        serves(room, f"beside-{ask}")
        assert all(program.poll() is None for program in programs)
        room.names.answer()
        for number, program in enumerate(programs):
            _, errors = program.communicate(timeout=60)
            assert program.returncode and f"slow-{number}" in errors, errors


USERS = ("bin", "sys", "sync", "games", "man", "lp")  # they get one of the service's threads each, as long as it has some


@pytest.mark.parametrize("name", ["personal", "nameless"])
def test_many_wait_for_their_own_names(room, name):
    """With a variable of the user in the profile, for its value; without one, for the record."""
    with asking(room, [("enroll", name, "--for", user) for user in USERS],
                *(f"uid {pwd.getpwnam(user).pw_uid}\n" for user in USERS)) as programs:
        serves(room, f"beside-{name}")
        room.names.answer()
        for program in programs:
            program.communicate(timeout=60)
    for user in USERS:  # who was told that names do not answer comes again
        done = room.enroll(name, "--for", user)
        assert done.returncode == 0 and signs(room, name, user), done.stderr


def test_a_placed_profile_waits(room):
    """Its group is asked for; then it is as it says."""
    with room.names.hang(f"group {GROUP}\n"):
        place(room, "placed", challenge=f"file:{secret(room, 'placed')}", algorithm=f"ec-p256\nGroups={GROUP}")
        room.names.wait(1)
        serves(room, "beside-placed")
    room.until(lambda: usable(room, "placed"))


def usable(lab, name):
    with contextlib.suppress(frames.Refused):
        return signs(lab, name, USER, (GID,))
    return False


def test_from_the_first_moment(room):
    """The service starts while groups cannot be asked for: who needs none is let in all the same, a member later."""
    room.until(lambda: usable(room, "placed"))
    with room.names.hang(f"group {GROUP}\n"):
        room.daemon("restart")
        room.names.wait(1)
        serves(room, "beside-start")
        assert "are still being looked up; until then members of groups may use no key" in room.log()
        assert not usable(room, "placed")
    room.until(lambda: usable(room, "placed"))
    (folder(room) / "placed.profile").unlink()
