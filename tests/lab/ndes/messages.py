"""SCEP messages: the request a client sent, and the CertRep it gets."""
import secrets
from typing import NamedTuple

from asn1crypto import core, x509

from . import ber, clock, cms, recipients

_ARC = "2.16.840.1.113733.1.9."
MESSAGE_TYPE, PKI_STATUS, FAIL_INFO = _ARC + "2", _ARC + "3", _ARC + "4"
SENDER_NONCE, RECIPIENT_NONCE, TRANSACTION = _ARC + "5", _ARC + "6", _ARC + "7"
SIGNING_TIME = "1.2.840.113549.1.9.5"
ENROLL_SCEP_ERROR = "1.3.6.1.4.1.311.21.33"
CERT_REP, RENEWAL_REQ, PKCS_REQ, CERT_POLL, GET_CERT, GET_CRL = 3, 17, 19, 20, 21, 22
SUCCESS, FAILURE, PENDING = 0, 2, 3
BAD_ALG, BAD_MESSAGE_CHECK, BAD_REQUEST, BAD_TIME, BAD_CERT_ID = range(5)
TRANSACTION_MAX = 255


class Undecodable(ValueError):
    """No CertRep can answer this. @event: NDES's event id; @hresult: or None."""

    def __init__(self, event, text, hresult=None):
        super().__init__(text)
        self.event, self.hresult = event, hresult


class Outer(NamedTuple):
    """What stands outside the envelope."""
    kind: int
    transaction: str
    nonce: bytes
    signer: x509.Certificate
    digest: str
    envelope: bytes


class Request(NamedTuple):
    outer: Outer
    payload: bytes
    cipher: str
    recipient: object       # ca.Authority that the envelope was for


def _value(attributes, dotted):
    values = attributes.get(dotted)
    if not values or len(values) != 1:
        raise Undecodable(17, f"attribute {dotted} is missing or not single")
    return values[0]


def open_outer(data):
    """Undecodable: bad encoding, missing attributes, or a signature that is wrong."""
    try:
        signed = cms.open_signed(data)
        transaction = _value(signed.attributes, TRANSACTION).text()
        kind = _value(signed.attributes, MESSAGE_TYPE).text()
        nonce = _value(signed.attributes, SENDER_NONCE).octets()
    except ber.Malformed as error:
        raise Undecodable(16, str(error)) from None
    except cms.BadSignature as error:
        raise Undecodable(17, str(error)) from None
    if not 0 < len(transaction) <= TRANSACTION_MAX:
        raise Undecodable(17, f"transactionID of {len(transaction)} characters")
    if not kind.isdigit() or len(kind) > 3:
        raise Undecodable(17, f"messageType '{kind}'")
    return Outer(int(kind), transaction, nonce, signed.certificate, signed.digest, signed.content)


def open_request(data, *authorities):
    """Undecodable. @authorities: ca.Authority, one of whom the envelope has to be for."""
    outer = open_outer(data)
    for authority in authorities:
        try:
            opened = cms.open_enveloped(outer.envelope, authority)
            return Request(outer, opened.plaintext, opened.cipher, authority)
        except ber.Malformed as error:
            raise Undecodable(16, str(error)) from None
        except cms.NotForUs as error:
            reason = str(error)
    raise Undecodable(18, reason, hresult=0x80090005)


def issuer_and_serial(payload):
    """What GetCert and GetCRL ask for. ber.Malformed."""
    node = ber.read(payload)
    return node[0].der(), node[1].integer()


def _signed_decimal(hresult):
    return str(hresult - (1 << 32) if hresult & 0x80000000 else hresult)


class Shape(NamedTuple):
    """How a reply looks; taken from the switches once per reply."""
    ndes: bool
    digest: str
    cipher: str
    full_name: bool
    transport: str
    ec: str
    agreement: recipients.Agreement
    password: recipients.Password
    attributes: str
    form: type

    @classmethod
    def of(cls, switches):
        ndes = switches["reply-shape"] == "ndes"
        digest, cipher = switches["digest"], switches["cipher"]
        return cls(ndes, ("sha1" if ndes else "sha256") if digest == "auto" else digest,
                   ("des3" if ndes else "aes") if cipher == "auto" else cipher,
                   switches["signature"] == "full", switches["transport"], switches["ec-reply"],
                   recipients.Agreement(*(switches["kari-" + part] for part in ("kdf", "wrap", "fault", "form"))),
                   recipients.Password(*(switches["pwri-" + part] for part in ("prf", "iterations", "fault"))),
                   switches["attributes"],
                   ber.Indefinite if switches["encoding"] == "ber" else ber.Der)


def _wrap(signer, shape, secret):
    """How the content key of a reply gets to who signed the request with @signer. cms.NotForUs."""
    if signer.public_key.algorithm != "ec":
        return lambda key: recipients.transport(key, signer, shape.transport)
    if shape.ec == "kari":
        return lambda key: recipients.agreement(key, signer, shape.agreement)
    if shape.ec == "pwri" and secret:
        return lambda key: recipients.password(key, secret, shape.password)
    raise cms.NotForUs("the request was signed with an EC key" + (" and has no challenge" if shape.ec == "pwri" else ""))


def reply(outer, status, signer, shape, switches, payload=b"", secret=None, fail_info=None, hresult=None):
    """A CertRep to @outer. @payload: DER, for SUCCESS; it is encrypted to the request's signer, or with @secret, the
    challenge, where that one's key cannot (RFC 8894 3.1)."""
    nonce = secrets.token_bytes(16) if switches["wrong-nonce"] else outer.nonce
    transaction = secrets.token_hex(20) if switches["wrong-transaction"] else outer.transaction
    stated = status if switches["pki-status"] == "off" else switches["pki-status"]
    attributes = [(MESSAGE_TYPE, ber.printable(str(CERT_REP))), (PKI_STATUS, ber.printable(str(stated))),
                  (SENDER_NONCE, ber.octet_string(secrets.token_bytes(16))),
                  (RECIPIENT_NONCE, ber.octet_string(nonce)), (TRANSACTION, ber.printable(transaction))]
    if status == FAILURE:
        attributes.append((FAIL_INFO, ber.printable(str(fail_info))))
        if shape.ndes and hresult:
            attributes.append((ENROLL_SCEP_ERROR, ber.printable(_signed_decimal(hresult))))
    if not shape.ndes:
        now = clock.now().replace(microsecond=0)
        attributes.append((SIGNING_TIME, core.UTCTime(now).dump()))
    content = b"\x00" if shape.ndes else None
    if status == SUCCESS:
        content = cms.envelope(payload, shape.cipher, _wrap(outer.signer, shape, secret), shape.form)
    return cms.sign(content, attributes, signer, shape.digest, () if shape.ndes else (signer.der,),
                    shape.full_name, shape.form, shape.attributes)
