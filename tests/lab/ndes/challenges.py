"""One-time challenges, as NDES hands them out, optionally bound to what a request may ask for."""
import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
import time
from typing import NamedTuple, Optional

FORMATS = ("hex", "intune")
LIST_MAX = 100_000
# What the connector's challenge is in this lab: a magic number, the signing certificate, filling, a signature.
MAGIC, THUMBPRINT, FILLING, SIGNATURE = b"LAB1", 20, 2044, 32


class Binding(NamedTuple):
    """What the request has to say; None: anything."""
    subject: Optional[list] = None      # sorted TYPE=value
    alternative_names: Optional[list] = None
    key_usage: Optional[int] = None
    extended_key_usage: Optional[list] = None
    key_size: Optional[int] = None


class Challenge:
    def __init__(self, text, lifetime, binding, starts):
        self.text, self.binding = text, binding
        self._starts = time.monotonic() + starts
        self._ends = self._starts + lifetime
        self.used_by = None  # transaction

    def early(self):
        return time.monotonic() < self._starts

    def expired(self):
        return time.monotonic() >= self._ends


class Challenges:
    """Any thread may call."""

    def __init__(self):
        self._lock = threading.Lock()
        self._all = {}
        self._thumbprint, self._key = secrets.token_bytes(THUMBPRINT), secrets.token_bytes(32)

    def _sign(self, data):
        return hmac.digest(self._key, data, hashlib.sha256)

    def new(self, lifetime, form="hex", binding=Binding(), starts=0.0):
        """@form hex: 16 upper-case digits; intune: base64 of some kB. It counts @starts seconds from now on."""
        if form == "intune":
            data = MAGIC + self._thumbprint + secrets.token_bytes(FILLING)
            text = base64.b64encode(data + self._sign(data)).decode()
        else:
            text = secrets.token_hex(8).upper()
        with self._lock:
            if len(self._all) >= LIST_MAX:
                self._all.pop(next(iter(self._all)))
            self._all[text] = Challenge(text, lifetime, binding, starts)
        return text

    def find(self, text):
        with self._lock:
            return self._all.get(text)

    def what_is_wrong(self, text):
        """The policy module's reason for a challenge that find() does not know."""
        if re.fullmatch("[0-9A-F]{16}", text):
            return "ChallengeDecryptionError"
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return "ChallengeDecodingError"
        if not data.startswith(MAGIC) or len(data) != len(MAGIC) + THUMBPRINT + FILLING + SIGNATURE:
            return "ChallengeDeserializationError"
        if data[len(MAGIC):len(MAGIC) + THUMBPRINT] != self._thumbprint:
            return "SigningCertThumbprintMismatch"
        if not hmac.compare_digest(self._sign(data[:-SIGNATURE]), data[-SIGNATURE:]):
            return "SignatureValidationFailed"
        return "ChallengeDecryptionError"

    def use(self, challenge, transaction):
        """False: another transaction was quicker."""
        with self._lock:
            if challenge.used_by:
                return False
            challenge.used_by = transaction
            return True
