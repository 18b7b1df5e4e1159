"""Who may call what, as a real polkitd decides it: every method of the introspection XML by every kind of caller."""
import json
import os
import pathlib
import select
import subprocess
import xml.etree.ElementTree as xml

import pytest

import labs

HERE = pathlib.Path(__file__).resolve().parent
ALICE, BOB, OTHER = 64821, 64822, 1  # of the lab; and an account every Debian has
SELF, OWN, DEVICE, PROFILES = ("org.scepter1." + name for name in
                               ("enroll-self", "manage-own-profiles", "enroll-device", "manage-profiles"))
DOCUMENT, TEXT = {"memfd": "nothing"}, {"memfd": "text"}
NO_OPTIONS = {}
# method, object, arguments ("@kind": the path of such an object), the action that polkit is asked about (None: everybody may)
ROWS = [
    ("Manager.AddProfile", "manager", ["auto", DOCUMENT, NO_OPTIONS], PROFILES),
    ("Manager.AddProfile", "manager", ["auto", DOCUMENT, {"own": True}], OWN),
    ("Manager.ApplySyncML", "manager", [DOCUMENT, NO_OPTIONS], PROFILES),
    ("Manager.Enroll", "manager", ["@device-profile", NO_OPTIONS], DEVICE),
    ("Manager.Enroll", "manager", ["@user-profile", NO_OPTIONS], SELF),
    ("Manager.Diagnose", "manager", ["@device", NO_OPTIONS], DEVICE),
    ("Manager.Diagnose", "manager", ["@device-profile", NO_OPTIONS], DEVICE),
    ("Manager.Diagnose", "manager", ["@user-profile", NO_OPTIONS], SELF),
    ("Manager.Diagnose", "manager", ["@own", NO_OPTIONS], SELF),
    ("Manager.Diagnose", "manager", ["http://127.0.0.1:9/", NO_OPTIONS], PROFILES),
    ("Manager.Diagnose", "manager", ["", NO_OPTIONS], SELF),
    ("Manager.ListCertificates", "manager", [0, 10, NO_OPTIONS], None),
    ("Manager.GetEvents", "manager", [NO_OPTIONS], None),
    ("Manager.FollowEvents", "manager", [NO_OPTIONS], None),
    ("Manager.Subscribe", "manager", [NO_OPTIONS], None),
    ("Manager.RegisterAgent", "manager", ["/agent", NO_OPTIONS], None),
    ("Manager.UnregisterAgent", "manager", ["/agent", NO_OPTIONS], None),
    ("Profile.Resolve", "device-profile", [NO_OPTIONS], DEVICE),
    ("Profile.Resolve", "user-profile", [NO_OPTIONS], SELF),
    ("Profile.Remove", "device-profile", [{"x": 1}], PROFILES),
    ("Profile.Remove", "user-profile", [{"x": 1}], PROFILES),
    ("Profile.Resolve", "own-profile", [NO_OPTIONS], SELF),
    ("Profile.Remove", "own-profile", [{"x": 1}], OWN),
    *[(f"Certificate.{method}", kind, arguments, action)
      for kind, action in (("device", DEVICE), ("own", SELF))
      for method, arguments in (("Renew", [{"x": 1}]), ("Cancel", [NO_OPTIONS]), ("Remove", [{"x": 1}]),
                                ("TestKey", [NO_OPTIONS]), ("Attest", [TEXT, NO_OPTIONS]),
                                ("SetChallenge", [TEXT, NO_OPTIONS]), ("ChangePin", [TEXT, TEXT, NO_OPTIONS]))],
    ("Certificate.GetChain", "device", [NO_OPTIONS], None),
    ("Certificate.GetChain", "own", [NO_OPTIONS], None),
]
KINDS = {"Manager": ["manager"], "Profile": ["device-profile", "user-profile", "own-profile"], "Certificate": ["device", "own"]}
DENIED = "org.scepter1.Error.NotAuthorized"


def methods():
    """What the service has: method to signature of its arguments."""
    found = {}
    for path in sorted((labs.SOURCE / "dbus").glob("org.scepter1.*.xml")):
        for interface in xml.parse(path).getroot().iter("interface"):
            short = interface.get("name").removeprefix("org.scepter1.")
            for method in interface.iter("method"):
                found[f"{short}.{method.get('name')}"] = "".join(
                    arg.get("type") for arg in method.iter("arg") if arg.get("direction") == "in")
    return found


def test_every_method_has_a_row():
    assert {row[0] for row in ROWS} == {name for name in methods() if not name.startswith("Agent.")}


@pytest.mark.parametrize("kind,interface", [(kind, name) for name, kinds in KINDS.items() for kind in kinds if kind != "manager"])
def test_every_kind_of_object_has_its_methods(kind, interface):
    assert {row[0] for row in ROWS if row[1] == kind} == {name for name in methods() if name.startswith(interface + ".")}


