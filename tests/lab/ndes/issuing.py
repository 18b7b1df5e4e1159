"""What a certificate says: the request, the template, and the CA's own will."""
import datetime
import threading

from asn1crypto import core

from . import ber, ca, clock, policy

CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2"
ORGANIZATIONAL_UNIT, COMMON_NAME = "2.5.4.11", "2.5.4.3"


class Strangers:
    """Self-signed authorities that nobody knows."""

    def __init__(self):
        self._lock, self._known = threading.Lock(), {}

    def __call__(self, role):
        with self._lock:
            if role not in self._known:
                key, subject = ca.new_key(), ca.name(common_name="Stranger")
                now = clock.now()
                self._known[role] = ca.Authority(key, ca.issue(
                    key, subject, subject, ca.spki_of(key), [ca.key_usage(ca.SIGN | ca.ENCIPHER)], now, now + ca.YEAR))
            return self._known[role]


def _rewritten(subject, how):
    """DER of what the CA makes of the @subject asked for."""
    if how == "replaced":
        return ca.name(common_name="somebody-else")
    rdns = ber.read(subject).children
    if how == "cn-only":
        return ber.seq(*(rdn.raw for rdn in rdns if rdn[0][0].oid() == COMMON_NAME))
    if how == "add-ou":
        unit = ber.seq(ber.oid(ORGANIZATIONAL_UNIT), core.UTF8String("Devices").dump())
        return ber.seq(*(rdn.raw for rdn in rdns), ber.set_of(unit))
    return subject


class Issuing:
    """One per server. Any thread may call."""

    def __init__(self, switches, log, store, strangers):
        self._switches, self._log, self._store, self._strangers = switches, log, store, strangers

    def issue(self, pki, label, name, transaction):
        """DER of the certificate that the CA @label gives the transaction called @name, and of that CA."""
        issuer, csr = pki.authority(label), transaction.csr
        if self._switches["stale"] and transaction.renewal:
            self._log.write(4006, transaction=name, subject=csr.subject_text(), stale=True,
                            serial=f"{transaction.signer.serial_number:x}")
            return transaction.signer.dump(), issuer.der
        start = clock.now().replace(microsecond=0)
        end = min(start + self._life(csr), issuer.certificate["tbs_certificate"]["validity"]["not_after"].native)
        start -= datetime.timedelta(seconds=self._switches["backdate"])
        spki = ca.spki_of(self._strangers("holder").key) if self._switches["wrong-key"] else csr.spki
        subject = _rewritten(csr.subject, "replaced" if self._switches["wrong-subject"] else self._switches["rewrite-subject"])
        extensions = [*self._extensions(csr), *self._crl_point(f"{pki.name}-{label}")]
        certificate = ca.issue(issuer.key, issuer.name, subject, spki, extensions, start, end)
        self._store.add(certificate)
        self._log.write(4006, transaction=name, subject=csr.subject_text(), serial=f"{certificate.serial_number:x}",
                        thumbprint=certificate.sha1.hex().upper(), notBefore=start.isoformat(),
                        notAfter=end.isoformat(), template=policy.template(csr.key_usage()),
                        templateAsked=csr.template(), renewal=transaction.renewal)
        return certificate.dump(), issuer.der

    def _crl_point(self, name):
        at = self._switches["crl-point"]
        if at == "none":
            return []
        return [ca.crl_points(self._store.crl_url(name) if at == "http" else
                              f"ldap:///CN={name},CN=CDP,CN=Configuration?certificateRevocationList")]

    def _life(self, csr):
        if self._switches["lifetime"] != "request":
            return datetime.timedelta(seconds=max(1, self._switches["lifetime"]))
        if csr.validity and self._switches["validity"] == "honor":
            return csr.validity
        return ca.YEAR

    def _extensions(self, csr):
        """The request's own KU, EKU and SAN; what it lacks comes from the template."""
        drop = {ca.KEY_USAGE: "drop-ku", ca.EXTENDED_KEY_USAGE: "drop-eku", ca.ALT_NAME: "drop-san"}
        usages = csr.extended_key_usage() or [CLIENT_AUTHENTICATION]
        more = self._switches["add-eku"]
        template = {ca.KEY_USAGE: ca.key_usage(ca.SIGN | ca.ENCIPHER),
                    ca.EXTENDED_KEY_USAGE: ca.extended_key_usage(*usages, *([more] if more != "off" else []))}
        chosen = [ca.extension(ca.TEMPLATE_NAME, core.BMPString("IPSECIntermediateOffline").dump())]
        for dotted, switch in drop.items():
            if self._switches[switch]:
                continue
            if dotted in csr.extensions and not (dotted == ca.EXTENDED_KEY_USAGE and more != "off"):
                chosen.append(csr.extensions[dotted].der)
            elif dotted in template:
                chosen.append(template[dotted])
        return chosen
