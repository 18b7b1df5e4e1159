"""Agents: a user's programs that are asked for the PINs of his keys, when a renewal is due or root enrolls for him."""
import contextlib
import itertools
import os
import pwd
import signal

import dbus
import dbus.bus
import pytest

import labs
import messages
from agent import PATH, Agent, agent, memfd
from terminal import Console, Typed
from test_pin import patient, tpm2  # noqa: F401: a fixture of each test
from test_placed import place, profiles, secret
from test_renewal import set_clock

RIGHT, WRONG = "4711 right", "4711 wrong"
CANCELLED, FAILED = "org.scepter1.Error.Cancelled", "org.example.Error.Failed"
WHO = "daemon"  # an account that every Debian has

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as another user")
numbers = itertools.count(1)


def enroll(lab, name, **values):
    lab.add(name, protection="user-verified", type="user", algorithm="ec-p256", method="challenge", **values)
    done = Typed(lab, "enroll", name, "--wait", "--challenge-file", lab.challenge(), lines=[RIGHT, RIGHT])
    assert done.status == 0, done.text
    return lab.json("show", name)


@pytest.fixture
def wait(lab):
    """Certificates whose renewal waits for the PIN, while nobody is there who could be asked: wait(how many)."""
    made = []

    def wait(count=1):
        shown = [enroll(lab, f"wait-{next(numbers)}") for _ in range(count)]
        made.extend(one["name"] for one in shown)
        for one in sorted(shown, key=lambda one: one["renewAt"]):
            set_clock(lab, one["renewAt"] + 1)
            lab.wait_for(one["name"], "waiting-for-user")
        return made[-count:]
    yield wait
    lab.clock(0)
    for name in made:
        lab.scepter("remove", name)


def goes_on(lab, name):
    """The PIN was right: what is missing now is the challenge."""
    assert lab.wait_for(name, "needs-challenge")["attempts"]


def still_waits(lab, name):
    assert lab.json("show", name)["activity"] == "waiting-for-user"


def test_a_certificate_that_waits(lab, wait):
    name, = wait()
    with agent(lab) as one:
        question = one.asked(name=name, reason="renewal", tries_left=5, minimum=4, maximum=32)
        assert question["certificate"] == lab.json("show", name)["path"]
        still_waits(lab, name)
        one.tell(pin=RIGHT)
        goes_on(lab, name)
        assert one.silent()


def test_a_whole_renewal(lab):
    """With a challenge that is there whenever it is needed, nobody but the agent is asked for anything."""
    name = "whole"
    path = place(lab, name, type="user", protection="user-verified", algorithm="ec-p256", method="challenge",
                 challenge=f"file:{secret(lab, name)}")
    lab.until(lambda: name in profiles(lab))
    assert Typed(lab, "enroll", name, "--wait", lines=[RIGHT, RIGHT]).status == 0
    first = lab.json("show", name)
    secret(lab, name)
    with agent(lab) as one:
        set_clock(lab, first["renewAt"] + 1)
        one.asked(name=name, reason="renewal")
        one.tell(pin=RIGHT)
        shown = lab.until(lambda: (now := lab.json("show", name)) and now["thumbprint"] != first["thumbprint"] and now)
        assert shown["activity"] == "idle" and shown["keyProtection"] == "user-verified"
        assert Typed(lab, "key", "test", name, lines=[RIGHT]).status == 0
        assert one.silent()
    lab.clock(0)
    path.unlink()
    assert lab.scepter("remove", name).returncode == 0


def test_wrong_ones_until_none_is_taken(lab, wait):
    name, = wait()
    with agent(lab) as one:
        one.asked(reason="renewal", tries_left=5)
        for left in (4, 3, 2, 1):
            one.tell(pin=WRONG)
            one.asked(name=name, reason="wrong", tries_left=left)
        one.tell(pin=WRONG)
        lab.until(lambda: "0 tries" in lab.json("show", name)["lastError"]["message"])
        lab.wait_for(name, "waiting-for-user")
        assert one.silent()
    with agent(lab) as another:
        assert another.silent()  # none would be tried
    assert Typed(lab, "key", "test", name, lines=[RIGHT]).status == 5


def test_the_last_one_before_the_tpm_would_lock_is_told(lab, wait):
    name, = wait()
    tpm2(lab, "tpm2_dictionarylockout", "--setup-parameters", "--max-tries=3", "--recovery-time=600",
         "--lockout-recovery-time=600")
    with agent(lab) as one:
        one.asked(name=name)
        one.tell(pin=WRONG)
        one.asked(reason="wrong", tries_left=1)
        one.tell(pin=RIGHT)
        goes_on(lab, name)


