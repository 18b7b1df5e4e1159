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

ECDH_SHA256, AES128_WRAP = "1.3.132.1.11.1", "2.16.840.1.101.3.4.1.5"
PBKDF2, HMAC_SHA256 = "1.2.840.113549.1.5.12", "1.2.840.113549.2.9"
PASSWORD_KEK, AES128_CBC = "1.2.840.113549.1.9.16.3.9", "2.16.840.1.101.3.4.1.2"
ITERATIONS, BLOCK = 10_000, 16


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
    else:
        wrapped, algorithm = public.encrypt(key, padding.PKCS1v15()), ber.algorithm(cms.RSA)
    return Wrapped(0, ber.seq(ber.integer(0), cms.issuer_and_serial(certificate), algorithm, ber.octet_string(wrapped)))


def agreement(key, certificate):
    """To the EC key of @certificate: one-pass ECDH, X9.63 with SHA-256, AES-128 key wrap (RFC 5753)."""
    public = serialization.load_der_public_key(certificate.public_key.dump())
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise cms.NotForUs("the request was not signed with an EC key")
    mine, wrap = ec.generate_private_key(public.curve), ber.seq(ber.oid(AES128_WRAP))
    info = ber.seq(wrap, ber.context(2, ber.octet_string((128).to_bytes(4, "big"))))
    kek = X963KDF(hashes.SHA256(), 16, info).derive(mine.exchange(ec.ECDH(), public))
    point = mine.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    originator = ber.context(1, ber.seq(ber.oid("1.2.840.10045.2.1")), ber.tlv(3, b"\x00" + point))
    encrypted = ber.seq(cms.issuer_and_serial(certificate), ber.octet_string(aes_key_wrap(kek, key)))
    return Wrapped(2, ber.context(1, ber.integer(3), ber.context(0, originator), ber.seq(ber.oid(ECDH_SHA256), wrap),
                                  ber.seq(encrypted)))


def password(key, secret):
    """To who knows @secret: PBKDF2, then AES-128-CBC twice (RFC 3211)."""
    salt, iv = secrets.token_bytes(16), secrets.token_bytes(BLOCK)
    kek = PBKDF2HMAC(hashes.SHA256(), 16, salt, ITERATIONS).derive(secret.encode())
    block = bytes([len(key)]) + bytes(octet ^ 0xFF for octet in key[:3]) + key
    block += secrets.token_bytes(max(2 * BLOCK - len(block), -len(block) % BLOCK))

    def encrypt(data, start):
        encryptor = Cipher(algorithms.AES(kek), modes.CBC(start)).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    once = encrypt(block, iv)
    twice = encrypt(once, once[-BLOCK:])
    derivation = ber.context(0, ber.oid(PBKDF2), ber.seq(ber.octet_string(salt), ber.integer(ITERATIONS),
                                                         ber.algorithm(HMAC_SHA256)))
    algorithm = ber.seq(ber.oid(PASSWORD_KEK), ber.seq(ber.oid(AES128_CBC), ber.octet_string(iv)))
    return Wrapped(3, ber.context(3, ber.integer(0), derivation, algorithm, ber.octet_string(twice)))
