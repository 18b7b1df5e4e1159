"""How a content key reaches who may open an envelope: RSA transport, ECDH agreement, a password. DER RecipientInfos."""
import secrets
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from . import ber, cms

EC_KEY = "1.2.840.10045.2.1"
CURVES = {"secp256r1": "1.2.840.10045.3.1.7", "secp384r1": "1.3.132.0.34"}
MGF1 = "1.2.840.113549.1.1.8"
UNKNOWN = "1.3.6.1.4.1.55555.1"
AGREEMENTS = {"sha1": "1.3.133.16.840.63.0.2", "sha256": "1.3.132.1.11.1", "sha384": "1.3.132.1.11.2",
              "sha512": "1.3.132.1.11.3", "unknown": UNKNOWN}
WRAPS = {"aes128": ("2.16.840.1.101.3.4.1.5", 16), "aes192": ("2.16.840.1.101.3.4.1.25", 24),
         "aes256": ("2.16.840.1.101.3.4.1.45", 32), "unknown": (UNKNOWN, 16)}
PBKDF2 = "1.2.840.113549.1.5.12"
PRFS = {"sha1": "1.2.840.113549.2.7", "sha256": "1.2.840.113549.2.9", "sha384": "1.2.840.113549.2.10",
        "sha512": "1.2.840.113549.2.11", "unknown": UNKNOWN}
PASSWORD_KEK, AES128_CBC = "1.2.840.113549.1.9.16.3.9", "2.16.840.1.101.3.4.1.2"
BLOCK, DONE_AT_MOST = 16, 100_000


class Wrapped(NamedTuple):
    version: int        # that EnvelopedData has because of it
    info: bytes


def transport(key, certificate, kind):
    """To the RSA key of @certificate; @kind: pkcs1 or oaep."""
    public = serialization.load_der_public_key(certificate.public_key.dump())
    if not isinstance(public, rsa.RSAPublicKey):
        raise cms.NotForUs("the request was not signed with an RSA key")
    if kind == "oaep":
        wrapped = public.encrypt(key, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
        algorithm = ber.algorithm(cms.OAEP, ber.seq())
    elif kind == "oaep-sha256":
        wrapped = public.encrypt(key, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
        digest = ber.algorithm(cms.DIGEST_OIDS["sha256"])
        algorithm = ber.algorithm(cms.OAEP, ber.seq(ber.context(0, digest), ber.context(1, ber.algorithm(MGF1, digest))))
    else:
        wrapped, algorithm = public.encrypt(key, padding.PKCS1v15()), ber.algorithm(cms.RSA)
    return Wrapped(0, ber.seq(ber.integer(0), cms.issuer_and_serial(certificate), algorithm, ber.octet_string(wrapped)))


class Agreement(NamedTuple):
    """How a key agreement looks; see the switches kari-…"""
    kdf: str = "sha256"
    wrap: str = "aes128"
    fault: str = "off"
    form: str = "bare"


def agreement(key, certificate, how=Agreement()):
    """To the EC key of @certificate: one-pass ECDH, X9.63, AES key wrap (RFC 5753)."""
    public = serialization.load_der_public_key(certificate.public_key.dump())
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise cms.NotForUs("the request was not signed with an EC key")
    dotted, size = WRAPS[how.wrap]
    mine, wrap = ec.generate_private_key(public.curve), ber.seq(ber.oid(dotted))
    ukm = secrets.token_bytes(64) if how.form == "ukm" else b""
    info = ber.seq(wrap, ber.context(0, ber.octet_string(ukm)) if ukm else b"", ber.context(2, ber.octet_string((8 * size).to_bytes(4, "big"))))
    kek = X963KDF(cms.HASHES.get(how.kdf, hashes.SHA256)(), size, info).derive(mine.exchange(ec.ECDH(), public))
    if how.fault == "other-curve":
        mine = ec.generate_private_key(ec.SECP384R1() if public.curve.name == "secp256r1" else ec.SECP256R1())
    point = mine.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    if how.fault == "off-curve":
        point = point[:-1] + bytes([point[-1] ^ 1])
    wrapped = aes_key_wrap(kek, key)
    if how.fault == "truncated":
        wrapped = wrapped[:len(wrapped) // 2]
    serial = certificate.serial_number + (how.fault == "other-recipient")
    parameters = {"null": ber.null(), "named": ber.oid(CURVES[mine.curve.name])}.get(how.form, b"")
    originator = ber.context(1, ber.seq(ber.oid(EC_KEY), parameters), ber.tlv(3, b"\x00" + point))
    encrypted = ber.seq(ber.seq(certificate.issuer.dump(), ber.integer(serial)), ber.octet_string(wrapped))
    return Wrapped(2, ber.context(1, ber.integer(3), ber.context(0, originator),
                                  ber.context(1, ber.octet_string(ukm)) if ukm else b"",
                                  ber.seq(ber.oid(AGREEMENTS[how.kdf]), wrap), ber.seq(encrypted)))


class Password(NamedTuple):
    """How a key is wrapped by a password; see the switches pwri-…"""
    prf: str = "sha256"
    iterations: int = 10_000
    fault: str = "off"


def password(key, secret, how=Password()):
    """To who knows @secret: PBKDF2, then AES-128-CBC twice (RFC 3211)."""
    salt, iv = secrets.token_bytes(16), secrets.token_bytes(BLOCK)
    if how.fault == "other-password":
        secret = "not " + secret
    digest = hashes.SHA1 if how.prf == "none" else cms.HASHES.get(how.prf, hashes.SHA256)
    kek = PBKDF2HMAC(digest(), 16, salt, min(how.iterations, DONE_AT_MOST)).derive(secret.encode())
    block = bytes([len(key)]) + bytes(octet ^ 0xFF for octet in key[:3]) + key
    block += secrets.token_bytes(max(2 * BLOCK - len(block), -len(block) % BLOCK))

    def encrypt(data, start):
        encryptor = Cipher(algorithms.AES(kek), modes.CBC(start)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    once = encrypt(block, iv)
    twice = encrypt(once, once[-BLOCK:])
    if how.fault == "truncated":
        twice = twice[:len(twice) // 2 // BLOCK * BLOCK]
    derivation = ber.context(0, ber.oid(PBKDF2), ber.seq(
        ber.octet_string(salt), ber.integer(how.iterations),
        b"" if how.prf == "none" else ber.algorithm(PRFS[how.prf])))
    algorithm = ber.seq(ber.oid(PASSWORD_KEK), ber.seq(ber.oid(AES128_CBC), ber.octet_string(iv)))
    return Wrapped(3, ber.context(3, ber.integer(0), derivation, algorithm, ber.octet_string(twice)))