NO_PIN = [("error", {"error": FAILED}), ("text", {"text": RIGHT}), ("pipe", {"pipe": RIGHT}), ("short", {"pin": "123"}),
          ("empty", {"pin": ""}), ("long", {"pin": "1" * 33}), ("huge", {"pin": "1" * 65536})]


def test_all_decline(lab, wait):
    name, = wait()
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(agent(lab)) for _ in range(4)]
        for one in (agents[0], *reversed(agents[1:])):  # the first was asked when it alone was there
            one.asked(name=name, tries_left=5)
            one.tell(error=FAILED)
        assert all(one.silent() for one in agents)
        still_waits(lab, name)


@pytest.mark.parametrize("what", [row[1] for row in NO_PIN], ids=[row[0] for row in NO_PIN])
def test_no_pin_is_no_try(lab, wait, what):
    name, = wait()
    with agent(lab) as one:
        one.asked(name=name, tries_left=5)
        one.tell(**what)
        with agent(lab) as another:
            another.asked(name=name, reason="renewal", tries_left=5)
            another.tell(pin=RIGHT)
            goes_on(lab, name)
        assert one.silent()


def test_newest_first_and_who_leaves(lab, wait):
    with contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(agent(lab)) for _ in range(3))
        shown = enroll(lab, f"wait-{next(numbers)}")
        name = shown["name"]
        set_clock(lab, shown["renewAt"] + 1)
        third.asked(name=name)
        third.close()
        second.asked(name=name)
        assert second.do(unregister=PATH) == ""
        first.asked(name=name)
        first.tell(pin=RIGHT)
        goes_on(lab, name)
        assert second.silent()
    lab.clock(0)
    assert lab.scepter("remove", name).returncode == 0


def test_cancelled_by_its_user(lab, wait):
    """Nobody else is asked, until an agent comes that was not there."""
    name, = wait()
    with agent(lab) as one:
        one.asked(name=name)
        with agent(lab) as another:
            one.tell(error=CANCELLED)
            another.asked(name=name)  # it registered while the first was asked
            another.tell(error=CANCELLED)
            assert one.silent()
        still_waits(lab, name)
        with agent(lab) as third:
            third.asked(name=name)
            third.tell(pin=RIGHT)
            goes_on(lab, name)
        assert one.silent()


def test_an_answer_from_elsewhere(lab, wait):
    name, = wait()
    with agent(lab) as one:
        one.asked(name=name)
        one.tell(pin=WRONG, elsewhere=True)  # the bus takes none that was not asked for
        assert one.silent()
        still_waits(lab, name)
        one.tell(pin=RIGHT)
        goes_on(lab, name)


def test_one_question_at_a_time(lab, wait):
    names = wait(2)
    with agent(lab) as one:
        first = one.asked()["name"]
        assert one.silent()
        one.tell(pin=RIGHT)
        second = one.asked()["name"]
        assert sorted((first, second)) == sorted(names)
        one.tell(pin=RIGHT)
        for name in names:
            goes_on(lab, name)


def test_the_pin_comes_from_elsewhere(lab, wait):
    name, = wait()
    with agent(lab) as one:
        one.asked(name=name)
        done = Typed(lab, "renew", name, "--wait", lines=[RIGHT])
        assert one.hears("cancelled") == "superseded"
        assert done.status == 6, done.text  # to the challenge
        one.tell(pin=WRONG)  # too late
        goes_on(lab, name)
        assert one.silent()


def test_cancel_and_remove(lab, wait):
    name, = wait()
    with agent(lab) as one:
        one.asked(name=name)
        assert lab.scepter("cancel", name).returncode == 0
        assert one.hears("cancelled") == "cancelled"
        still_waits(lab, name)
        assert lab.scepter("cancel", name).returncode == 3  # nothing is under way
        with agent(lab) as another:
            another.asked(name=name)
            assert lab.scepter("remove", name).returncode == 0
            assert another.hears("cancelled") == "removed"
            another.tell(pin=RIGHT)
            assert another.silent()
        assert one.silent()


def test_restart(lab, wait):
    """The question ends with the service, which knows no agent then; the certificate waits on."""
    name, = wait()
    with agent(lab) as one:
        one.asked(name=name)
        lab.daemon("restart")
        assert one.hears("cancelled") == "stopped"
        still_waits(lab, name)
        one.tell(pin=RIGHT)
        assert one.silent()
        assert one.do(register=PATH) == ""
        one.asked(name=name, reason="renewal")
        lab.daemon("kill")
        lab.daemon("restart")
        assert one.do(register=PATH) == ""
        one.asked(name=name)
        one.tell(pin=RIGHT)
        goes_on(lab, name)


