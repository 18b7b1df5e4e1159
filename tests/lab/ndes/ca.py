"""The CA: a root, an issuing CA below it, and the RA certificates NDES keeps; keys lie in one folder."""
import datetime
import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

from asn1crypto import core, pem, x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from . import ber

SHA256_RSA = "1.2.840.113549.1.1.11"
KEY_USAGE, EXTENDED_KEY_USAGE, ALT_NAME = "2.5.29.15", "2.5.29.37", "2.5.29.17"
BASIC_CONSTRAINTS, SUBJECT_KEY_ID, AUTHORITY_KEY_ID = "2.5.29.19", "2.5.29.14", "2.5.29.35"
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


class Authority:
    """A certificate and its key."""

    def __init__(self, key, certificate):
        self.key, self.certificate = key, certificate
        self.issuer, self.serial = certificate.issuer.dump(), certificate.serial_number

    @property
    def der(self):
        return self.certificate.dump()


def issue(issuer_key, issuer_name, subject, spki, extensions, not_before, not_after):
    """A certificate; everything is DER and goes in as it is. @issuer_key's identifier is added."""
    spki_bits = ber.read(spki)[1].octets()[1:]
    issuer_bits = ber.read(spki_of(issuer_key))[1].octets()[1:]
    extensions = list(extensions)
    extensions.append(extension(SUBJECT_KEY_ID, ber.octet_string(_sha1(spki_bits))))
    extensions.append(extension(AUTHORITY_KEY_ID, ber.seq(ber.tlv(0x80, _sha1(issuer_bits)))))
    algorithm = ber.algorithm(SHA256_RSA)
    tbs = ber.seq(ber.context(0, ber.integer(2)),
                  ber.integer(int.from_bytes(b"\x5c" + secrets.token_bytes(15), "big")),
                  algorithm, issuer_name, ber.seq(time_der(not_before), time_der(not_after)), subject, spki,
                  ber.context(3, ber.seq(*extensions)))
    signature = issuer_key.sign(tbs, padding.PKCS1v15(), hashes.SHA256())
    return x509.Certificate.load(ber.seq(tbs, algorithm, ber.tlv(3, b"\x00" + signature)))


def _sha1(data):
    digest = hashes.Hash(hashes.SHA1())
    digest.update(data)
    return digest.finalize()


class Pki:
    """Two tiers and their RA certificates. Made at the first start, read from @folder afterwards."""

    def __init__(self, folder, title):
        self._folder, self._title = folder, title
        self._lock = threading.RLock()
        self._keys, self._authorities = {}, {}
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._key, ("root", "issuing", "ra-sign", "ra-encrypt")))
        self.root, self.issuing = self._authority("root"), self._authority("issuing")

    def _key(self, label):
        with self._lock:
            if label in self._keys:
                return self._keys[label]
        path = os.path.join(self._folder, label + ".key")
        if os.path.exists(path):
            with open(path, "rb") as file:
                key = serialization.load_pem_private_key(file.read(), None)
        else:
            key = new_key()
            text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption())
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(text)
        with self._lock:
            self._keys[label] = key
        return key

    def _authority(self, label):
        with self._lock:
            if label not in self._authorities:
                path = os.path.join(self._folder, label + ".pem")
                key_label, make = self._recipe(label)
                if not os.path.exists(path):
                    with open(path, "wb") as file:
                        file.write(pem.armor("CERTIFICATE", make().dump()))
                with open(path, "rb") as file:
                    certificate = x509.Certificate.load(pem.unarmor(file.read())[2])
                self._authorities[label] = Authority(self._key(key_label), certificate)
            return self._authorities[label]

    def _recipe(self, label):
        """The key of certificate @label, and the function that makes it."""
        now = datetime.datetime.now(datetime.timezone.utc)
        start, ca = now - 3 * YEAR, [extension(BASIC_CONSTRAINTS, ber.seq(b"\x01\x01\xff"), True),
                                     key_usage(SIGN | CERT_SIGN | CRL_SIGN)]
        root_name = name(country_name="US", organization_name=self._title, common_name=self._title + " Root CA")
        if label == "root":
            return "root", lambda: issue(self._key("root"), root_name, root_name, spki_of(self._key("root")), ca,
                                         start, now + 20 * YEAR)
        if label == "issuing":
            subject = name(country_name="US", organization_name=self._title,
                           common_name=self._title + " Issuing CA")
            return "issuing", lambda: issue(self._key("root"), root_name, subject, spki_of(self._key("issuing")), ca,
                                            start, now + 10 * YEAR)
        # ra-(sign|encrypt|both)-(one|two)[-expired]; both RA certificates have the same subject, as NDES's do
        role, tier = label.split("-")[1:3]
        usage = {"sign": SIGN, "encrypt": ENCIPHER, "both": SIGN | ENCIPHER}[role]
        expired = label.endswith("-expired")
        start = now - 2 * YEAR if expired else now - datetime.timedelta(days=1)
        end = now - datetime.timedelta(hours=1) if expired else now + 2 * YEAR
        key_label = "ra-encrypt" if role == "encrypt" else "ra-sign"
        issuer = self.root if tier == "one" else self.issuing
        subject = name(country_name="US", organization_name=self._title, common_name="NDES1-MSCEP-RA")
        return key_label, lambda: issue(issuer.key, issuer.certificate.subject.dump(), subject,
                                        spki_of(self._key(key_label)),
                                        [key_usage(usage), extended_key_usage(REQUEST_AGENT)],
                                        start, end)

    def issuer(self, switches):
        return self.root if switches["single-tier"] else self.issuing

    def _ra(self, role, switches):
        if switches["ra"] == "none":
            return self.issuer(switches)
        if switches["ra"] == "one":
            role = "both"
        tier = "one" if switches["single-tier"] else "two"
        return self._authority(f"ra-{role}-{tier}" + ("-expired" if switches["ra-expired"] else ""))

    def signer(self, switches):
        """Signs replies."""
        return self._ra("sign", switches)

    def recipient(self, switches):
        """Opens requests."""
        return self._ra("encrypt", switches)

    def published(self, switches):
        """DER of what GetCACert answers, each once."""
        certificates = [self.signer(switches).der, self.recipient(switches).der, self.issuer(switches).der]
        if switches["root-included"]:
            certificates.append(self.root.der)
        return sorted(set(certificates))  # a SET OF has no order of its own

    def issued(self, certificate):
        """Whether @certificate came from one of our CAs and is not one of the RA's."""
        for authority in (self.issuing, self.root):
            if certificate.issuer.dump() != authority.certificate.subject.dump():
                continue
            tbs, _, signature = ber.read(certificate.dump()).children[:3]
            try:
                authority.key.public_key().verify(signature.octets()[1:], tbs.raw, padding.PKCS1v15(),
                                                  hashes.SHA256())
                return not certificate.ca
            except InvalidSignature:
                return False
        return False
