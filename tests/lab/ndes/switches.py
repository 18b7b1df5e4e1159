"""The responder's behaviour and faults that can be set at run time: one table, one line each."""
import re
import threading
from typing import Callable, NamedTuple

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
}


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


def capabilities(text):
    if text in CAPABILITIES:
        return CAPABILITIES[text]
    if text.startswith("list:"):
        return "\n".join(word for word in text[5:].split(",") if word)
    raise Refused("one of {} or list:WORD,WORD…".format(", ".join(CAPABILITIES)))


def body(text):
    words = text.split()
    if text in ("off", "html", "empty", "huge", "cut"):
        return text, 0.0
    if len(words) == 2 and words[0] == "slow":
        return "slow", seconds(words[1])
    raise Refused("off, html, empty, huge, cut or slow SECONDS")


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
    Switch("fault-on", "all", "all|caps|cacert|pki", "which operation the HTTP faults below hit",
           one_of("all", "caps", "cacert", "pki")),
    Switch("fault-times", "0", "N", "how many answers they spoil before they wear off (0: all)", number(0, 10**6)),
    Switch("http-status", "off", "off|200…599", "answer with this status and an HTML page", number(200, 599, "off")),
    Switch("body", "off", "off|html|empty|huge|cut|slow SECONDS",
           "200 with an HTML page, nothing, 50 MB, half of the body, or the body drop by drop", body),
    flag("close", "close the connection without an answer"),
    Switch("delay", "0", "TIME", "wait before every answer", seconds),
    flag("get-only", "refuse POST with 405 and do not list it"),
    Switch("uri-limit", "65534", "N", "414 for a longer request target", number(100, 10**6)),
    Switch("content-type", "normal", "normal|none|html", "Content-Type of every answer",
           one_of("normal", "none", "html")),
    # GetCACaps, GetCACert
    Switch("caps", "ndes", "|".join(CAPABILITIES) + "|list:…", "what GetCACaps lists", capabilities),
    flag("single-tier", "the root issues, there is no CA between"),
    Switch("ra", "split", "split|one|none", "RA certificates: two by key usage, one for both, or the CA itself",
           one_of("split", "one", "none")),
    flag("ra-expired", "the RA certificates ended yesterday"),
    flag("root-included", "the root stands in GetCACert too"),
    flag("other-ca", "GetCACert (and all else) comes from a CA with another root"),
    # the reply
    Switch("reply-shape", "ndes", "ndes|rfc", "SHA-1, 3DES, one octet for nothing, no certificates; or as RFC 8894",
           one_of("ndes", "rfc")),
    Switch("digest", "auto", "auto|sha1|sha256|sha384|sha512", "digest of the reply's signature",
           one_of("auto", "sha1", "sha256", "sha384", "sha512")),
    Switch("cipher", "auto", "auto|des|des3|aes|aes256", "cipher of the reply's envelope",
           one_of("auto", "des", "des3", "aes", "aes256")),
    Switch("signature", "rsa", "rsa|full", "signatureAlgorithm: rsaEncryption or shaXWithRSA", one_of("rsa", "full")),
    Switch("transport", "pkcs1", "pkcs1|oaep", "how the content key is wrapped", one_of("pkcs1", "oaep")),
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
    flag("drop-eku", "leave the extended key usage out"),
    flag("drop-san", "leave the alternative names out"),
    flag("drop-ku", "leave the key usage out"),
    Switch("lifetime", "request", "request|TIME", "life of certificates: as the request says (else a year), or this",
           duration("request")),
    Switch("validity", "honor", "honor|ignore", "the request's ValidityPeriod (EDITF_ATTRIBUTEENDDATE)",
           one_of("honor", "ignore")),
    Switch("backdate", "0", "TIME", "notBefore lies this long ago (Windows: 10m)", seconds),
    flag("stale", "a renewal gets the old certificate again"),
    # who may
    Switch("renewal", "accept", "accept|refuse|type-19|http-500|challenge",
           "renewals: none, only as type 19, HTTP 500 for type 17, or with a challenge too",
           one_of("accept", "refuse", "type-19", "http-500", "challenge")),
    Switch("wrong-challenge", "off", "off|always", "refuse every challenge", one_of("off", "always")),
    Switch("challenge-lifetime", "60m", "TIME", "life of challenges made from now on", seconds),
    Switch("challenge-encoding", "printable", "printable|any", "string types the challenge may have",
           one_of("printable", "any")),
    flag("template-missing", "the CA does not know the template (event 31, 0x80094800)"),
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
        self._text, self._values, self._faults = {}, {}, 0
        self.reset()

    def reset(self):
        with self._lock:
            self._text = {switch.name: switch.default for switch in TABLE}
            self._values = {switch.name: switch.read(switch.default) for switch in TABLE}
            self._faults = 0

    def set(self, name, text):
        if name not in _BY_NAME:
            raise Refused(f"there is no switch '{name}'; 'help' lists them")
        try:
            value = _BY_NAME[name].read(text)
        except Refused as refusal:
            raise Refused(f"'{name}' takes {refusal}, not '{text}'") from None
        with self._lock:
            self._text[name], self._values[name] = text, value
            self._faults = 0

    def __getitem__(self, name):
        with self._lock:
            return self._values[name]

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
