"""PKCS#10 as it arrives: signature checked over the received bytes, attributes in any order."""
import datetime
from typing import NamedTuple, Optional

from cryptography.hazmat.primitives import serialization

from . import ber, ca, cms

EXTENSION_REQUEST = ("1.2.840.113549.1.9.14", "1.3.6.1.4.1.311.2.1.14")
CHALLENGE, NAME_VALUE = "1.2.840.113549.1.9.7", "1.3.6.1.4.1.311.13.2.1"
TEMPLATE_NAME, TEMPLATE_OID = "1.3.6.1.4.1.311.20.2", "1.3.6.1.4.1.311.21.7"
EC_KEY = "1.2.840.10045.2.1"
UPN = "1.3.6.1.4.1.311.20.2.3"
UNITS = {"hours": 1 / 24, "days": 1, "weeks": 7, "months": 365 / 12, "years": 365}
DAYS_MAX = 20 * 365
PRINTABLE_STRING = 19


class Extension(NamedTuple):
    oid: str
    der: bytes   # the whole Extension, as received
    value: bytes


class CertificateRequest(NamedTuple):
    subject: bytes                      # DER
    spki: bytes                         # DER
    extensions: dict                    # OID: Extension
    challenge: Optional[str]
    challenge_tag: Optional[int]
    validity: Optional[datetime.timedelta]

    def subject_text(self):
        return ca.name_text(self.subject)

    def subject_parts(self):
        """Sorted TYPE=value, type as dotted OID."""
        return sorted(f"{part[0].oid()}={part[1].text()}" for rdn in ber.read(self.subject).children
                      for part in rdn.children)

    def key_size(self):
        return serialization.load_der_public_key(self.spki).key_size

    def is_ec(self):
        return ber.read(self.spki)[0][0].oid() == EC_KEY

    def key_usage(self):
        """The first octet of the key usage; 0: none."""
        extension = self.extensions.get(ca.KEY_USAGE)
        bits = ber.read(extension.value).octets() if extension else b""
        return bits[1] if len(bits) > 1 else 0

    def extended_key_usage(self):
        extension = self.extensions.get(ca.EXTENDED_KEY_USAGE)
        return sorted(node.oid() for node in ber.read(extension.value).children) if extension else []

    def template(self):
        """What the request asks for, by name or by OID; NDES itself goes by the key usage."""
        name, oid = self.extensions.get(TEMPLATE_NAME), self.extensions.get(TEMPLATE_OID)
        return ber.read(name.value).text() if name else ber.read(oid.value)[0].oid() if oid else None

    def alternative_names(self):
        """Sorted texts: dns:…, email:…, upn:…, uri:…; others as tag:hex."""
        extension = self.extensions.get(ca.ALT_NAME)
        return sorted(_general_name(node) for node in ber.read(extension.value).children) if extension else []


def _general_name(node):
    words = {1: "email", 2: "dns", 6: "uri"}
    if node.tag in words:
        return f"{words[node.tag]}:{node.octets().decode('ascii', 'replace')}"
    if node.tag == 0 and node[0].oid() == UPN:
        return "upn:" + node[1][0].text()
    return f"{node.tag}:{node.content.hex()}"


def _extensions(attributes):
    found = {}
    for dotted in EXTENSION_REQUEST:
        for sequence in attributes.get(dotted, []):
            for node in sequence.children:
                extension = Extension(node[0].oid(), node.der(), node[-1].octets())
                if extension.oid in found:
                    raise ber.Malformed(f"extension {extension.oid} twice")
                found[extension.oid] = extension
    return found


def _validity(attributes):
    """Microsoft's name-value pairs ValidityPeriod and ValidityPeriodUnits; the first is the unit's name."""
    pairs = {pair[0].text().lower(): pair[1].text().lower() for pair in attributes.get(NAME_VALUE, [])}
    unit, number = pairs.get("validityperiod"), pairs.get("validityperiodunits", "")
    if unit not in UNITS or not number.isdigit() or not number.isascii():
        return None
    return datetime.timedelta(days=min(UNITS[unit] * int(number[:6]), DAYS_MAX))


def read(data):
    """ber.Malformed; cms.BadSignature: the request's own signature is wrong."""
    node = ber.read(data)
    info, algorithm, signature = node[0], node[1], node[2]
    cms.verify_signature(info[2].der(), algorithm[0].oid(), cms.RSA_SIGNATURES.get(algorithm[0].oid(), "sha256"),
                         signature.octets()[1:], info.raw)
    field, attributes = info.context(0), {}
    for attribute in field.children if field else []:
        attributes.setdefault(attribute[0].oid(), []).extend(attribute[1].children)
    challenges = attributes.get(CHALLENGE, [])
    if len(challenges) > 1:
        raise ber.Malformed("more than one challengePassword")
    return CertificateRequest(info[1].der(), info[2].der(), _extensions(attributes),
                              challenges[0].text() if challenges else None,
                              challenges[0].tag if challenges else None, _validity(attributes))
