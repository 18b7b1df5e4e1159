"""CMS: opens SignedData and EnvelopedData as clients send them, and builds the CA's own."""
import hashlib
import hmac
import secrets
from typing import NamedTuple, Optional

from asn1crypto import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, padding as block_padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from . import ber

DATA, SIGNED, ENVELOPED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.3"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
RSA, OAEP = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.7"
DIGESTS = {"1.3.14.3.2.26": "sha1", "2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384",
           "2.16.840.1.101.3.4.2.3": "sha512"}
DIGEST_OIDS = {name: dotted for dotted, name in DIGESTS.items()}
RSA_SIGNATURES = {"1.2.840.113549.1.1.5": "sha1", "1.2.840.113549.1.1.11": "sha256",
                  "1.2.840.113549.1.1.12": "sha384", "1.2.840.113549.1.1.13": "sha512"}
RSA_SIGNATURE_OIDS = {name: dotted for dotted, name in RSA_SIGNATURES.items()}
EC_SIGNATURES = {"1.2.840.10045.4.1": "sha1", "1.2.840.10045.4.3.2": "sha256", "1.2.840.10045.4.3.3": "sha384",
                 "1.2.840.10045.4.3.4": "sha512"}
EC_SIGNATURE_OIDS = {name: dotted for dotted, name in EC_SIGNATURES.items()}
# name: OID, octets of the key, of the block
CIPHERS = {"des": ("1.3.14.3.2.7", 8, 8), "des3": ("1.2.840.113549.3.7", 24, 8),
           "aes": ("2.16.840.1.101.3.4.1.2", 16, 16), "aes192": ("2.16.840.1.101.3.4.1.22", 24, 16),
           "aes256": ("2.16.840.1.101.3.4.1.42", 32, 16)}
CIPHER_NAMES = {spec[0]: name for name, spec in CIPHERS.items()}
HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}


class BadSignature(ValueError):
    """The signature or the digest is not right, or there is no certificate to check it with."""


class NotForUs(ValueError):
    """The envelope cannot be opened."""


class Signed(NamedTuple):
    content: bytes                  # b"" where there is none
    attributes: dict                # OID: list of ber.Node
    certificate: x509.Certificate   # the signer's
    digest: str


class Opened(NamedTuple):
    plaintext: bytes
    cipher: str
    recipients: int


def content_of(data, kind, what):
    """The content of the ContentInfo @data, which has to be @kind."""
    info = ber.read(data)
    if info[0].oid() != kind:
        raise ber.Malformed(f"{what} is {info[0].oid()}")
    return info[1][0]


def verify_signature(spki, algorithm, digest, signature, signed):
    """@algorithm: OID. BadSignature."""
    try:
        key = serialization.load_der_public_key(spki)
        if isinstance(key, rsa.RSAPublicKey) and algorithm == RSA:
            key.verify(signature, signed, padding.PKCS1v15(), HASHES[digest]())
        elif isinstance(key, rsa.RSAPublicKey) and algorithm in RSA_SIGNATURES:
            key.verify(signature, signed, padding.PKCS1v15(), HASHES[RSA_SIGNATURES[algorithm]]())
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm in EC_SIGNATURES:
            key.verify(signature, signed, ec.ECDSA(HASHES[EC_SIGNATURES[algorithm]]()))
        else:
            raise BadSignature(f"signature algorithm {algorithm} does not fit the key")
    except InvalidSignature:
        raise BadSignature("the signature is wrong") from None
    except ValueError as error:
        raise BadSignature(str(error)) from None


def _certificates(signed_data):
    field = signed_data.context(0)
    found = []
    for node in field.children if field else []:
        if node.cls == ber.UNIVERSAL and node.tag == 16:
            try:
                found.append(x509.Certificate.load(node.der(), strict=True))
                found[-1].public_key.native, found[-1].issuer.native
            except ValueError as error:
                raise ber.Malformed(f"certificate: {error}") from None
    return found


def _signer(sid, certificates):
    for certificate in certificates:
        if sid.cls == ber.CONTEXT:
            if certificate.key_identifier == sid.octets():
                return certificate
        elif certificate.issuer.dump() == sid[0].der() and certificate.serial_number == sid[1].integer():
            return certificate
    raise BadSignature("the signer's certificate is not in the message")


def open_signed(data):
    """A SignedData with one signer whose certificate is in it. ber.Malformed, BadSignature."""
    signed_data = content_of(data, SIGNED, "the message")
    if len(signed_data.children) < 4:
        raise ber.Malformed("SignedData is too short")
    encapsulated, signer_infos = signed_data[2], signed_data[-1]
    if encapsulated[0].oid() != DATA:
        raise ber.Malformed(f"eContentType is {encapsulated[0].oid()}")
    content = encapsulated[1][0].octets() if len(encapsulated.children) > 1 else b""
    if len(signer_infos.children) != 1:
        raise ber.Malformed(f"{len(signer_infos.children)} signers")
    info = signer_infos[0]
    digest = DIGESTS.get(info[2][0].oid())
    if not digest:
        raise BadSignature(f"digest {info[2][0].oid()}")
    field = info.context(0)
    if not field or info[3] is not field:
        raise ber.Malformed("there are no signed attributes")
    attributes = {node[0].oid(): node[1].children for node in field.children}
    certificate = _signer(info[1], _certificates(signed_data))
    stated = attributes.get(MESSAGE_DIGEST)
    if not stated or not hmac.compare_digest(stated[0].octets(), hashlib.new(digest, content).digest()):
        raise BadSignature("messageDigest does not fit the content")
    _verify_attributes(certificate, info, field, digest)
    return Signed(content, attributes, certificate, digest)


