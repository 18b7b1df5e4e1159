"""Certificates: what goes into them, and signing them."""
import datetime
import secrets

from asn1crypto import core, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from . import ber

# RSASSA-PSS with SHA-256, MGF1 with the same, a salt of 32 octets
_SHA256 = ber.algorithm("2.16.840.1.101.3.4.2.1")
_PSS = ber.algorithm("1.2.840.113549.1.1.10", ber.seq(
    ber.context(0, _SHA256), ber.context(1, ber.algorithm("1.2.840.113549.1.1.8", _SHA256)),
    ber.context(2, ber.integer(32))))
SIGNATURES = ("sha256", "sha1", "pss")
KEY_USAGE, EXTENDED_KEY_USAGE, ALT_NAME = "2.5.29.15", "2.5.29.37", "2.5.29.17"
BASIC_CONSTRAINTS, SUBJECT_KEY_ID, AUTHORITY_KEY_ID = "2.5.29.19", "2.5.29.14", "2.5.29.35"
CRL_POINTS = "2.5.29.31"
TEMPLATE_NAME = "1.3.6.1.4.1.311.20.2"
REQUEST_AGENT = "1.3.6.1.4.1.311.20.2.1"
SIGN, ENCIPHER, CERT_SIGN, CRL_SIGN = 0x80, 0x20, 0x04, 0x02
YEAR = datetime.timedelta(days=365)


def extension(dotted, value, critical=False):
    return ber.seq(ber.oid(dotted), b"\x01\x01\xff" if critical else b"", ber.octet_string(value))


def key_usage(octet):
    unused = (octet & -octet).bit_length() - 1
    return extension(KEY_USAGE, ber.tlv(3, bytes([unused, octet])), critical=True)


def extended_key_usage(*oids):
    return extension(EXTENDED_KEY_USAGE, ber.seq(*(ber.oid(dotted) for dotted in oids)))


def name(**parts):
    return x509.Name.build({key: value for key, value in parts.items()}).dump()


def name_text(der):
    """CN=…,O=… in the order of the name."""
    words = {"2.5.4.3": "CN", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
             "2.5.4.5": "SERIALNUMBER", "1.2.840.113549.1.9.1": "E", "0.9.2342.19200300.100.1.25": "DC"}
    return ",".join("+".join(f"{words.get(part[0].oid(), part[0].oid())}={part[1].text()}" for part in rdn.children)
                    for rdn in ber.read(der).children)


def time_der(moment):
    moment = moment.replace(microsecond=0)
    kind = core.UTCTime if moment.year < 2050 else core.GeneralizedTime
    return kind(moment).dump()


def spki_of(key):
    return key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def new_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def new_ec_key():
    return ec.generate_private_key(ec.SECP256R1())


def crl_points(url):
    """Where the CRL lies."""
    name = ber.context(0, ber.context(0, ber.tlv(0x86, url.encode())))
    return extension(CRL_POINTS, ber.seq(ber.seq(name)))


class Authority:
    """A certificate and its key."""

    def __init__(self, key, certificate):
        self.key, self.certificate = key, certificate
        self.issuer, self.serial = certificate.issuer.dump(), certificate.serial_number
        self.name = certificate.subject.dump()

    @property
    def der(self):
        return self.certificate.dump()


def sign(key, tbs, signature="sha256"):
    """AlgorithmIdentifier and signature over what @tbs makes of the former; @signature: one of SIGNATURES."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm, arguments = ber.seq(ber.oid("1.2.840.10045.4.3.2")), (ec.ECDSA(hashes.SHA256()),)
    elif signature == "pss":
        algorithm, arguments = _PSS, (padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    elif signature == "sha1":
        algorithm, arguments = ber.algorithm("1.2.840.113549.1.1.5"), (padding.PKCS1v15(), hashes.SHA1())
    else:
        algorithm, arguments = ber.algorithm("1.2.840.113549.1.1.11"), (padding.PKCS1v15(), hashes.SHA256())
    content = tbs(algorithm)
    return ber.seq(content, algorithm, ber.tlv(3, b"\x00" + key.sign(content, *arguments)))


def key_id(key):
    """The identifier of the public half: SHA-1 over its bits."""
    digest = hashes.Hash(hashes.SHA1())
    digest.update(ber.read(spki_of(key) if hasattr(key, "sign") else key)[1].octets()[1:])
    return digest.finalize()


def issue(issuer_key, issuer_name, subject, spki, extensions, not_before, not_after, signature="sha256"):
    """A certificate; everything is DER and goes in as it is. Both keys' identifiers are added."""
    extensions = [*extensions, extension(SUBJECT_KEY_ID, ber.octet_string(key_id(spki))),
                  extension(AUTHORITY_KEY_ID, ber.seq(ber.tlv(0x80, key_id(issuer_key))))]
    serial = int.from_bytes(b"\x5c" + secrets.token_bytes(15), "big")
    return x509.Certificate.load(sign(issuer_key, lambda algorithm: ber.seq(
        ber.context(0, ber.integer(2)), ber.integer(serial), algorithm, issuer_name,
        ber.seq(time_der(not_before), time_der(not_after)), subject, spki,
        ber.context(3, ber.seq(*extensions))), signature))