def rule():
    """Bob may do just what the rows say, by action and method; Alice has one profile of her own."""
    allowed = sorted({(row[3], row[0].split(".")[1]) for row in ROWS if row[3]})
    return ("var allowed = " + json.dumps([" ".join(pair) for pair in allowed]) + ";\n"
            "polkit.addRule(function (action, subject) {\n"
            "    var asked = action.id + ' ' + action.lookup('method');\n"
            "    if (subject.user == 'lab-bob' && allowed.indexOf(asked) >= 0)\n"
            "        return polkit.Result.YES;\n"
            f"    if (subject.user == 'lab-alice' && asked == '{OWN} AddProfile')\n"
            "        return polkit.Result.YES;\n"
            "    if (subject.user == 'lab-alice' && action.lookup('name') == 'named')\n"
            "        return polkit.Result.YES;\n"
            "});\n")


class Room:
    def __init__(self, lab):
        self.lab = lab
        self.caller = lab.write("caller.py", (HERE / "caller.py").read_text())
        self.signatures = methods()

    def calls(self, user, cases):
        done = self.lab.run("/usr/bin/python3", "-B", self.caller, self.lab.env["DBUS_SYSTEM_BUS_ADDRESS"],
                            user=user, input=json.dumps(cases))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def objects(self, user):
        """The kinds of objects by path, as this user sees them."""
        options = {"user": user} if user else {}
        found = {"manager": "/org/scepter1"}
        for entry in self.lab.json("profile", "list", **options)["profiles"]:
            found[{"device": "device-profile", "user": "user-profile", "mine": "own-profile"}.get(entry["name"])] = entry["path"]
        for entry in self.lab.json("list", **options)["certificates"]:
            found["device" if entry["name"] == "device" else "own"] = entry["path"]
        return found

    def ask(self, user):
        """What came of each row, for this caller."""
        objects = self.objects(user)
        rows = [row for row in ROWS if row[1] in objects and all(value[1:] in objects for value in row[2]
                                                                  if isinstance(value, str) and value[:1] == "@")]
        cases = [{"path": objects[kind], "interface": "org.scepter1." + method.split(".")[0], "member": method.split(".")[1],
                  "signature": self.signatures[method],
                  "arguments": [objects[value[1:]] if isinstance(value, str) and value[:1] == "@" else value
                                for value in arguments]} for method, kind, arguments, _ in rows]
        return list(zip(rows, self.calls(user, cases)))


def own_profile(lab, user, name):
    text = lab.profile_text(name, type="user", subject="CN={{UserName}}", san="")
    return lab.scepter("profile", "add", lab.write(f"{name}.profile", text), "--user", "--json", user=user)


@pytest.fixture(scope="module")
def room():
    if os.getuid() != 0:
        pytest.skip("only root puts rules before a polkitd")
    if not os.path.exists("/usr/lib/polkit-1/polkitd"):
        pytest.skip("polkitd is not installed")

    def before(folder):
        (folder / "polkit/rules.d").mkdir(parents=True)
        (folder / "polkit/rules.d/10-test.rules").write_text(rule())
        for path in (folder / "polkit", folder / "polkit/rules.d"):
            path.chmod(0o755)
    with labs.lab("--no-tpm", "--polkit", before=before) as lab:
        lab.add("device")
        lab.add("named")
        lab.add("user", type="user", subject="CN={{UserName}},O=Contoso", san="")
        assert lab.enroll("device").returncode == 0
        for user in ("lab-alice", "lab-bob"):
            done = lab.enroll("user", "--for", user)
            assert done.returncode == 0, done.stderr
        for user in (ALICE, BOB):
            assert own_profile(lab, user, "mine").returncode == 0
        yield Room(lab)


def refusals(answers):
    return {(row[0], row[1], str(row[2])): answer[1] if answer and answer[0] == DENIED else None for row, answer in answers}


def test_who_is_granted_nothing(room):
    """Each refusal names the action of its row, and what has none is not refused."""
    asked = refusals(room.ask(OTHER))
    assert len(asked) == len([row for row in ROWS if not row[1].startswith("own") and "@own" not in row[2]])
    for (method, kind, arguments, action) in ROWS:
        if (key := (method, kind, str(arguments))) in asked:
            assert (f"({action})" in asked[key]) if action else asked[key] is None, (key, asked[key])


def test_who_is_granted_it_for_his_own_objects(room):
    """Alice: her objects, which polkit leaves to a password; what she may is what her two rules say."""
    for (row, answer) in room.ask(ALICE):
        if row[3] and (row[0], row[3]) != ("Manager.AddProfile", OWN):
            assert answer and answer[0] == DENIED and f"({row[3]})" in answer[1], (row, answer)
        else:
            assert not answer or answer[0] != DENIED, (row, answer)


