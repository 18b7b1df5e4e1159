"""The responder's behaviour and faults that can be set at run time: one table, one line each."""
import re
import threading
from itertools import permutations
from typing import Callable, NamedTuple

from . import policy

CAPABILITIES = {
    "ndes": "POSTPKIOperation\nRenewal\nSHA-512\nSHA-256\nSHA-1\nDES3",
    "modern": "AES\nDES3\nPOSTPKIOperation\nRenewal\nSHA-1\nSHA-256\nSHA-512\nSCEPStandard",
    "modern-sha384": "AES\nDES3\nPOSTPKIOperation\nRenewal\nSHA-1\nSHA-256\nSHA-384\nSHA-512\nSCEPStandard",
    "standard": "SCEPStandard",
    "legacy": "POSTPKIOperation\nSHA-1\nDES",
    "no-renewal": "POSTPKIOperation\nSHA-512\nSHA-256\nSHA-1\nDES3",
    "crlf": "AES\r\nPOSTPKIOperation\r\nRenewal\r\nSHA-256\r\nExample.com-Word\r\n",
    "empty": "",
    "html": "<html><body>Sign in to the guest network</body></html>",
    "missing": None,
    "closed": "closed",
}
DIAGNOSTICS = [f"0x{code:08X}" if code > 0xFFF else f"0x{code:X}" for code in policy.DIAGNOSTICS]
RA_ORDERS = {",".join(words): words for some in (("sign", "encrypt", "ca"), ("sign", "encrypt", "ca", "root"))
             for words in permutations(some)}
TLS_FACES = ("good", "expired", "not-yet-valid", "wrong-name", "unknown-ca", "self-signed", "old-version")


class Refused(ValueError):
    """There is no such switch, or it does not take this value."""


def one_of(*words):
    def read(text):
        if text not in words:
            raise Refused("one of " + ", ".join(words))
        return text
    return read


def on_off(text):
    return one_of("off", "on")(text) == "on"


def number(low, high, *words):
    def read(text):
        if text in words:
            return text
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise Refused("a number from {} to {}{}".format(low, high, "".join(" or " + w for w in words)))
        return int(text)
    return read


def seconds(text):
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhdwy]?)", text)
    if not match:
        raise Refused("a time: 90, 90s, 10m, 2h, 30d, 4w or 1y")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800,
                              "y": 365 * 86400}[match[2]]


def duration(*words):
    return lambda text: text if text in words else seconds(text)


def skew(text):
    """Seconds a clock is ahead."""
    if text.startswith("behind "):
        return -seconds(text[len("behind "):])
    try:
        return seconds(text)
    except Refused:
        raise Refused("a time like 2h, or behind 2h") from None


def oid_or(*words):
    def read(text):
        if text not in words and not re.fullmatch(r"[0-2](\.(0|[1-9][0-9]{0,9})){1,20}", text):
            raise Refused(" or ".join(words) + " or an object identifier in digits and dots")
        return text
    return read


def diagnostic(text):
    if text == "off":
        return text
    if not re.fullmatch(r"0x[0-9A-Fa-f]{3,8}", text) or int(text, 16) not in policy.DIAGNOSTICS:
        raise Refused("off or one of " + ", ".join(DIAGNOSTICS))
    return int(text, 16)


def ra_order(text):
    if text != "sorted" and text not in RA_ORDERS:
        raise Refused("sorted, or the words sign, encrypt and ca, perhaps root, in any order with commas between")
    return RA_ORDERS.get(text)


def capabilities(text):
    if text in CAPABILITIES:
        return CAPABILITIES[text]
    if text.startswith("list:"):
        return "\n".join(word for word in text[5:].split(",") if word)
    raise Refused("one of {} or list:WORD,WORD…".format(", ".join(CAPABILITIES)))


def body(text):
    words = text.split()
    if text in ("off", "html", "empty", "stub", "half", "huge", "cut"):
        return text, 0.0
    if len(words) == 2 and words[0] == "slow":
        return "slow", seconds(words[1])
    raise Refused("off, html, empty, stub, half, huge, cut or slow SECONDS")


class Switch(NamedTuple):
    name: str
    default: str
    values: str
    help: str
    read: Callable


def flag(name, text):
    return Switch(name, "off", "off|on", text, on_off)


