"""The control channel: a unix socket, one JSON object per line in, one out. For the owner of the lab alone."""
import json
import os
import socketserver

from cryptography import x509

from . import challenges, switches


class BadCall(ValueError):
    """The call cannot be understood."""


def subject_parts(text):
    """'CN=x,O=y' as sorted TYPE=value with dotted types."""
    try:
        return sorted(f"{part.oid.dotted_string}={part.value}" for part in x509.Name.from_rfc4514_string(text))
    except ValueError as error:
        raise BadCall(f"'{text}' is no subject: {error}") from None


class Control:
    """Answers calls; see the methods."""

    def __init__(self, switch_board, challenge_list, enrollment, revocation, log):
        self._switches, self._challenges = switch_board, challenge_list
        self._enrollment, self._revocation, self._log = enrollment, revocation, log

    def call(self, message):
        method = getattr(self, "do_" + str(message.pop("op", "")), None)
        if not method:
            raise BadCall("there is no such call")
        try:
            return method(**message)
        except TypeError as error:
            raise BadCall(str(error)) from None

    def do_set(self, name, value):
        self._switches.set(name, value)

    def do_reset(self):
        self._switches.reset()

    def do_state(self):
        return {"switches": self._switches.as_text(), "waiting": self._enrollment.waiting(),
                "issued": self._log.issued()}

    def do_challenge(self, lifetime=None, form="hex", subject=None, san=None, eku=None, ku=None, key_size=None,
                     starts=None):
        if form not in challenges.FORMATS:
            raise BadCall("the form is one of " + ", ".join(challenges.FORMATS))
        binding = challenges.Binding(subject_parts(subject) if subject is not None else None,
                                     sorted(san) if san is not None else None, ku,
                                     sorted(eku) if eku is not None else None, key_size)
        life = switches.seconds(lifetime) if lifetime else self._switches["challenge-lifetime"]
        return self._challenges.new(life, form, binding, switches.seconds(starts) if starts else 0.0)

    def do_approve(self, transaction=None):
        return self._enrollment.decide(True, transaction)

    def do_deny(self, transaction=None):
        return self._enrollment.decide(False, transaction)

    def do_revoke(self, serial):
        return self._revocation.revoke(serial)

    def do_issued(self, transaction=None):
        return self._log.issued(transaction)


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            try:
                answer = {"ok": self.server.control.call(json.loads(line))}
            except ValueError as error:
                answer = {"error": str(error), "usage": isinstance(error, (BadCall, switches.Refused))}
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads, block_on_close = True, False

    def __init__(self, folder, name, control):
        self.control = control
        # By way of the folder's descriptor: a socket's path may be 107 octets long at most.
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        path = f"/proc/self/fd/{descriptor}/{name}"
        if os.path.lexists(path):
            os.unlink(path)
        old = os.umask(0o077)
        try:
            super().__init__(path, _Handler)
        finally:
            os.umask(old)
            os.close(descriptor)