def test_who_is_granted_everything_by_its_action(room):
    """Bob: a method that asks about another action than its row's would be refused to him."""
    answers = room.ask(BOB)
    assert len(answers) == len(ROWS)
    assert not [(row, answer) for row, answer in answers if answer and answer[0] == DENIED]


def test_root_is_not_asked(room):
    assert not [(row, answer) for row, answer in room.ask(None) if answer and answer[0] == DENIED]


def test_a_rule_sees_the_name(room):
    done = room.lab.scepter("profile", "remove", "named", "--json", user=ALICE)
    assert done.returncode == 0, done.stdout
    assert room.lab.scepter("profile", "remove", "device", "--json", user=ALICE).returncode == 4


def test_an_administrator_who_is_not_root(room):
    """What is granted is done, as root would have it done: the certificate is the device's."""
    room.lab.write("more.profile", room.lab.profile_text("more"))
    done = room.lab.scepter("profile", "add", room.lab.files / "more.profile", user=BOB)
    assert done.returncode == 0, done.stderr
    challenge = room.lab.challenge()
    challenge.chmod(0o644)
    done = room.lab.scepter("enroll", "more", "--wait", "--challenge-file", challenge, user=BOB)
    assert done.returncode == 0, done.stderr
    assert room.lab.json("show", "more")["owner"]["uid"] == 2**32 - 1
    assert room.lab.scepter("remove", "more", user=BOB).returncode == 0


def test_a_refusal_is_for_people(room):
    done = room.lab.scepter("renew", "device", user=ALICE)
    assert done.returncode == 4
    assert "needs a password" in done.stderr and "pkttyagent" in done.stderr and "as root" in done.stderr


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_dialogue(room, answer):
    """Alice is asked for an administrator's password, and the call waits for it."""
    lab = room.lab
    waiting = subprocess.Popen(["setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups", "sh", "-c",
                                'read go; exec "$@"', "sh", labs.BUILD / "bin/scepter", "key", "test", "device"],
                               env=lab.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    agent = subprocess.Popen(["/usr/bin/python3", "-B", HERE / "auth_agent.py", lab.env["DBUS_SYSTEM_BUS_ADDRESS"],
                              str(waiting.pid), answer], stdout=subprocess.PIPE, text=True)
    try:
        assert agent.stdout.readline() == "ready\n"
        _, said = waiting.communicate("go\n", timeout=60)
        assert agent.stdout.readline() == f"{DEVICE} Authentication is required to manage certificates of this device.\n"
        assert waiting.returncode == (0 if answer == "yes" else 4), said
        assert answer == "yes" or "was dismissed" in said, said
    finally:
        for process in (waiting, agent):
            process.kill()
            process.communicate()


def test_only_so_many_questions_are_open(room):
    """Nobody answers the dialogues of one user; another user's question is answered."""
    lab = room.lab
    many = [subprocess.Popen(["setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups", "sh", "-c", 'read go; exec "$@"',
                              "sh", labs.BUILD / "bin/scepter", "key", "test", "device", "--json"], env=lab.env, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(9)]
    agents = [subprocess.Popen(["/usr/bin/python3", "-B", HERE / "auth_agent.py", lab.env["DBUS_SYSTEM_BUS_ADDRESS"],
                                str(process.pid), "never"], stdout=subprocess.PIPE, text=True) for process in many]
    try:
        for agent in agents:
            assert agent.stdout.readline() == "ready\n"
        for number, process in enumerate(many[:8]):
            process.stdin.write("go\n")
            process.stdin.flush()
            assert DEVICE in agents[number].stdout.readline()  # its dialogue is open
        said, _ = many[8].communicate("go\n", timeout=60)
        assert json.loads(said)["error"]["name"] == "LimitExceeded", said
        assert lab.scepter("key", "test", "device", user=BOB).returncode == 0
    finally:
        for process in (*many, *agents):
            process.kill()
            process.communicate()


def test_without_polkit_root_alone(room):
    """It is gone: users are told so, and root is served."""
    lab = room.lab
    pid = json.loads((lab.dir / "lab/pids/polkitd.json").read_text())["pid"]
    with os.fdopen(os.pidfd_open(pid)) as ended:
        os.kill(pid, 9)
        select.select([ended], [], [], 30)
    done = lab.scepter("renew", "device", user=BOB)
    assert done.returncode == 4 and "polkit gave no answer" in done.stderr and "polkit.service" in done.stderr, done.stderr
    assert lab.scepter("list", user=BOB).returncode == 0
    assert lab.scepter("key", "test", "device").returncode == 0
