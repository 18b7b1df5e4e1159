"""What the server does with a PKIOperation: transactions, renewal, approval, issuing."""
import datetime
import hashlib
import os
import threading
from typing import NamedTuple, Optional

from asn1crypto import core

from . import ca, cms, messages, policy, request as pkcs10

CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2"
MESSAGE_TYPE = "application/x-pki-message"
PENDING, ISSUED, DENIED = "pending", "issued", "denied"


class Answer(NamedTuple):
    status: int
    content_type: Optional[str]
    body: bytes
    note: Optional[str] = None
    transaction: Optional[str] = None


class Failure(Exception):
    """The request gets CertRep FAILURE."""

    def __init__(self, reason, fail_info=messages.BAD_REQUEST, hresult=policy.E_INVALIDARG, event=4007, **fields):
        super().__init__(reason)
        self.fail_info, self.hresult, self.event, self.fields = fail_info, hresult, event, fields


class Transaction:
    def __init__(self, csr, outer, renewal):
        self.csr, self.signer, self.renewal = csr, outer.signer, renewal
        self.state, self.waited, self.approved, self.certificates = PENDING, 0, False, ()


class Enrollment:
    """One per server. Any thread may call."""

    def __init__(self, pki_of, switches, challenges, log, record_folder):
        self._pki_of, self._switches, self._challenges = pki_of, switches, challenges
        self._log, self._record_folder = log, record_folder
        self._lock = threading.Lock()
        self._transactions, self._recorded, self._strangers = {}, 0, {}

    # PKIOperation

    def operate(self, body):
        answer = self._operate(body)
        if self._switches["record"]:
            self._record(body, answer.body)
        return answer

    def _operate(self, body):
        pki = self._pki_of(self._switches)
        try:
            request = messages.open_request(body, pki.recipient(self._switches))
        except messages.Undecodable as error:
            self._log.write(error.event, reason=str(error),
                            hresult=f"0x{error.hresult:08X}" if error.hresult else None)
            return Answer(500, "text/html", b"<html><body>500 - Internal server error.</body></html>", str(error))
        outer = request.outer
        self._log.write(4003, transaction=outer.transaction, messageType=outer.kind, cipher=request.cipher,
                        digest=outer.digest, signer=ca.name_text(outer.signer.subject.dump()),
                        sha256=hashlib.sha256(body).hexdigest())
        if outer.kind == messages.RENEWAL_REQ and self._switches["renewal"] == "http-500":
            return Answer(500, "text/html", b"<html><body>500</body></html>", "RenewalReq", outer.transaction)
        try:
            with self._lock:
                status, certificates = self._dispatch(pki, request)
            if self._switches["order"] == "ca-first":
                certificates = certificates[::-1]
            return self._reply(pki, outer, status, certificates=certificates)
        except Failure as failure:
            self._log.write(failure.event, transaction=outer.transaction, reason=str(failure),
                            failInfo=failure.fail_info, **failure.fields)
            return self._reply(pki, outer, messages.FAILURE, fail_info=failure.fail_info, hresult=failure.hresult)

    def _reply(self, pki, outer, status, **more):
        signer = self._stranger("signer") if self._switches["unknown-signer"] else pki.signer(self._switches)
        try:
            body = messages.reply(outer, status, signer, messages.Shape.of(self._switches), self._switches, **more)
        except cms.NotForUs as error:
            self._log.write(20602, 0x0FFFFFFF, transaction=outer.transaction, reason=str(error))
            return Answer(500, "text/html", b"<html><body>500</body></html>", str(error), outer.transaction)
        if status == messages.SUCCESS:
            self._log.write(20600, 0, transaction=outer.transaction)
        return Answer(200, MESSAGE_TYPE, body, {0: "SUCCESS", 2: "FAILURE", 3: "PENDING"}[status], outer.transaction)

    def _record(self, *messages_of_one):
        os.makedirs(self._record_folder, exist_ok=True)
        with self._lock:
            self._recorded += 1
            number = self._recorded
        for body, name in zip(messages_of_one, ("request", "reply")):
            with open(os.path.join(self._record_folder, f"{number:04}.{name}.der"), "wb") as file:
                file.write(body)

    def _dispatch(self, pki, request):
        outer, known = request.outer, self._transactions.get(request.outer.transaction)
        if outer.kind in (messages.PKCS_REQ, messages.RENEWAL_REQ):
            if known and known.state != DENIED:
                return self._poll(pki, outer, known)  # a repetition asks for the same thing again
            return self._enroll(pki, request)
        if outer.kind == messages.CERT_POLL:
            if not known:
                raise Failure("there is no such transaction", messages.BAD_CERT_ID)
            return self._poll(pki, outer, known)
        raise Failure(f"messageType {outer.kind} is not supported")

    def _enroll(self, pki, request):
        outer = request.outer
        csr = self._read(request.payload)
        subject = csr.subject_text()
        renewal = pki.issued(outer.signer)
        if outer.kind == messages.RENEWAL_REQ and not renewal:
            raise Failure("RenewalReq was not signed with a certificate of this CA", event=28, subject=subject)
        if self._switches["fail-info"] != "off":
            raise Failure("switch fail-info", self._switches["fail-info"], subject=subject)
        if renewal and csr.challenge is None and self._switches["renewal"] != "challenge":
            self._check_life(outer.signer, subject)
            verdict = policy.verify_renewal(outer.kind, self._switches)
        else:
            verdict = policy.verify(csr, self._challenges, self._switches)
        if verdict.allowed and verdict.challenge and not self._challenges.use(verdict.challenge, outer.transaction):
            verdict = policy.Verdict(False, 20502, 0x410, "ChallengeUsed", 29)
        self._log.write(verdict.event, verdict.diagnostic, transaction=outer.transaction, subject=subject,
                        reason=verdict.reason)
        if not verdict.allowed:
            raise Failure(verdict.reason, verdict.fail_info, verdict.hresult, verdict.server_event or 4007,
                          subject=subject)
        if self._switches["template-missing"]:
            raise Failure("CERTSRV_E_UNSUPPORTED_CERT_TYPE", hresult=policy.CERTSRV_E_UNSUPPORTED_CERT_TYPE, event=31,
                          subject=subject, template=policy.template(csr.key_usage()))
        transaction = Transaction(csr, outer, renewal)
        self._transactions[outer.transaction] = transaction
        return self._poll(pki, outer, transaction)

    def _read(self, payload):
        try:
            csr = pkcs10.read(payload)
            csr.subject_text(), csr.subject_parts(), csr.key_usage(), csr.extended_key_usage()
            csr.alternative_names(), csr.template()
            return csr
        except cms.BadSignature as error:
            raise Failure(f"PKCS#10: {error}", messages.BAD_MESSAGE_CHECK) from None
        except ValueError as error:
            raise Failure(f"PKCS#10: {error}") from None

    def _check_life(self, certificate, subject):
        validity, now = certificate["tbs_certificate"]["validity"], datetime.datetime.now(datetime.timezone.utc)
        if not validity["not_before"].native <= now <= validity["not_after"].native:
            raise Failure("the certificate that signed the renewal has expired", event=28, subject=subject)

    def _poll(self, pki, outer, transaction):
        if transaction.state == DENIED:
            raise Failure("the administrator denied the request")
        if transaction.state == PENDING and not transaction.approved:
            wanted = self._switches["pending"]
            if wanted == "approve" or (wanted != "off" and transaction.waited < wanted):
                transaction.waited += 1
                return messages.PENDING, ()
        if transaction.state == PENDING:
            transaction.certificates = self._issue(pki, outer.transaction, transaction)
            transaction.state = ISSUED
        return messages.SUCCESS, transaction.certificates

    # approval

    def decide(self, approve, name=None):
        """The administrator's word on one waiting transaction, or on all. The number of them."""
        with self._lock:
            waiting = [one for key, one in self._transactions.items()
                       if one.state == PENDING and not one.approved and name in (None, key)]
            for one in waiting:
                one.approved = approve
                one.state = PENDING if approve else DENIED
            return len(waiting)

    def waiting(self):
        with self._lock:
            return [key for key, one in self._transactions.items() if one.state == PENDING]

    # issuing

    def _stranger(self, role):
        """A self-signed authority that nobody knows."""
        if role not in self._strangers:
            key, subject = ca.new_key(), ca.name(common_name="Stranger")
            now = datetime.datetime.now(datetime.timezone.utc)
            self._strangers[role] = ca.Authority(key, ca.issue(
                key, subject, subject, ca.spki_of(key), [ca.key_usage(ca.SIGN | ca.ENCIPHER)], now, now + ca.YEAR))
        return self._strangers[role]

    def _issue(self, pki, name, transaction):
        """DER of the certificate and of its CA."""
        issuer, csr = pki.issuer(self._switches), transaction.csr
        if self._switches["stale"] and transaction.renewal:
            self._log.write(4006, transaction=name, subject=csr.subject_text(), stale=True,
                            serial=f"{transaction.signer.serial_number:x}")
            return transaction.signer.dump(), issuer.der
        start = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        end = min(start + self._life(csr), issuer.certificate["tbs_certificate"]["validity"]["not_after"].native)
        start -= datetime.timedelta(seconds=self._switches["backdate"])
        spki = ca.spki_of(self._stranger("holder").key) if self._switches["wrong-key"] else csr.spki
        subject = ca.name(common_name="somebody-else") if self._switches["wrong-subject"] else csr.subject
        certificate = ca.issue(issuer.key, issuer.certificate.subject.dump(), subject, spki, self._extensions(csr),
                               start, end)
        self._log.write(4006, transaction=name, subject=csr.subject_text(), serial=f"{certificate.serial_number:x}",
                        thumbprint=certificate.sha1.hex().upper(), notBefore=start.isoformat(),
                        notAfter=end.isoformat(), template=policy.template(csr.key_usage()),
                        templateAsked=csr.template(), renewal=transaction.renewal)
        return certificate.dump(), issuer.der

    def _life(self, csr):
        if self._switches["lifetime"] != "request":
            return datetime.timedelta(seconds=max(1, self._switches["lifetime"]))
        if csr.validity and self._switches["validity"] == "honor":
            return csr.validity
        return ca.YEAR

    def _extensions(self, csr):
        """The request's own KU, EKU and SAN; what it lacks comes from the template."""
        drop = {ca.KEY_USAGE: "drop-ku", ca.EXTENDED_KEY_USAGE: "drop-eku", ca.ALT_NAME: "drop-san"}
        template = {ca.KEY_USAGE: ca.key_usage(ca.SIGN | ca.ENCIPHER),
                    ca.EXTENDED_KEY_USAGE: ca.extended_key_usage(CLIENT_AUTHENTICATION)}
        chosen = [ca.extension(ca.TEMPLATE_NAME, core.BMPString("IPSECIntermediateOffline").dump())]
        for dotted, switch in drop.items():
            if self._switches[switch]:
                continue
            if dotted in csr.extensions:
                chosen.append(csr.extensions[dotted].der)
            elif dotted in template:
                chosen.append(template[dotted])
        return chosen


def encode_ca(certificates):
    """Content type and body of GetCACert."""
    if len(certificates) == 1:
        return "application/x-x509-ca-cert", certificates[0]
    return "application/x-x509-ca-ra-cert", cms.degenerate(certificates)