def _verify_attributes(certificate, info, field, digest):
    """Signed is the DER of the SET; some sign the order they send."""
    spki, algorithm, signature = certificate.public_key.dump(), info[4][0].oid(), info[5].octets()
    parts = [node.der() for node in field.children]
    try:
        verify_signature(spki, algorithm, digest, signature, ber.set_of(*parts))
    except BadSignature:
        verify_signature(spki, algorithm, digest, signature, ber.tlv(ber.SET, b"".join(parts)))


def _cipher(name, key, iv):
    kind = algorithms.AES if name.startswith("aes") else algorithms.TripleDES
    return Cipher(kind(key), modes.CBC(iv))  # single DES: three times the same key


def open_enveloped(data, recipient):
    """@recipient: ca.Authority. ber.Malformed, NotForUs."""
    enveloped = content_of(data, ENVELOPED, "the envelope")
    at = 2 if enveloped[1].cls == ber.CONTEXT else 1  # originatorInfo
    recipients, encrypted = enveloped[at], enveloped[at + 1]
    key = None
    for info in recipients.children:
        if info.cls == ber.UNIVERSAL and _is_for(info[1], recipient):
            key = _unwrap(info, recipient.key)
    if key is None:
        raise NotForUs("encrypted to another certificate")
    name = CIPHER_NAMES.get(encrypted[1][0].oid())
    if not name:
        raise NotForUs(f"cipher {encrypted[1][0].oid()}")
    ciphertext, (_, key_size, block) = encrypted.context(0), CIPHERS[name]
    if not ciphertext or len(key) != key_size:
        raise NotForUs("there is no ciphertext, or the key has another length")
    try:
        decryptor = _cipher(name, key, encrypted[1][1].octets()).decryptor()
        padded = decryptor.update(ciphertext.octets()) + decryptor.finalize()
        unpadder = block_padding.PKCS7(block * 8).unpadder()
        return Opened(unpadder.update(padded) + unpadder.finalize(), name, len(recipients.children))
    except ValueError as error:
        raise NotForUs(str(error)) from None


def _is_for(rid, recipient):
    if rid.cls == ber.CONTEXT:
        return rid.octets() == recipient.certificate.key_identifier
    return rid[0].der() == recipient.issuer and rid[1].integer() == recipient.serial


def _unwrap(info, key):
    algorithm, wrapped = info[2][0].oid(), info[3].octets()
    try:
        if algorithm == RSA:
            return key.decrypt(wrapped, padding.PKCS1v15())
        if algorithm == OAEP:
            return key.decrypt(wrapped, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    except ValueError as error:
        raise NotForUs(str(error)) from None
    raise NotForUs(f"key transport {algorithm}")


def issuer_and_serial(certificate):
    return ber.seq(certificate.issuer.dump(), ber.integer(certificate.serial_number))


def envelope(plaintext, cipher, wrap, form=ber.Der):
    """EnvelopedData. @wrap: makes a recipients.Wrapped of the content key."""
    dotted, key_size, block = CIPHERS[cipher]
    key, iv = secrets.token_bytes(key_size), secrets.token_bytes(block)
    padder = block_padding.PKCS7(block * 8).padder()
    encryptor = _cipher(cipher, key, iv).encryptor()
    ciphertext = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    recipient = wrap(key)
    encrypted = form.seq(ber.oid(DATA), ber.seq(ber.oid(dotted), ber.octet_string(iv)),
                         form.context_octets(0, ciphertext))
    return form.seq(ber.oid(ENVELOPED), form.context(0, form.seq(
        ber.integer(recipient.version), ber.set_of(recipient.info), encrypted)))


def degenerate(certificates, crls=()):
    """Certificates and CRLs (DER) alone, in this order: a SignedData without content and signer."""
    lists = [ber.context(number, *items) for number, items in enumerate((certificates, crls)) if items]
    return ber.seq(ber.oid(SIGNED), ber.context(0, ber.seq(
        ber.integer(1), ber.set_of(), ber.seq(ber.oid(DATA)), *lists, ber.set_of())))


def sign(content: Optional[bytes], attributes, signer, digest, certificates=(), full_name=False, form=ber.Der,
         order="sorted"):
    """SignedData. @content None: absent. @attributes: list of (OID, DER of the value); @order: the switch attributes."""
    attributes = [(CONTENT_TYPE, ber.oid(DATA)),
                  (MESSAGE_DIGEST, ber.octet_string(hashlib.new(digest, content or b"").digest()))] + attributes
    encoded = [ber.seq(ber.oid(dotted), ber.set_of(value)) for dotted, value in attributes]
    sent = sorted(encoded, reverse=order != "sorted")
    signed = ber.tlv(ber.SET, b"".join(sent)) if order == "unsorted-signed" else ber.set_of(*encoded)
    if isinstance(signer.key, ec.EllipticCurvePrivateKey):
        signature = signer.key.sign(signed, ec.ECDSA(HASHES[digest]()))
        name = ber.algorithm(EC_SIGNATURE_OIDS[digest], b"")
    else:
        signature = signer.key.sign(signed, padding.PKCS1v15(), HASHES[digest]())
        name = ber.algorithm(RSA_SIGNATURE_OIDS[digest] if full_name else RSA)
    algorithm = ber.algorithm(DIGEST_OIDS[digest])
    info = ber.seq(ber.integer(1), issuer_and_serial(signer.certificate), algorithm, ber.context(0, *sent),
                   name, ber.octet_string(signature))
    encapsulated = [ber.oid(DATA)]
    if content is not None:
        encapsulated.append(form.context(0, form.octet_string(content)))
    parts = [ber.integer(1), ber.set_of(algorithm), form.seq(*encapsulated)]
    if certificates:
        parts.append(ber.context_set(0, *certificates))
    return form.seq(ber.oid(SIGNED), form.context(0, form.seq(*parts, ber.set_of(info))))
