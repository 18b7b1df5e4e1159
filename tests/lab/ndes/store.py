"""What was issued and what was revoked, kept in a folder; and the CRLs made of it."""
import datetime
import json
import os
import threading

from asn1crypto import core, x509

from . import ber, ca, clock

CRL_LIFE = datetime.timedelta(days=7)
CRL_NUMBER = "2.5.29.20"
PATH = "/certenroll/"


class Store:
    """Any thread may call. @base_url: where the CRLs are fetched, without the path."""

    def __init__(self, folder, base_url):
        self.base_url, self._folder, self._lock = base_url, folder, threading.Lock()
        self._revoked_path = os.path.join(folder, "revoked.json")
        os.makedirs(folder, exist_ok=True)
        self._revoked = {}      # name of the CRL: {serial: when}
        if os.path.exists(self._revoked_path):
            with open(self._revoked_path, encoding="utf-8") as file:
                self._revoked = json.load(file)

    def _path(self, serial):
        return os.path.join(self._folder, f"{serial:x}.der")

    def add(self, certificate):
        with open(self._path(certificate.serial_number), "wb") as file:
            file.write(certificate.dump())

    def find(self, serial):
        """The certificate, or None."""
        try:
            with open(self._path(serial), "rb") as file:
                return x509.Certificate.load(file.read())
        except FileNotFoundError:
            return None

    def revoke(self, name, serial):
        """@name: of the CRL. False: it was revoked before."""
        with self._lock:
            listed = self._revoked.setdefault(name, {})
            if f"{serial:x}" in listed:
                return False
            listed[f"{serial:x}"] = clock.now().isoformat(timespec="seconds")
            with open(self._revoked_path + ".new", "w", encoding="utf-8") as file:
                json.dump(self._revoked, file)
            os.rename(self._revoked_path + ".new", self._revoked_path)
            return True

    def revoked(self, name):
        with self._lock:
            return {int(serial, 16): datetime.datetime.fromisoformat(when)
                    for serial, when in self._revoked.get(name, {}).items()}

    def crl_url(self, name):
        return f"{self.base_url}{PATH}{name}.crl"

    def crl(self, name, authority, state="published", below=()):
        """DER of the CRL, made afresh. @state: as the switch has it. @below: certificates "ca-revoked" adds."""
        revoked, now = self.revoked(name), clock.now()
        if state == "ca-revoked":
            revoked.update({certificate.serial_number: now for certificate in below})
        start = now + {"expired": -2 * CRL_LIFE, "future": CRL_LIFE}.get(state, -datetime.timedelta(minutes=10))
        entries = [ber.seq(ber.integer(serial), ca.time_der(when)) for serial, when in sorted(revoked.items())]
        extensions = ber.seq(ca.extension(ca.AUTHORITY_KEY_ID, ber.seq(ber.tlv(0x80, ca.key_id(authority.key)))),
                             ca.extension(CRL_NUMBER, core.Integer(int(now.timestamp())).dump()))
        return ca.sign(authority.key, lambda algorithm: ber.seq(
            ber.integer(1), algorithm, authority.name, ca.time_der(start), ca.time_der(start + CRL_LIFE),
            ber.seq(*entries) if entries else b"", ber.context(0, extensions)))
