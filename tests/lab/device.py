"""A device for the lab's own tests: asks in any way, and reads what it gets. It writes with the responder's encoder, which
other people's programs check in test_reply.py and beside it."""
import datetime
import secrets

from asn1crypto import core, x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ndes import ber, ca, cms, messages, recipients, request as pkcs10

SCEP_ERROR = messages.ENROLL_SCEP_ERROR
MESSAGE = "application/x-pki-message"
USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
          "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
KEYS = {}


def key_of(kind):
    """One of each kind is enough for all tests."""
    if kind not in KEYS:
        KEYS[kind] = ca.new_ec_key() if kind == "ec" else ca.rsa.generate_private_key(65537, int(kind))
    return KEYS[kind]


def certificates(body):
    """Of a GetCACert or GetNextCACert answer, in its order."""
    if ber.read(body)[0].tag != 6:      # no object identifier: one certificate
        return [x509.load_der_x509_certificate(body)]
    field = cms.content_of(body, cms.SIGNED, "the chain").context(0)
    return [x509.load_der_x509_certificate(node.raw) for node in field.children]


def usage_of(certificate):
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return [name for name in USAGES[:7] if getattr(usage, name)]


def is_ca(certificate):
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _attribute(dotted, *values):
    return ber.seq(ber.oid(dotted), ber.set_of(*values))


def csr(key, challenge, subject="CN=dev1,O=Lab", dns="dev1.example.com", usage=("digital_signature", "key_encipherment"),
        ekus=("1.3.6.1.5.5.7.3.2",), string=core.PrintableString, validity=None):
    """@validity: a unit and a number, as Windows asks for a life."""
    extensions, attributes = [], []
    if dns:
        extensions.append(ca.extension(ca.ALT_NAME, x509.SubjectAlternativeName([x509.DNSName(dns)]).public_bytes()))
    if usage:
        bits = x509.KeyUsage(**{name: name in usage for name in USAGES}).public_bytes()
        extensions.append(ca.extension(ca.KEY_USAGE, bits, True))
    if ekus:
        extensions.append(ca.extended_key_usage(*ekus))
    if extensions:
        attributes.append(_attribute(pkcs10.EXTENSION_REQUEST[0], ber.seq(*extensions)))
    if challenge is not None:
        attributes.append(_attribute(pkcs10.CHALLENGE, string(challenge).dump()))
    if validity:
        pairs = zip(("ValidityPeriod", "ValidityPeriodUnits"), validity)
        attributes.append(_attribute(pkcs10.NAME_VALUE, *(
            ber.seq(core.BMPString(name).dump(), core.BMPString(value).dump()) for name, value in pairs)))
    name = x509.Name.from_rfc4514_string(subject).public_bytes() if subject else ber.seq()
    return ca.sign(key, lambda algorithm: ber.seq(
        ber.integer(0), name, ca.spki_of(key), ber.tlv(0xA0, b"".join(sorted(attributes)))))


