"""What the server does with a PKIOperation: transactions, renewal, approval, questions for certificates and CRLs."""
import hashlib
import os
import threading
from typing import NamedTuple, Optional

from . import ber, ca, clock, cms, messages, policy, request as pkcs10
from .pages import Answer

MESSAGE_TYPE = "application/x-pki-message"
ENROLLING = (messages.PKCS_REQ, messages.RENEWAL_REQ, messages.CERT_POLL)
PENDING, ISSUED, DENIED = "pending", "issued", "denied"


class Outcome(NamedTuple):
    """What a CertRep says that is no FAILURE."""
    status: int
    payload: bytes = b""
    secret: Optional[str] = None    # the challenge, for who cannot be reached by a key


class Failure(Exception):
    """The request gets CertRep FAILURE."""

    def __init__(self, reason, fail_info=messages.BAD_REQUEST, hresult=policy.E_INVALIDARG, event=4007, **fields):
        super().__init__(reason)
        self.fail_info, self.hresult, self.event, self.fields = fail_info, hresult, event, fields


class Transaction:
    def __init__(self, csr, outer, renewal, authority):
        self.csr, self.signer, self.renewal, self.authority = csr, outer.signer, renewal, authority
        self.state, self.waited, self.approved, self.certificates = PENDING, 0, False, ()


