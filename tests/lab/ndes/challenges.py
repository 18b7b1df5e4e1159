"""One-time challenges, as NDES hands them out, optionally bound to what a request may ask for."""
import base64
import secrets
import threading
import time
from typing import NamedTuple, Optional

FORMATS = ("hex", "intune")
LIST_MAX = 100_000


class Binding(NamedTuple):
    """What the request has to say; None: anything."""
    subject: Optional[list] = None      # sorted TYPE=value
    alternative_names: Optional[list] = None
    key_usage: Optional[int] = None
    extended_key_usage: Optional[list] = None
    key_size: Optional[int] = None


class Challenge:
    def __init__(self, text, lifetime, binding):
        self.text, self.binding = text, binding
        self.ends = time.monotonic() + lifetime
        self.used_by = None  # transaction

    def expired(self):
        return time.monotonic() >= self.ends


class Challenges:
    """Any thread may call."""

    def __init__(self):
        self._lock = threading.Lock()
        self._all = {}

    def new(self, lifetime, form="hex", binding=Binding()):
        """@form hex: 16 upper-case digits; intune: base64 of some kB."""
        if form == "intune":
            text = base64.b64encode(secrets.token_bytes(2100)).decode()
        else:
            text = secrets.token_hex(8).upper()
        with self._lock:
            if len(self._all) >= LIST_MAX:
                self._all.pop(next(iter(self._all)))
            self._all[text] = Challenge(text, lifetime, binding)
        return text

    def find(self, text):
        with self._lock:
            return self._all.get(text)

    def use(self, challenge, transaction):
        """False: another transaction was quicker."""
        with self._lock:
            if challenge.used_by:
                return False
            challenge.used_by = transaction
            return True
