"""User-verified keys: the PIN is typed at a terminal, opens the key, and is counted where it is wrong."""
import pytest

import labs
from front import front
from terminal import Typed
from test_get_crl import asked
from test_renewal import now, ready, set_clock

RIGHT, WRONG = "4711 right", "4711 wrong"

@pytest.fixture(scope="module")
def lab():
    with labs.lab() as made:
        yield made


@pytest.fixture(autouse=True)
def patient(lab):
    """What one test got wrong is forgotten by the TPM before the next."""
    forget(lab)


def forget(lab):
    tpm2(lab, "tpm2_dictionarylockout", "--setup-parameters", "--max-tries=30", "--recovery-time=600",
         "--lockout-recovery-time=600")
    tpm2(lab, "tpm2_dictionarylockout", "--clear-lockout")


def tpm2(lab, *words):
    done = lab.run(*words, env=lab.env | {"TPM2TOOLS_TCTI": lab.env["LAB_TCTI"]})
    assert done.returncode == 0, done.stderr


def counter(lab):
    return int(lab.json("tpm")["tpmInfo"]["lockout-counter"])


def enroll(lab, name, pin=RIGHT, **values):
    lab.add(name, protection="user-verified", type="user", **values)
    return Typed(lab, "enroll", name, "--wait", "--challenge-file", lab.challenge(), lines=[pin, pin])


def key_test(lab, name, pin):
    return Typed(lab, "key", "test", name, lines=[pin])


@pytest.mark.parametrize("algorithm", ["rsa-2048", "ec-p256", "ec-p384"])
def test_enroll_and_use(lab, algorithm):
    done = enroll(lab, algorithm, algorithm=algorithm)
    assert done.status == 0, done.text
    shown = lab.json("show", algorithm)
    assert shown["keyProtection"] == "user-verified" and shown["keyAlgorithm"] == algorithm
    assert "noDA" not in shown["keyAttributes"] and "userWithAuth" in shown["keyAttributes"]
    assert "user's PIN" in shown["keyProtectionReason"]
    done = key_test(lab, algorithm, RIGHT)
    assert done.status == 0 and "user-verified" in done.text
    assert counter(lab) == 0


def test_never_in_the_journal_or_on_disk(lab):
    assert enroll(lab, "quiet").status == 0
    assert key_test(lab, "quiet", WRONG).status == 5
    assert key_test(lab, "quiet", RIGHT).status == 0
    held = [path for path in lab.state.rglob("*") if path.is_file() and
            any(pin.encode() in path.read_bytes() for pin in (RIGHT, WRONG))]
    assert not held and RIGHT not in lab.log() and WRONG not in lab.log()


def test_wrong_pins(lab):
    assert enroll(lab, "counted").status == 0
    for left in (4, 3, 2, 1, 0):
        done = key_test(lab, "counted", WRONG)
        assert done.status == 5 and "wrong" in done.text and f"{left} tr" in done.text, done.text
    assert "24 h" in done.text
    for pin in (RIGHT, WRONG):
        done = key_test(lab, "counted", pin)
        assert done.status == 5 and "not tried" in done.text, done.text
    assert counter(lab) == 5
    # neither a restart nor a kill gives a try, and time does
    for what in ("restart", "kill", "restart"):
        lab.daemon(what)
        if what == "restart":
            assert "not tried" in key_test(lab, "counted", RIGHT).text
    lab.clock(24 * 3600 + 60)
    assert key_test(lab, "counted", RIGHT).status == 0
    assert "4 tries are left" in key_test(lab, "counted", WRONG).text
    lab.clock(0)


def test_a_right_one_between(lab):
    assert enroll(lab, "between").status == 0
    for _ in range(3):
        for left in (4, 3):
            assert f"{left} tries are left" in key_test(lab, "between", WRONG).text
        assert key_test(lab, "between", RIGHT).status == 0


def test_before_the_tpm_would_lock(lab):
    assert enroll(lab, "few").status == 0
    lab.add("plain", protection="tpm")
    assert lab.enroll("plain").returncode == 0
    tpm2(lab, "tpm2_dictionarylockout", "--setup-parameters", "--max-tries=3", "--recovery-time=600",
         "--lockout-recovery-time=600")
    assert "1 try is left" in key_test(lab, "few", WRONG).text
    done = key_test(lab, "few", WRONG)
    assert "0 tries are left" in done.text and "every program and user" in " ".join(done.text.split())
    done = key_test(lab, "few", RIGHT)
    assert done.status == 5 and "whole TPM" in " ".join(done.text.split()), done.text
    assert lab.json("tpm")["tpmInfo"]["in-lockout"] == "no" and counter(lab) == 2
    assert lab.scepter("key", "test", "plain").returncode == 0
    tpm2(lab, "tpm2_dictionarylockout", "--clear-lockout")
    assert key_test(lab, "few", RIGHT).status == 0


