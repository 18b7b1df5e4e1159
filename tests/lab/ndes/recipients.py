"""How a content key reaches who may open an envelope: DER RecipientInfos."""
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import ber, cms


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
