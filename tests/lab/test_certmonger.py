"""certmonger against the responder: enrollment, a new key, PENDING, refusal. It sends GET alone, type 19 alone, AES-256 where
that is listed, and cannot read a reply whose eContent is absent."""
import os
import shlex

import pytest
from conftest import certificate_text, chains, need, run

WAIT = "--wait --wait-timeout 60"
# getcert's exit statuses
ISSUED, REJECTED, UNREACHABLE = 0, 2, 3


class Certmonger:
    """Its daemon runs as long as a script of getcert calls does, on a socket of its own, with its state in @folder."""

    def __init__(self, responder, folder):
        for program in ("certmonger", "getcert", "openssl"):
            need(program)
        self.responder, self.folder = responder, folder
        self.key, self.certificate = (os.path.join(folder, name) for name in ("cm.key", "cm.pem"))
        self.env = {**os.environ, "CERTMONGER_SYSTEM_LOCK_FILE": os.path.join(folder, "lock")}
        for name in ("REQUESTS_DIR", "CAS_DIR", "LOCAL_CA_DIR", "TMPDIR", "CONFIG_DIR"):
            self.env["CERTMONGER_" + name] = os.path.join(folder, name)
            os.mkdir(os.path.join(folder, name))

    def script(self, *lines):
        """Exit status of each line, in order; and the output of all."""
        said = os.path.join(self.folder, "statuses")
        text = "".join(f"{line}; echo $? >>{shlex.quote(said)}\n" for line in lines)
        path = os.path.join(self.folder, "script")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        open(said, "w", encoding="utf-8").close()
        output = run("certmonger", "-L", "-n", "-c", f"/bin/sh {path}", check=False, env=self.env).stdout
        with open(said, encoding="utf-8") as file:
            return [int(line) for line in file], output

    def add_ca(self):
        return f"getcert add-scep-ca -c lab -u {self.responder.url} -N {self.responder.root}"

    def request(self, challenge):
        return (f"getcert request -c lab -I one -k {self.key} -f {self.certificate} -N CN=cm1,O=peer,C=US -L {challenge} "
                f"{WAIT}")


@pytest.fixture
def certmonger(responder, folder):
    path = os.path.join(folder, "certmonger")
    os.mkdir(path)
    return Certmonger(responder, path)


def received(responder):
    return [(event["messageType"], event["cipher"], event["digest"]) for event in responder.events(4003)]


@pytest.mark.parametrize("switches, cipher", [({}, "des3"), ({"reply_shape": "rfc", "caps": "modern"}, "aes256"),
                                              ({"encoding": "ber"}, "des3"), ({"ra": "one"}, "des3")])
def test_enroll(responder, certmonger, switches, cipher):
    responder.set(**switches)
    statuses, output = certmonger.script(certmonger.add_ca(), certmonger.request(responder.challenge()))
    assert statuses == [0, ISSUED], output
    assert "CN = cm1" in certificate_text(certmonger.certificate)
    assert chains(responder, certmonger.certificate) and responder.issued() == 1
    assert received(responder) == [(19, cipher, "sha256")]
    assert {event["method"] for event in responder.events(0)} == {"GET"}


def test_a_new_key(responder, certmonger):
    """A renewal as it makes one: type 19, signed with the old certificate."""
    statuses, output = certmonger.script(
        certmonger.add_ca(), certmonger.request(responder.challenge()), f"cp {certmonger.certificate} {certmonger.folder}/old.pem",
        f"getcert rekey -i one -L {responder.challenge()} {WAIT}")
    assert statuses == [0, ISSUED, 0, ISSUED], output
    old, new = (run("openssl", "x509", "-in", path, "-noout", "-pubkey").stdout
                for path in (f"{certmonger.folder}/old.pem", certmonger.certificate))
    assert old != new and chains(responder, certmonger.certificate)
    assert [event["messageType"] for event in responder.events(4003)] == [19, 19]
    assert responder.issued() == 2


def test_the_old_key_again(responder, certmonger):
    """Its transactionID is of the key: as at NDES, the certificate of before comes again."""
    statuses, output = certmonger.script(certmonger.add_ca(), certmonger.request(responder.challenge()),
                                         f"getcert resubmit -i one -L {responder.challenge()} {WAIT}")
    assert statuses == [0, ISSUED, ISSUED], output
    assert len({event["transaction"] for event in responder.events(4003)}) == 1 and responder.issued() == 1


def test_pending(responder, certmonger):
    """It asks again when told to, by the same request."""
    responder.set(pending="1")
    impatient = certmonger.request(responder.challenge()).replace(WAIT, WAIT.replace("60", "5"))
    statuses, output = certmonger.script(
        certmonger.add_ca(), impatient, "getcert list -i one",
        f"getcert resubmit -i one {WAIT}")
    assert "status: CA_WORKING" in output, output
    assert statuses[-1] == ISSUED and responder.issued() == 1, (statuses, output)
    assert [event["messageType"] for event in responder.events(4003)] == [19, 19]


def test_refused(responder, certmonger):
    responder.set(wrong_challenge="always")
    statuses, output = certmonger.script(certmonger.add_ca(), certmonger.request(responder.challenge()), "getcert list -i one")
    assert statuses[1] == REJECTED and "status: CA_REJECTED" in output, (statuses, output)
    assert responder.issued() == 0 and responder.events(29)


def test_no_content(responder, certmonger):
    """A FAILURE as RFC 8894 has it, without eContent, is not readable to it: that is what the switch is for."""
    responder.set(reply_shape="rfc", wrong_challenge="always")
    statuses, output = certmonger.script(certmonger.add_ca(), certmonger.request(responder.challenge()), "getcert list -i one")
    assert statuses[1] == UNREACHABLE and "no content" in output, (statuses, output)