def test_registrations(lab):
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(agent(lab)) for _ in range(4)]
        assert agents[0].do(register="/other") == "AlreadyExists"
        assert agents[0].do(unregister="/other") == "NotFound"
        fifth = Agent(lab)
        stack.callback(fifth.close)
        assert fifth.registered == "LimitExceeded"
        assert fifth.do(unregister=PATH) == "NotFound"
        assert agents[0].do(unregister=PATH) == ""
        assert agents[0].do(unregister=PATH) == "NotFound"
        assert fifth.do(register=PATH) == ""
        agents[1].close()
        lab.until(lambda: agents[0].do(register=PATH) == "")  # once the service has seen it go


@needs_root
def test_root_enrolls_for_a_user(lab):
    """The user chooses the PIN, and root never has it."""
    lab.add("theirs", protection="user-verified", type="user", algorithm="ec-p256", subject="CN={{UserName}}", san="")
    command = ("enroll", "theirs", "--for", WHO, "--challenge-file", lab.challenge())
    assert lab.scepter(*command, start_new_session=True).returncode == 5  # nobody to be asked
    user = pwd.getpwnam(WHO).pw_uid
    with agent(lab) as roots, agent(lab, user=user) as theirs:
        assert lab.scepter(*command, start_new_session=True).returncode == 0
        question = theirs.asked(name="theirs", reason="new-key", minimum=4, maximum=32)
        assert "tries-left" not in question
        theirs.tell(pin=RIGHT)
        shown = lab.wait_for("theirs", "idle")
        assert shown["keyProtection"] == "user-verified" and f"CN={WHO}" in shown["subject"]
        # and a renewal that root asks for
        assert lab.scepter("renew", "theirs", start_new_session=True).returncode == 0
        theirs.asked(name="theirs", reason="renewal", tries_left=5)
        theirs.tell(error=CANCELLED)
        assert theirs.silent() and roots.silent()
    assert lab.scepter("renew", "theirs", start_new_session=True).returncode == 5
    assert lab.scepter("remove", "theirs").returncode == 0


def test_a_challenge_comes_alone(lab, wait):
    """SetChallenge cannot bring the PIN of the new key: the agent is asked for it."""
    name, = wait()
    assert Typed(lab, "renew", name, "--wait", lines=[RIGHT]).status == 6
    before = lab.json("show", name)
    bus = dbus.bus.BusConnection(lab.env["DBUS_SYSTEM_BUS_ADDRESS"])

    def set_challenge():
        fd = memfd(lab.challenge().read_bytes().strip())
        bus.call_blocking("org.scepter1", before["path"], "org.scepter1.Certificate", "SetChallenge", "ha{sv}",
                          (dbus.types.UnixFd(fd), {}))
        os.close(fd)
    with pytest.raises(dbus.DBusException) as raised:
        set_challenge()
    assert raised.value.get_dbus_name().endswith("PinNeeded")
    with agent(lab) as one:
        set_challenge()
        one.asked(name=name, reason="new-key")
        one.tell(pin=WRONG)  # none is wrong for a new key
        lab.until(lambda: lab.json("show", name)["thumbprint"] != before["thumbprint"])
        assert one.silent()
    bus.close()
    assert Typed(lab, "key", "test", name, lines=[WRONG]).status == 0


@needs_root
def test_a_document_enrolls_for_a_user(lab):
    user = pwd.getpwnam(WHO).pw_uid
    with agent(lab, user=user) as one:
        instance = "./User/Vendor/MSFT/ClientCertificateInstall/SCEP/hello"
        message = messages.Message()
        message.add(f"{messages.MSFT}/CertificateStore/Root/agents/EncodedCertificate", messages.root_base64(lab), "b64")
        number = messages.install(message, messages.csp_values(lab, KeyProtection="4"), instance)
        answer = messages.apply(lab, message, "--user", WHO)
        assert answer.codes[number] == 202, answer.reasons
        one.asked(name="hello", reason="new-key")
        one.tell(pin=RIGHT)
        assert lab.wait_for("hello", "idle")["keyProtection"] == "user-verified"
    assert lab.scepter("remove", "hello").returncode == 0


