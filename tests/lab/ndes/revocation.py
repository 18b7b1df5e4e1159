"""Revoking: the administrator asks the connector, the connector asks the CA."""
import re

from . import policy


class Refused(ValueError):
    """The certificate cannot be revoked."""


class Revocation:
    """One per server. Any thread may call."""

    def __init__(self, authorities, switches, store, log):
        self._authorities, self._switches, self._store, self._log = authorities, switches, store, log

    def revoke(self, text):
        """@text: the serial number in hexadecimal. False: it was revoked before."""
        digits = text.replace(":", "").lower()
        certificate = self._store.find(int(digits, 16)) if re.fullmatch("[0-9a-f]{1,40}", digits) else None
        if not certificate:
            raise Refused(f"no certificate with the serial number '{text}' was issued")
        diagnostic = self._switches["diagnostic"] if self._switches["policy-module"] else "off"
        if diagnostic != "off" and policy.DIAGNOSTICS[diagnostic] == 20202:
            self._log.write(20202, diagnostic, serial=digits)
            raise Refused("the connector's account may not revoke at this CA")
        pki, label = self._authorities.issuer_of(certificate)
        fresh = self._store.revoke(f"{pki.name}-{label}", certificate.serial_number)
        if fresh and self._switches["policy-module"]:
            for event in (20400, 20200, 20300):
                self._log.write(event, 0, serial=digits)
        return fresh
