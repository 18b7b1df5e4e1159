"""The CA: a root, an issuing CA below it, those before and after them, and the RA certificates NDES keeps; keys lie in
one folder."""
import datetime
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from asn1crypto import pem, x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from . import ber, ca, clock
from .ca import CERT_SIGN, CRL_SIGN, ENCIPHER, SIGN, YEAR

REQUEST_AGENT = "1.3.6.1.4.1.311.20.2.1"
RA_USAGES = {"sign": SIGN, "encrypt": ENCIPHER, "both": SIGN | ENCIPHER}
AUTHORITIES = tuple(age + tier for age in ("", "next-", "later-", "old-") for tier in ("issuing", "root", "issuing-ec"))


class Pki:
    """Any thread may call. Keys and certificates are made when first needed, read from @folder afterwards."""

    def __init__(self, folder, title, crl_url=None):
        """@crl_url: from the name of a CRL to where it lies; None: CAs do not say."""
        self._folder, self._title, self._crl_url = folder, title, crl_url
        self.name = os.path.basename(folder)
        self._lock = threading.RLock()
        self._keys, self._authorities = {}, {}
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._key, ("root", "issuing", "ra-sign", "ra-encrypt")))
        self.root = self.authority("root")
        self.authority("issuing")

    def _key(self, label):
        with self._lock:
            if label in self._keys:
                return self._keys[label]
        path = os.path.join(self._folder, label + ".key")
        if os.path.exists(path):
            with open(path, "rb") as file:
                key = serialization.load_pem_private_key(file.read(), None)
        else:
            key = ca.new_ec_key() if label.endswith("-ec") else ca.new_key()
            text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption())
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(text)
        with self._lock:
            self._keys[label] = key
        return key

    def _path(self, label):
        return os.path.join(self._folder, label + ".pem")

    def authority(self, label):
        """One of AUTHORITIES, or an RA certificate as _ra() names it."""
        with self._lock:
            if label not in self._authorities:
                make = self._ra_recipe if label.startswith("ra_") else self._ca_recipe
                if not os.path.exists(self._path(label)):
                    key, certificate = make(label)
                    with open(self._path(label), "wb") as file:
                        file.write(pem.armor("CERTIFICATE", certificate.dump()))
                with open(self._path(label), "rb") as file:
                    certificate = x509.Certificate.load(pem.unarmor(file.read())[2])
                self._authorities[label] = ca.Authority(self._key(self._key_label(label)), certificate)
            return self._authorities[label]

    @staticmethod
    def _key_label(label):
        if not label.startswith("ra_"):
            return label
        _, role, _, when, _ = label.split("_")
        return ("ra-stale-" if when == "stale" else "ra-") + ("encrypt" if role == "encrypt" else "sign")

    def _names(self, common_name):
        return ca.name(country_name="US", organization_name=self._title, common_name=common_name)

    def _ca_recipe(self, label):
        """Key and certificate of a CA. Old, next and later have the same name and another
        key, as after a renewal at AD CS."""
        now, root = clock.now(), label.endswith("root")
        subject = self._names(self._title + (" Root CA" if root else " Issuing CA") +
                              (" EC" if label.endswith("-ec") else ""))
        start = now - (5 if label.startswith("old-") else 3) * YEAR
        if label.startswith("next-"):
            start = now - datetime.timedelta(days=1)
        if label.startswith("later-"):
            start = now + datetime.timedelta(days=3)
        key = self._key(label)
        issuer_key = key if root else self.root.key
        extensions = [ca.extension(ca.BASIC_CONSTRAINTS, ber.seq(b"\x01\x01\xff"), True),
                      ca.key_usage(SIGN | CERT_SIGN | CRL_SIGN)]
        if self._crl_url and not root:
            extensions.append(ca.crl_points(self._crl_url(f"{self.name}-root")))
        return key, ca.issue(issuer_key, subject if root else self.root.name, subject, ca.spki_of(key), extensions,
                             start, now + (20 if root else 10) * YEAR)

    def _ra_recipe(self, label):
        """Key and certificate of an RA; they all have the same subject, as NDES's do."""
        _, role, issuer, when, signature = label.split("_")
        now, day = clock.now(), datetime.timedelta(days=1)
        start, end = {"now": (now - day, now + 2 * YEAR), "future": (now + day, now + 2 * YEAR),
                      "expired": (now - 2 * YEAR, now - day / 24),
                      "ending": (now - 2 * YEAR + 7 * day, now + 7 * day), "stale": (now - 3 * YEAR, now - YEAR)}[when]
        key, issuer = self._key(self._key_label(label)), self.authority(issuer)
        return key, ca.issue(issuer.key, issuer.name, self._names("NDES1-MSCEP-RA"), ca.spki_of(key),
                             [ca.key_usage(RA_USAGES[role]), ca.extended_key_usage(REQUEST_AGENT)], start, end, signature)

    def below(self, label):
        """Certificates of the CAs that the root has certified, for its CRL."""
        return [self.authority("issuing").certificate] if label == "root" else []

    def crl_signer(self, label, state):
        """Whose CRL lies at that of @label; "foreign": of the same name and another key, as after a renewal."""
        return self.authority("old-" + label if state == "foreign" and label in ("root", "issuing") else label)

    # what is in force

    def tier(self, switches):
        if switches["single-tier"]:
            return "root"
        return "issuing-ec" if switches["ca-key"] == "ec" else "issuing"

    def issuer_label(self, switches):
        return self.next_issuer_label(switches) if switches["rollover"] == "done" else self.tier(switches)

    def issuer(self, switches):
        return self.authority(self.issuer_label(switches))

    def next_issuer_label(self, switches):
        """The CA that comes after."""
        return ("later-" if switches["rollover-begins"] == "later" else "next-") + self.tier(switches)

    def _ra(self, role, switches, when=None):
        if switches["ra"] == "none":
            return self.issuer(switches)
        if switches["ra"] == "one":
            role = "both"
        issuer = self.issuer_label(switches)
        if switches["ra-old-ca"]:
            issuer = "old-" + self.tier(switches)
        if not when:
            when = next((state for state in ("expired", "future", "ending") if switches["ra-" + state]), "now")
        return self.authority(f"ra_{role}_{issuer}_{when}_{switches['ra-signature']}")

    def signer(self, switches):
        """Signs replies."""
        return self._ra("sign", switches)

    def recipients(self, switches):
        """Open requests: the RA's, and the next CA's own once it is announced (RFC 8894 5.1)."""
        found = [self._ra("encrypt", switches)]
        if switches["rollover"] in ("on", "forged"):
            found.append(self.authority(self.next_issuer_label(switches)))
        return found

    def published(self, switches):
        """DER of what GetCACert answers, each once."""
        places = {"sign": self.signer(switches), "encrypt": self._ra("encrypt", switches), "ca": self.issuer(switches),
                  "root": self.root}
        certificates = [places[word].der for word in switches["ra-order"] or ("sign", "encrypt", "ca")]
        if switches["ra-stale"] != "off" and switches["ra"] != "none":
            stale = [self._ra("encrypt", switches, "stale").der]
            if switches["ra-stale"] == "pair":
                stale.append(self._ra("sign", switches, "stale").der)
            certificates = stale + certificates
        if switches["root-included"]:
            certificates.append(self.root.der)
        certificates = list(dict.fromkeys(certificates))
        return certificates if switches["ra-order"] else sorted(certificates)  # a SET OF has no order of its own

    def issuer_of(self, certificate):
        """The label of the CA that issued @certificate, or None."""
        if certificate.ca:
            return None
        for label in AUTHORITIES:
            if not os.path.exists(self._path(label)):
                continue
            authority = self.authority(label)
            if certificate.issuer.dump() != authority.name:
                continue
            tbs, _, signature = ber.read(certificate.dump()).children[:3]
            try:
                how = ((padding.PKCS1v15(), hashes.SHA256()) if isinstance(authority.key, rsa.RSAPrivateKey) else
                       (ec.ECDSA(hashes.SHA256()),))
                authority.key.public_key().verify(signature.octets()[1:], tbs.raw, *how)
                return label
            except InvalidSignature:
                continue
        return None