TABLE = (
    # HTTP
    Switch("paths", "both", "both|mscep.dll|pkiclient.exe",
           "where SCEP is: at mscep.dll, at mscep.dll/pkiclient.exe, or both; the other one is 404",
           one_of("both", "mscep.dll", "pkiclient.exe")),
    Switch("policy-module", "on", "off|on", "off: a browser sees NDES's page and not 403, challenges are bound to nothing, "
           "the connector has no events", on_off),
    Switch("fault-on", "all", "all|caps|cacert|nextca|pki", "which operation the HTTP faults below hit",
           one_of("all", "caps", "cacert", "nextca", "pki")),
    Switch("fault-times", "0", "N", "how many answers they spoil before they wear off (0: all)", number(0, 10**6)),
    Switch("http-status", "off", "off|200…599", "answer with this status and an HTML page; 3xx leads to a login page, "
           "401 asks for Negotiate", number(200, 599, "off")),
    Switch("win32-status", "off", "off|N", "the Win32 code of such an answer, in IIS's log line and on the page (1346: the "
           "right to impersonate is missing)", number(0, 10**6, "off")),
    Switch("retry-after", "off", "off|N", "Retry-After of the answers that fault-on names", number(0, 10**6, "off")),
    Switch("body", "off", "off|html|empty|stub|half|huge|cut|slow SECONDS",
           "200 with an HTML page, nothing, the 13 octets of a PKCS #7 without content, the first half, 50 MB, an end in the "
           "middle, or the body drop by drop", body),
    flag("close", "close the connection without an answer"),
    Switch("delay", "0", "TIME", "wait before an answer that fault-on names, the work done", seconds),
    flag("get-only", "refuse POST with 405 and do not list it"),
    Switch("uri-limit", "65534", "N", "414 for a longer request target", number(100, 10**6)),
    Switch("content-type", "normal", "normal|none|html", "Content-Type of every answer",
           one_of("normal", "none", "html")),
    Switch("date-skew", "0", "TIME|behind TIME", "how far the Date header is ahead, or behind", skew),
    Switch("tls", "good", "|".join(TLS_FACES), "certificate of the TLS listener; old-version: TLS 1.1 alone",
           one_of(*TLS_FACES)),
    # GetCACaps, GetCACert, GetNextCACert
    Switch("caps", "ndes", "|".join(CAPABILITIES) + "|list:…", "what GetCACaps lists; closed: the connection is closed",
           capabilities),
    flag("single-tier", "the root issues, there is no CA between"),
    Switch("ra", "split", "split|one|none", "RA certificates: two by key usage, one for both, or the CA itself",
           one_of("split", "one", "none")),
    Switch("ra-order", "sorted", "sorted|sign,encrypt,ca (any order, root too)",
           "order of GetCACert: as DER sorts a SET, or as said", ra_order),
    Switch("ra-stale", "off", "off|encrypt|pair", "RA certificates of long ago, expired, before those in force: one, two",
           one_of("off", "encrypt", "pair")),
    flag("ra-expired", "the RA certificates ended an hour ago (event 10)"),
    flag("ra-ending", "the RA certificates end in a week"),
    flag("ra-future", "the RA certificates begin tomorrow (event 10)"),
    Switch("ra-signature", "sha256", "sha256|sha1|pss", "what the RA certificates are signed with",
           one_of("sha256", "sha1", "pss")),
    flag("ra-old-ca", "the RA certificates come from the CA's certificate before the present one"),
    Switch("ca-key", "rsa", "rsa|ec", "key of the issuing CA; the RA certificates' stay RSA", one_of("rsa", "ec")),
    flag("root-included", "the root stands in GetCACert too"),
    flag("other-ca", "GetCACert (and all else) comes from a CA with another root"),
    Switch("rollover", "off", "off|on|forged|done", "GetNextCACert: there is none, the next CA signed by this one, or by a "
           "stranger; done: the next one is in force", one_of("off", "on", "forged", "done")),
    Switch("rollover-begins", "now", "now|later", "when the next CA begins: yesterday, or three days from now",
           one_of("now", "later")),
    Switch("rollover-fault", "off", "off|ra|tampered|nothing|content|no-ca|two|sha1|unlisted",
           "GetNextCACert: signed by the RA, changed afterwards, without content, with one that is no certificates, with "
           "one of no CA, with two CAs, signed with SHA-1, or answered though the capabilities do not list it",
           one_of("off", "ra", "tampered", "nothing", "content", "no-ca", "two", "sha1", "unlisted")),
    # the reply
    Switch("reply-shape", "ndes", "ndes|rfc", "SHA-1, 3DES, one octet for nothing, no certificates; or as RFC 8894",
           one_of("ndes", "rfc")),
    Switch("digest", "auto", "auto|sha1|sha256|sha384|sha512", "digest of the reply's signature",
           one_of("auto", "sha1", "sha256", "sha384", "sha512")),
    Switch("cipher", "auto", "auto|des|des3|aes|aes256", "cipher of the reply's envelope",
           one_of("auto", "des", "des3", "aes", "aes256")),
    Switch("signature", "rsa", "rsa|full", "signatureAlgorithm: rsaEncryption or shaXWithRSA", one_of("rsa", "full")),
    Switch("transport", "pkcs1", "pkcs1|oaep|oaep-sha256", "how the content key is wrapped",
           one_of("pkcs1", "oaep", "oaep-sha256")),
    Switch("ec-reply", "refuse", "refuse|http-500|pwri|kari", "requests signed with an EC key: badAlg, HTTP 500, or a reply by "
           "way of the challenge, or by key agreement", one_of("refuse", "http-500", "pwri", "kari")),
    Switch("kari-kdf", "sha256", "sha1|sha256|sha384|sha512|unknown", "key agreement: the digest of the derivation",
           one_of("sha1", "sha256", "sha384", "sha512", "unknown")),
    Switch("kari-wrap", "aes128", "aes128|aes192|aes256|unknown", "key agreement: the key wrap",
           one_of("aes128", "aes192", "aes256", "unknown")),
    Switch("kari-form", "bare", "bare|null|named|ukm", "key agreement: the sender's key without parameters, with NULL as "
           "Java writes it, with its curve; or with keying material besides", one_of("bare", "null", "named", "ukm")),
    Switch("kari-fault", "off", "off|other-recipient|other-curve|off-curve|truncated",
           "key agreement: for another certificate, with a key of another curve, of none, or half of the wrapped key",
           one_of("off", "other-recipient", "other-curve", "off-curve", "truncated")),
    Switch("pwri-prf", "sha256", "none|sha1|sha256|sha384|sha512|unknown", "password: the function of PBKDF2",
           one_of("none", "sha1", "sha256", "sha384", "sha512", "unknown")),
    Switch("pwri-iterations", "10000", "N", "password: iterations of PBKDF2; only claimed above 100000", number(1, 10**8)),
    Switch("pwri-fault", "off", "off|other-password|truncated", "password: another one, or half of the wrapped key",
           one_of("off", "other-password", "truncated")),
    Switch("foreign-signer", "accept", "accept|refuse|http-400", "first requests that another key has signed than the one "
           "in the request: badRequest, or HTTP 400", one_of("accept", "refuse", "http-400")),
    Switch("ec-key", "accept", "accept|refuse", "requests for an EC key; refuse: badAlg", one_of("accept", "refuse")),
    Switch("attributes", "sorted", "sorted|unsorted|unsorted-signed", "order of the signed attributes as sent; signed is "
           "the sorted one, or the same", one_of("sorted", "unsorted", "unsorted-signed")),
    Switch("encoding", "der", "der|ber", "ber: indefinite lengths, strings in pieces", one_of("der", "ber")),
    Switch("order", "leaf-first", "leaf-first|ca-first", "of the certificates in the reply",
           one_of("leaf-first", "ca-first")),
    Switch("pki-status", "off", "off|0…9", "this pkiStatus instead of the right one", number(0, 9, "off")),
    Switch("fail-info", "off", "off|0…9", "refuse every request with this failInfo", number(0, 9, "off")),
    Switch("pending", "off", "off|N|approve", "answer PENDING N times, or until 'approve'",
           number(1, 10**6, "off", "approve")),
    flag("unknown-signer", "sign replies with a certificate that GetCACert does not have"),
    flag("wrong-nonce", "another recipientNonce"),
    flag("wrong-transaction", "another transactionID"),
    # what is issued
    flag("wrong-key", "the certificate is for another key"),
    flag("wrong-subject", "the certificate has another subject"),
    Switch("rewrite-subject", "off", "off|cn-only|add-ou", "the CA keeps the common name alone, or adds OU=Devices",
           one_of("off", "cn-only", "add-ou")),
    Switch("add-eku", "off", "off|OID", "the CA adds this extended key usage", oid_or("off")),
    flag("drop-eku", "leave the extended key usage out"),
    flag("drop-san", "leave the alternative names out"),
    flag("drop-ku", "leave the key usage out"),
    Switch("lifetime", "request", "request|TIME", "life of certificates: as the request says (else a year), or this",
           duration("request")),
    Switch("validity", "honor", "honor|ignore", "the request's ValidityPeriod (EDITF_ATTRIBUTEENDDATE)",
           one_of("honor", "ignore")),
    Switch("backdate", "0", "TIME", "notBefore lies this long ago (Windows: 10m)", seconds),
    flag("stale", "a renewal gets the old certificate again"),
    Switch("crl", "published", "published|missing|expired|future|foreign|ca-revoked",
           "the CRLs, by HTTP and by GetCRL: none, too old, not begun, of the CA's old key, the root's with the issuing CA",
           one_of("published", "missing", "expired", "future", "foreign", "ca-revoked")),
    Switch("get-crl", "answer", "answer|refuse|pending|http-500|beside|two-keys|other-ca|certificate|nothing",
           "GetCRL: refused, put off, not known, a certificate beside it, one of each of the CA's keys, one of another CA, a "
           "certificate instead, nothing",
           one_of("answer", "refuse", "pending", "http-500", "beside", "two-keys", "other-ca", "certificate", "nothing")),
    Switch("crl-point", "http", "http|ldap|none", "where certificates say that their CRL lies",
           one_of("http", "ldap", "none")),
    # who may
    Switch("renewal", "accept", "accept|refuse|type-19|http-500|challenge",
           "renewals: none, only as type 19, HTTP 500 for type 17, or with a challenge too",
           one_of("accept", "refuse", "type-19", "http-500", "challenge")),
    Switch("wrong-challenge", "off", "off|always", "refuse every challenge", one_of("off", "always")),
    Switch("challenge-reason", "off", "off|" + "|".join(policy.REASONS), "refuse every challenge for this reason",
           one_of("off", *policy.REASONS)),
    Switch("challenge-lifetime", "60m", "TIME", "life of challenges made from now on", seconds),
    Switch("challenge-encoding", "printable", "printable|any", "string types the challenge may have",
           one_of("printable", "any")),
    flag("balancer", "every second request (the first, the third …) meets a node that does not know the challenge"),
    Switch("diagnostic", "off", "off|" + "|".join(DIAGNOSTICS),
           "what is broken in the connector; it is told by the event this code belongs to", diagnostic),
    Switch("notify", "succeed", "succeed|fail", "fail: the connector does not hear of what was issued (event 20602)",
           one_of("succeed", "fail")),
    Switch("template-missing", "off", "off|on|" + "|".join(policy.TEMPLATE_WORDS),
           "the CA knows no template, or not that one (event 31, 0x80094800)",
           one_of("off", "on", *policy.TEMPLATE_WORDS)),
    Switch("key-minimum", "off", "off|BITS", "the template wants RSA keys of this size at least (event 31, 0x80094811)",
           number(512, 16384, "off")),
    flag("ca-offline", "NDES does not reach the CA (event 31, 0x800706BA)"),
    # for tests
    flag("record", "keep every PKIOperation, request and reply, in DIR/ndes/record"),
)