class Reply:
    """A CertRep, or what came instead."""

    def __init__(self, http, headers, body, device):
        self.http, self.headers, self.body, self.device = http, headers, body, device
        self.status = self.fail_info = self.hresult = None
        if http != 200 or headers["Content-Type"] != MESSAGE:
            return
        self.signed = cms.content_of(body, cms.SIGNED, "the reply")
        self.info = self.signed[-1][0]
        self.attributes = {node[0].oid(): node[1][0] for node in self.info.context(0).children}
        self.status, self.fail_info = self._text(messages.PKI_STATUS), self._text(messages.FAIL_INFO)
        self.hresult = self._text(SCEP_ERROR)
        self.nonce, self.transaction = self.attributes[messages.RECIPIENT_NONCE].octets(), self._text(messages.TRANSACTION)
        self.digest = cms.DIGESTS[self.info[2][0].oid()]
        self.has_certificates = self.signed.context(0) is not None
        self.content = self.signed[2][1][0].octets() if len(self.signed[2].children) > 1 else None

    def _text(self, dotted):
        return self.attributes[dotted].text() if dotted in self.attributes else None

    def __repr__(self):
        return f"HTTP {self.http}, pkiStatus {self.status}, failInfo {self.fail_info}, HRESULT {self.hresult}"

    def recipient_info(self):
        return cms.content_of(self.content, cms.ENVELOPED, "the envelope")[1][0]

    def opened(self):
        return cms.open_enveloped(self.content, self.device.signer)

    def certificates(self):
        return certificates(self.opened().plaintext)

    def certificate(self):
        """That of the leaf: no CA."""
        return [one for one in self.certificates() if not is_ca(one)][0]

    def life(self):
        certificate = self.certificate()
        return (certificate.not_valid_after - certificate.not_valid_before).total_seconds()

    def crl(self):
        field = cms.content_of(self.opened().plaintext, cms.SIGNED, "the CRL").context(1)
        return x509.load_der_x509_crl(field[0].raw)


class Device:
    """Any test makes one. @signer: ca.Authority that signs; a self-signed one when not given."""

    def __init__(self, responder, key="2048", signer_key="2048", signer=None):
        self.responder, self.key = responder, key_of(key)
        self.signer = signer or self._self_signed(key_of(signer_key))

    @staticmethod
    def _self_signed(key):
        name, now = ca.name(common_name="dev1"), datetime.datetime.now(datetime.timezone.utc)
        return ca.Authority(key, ca.issue(key, name, name, ca.spki_of(key), [ca.key_usage(ca.SIGN | ca.ENCIPHER)], now,
                                          now + ca.YEAR))

    def ca_certificates(self):
        return certificates(self.responder.get("GetCACert")[2])

    def recipient(self):
        """As RFC and NDES want it: an RA certificate for keys, else the CA's."""
        found = self.ca_certificates()
        now = datetime.datetime.utcnow()
        fitting = [one for one in found if not is_ca(one) and "key_encipherment" in usage_of(one)]
        valid = [one for one in fitting if one.not_valid_before <= now <= one.not_valid_after]
        return (valid or fitting or found)[0]

    def message(self, payload, kind=messages.PKCS_REQ, transaction=None, to=None):
        to = asn1.Certificate.load((to or self.recipient()).public_bytes(serialization.Encoding.DER))
        envelope = cms.envelope(payload, "aes", lambda key: recipients.transport(key, to, "pkcs1"))
        self.sent_nonce, self.sent_transaction = secrets.token_bytes(16), transaction or secrets.token_hex(20)
        attributes = [(messages.MESSAGE_TYPE, ber.printable(str(kind))),
                      (messages.SENDER_NONCE, ber.octet_string(self.sent_nonce)),
                      (messages.TRANSACTION, ber.printable(self.sent_transaction))]
        return cms.sign(envelope, attributes, self.signer, "sha256", (self.signer.der,))

    def ask(self, payload, kind=messages.PKCS_REQ, **more):
        return Reply(*self.responder.post(self.message(payload, kind, **more)), self)

    def enroll(self, challenge=..., kind=messages.PKCS_REQ, transaction=None, to=None, **request):
        """@challenge: a fresh one when not given."""
        if challenge is ...:
            challenge = self.responder.challenge()
        return self.ask(csr(self.key, challenge, **request), kind, transaction=transaction, to=to)

    def renew(self, reply, kind=messages.RENEWAL_REQ, **request):
        """With the certificate of @reply."""
        certificate = asn1.Certificate.load(reply.certificate().public_bytes(serialization.Encoding.DER))
        return Device(self.responder, signer=ca.Authority(self.key, certificate)).enroll(None, kind, **request)

    def poll(self, transaction):
        issuer_and_subject = ber.seq(ca.name(common_name="anybody"), ca.name(common_name="dev1"))
        return self.ask(issuer_and_subject, messages.CERT_POLL, transaction=transaction)