class Enrollment:
    """One per server. Any thread may call."""

    def __init__(self, pki_of, switches, challenges, log, store, issuing, strangers, record_folder):
        self._pki_of, self._switches, self._challenges = pki_of, switches, challenges
        self._log, self._store, self._issuing, self._strangers = log, store, issuing, strangers
        self._record_folder, self._lock = record_folder, threading.Lock()
        self._transactions, self._recorded = {}, 0

    # PKIOperation

    def operate(self, body):
        answer = self._operate(body)
        if self._switches["record"]:
            self._record(body, answer.body)
        return answer

    def _operate(self, body):
        pki = self._pki_of(self._switches)
        try:
            request = messages.open_request(body, *pki.recipients(self._switches))
        except messages.Undecodable as error:
            self._log.write(error.event, reason=str(error),
                            hresult=f"0x{error.hresult:08X}" if error.hresult else None)
            return Answer(500, "text/html", b"<html><body>500 - Internal server error.</body></html>", str(error))
        outer = request.outer
        self._log.write(4003, transaction=outer.transaction, messageType=outer.kind, cipher=request.cipher,
                        digest=outer.digest, signer=ca.name_text(outer.signer.subject.dump()),
                        sha256=hashlib.sha256(body).hexdigest())
        if self._switches["ec-reply"] == "http-500" and outer.signer.public_key.algorithm == "ec":
            return Answer(500, "text/html", b"<html><body>500</body></html>", "signed by an EC key", outer.transaction)
        if self._switches["foreign-signer"] == "http-400" and self._foreign(pki, request):
            return Answer(400, "text/html", b"<html><body>400</body></html>", "signed by another key", outer.transaction)
        if outer.kind == messages.RENEWAL_REQ and self._switches["renewal"] == "http-500":
            return Answer(500, "text/html", b"<html><body>500</body></html>", "RenewalReq", outer.transaction)
        if outer.kind == messages.GET_CRL and self._switches["get-crl"] == "http-500":
            return Answer(500, "text/html", b"<html><body>500</body></html>", "GetCRL", outer.transaction)
        try:
            with self._lock:
                outcome = self._dispatch(pki, request)
            return self._reply(pki, outer, outcome.status, payload=outcome.payload, secret=outcome.secret)
        except Failure as failure:
            self._log.write(failure.event, transaction=outer.transaction, reason=str(failure),
                            failInfo=failure.fail_info, hresult=f"0x{failure.hresult:08X}", **failure.fields)
            return self._reply(pki, outer, messages.FAILURE, fail_info=failure.fail_info, hresult=failure.hresult)

    @staticmethod
    def _foreign(pki, request):
        """A first request that another key has signed than the one it is for."""
        if request.outer.kind != messages.PKCS_REQ or pki.issuer_of(request.outer.signer) is not None:
            return False
        try:
            return pkcs10.read(request.payload).spki != request.outer.signer.public_key.dump()
        except (ValueError, cms.BadSignature):
            return False

    def _reply(self, pki, outer, status, **more):
        signer = self._strangers("signer") if self._switches["unknown-signer"] else pki.signer(self._switches)
        try:
            body = messages.reply(outer, status, signer, messages.Shape.of(self._switches), self._switches, **more)
        except cms.NotForUs as error:
            self._log.write(20602, 0x0FFFFFFF, transaction=outer.transaction, reason=str(error))
            return Answer(500, "text/html", b"<html><body>500</body></html>", str(error), outer.transaction)
        if status == messages.SUCCESS and outer.kind in ENROLLING and self._switches["policy-module"]:
            failed = self._switches["notify"] == "fail"
            self._log.write(20602 if failed else 20600, 0x0FFFFFFF if failed else 0, transaction=outer.transaction)
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
        if outer.kind in (messages.GET_CERT, messages.GET_CRL):
            return self._look_up(pki, outer.kind, request.payload)
        raise Failure(f"messageType {outer.kind} is not supported")

    def _look_up(self, pki, kind, payload):
        """GetCert and GetCRL: both name a certificate by its issuer and number."""
        try:
            issuer, serial = messages.issuer_and_serial(payload)
        except ber.Malformed as error:
            raise Failure(f"IssuerAndSerialNumber: {error}") from None
        certificate = self._store.find(serial)
        label = pki.issuer_of(certificate) if certificate else None
        if not label or certificate.issuer.dump() != issuer:
            raise Failure("there is no such certificate", messages.BAD_CERT_ID)
        if kind == messages.GET_CERT:
            return Outcome(messages.SUCCESS, cms.degenerate([certificate.dump()]))
        return self._crl(pki, label, certificate)

    def _crl(self, pki, label, certificate):
        state, how = self._switches["crl"], self._switches["get-crl"]

        def signed(by, state=state):
            return self._store.crl(f"{pki.name}-{by}", pki.crl_signer(by, state), state, pki.below(by))
        if how == "refuse" or state == "missing":
            raise Failure("there is no CRL")
        if how == "pending":
            return Outcome(messages.PENDING)
        beside = [certificate.dump()] if how in ("beside", "certificate") else []
        crls = {"certificate": [], "nothing": [], "other-ca": ["root"]}.get(how, [label])
        crls = [signed(by) for by in crls]
        if how == "two-keys":
            crls.insert(0, signed(label, "foreign"))
        return Outcome(messages.SUCCESS, cms.degenerate(beside, crls))

    def _enroll(self, pki, request):
        outer = request.outer
        csr = self._read(request.payload, outer.transaction)
        subject = csr.subject_text()
        renewal = pki.issuer_of(outer.signer) is not None
        if outer.kind == messages.RENEWAL_REQ and not renewal:
            raise Failure("RenewalReq was not signed with a certificate of this CA", event=28, subject=subject)
        if self._switches["fail-info"] != "off":
            raise Failure("switch fail-info", self._switches["fail-info"], subject=subject)
        if self._switches["foreign-signer"] == "refuse" and self._foreign(pki, request):
            raise Failure("the request was signed with another key than its own", subject=subject)
        self._check_keys(csr, outer, subject)
        if renewal and csr.challenge is None and self._switches["renewal"] != "challenge":
            self._check_signer(pki, outer.signer, subject)
            verdict = policy.verify_renewal(outer.kind, self._switches)
        else:
            verdict = policy.verify(csr, self._challenges, self._switches)
        if verdict.allowed and verdict.challenge and not self._challenges.use(verdict.challenge, outer.transaction):
            verdict = policy.refuse("ChallengeUsed")
        self._tell(verdict, outer.transaction, subject)
        if not verdict.allowed:
            raise Failure(verdict.reason, verdict.fail_info, verdict.hresult, verdict.server_event or 4007,
                          subject=subject)
        self._submit(csr, outer.transaction, subject)
        authority = pki.issuer_label(self._switches)
        if request.recipient is not pki.recipients(self._switches)[0]:
            authority = pki.next_issuer_label(self._switches)     # asked for by encrypting to it
        transaction = Transaction(csr, outer, renewal, authority)
        self._transactions[outer.transaction] = transaction
        return self._poll(pki, outer, transaction)

    def _tell(self, verdict, transaction, subject=None):
        """The connector's events."""
        if verdict.before:
            self._log.write(*verdict.before, transaction=transaction)
        if verdict.event:
            self._log.write(verdict.event, verdict.diagnostic, transaction=transaction, subject=subject,
                            reason=verdict.reason)

    def _submit(self, csr, transaction, subject):
        """To the CA."""
        fault, diagnostic = policy.submission_fault(csr, self._switches), self._switches["diagnostic"]
        if not fault:
            return
        if diagnostic != "off" and policy.DIAGNOSTICS[diagnostic] == 20102:
            self._log.write(20102, diagnostic, transaction=transaction)
        raise Failure(fault.reason, hresult=fault.hresult, event=31, subject=subject,
                      template=policy.template(csr.key_usage()))

    def _check_keys(self, csr, outer, subject):
        """Before anything is issued or used up: whether this server takes EC keys, and can answer them."""
        if csr.is_ec() and self._switches["ec-key"] == "refuse":
            raise Failure("the key is an EC key", messages.BAD_ALG, policy.NTE_BAD_ALGID, subject=subject)
        how = self._switches["ec-reply"]
        if outer.signer.public_key.algorithm == "ec" and (how == "refuse" or (how == "pwri" and not csr.challenge)):
            raise Failure("the request was signed with an EC key", messages.BAD_ALG, policy.NTE_BAD_ALGID,
                          subject=subject)

    def _read(self, payload, transaction):
        try:
            csr = pkcs10.read(payload)
            csr.subject_text(), csr.subject_parts(), csr.key_usage(), csr.extended_key_usage(), csr.is_ec()
            csr.alternative_names(), csr.template()
            return csr
        except cms.BadSignature as error:
            raise Failure(f"PKCS#10: {error}", messages.BAD_MESSAGE_CHECK) from None
        except ValueError as error:
            if self._switches["policy-module"]:
                self._tell(policy.refuse("CertificateRequestDecodingFailed"), transaction)
            raise Failure(f"PKCS#10: {error}") from None

    def _check_signer(self, pki, certificate, subject):
        validity, now = certificate["tbs_certificate"]["validity"], clock.now()
        if not validity["not_before"].native <= now <= validity["not_after"].native:
            raise Failure("the certificate that signed the renewal has expired", event=28, subject=subject)
        if certificate.serial_number in self._store.revoked(f"{pki.name}-{pki.issuer_of(certificate)}"):
            raise Failure("the certificate that signed the renewal was revoked", event=28, subject=subject)

    def _poll(self, pki, outer, transaction):
        if transaction.state == DENIED:
            raise Failure("the administrator denied the request")
        if transaction.state == PENDING and not transaction.approved:
            wanted = self._switches["pending"]
            if wanted == "approve" or (wanted != "off" and transaction.waited < wanted):
                transaction.waited += 1
                return Outcome(messages.PENDING)
        if transaction.state == PENDING:
            transaction.certificates = self._issuing.issue(pki, transaction.authority, outer.transaction, transaction)
            transaction.state = ISSUED
        certificates = transaction.certificates
        if self._switches["order"] == "ca-first":
            certificates = certificates[::-1]
        return Outcome(messages.SUCCESS, cms.degenerate(certificates), transaction.csr.challenge)

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