_BY_NAME = {switch.name: switch for switch in TABLE}


def help_text():
    lines = []
    for switch in TABLE:
        lines.append(f"{switch.name} {switch.values}   (default {switch.default})\n        {switch.help}")
    return "\n".join(lines)


class Switches:
    """The values in force. Any thread may read and write."""

    def __init__(self):
        self._lock = threading.Lock()
        self._text, self._values, self._faults, self._counts = {}, {}, 0, {}
        self.reset()

    def reset(self):
        with self._lock:
            self._text = {switch.name: switch.default for switch in TABLE}
            self._values = {switch.name: switch.read(switch.default) for switch in TABLE}
            self._faults, self._counts = 0, {}

    def set(self, name, text):
        if name not in _BY_NAME:
            raise Refused(f"there is no switch '{name}'; 'help' lists them")
        try:
            value = _BY_NAME[name].read(text)
        except Refused as refusal:
            raise Refused(f"'{name}' takes {refusal}, not '{text}'") from None
        with self._lock:
            self._text[name], self._values[name] = text, value
            self._faults, self._counts[name] = 0, 0

    def __getitem__(self, name):
        with self._lock:
            return self._values[name]

    def count(self, name):
        """How often this was asked since @name was set, this time included."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + 1
            return self._counts[name]

    def as_text(self):
        """Those that differ from their default."""
        with self._lock:
            return {name: text for name, text in self._text.items() if text != _BY_NAME[name].default}

    def fault_strikes(self, operation):
        """Whether the HTTP faults hit this answer; counts it."""
        with self._lock:
            if self._values["fault-on"] not in ("all", operation):
                return False
            if (self._values["http-status"] == "off" and self._values["body"][0] == "off"
                    and not self._values["close"]):
                return False
            self._faults += 1
            return not self._values["fault-times"] or self._faults <= self._values["fault-times"]