TYPED_WRONG = [
    ("differ", ["4711 a", "4711 b"], "differ"),
    ("short", ["123", "123"], "4 to 32"),
    ("empty", ["", ""], "4 to 32"),
    ("interrupted", ["\x03"], "No PIN"),
    ("ended", ["\x04"], "No PIN"),
]


@pytest.mark.parametrize("name, lines, word", TYPED_WRONG, ids=[row[0] for row in TYPED_WRONG])
def test_typed_wrong(lab, name, lines, word):
    lab.add(name, protection="user-verified", type="user")
    done = Typed(lab, "enroll", name, "--wait", "--challenge-file", lab.challenge(), lines=lines)
    assert done.status in (1, 2) and word in done.text
    assert name not in [entry["name"] for entry in lab.json("list")["certificates"]]


def test_without_a_terminal(lab):
    lab.add("nobody", protection="user-verified", type="user")
    done = lab.scepter("enroll", "nobody", "--json", "--challenge-file", lab.challenge(), start_new_session=True)
    assert done.returncode == 5 and "terminal" in done.stdout


def test_needs_a_tpm():
    with labs.lab("--no-tpm") as lab:
        lab.add("absent", protection="user-verified", type="user")
        done = Typed(lab, "enroll", "absent", "--wait", "--challenge-file", lab.challenge(), lines=[RIGHT, RIGHT])
        assert done.status == 5 and "TPM" in done.text, done.text
        assert lab.json("show", "absent")["keyProtection"] != "software"


def test_renewal_waits_for_its_user(lab):
    assert enroll(lab, "waits", method="challenge").status == 0
    before = lab.json("show", "waits")
    done = lab.scepter("renew", "waits", start_new_session=True)
    assert done.returncode == 5 and "PIN" in done.stderr
    # the date of the renewal comes, and nobody is there
    lab.clock(f"@{before['renewAt'] + 1}")
    shown = lab.wait_for("waits", "waiting-for-user")
    assert shown["lastError"]["name"].endswith("PinNeeded") and "scepter renew waits" in shown["lastError"]["remedy"]
    assert shown["serialNumber"] == before["serialNumber"]
    assert key_test(lab, "waits", RIGHT).status == 0  # the old key goes on
    # it stays so over a restart
    lab.daemon("restart")
    assert lab.json("show", "waits")["activity"] == "waiting-for-user"
    # a wrong PIN is counted against the old key and makes no new one
    done = Typed(lab, "renew", "waits", "--wait", lines=[WRONG])
    assert done.status == 5 and "4 tries are left" in done.text, done.text
    assert lab.json("show", "waits")["activity"] == "waiting-for-user"
    # the right one goes on, to the challenge that a renewal by challenge needs
    done = Typed(lab, "renew", "waits", "--wait", lines=[RIGHT])
    assert done.status == 6 and "challenge" in done.text, done.text
    done = Typed(lab, "enroll", "waits", "--wait", "--challenge-file", lab.challenge(), lines=["new 0815", "new 0815"])
    assert done.status == 0, done.text
    after = lab.json("show", "waits")
    assert after["serialNumber"] != before["serialNumber"] and after["keyProtection"] == "user-verified"
    assert key_test(lab, "waits", RIGHT).status == 5
    assert key_test(lab, "waits", "new 0815").status == 0
    lab.clock(0)


def test_no_CRL_is_asked_for_with_it(lab):
    """The question would have to be signed: three days long its server hears nothing, while another certificate's is asked."""
    lab.ndes("set", "lifetime", "90d")
    lab.ndes("set", "crl-point", "none")
    with front(lab) as way:
        assert enroll(lab, "no-crl", algorithm="ec-p256", subject="CN={{UserName}},O=no-crl", san="", url=way.url).status == 0
        ready(lab, "beside", subject="CN=beside", algorithm="ec-p256")
        way.broken = ("operation",)
        for _ in range(3):
            before = len(asked(lab))
            set_clock(lab, now(lab) + 26 * 3600)
            lab.until(lambda: any("beside" in who for who in asked(lab)[before:]))
        assert way.refused == 0
    shown = lab.json("show", "no-crl")
    assert shown["health"] == "valid" and not shown["lastError"]["name"]