def test_time_limit(lab, wait):
    """A clock that runs a thousand times as fast: five minutes are soon over."""
    with labs.lab("--", "--clock-scale", "1000") as quick:
        shown = enroll(quick, "late")
        set_clock(quick, shown["renewAt"] + 1)
        quick.wait_for("late", "waiting-for-user")
        with agent(quick) as one:
            one.asked(name="late")
            assert one.hears("cancelled") == "timeout"
            still_waits(quick, "late")
            one.tell(pin=RIGHT)
            assert one.silent()
            still_waits(quick, "late")


@contextlib.contextmanager
def console(lab, *options):
    made = Console(lab, "agent", *options)
    try:
        if not options:
            made.until("PINs are asked for here")
        yield made
    finally:
        if made.pid:
            made.end(signal.SIGKILL)


def test_the_agent_of_the_command_line(lab, wait):
    name, = wait()
    with console(lab) as one:
        one.until(f"'{name}' is to be renewed")
        one.until(f"PIN of '{name}': ")
        one.type("123\n")
        one.until("at least 4")  # the service never saw it
        one.until(f"PIN of '{name}': ")
        one.type(WRONG + "\n")
        one.until(f"not the PIN of '{name}'")
        one.until("4 tries are left")
        one.until("': ")
        one.type(RIGHT + "\n")
        assert RIGHT not in one.until("the service has the PIN")
        goes_on(lab, name)
        assert one.end() == 0


def test_the_agent_says_when_one_try_is_left(lab, wait):
    name, = wait()
    tpm2(lab, "tpm2_dictionarylockout", "--setup-parameters", "--max-tries=3", "--recovery-time=600",
         "--lockout-recovery-time=600")
    with console(lab, "--json") as one:
        one.until("': ")
        one.type(WRONG + "\n")
        one.until('"reason":"renewal","answered":true')
        one.until("One try is left")
        one.until("': ")
        one.type("\x03")  # without Enter
        one.until('"reason":"wrong","answered":false')
        still_waits(lab, name)
        assert one.end(signal.SIGTERM) == 0


def test_the_agent_and_a_question_that_is_over(lab, wait):
    name, = wait()
    with console(lab) as one:
        one.until("': ")
        assert lab.scepter("cancel", name).returncode == 0
        one.until("(cancelled)")
        lab.daemon("restart")  # and it registers again
        one.until("': ")
        one.type(RIGHT[:4])
        lab.daemon("kill")
        one.until("has left")
        lab.daemon("restart")
        one.until("': ")
        one.type(RIGHT + "\n")
        one.until("has the PIN")
        goes_on(lab, name)
        assert one.end() == 0


def test_the_agent_believes_the_service_alone(lab):
    with console(lab):
        bus = dbus.bus.BusConnection(lab.env["DBUS_SYSTEM_BUS_ADDRESS"])
        agents = {name for name in bus.list_names() if name.startswith(":")} - {bus.get_unique_name(),
                                                                                bus.get_name_owner("org.scepter1")}
        answers = set()
        for name in agents:
            with pytest.raises(dbus.DBusException) as raised:
                bus.call_blocking(name, "/org/scepter1/agent", "org.scepter1.Agent", "RequestPin", "oa{sv}",
                                  (dbus.ObjectPath("/"), {}))
            answers.add(raised.value.get_dbus_name())
        bus.close()
        # the bus itself lets nobody but the service call an agent
        assert answers == {"org.freedesktop.DBus.Error.AccessDenied"}


def test_the_agent_needs_a_terminal(lab):
    done = lab.scepter("agent", start_new_session=True)
    assert done.returncode == 5 and "terminal" in done.stderr


@needs_root
def test_the_agent_chooses_a_pin(lab):
    """For root himself, whom a document enrolled."""
    instance = "./User/Vendor/MSFT/ClientCertificateInstall/SCEP/chosen"
    message = messages.Message()
    message.add(f"{messages.MSFT}/CertificateStore/Root/agents/EncodedCertificate", messages.root_base64(lab), "b64")
    number = messages.install(message, messages.csp_values(lab, KeyProtection="4"), instance)
    with console(lab) as one:
        assert messages.apply(lab, message, "--user", "root").codes[number] == 202
        one.until("choose its PIN")
        for first, second in ((RIGHT, WRONG), (RIGHT, RIGHT)):
            one.until("for 'chosen': ")
            one.type(first + "\n")
            one.until("for 'chosen': ")
            one.type(second + "\n")
            if first != second:
                one.until("differ")
        one.until("has the PIN")
        lab.wait_for("chosen", "idle")
        assert one.end() == 0
    assert Typed(lab, "key", "test", "chosen", lines=[RIGHT]).status == 0
    assert lab.scepter("remove", "chosen").returncode == 0
