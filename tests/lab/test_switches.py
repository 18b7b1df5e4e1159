"""Every switch changes what it says, seen on the wire: one row for each value, one look for each switch."""
import datetime
import email.utils
import http.client
import os
import pathlib
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from conftest import LAB, Responder, fetch, run
from device import Device, certificates, is_ca, key_of, usage_of

from ndes import ber, cms, messages, policy, switches

CLIENT, SERVER = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
SIGN, ENCRYPT = ["digital_signature"], ["key_encipherment"]


@pytest.fixture(scope="module")
def one(tmp_path_factory, authorities):
    server = Responder(str(tmp_path_factory.mktemp("switches")), authorities)
    yield server
    server.stop()


@pytest.fixture
def responder(one):
    yield one
    one.call("reset")


# What is looked at. Each gets the responder and gives what the rows compare.

def caps(r):
    status, _, body = r.get("GetCACaps")
    return status, body.decode()


def closed(r):
    try:
        return r.get("GetCACaps")[0], r.get("GetCACert")[0]
    except (urllib.error.URLError, http.client.RemoteDisconnected, ConnectionError):
        return "closed", r.get("GetCACert")[0]


def closed_all(r):
    try:
        return r.get("GetCACert")[0]
    except (urllib.error.URLError, http.client.RemoteDisconnected, ConnectionError):
        return "closed"


def both_paths(r):
    return tuple(fetch(r.url + more + "?operation=GetCACaps")[0] for more in ("", "/pkiclient.exe"))


def browser(r):
    status, _, body = fetch(r.url)
    return status, b"Network Device Enrollment Service" in body


def answers(r):
    """Status of each operation; a message that is none is 500 by itself."""
    return r.get("GetCACaps")[0], r.get("GetCACert")[0], r.get("GetNextCACert")[0], r.post(b"0")[0]


def redirect(r):
    parts = urlsplit(r.url)
    channel = http.client.HTTPConnection(parts.netloc, timeout=30)
    channel.request("GET", parts.path + "?operation=GetCACaps")
    answer = channel.getresponse()
    seen = answer.status, answer.headers["Location"], answer.headers["WWW-Authenticate"]
    answer.read()
    if seen[1]:
        channel.request("GET", seen[1])
        seen += (b"Sign in" in channel.getresponse().read(),)
    channel.close()
    return seen


def stays_away(r):
    r.set(http_status="503")
    return r.get("GetCACaps")[1]["Retry-After"]


def error_code(r):
    r.set(http_status="500")
    return b"0x80070542" in r.get("GetCACaps")[2], r.events(0)[-1]["iis"].split()[:3]


def body(r):
    try:
        status, headers, data = r.get("GetCACert")
    except http.client.IncompleteRead:
        return "cut"
    if len(data) > 1 << 20:
        return "huge"
    if len(data) < 14:
        return data.hex() or "empty"
    if data.startswith(b"<"):
        return "html"
    return "whole" if len(data) == 4 + int.from_bytes(data[2:4], "big") else "half"


def took(look):
    def looked(r):
        start = time.monotonic()
        look(r)
        return time.monotonic() - start > 0.2
    return looked


def times(r):
    r.set(http_status="503")
    return [r.get("GetCACaps")[0] for _ in range(3)]


def fault_places(r):
    r.set(http_status="503")
    return answers(r)


def posts(r):
    return "POSTPKIOperation" in caps(r)[1], r.post(b"0")[0]


def long_target(r):
    return fetch(r.url + "?operation=GetCACaps&message=" + "a" * 3000)[0]


def content_type(r):
    return r.get("GetCACaps")[1]["Content-Type"]


def hours_ahead(r):
    date = email.utils.parsedate_to_datetime(r.get("GetCACaps")[1]["Date"])
    return round((date - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 3600)


def handshake(r):
    context = ssl.create_default_context(cafile=r.tls_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        with urllib.request.urlopen(r.tls_url + "?operation=GetCACaps", context=context, timeout=30) as answer:
            return answer.status
    except urllib.error.URLError as error:
        return getattr(error.reason, "verify_message", "") or error.reason.reason


def roles(r):
    """s, e or b for RA certificates, C for a CA."""
    letters = {tuple(SIGN): "s", tuple(ENCRYPT): "e", tuple(SIGN + ENCRYPT): "b"}
    return "".join("C" if is_ca(found) else letters[tuple(usage_of(found))] for found in Device(r).ca_certificates())


def set_of_roles(r):
    return "".join(sorted(roles(r)))


def ra(r):
    return [found for found in Device(r).ca_certificates() if not is_ca(found)]


def ra_life(r):
    now = datetime.datetime.utcnow()
    told = "expired" if ra(r)[0].not_valid_after < now else "future" if ra(r)[0].not_valid_before > now else "valid"
    return told, bool(r.events(10))


def ra_signature(r):
    return {found.signature_algorithm_oid._name for found in ra(r)}


def ra_issuer(r):
    """Whether the RA certificates verify with the CA beside them; the name is the same in any case."""
    authority = [found for found in Device(r).ca_certificates() if is_ca(found)][0]
    assert authority.subject == ra(r)[0].issuer
    try:
        authority.public_key().verify(ra(r)[0].signature, ra(r)[0].tbs_certificate_bytes, padding.PKCS1v15(),
                                      ra(r)[0].signature_hash_algorithm)
        return True
    except InvalidSignature:
        return False


def issuers(r):
    return {found.issuer.rfc4514_string() for found in Device(r).ca_certificates()}


def next_ca(r):
    status, headers, _ = r.get("GetNextCACert")
    return status, headers["Content-Type"], "GetNextCACert" in caps(r)[1]


def announced(r):
    """GetNextCACert: who has signed it with which digest, and what of: CAs that begin now or later, others, nothing."""
    status, _, body = r.get("GetNextCACert")
    if status != 200 or "GetNextCACert" not in caps(r)[1]:
        return status, caps(r)[1].count("GetNextCACert")
    try:
        signed = cms.open_signed(body)
    except cms.BadSignature:
        return "broken"
    present, ras = [[one for one in Device(r).ca_certificates() if is_ca(one) == wanted] for wanted in (True, False)]
    signer = x509.load_der_x509_certificate(signed.certificate.dump())
    who = "ca" if signer in present else "ra" if signer in ras else "stranger"
    if not signed.content.startswith(b"\x30"):
        return who, signed.digest, len(signed.content) > 0
    now = datetime.datetime.utcnow()
    found = [(is_ca(one), one.not_valid_before < now) for one in certificates(signed.content)]
    return who, signed.digest, sorted(found)


def while_announced(look):
    def looked(r):
        r.set(rollover="on")
        return look(r)
    return looked


# The next ones look at an enrollment.

def enrolled(look, **request):
    return lambda r: look(Device(r).enroll(**request))


def verdict(r, **request):
    """pkiStatus, failInfo, HRESULT as administrators write it."""
    reply = Device(r).enroll(**request)
    hresult = reply.hresult and f"0x{int(reply.hresult) & 0xFFFFFFFF:08X}"
    return reply.http, reply.status, reply.fail_info, hresult


def shape(reply):
    return reply.digest, reply.opened().cipher, reply.has_certificates, messages.SIGNING_TIME in reply.attributes


def signature(reply):
    return reply.info[4][0].oid()


def key_transport(reply):
    return reply.recipient_info()[2][0].oid()


def from_ec(r):
    reply = Device(r, "ec", "ec").enroll()
    if reply.http != 200:
        return reply.http
    return reply.fail_info if reply.status == "2" else (reply.recipient_info().cls, reply.recipient_info().tag)


def agreed(r):
    """Scheme, wrap, whether it is for the signer, octets of point and wrapped key."""
    r.set(ec_reply="kari", reply_shape="rfc")
    device = Device(r, "ec", "ec")
    info = device.enroll().recipient_info()
    encrypted = info[3][0]
    return (info[2][0].oid(), info[2][1][0].oid(), encrypted[0][1].integer() == device.signer.serial,
            len(info[1][0][1].content), len(encrypted[1].octets()))


def curve_holds(r):
    """Whether the sender's point lies on P-256."""
    r.set(ec_reply="kari", reply_shape="rfc")
    point = Device(r, "ec", "ec").enroll().recipient_info()[1][0][1].content[1:]
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
        return True
    except ValueError:
        return False


def agreement_form(r):
    """What stands beside the sender's point: its parameters, and octets of keying material."""
    r.set(ec_reply="kari", reply_shape="rfc")
    info = Device(r, "ec", "ec").enroll().recipient_info()
    material = info.context(1)
    return [node.raw.hex() for node in info[1][0][0].children[1:]], material and len(material[0].octets())


def by_password(r):
    """PRF, iterations, octets of the wrapped key."""
    r.set(ec_reply="pwri", reply_shape="rfc")
    info = Device(r, "ec", "ec").enroll().recipient_info()
    derivation = info[1][1]
    prf = derivation[2][0].oid() if len(derivation.children) > 2 else None
    return prf, derivation[1].integer(), len(info[3].octets())


def opens_with_challenge(r):
    """By OpenSSL."""
    r.set(ec_reply="pwri", reply_shape="rfc")
    challenge = r.challenge()
    reply = Device(r, "ec", "ec").enroll(challenge)
    done = subprocess.run(["openssl", "cms", "-decrypt", "-inform", "der", "-binary", "-pwri_password", challenge],
                          input=reply.content, capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def foreign_and_own(r):
    foreign, own = Device(r, "ec").enroll(), Device(r).enroll()
    return foreign.http, foreign.fail_info, own.status


def attributes_order(r):
    """Sorted as sent, and whether the signature is over what was sent."""
    reply = Device(r).enroll()
    field = reply.info.context(0)
    sent = [node.raw for node in field.children]
    signer = [one for one in certificates(r.get("GetCACert")[2])
              if one.serial_number == reply.info[1][1].integer()][0]
    try:
        signer.public_key().verify(reply.info[5].octets(), b"\x31" + field.raw[1:], padding.PKCS1v15(),
                                   cms.HASHES[reply.digest]())
        as_sent = True
    except InvalidSignature:
        as_sent = False
    return sent == sorted(sent), as_sent


def ca_keys(r):
    """Kinds of the keys: the issuing CA's, the RA's; and the device gets a certificate of it."""
    found = certificates(r.get("GetCACert")[2])
    def kind(one):
        return type(one.public_key()).__name__.strip("_")[:2]

    issued = Device(r).enroll().certificate()
    issuer = [one for one in found if one.subject == issued.issuer][0]
    return kind(issuer), {kind(one) for one in found if not is_ca(one)}


def for_ec(r):
    reply = Device(r, "ec").enroll()
    return reply.status, reply.fail_info


def polled(r):
    device = Device(r)
    first = device.enroll()
    seen = [first.status, device.poll(first.transaction).status, device.poll(first.transaction).status]
    if seen[-1] == "3":
        assert r.call("approve") == 1
        seen.append(device.poll(first.transaction).status)
    return "".join(seen)


def truth(r):
    """Whether nonce and transaction are ours, and the signer is one of GetCACert's."""
    device = Device(r)
    reply = device.enroll()
    serials = {found.serial_number for found in device.ca_certificates()}
    return (reply.nonce == device.sent_nonce, reply.transaction == device.sent_transaction,
            reply.info[1][1].integer() in serials)


def key_is_ours(r):
    reply = Device(r).enroll()
    return reply.certificate().public_key().public_numbers() == key_of("2048").public_key().public_numbers()


def subject(reply):
    return reply.certificate().subject.rfc4514_string()


def extensions(reply):
    found = {extension.oid._name for extension in reply.certificate().extensions}
    return [name in found for name in ("keyUsage", "extendedKeyUsage", "subjectAltName")]


def ekus(reply):
    return [usage.dotted_string for usage in reply.certificate().extensions.get_extension_for_class(
        x509.ExtendedKeyUsage).value]


def days(reply):
    return reply.life() / 86400


def same_certificate(r):
    device = Device(r)
    first = device.enroll()
    return device.renew(first).certificate().serial_number == first.certificate().serial_number


def crl_point(r):
    """Where a certificate says that its CRL lies; None: nowhere."""
    try:
        points = Device(r).enroll().certificate().extensions.get_extension_for_class(x509.CRLDistributionPoints)
    except x509.ExtensionNotFound:
        return None
    return points.value[0].full_name[0].value


def crl_scheme(r):
    return (crl_point(r) or "").partition(":")[0]


def crl_state(r, name="ca-issuing"):
    """HTTP status, whether it has begun and not ended, whether the CA in force signed it, how many it names."""
    status, _, data = fetch(crl_point(r).replace("ca-issuing", name))
    if status != 200:
        return [status]
    crl, now = x509.load_der_x509_crl(data), datetime.datetime.utcnow()
    ca = x509.load_pem_x509_certificate(pathlib.Path(r.layout.ndes, "ca", f"{name[3:]}.pem").read_bytes())
    return [status, crl.last_update < now < crl.next_update, crl.is_signature_valid(ca.public_key()), len(list(crl))]


def root_crl_state(r):
    return crl_state(r, "ca-root")


def crls_by_scep(r):
    """What comes of a GetCRL: the pkiStatus or HTTP status, who signed each CRL (1: the issuing CA's key), how many certificates."""
    device = Device(r)
    issued = device.enroll().certificate()
    asked = ber.seq(issued.issuer.public_bytes(), ber.integer(issued.serial_number))
    reply = device.ask(asked, messages.GET_CRL)
    if reply.status != "0":
        return [reply.status or reply.http]
    signed = cms.content_of(reply.opened().plaintext, cms.SIGNED, "the CRLs")
    ca = x509.load_pem_x509_certificate(pathlib.Path(r.layout.ndes, "ca/issuing.pem").read_bytes())
    beside, crls = ([node.raw for node in field.children] if field else [] for field in (signed.context(0), signed.context(1)))
    return ["0", sorted(x509.load_der_x509_crl(raw).is_signature_valid(ca.public_key()) for raw in crls), len(beside)]


def renewals(r):
    """With type 17 and with type 19, without a challenge."""
    device = Device(r)
    first = device.enroll()
    seen = [device.renew(first, kind) for kind in (messages.RENEWAL_REQ, messages.PKCS_REQ)]
    return [reply.status or reply.http for reply in seen]


def connector(r, **request):
    """The connector's last word on a request."""
    Device(r).enroll(**request)
    event = r.events(20500, 20501, 20502)[-1]
    return event["event"], event["diagnostic"], event["reason"]


def told(r):
    """Events of the connector beside 205xx, of this request alone."""
    before = len(r.events())
    Device(r).enroll()
    return [(event["event"], event.get("diagnostic")) for event in r.events()[before:]
            if event["event"] > 10000 and event["event"] not in (20500, 20501, 20502)]


def bound(r):
    """A challenge for another subject."""
    return Device(r).enroll(r.challenge(subject="CN=other")).status


def utf8(r):
    return Device(r).enroll(string=core.UTF8String).status


def in_turn(r):
    challenge, device = r.challenge(), Device(r)
    return [device.enroll(challenge).status for _ in range(2)]


def templates(r):
    """By key usage: signature, encryption, both."""
    found = []
    for usage in (SIGN, ENCRYPT, SIGN + ENCRYPT):
        reply = Device(r).enroll(usage=usage)
        found.append(reply.hresult and f"0x{int(reply.hresult) & 0xFFFFFFFF:08X}")
    return found


def files_recorded(r):
    folder = os.path.join(r.layout.ndes, "record")
    before = len(os.listdir(folder)) if os.path.exists(folder) else 0
    Device(r).enroll()
    return len(os.listdir(folder)) - before if os.path.exists(folder) else 0


OK, REFUSED = (200, "0", None, None), (200, "2", "2", "0x80070057")
NDES = "POSTPKIOperation\nRenewal\nSHA-512\nSHA-256\nSHA-1\nDES3"
TEMPLATE, LENGTH, RPC = "0x80094800", "0x80094811", "0x800706BA"

ROWS = [
    # switch, value, look, what is seen
    ("paths", "both", both_paths, (200, 200)),
    ("paths", "mscep.dll", both_paths, (200, 404)),
    ("paths", "pkiclient.exe", both_paths, (404, 200)),
    ("policy-module", "on", browser, (403, False)),
    ("policy-module", "off", browser, (200, True)),
    ("policy-module", "on", bound, "2"),
    ("policy-module", "off", bound, "0"),
    ("fault-on", "all", fault_places, (503, 503, 503, 503)),
    ("fault-on", "caps", fault_places, (503, 200, 400, 500)),
    ("fault-on", "cacert", fault_places, (200, 503, 400, 500)),
    ("fault-on", "nextca", fault_places, (200, 200, 503, 500)),
    ("fault-on", "pki", fault_places, (200, 200, 400, 503)),
    ("fault-times", "0", times, [503, 503, 503]),
    ("fault-times", "2", times, [503, 503, 200]),
    *(("http-status", str(status), answers, (status,) * 4) for status in (500, 503, 504, 404, 401, 414)),
    *(("retry-after", value, stays_away, seen) for value, seen in (("off", None), ("120", "120"))),
    ("http-status", "302", redirect, (302, "/login?ReturnUrl=%2fcertsrv", None, True)),
    ("http-status", "401", redirect, (401, None, "Negotiate")),
    ("http-status", "off", answers, (200, 200, 400, 500)),
    ("win32-status", "off", error_code, (False, ["500", "0", "0"])),
    ("win32-status", "1346", error_code, (True, ["500", "0", "1346"])),
    ("body", "off", body, "whole"),
    *(("body", fault, body, fault) for fault in ("html", "empty", "half", "huge", "cut")),
    ("body", "stub", body, "300b06092a864886f70d010702"),
    ("body", "slow 0.3", took(body), True),
    ("close", "on", closed_all, "closed"),
    ("delay", "0.3", took(caps), True),
    ("delay", "0", took(caps), False),
    ("get-only", "off", posts, (True, 500)),
    ("get-only", "on", posts, (False, 405)),
    ("uri-limit", "65534", long_target, 200),
    ("uri-limit", "2000", long_target, 414),
    ("content-type", "normal", content_type, "text/plain"),
    ("content-type", "none", content_type, None),
    ("content-type", "html", content_type, "text/html"),
    ("date-skew", "0", hours_ahead, 0),
    ("date-skew", "3h", hours_ahead, 3),
    ("date-skew", "behind 2h", hours_ahead, -2),
    ("tls", "good", handshake, 200),
    ("tls", "expired", handshake, "certificate has expired"),
    ("tls", "not-yet-valid", handshake, "certificate is not yet valid"),
    ("tls", "wrong-name", handshake, "Hostname mismatch, certificate is not valid for 'localhost'."),
    ("tls", "unknown-ca", handshake, "unable to get local issuer certificate"),
    ("tls", "self-signed", handshake, "self-signed certificate"),
    ("tls", "old-version", handshake, "TLSV1_ALERT_PROTOCOL_VERSION"),
    ("caps", "ndes", caps, (200, NDES)),
    ("caps", "empty", caps, (200, "")),
    ("caps", "standard", caps, (200, "SCEPStandard")),
    ("caps", "list:AES,Renewal", caps, (200, "AES\nRenewal")),
    ("caps", "missing", lambda r: caps(r)[0], 404),
    ("caps", "closed", closed, ("closed", 200)),
    ("single-tier", "off", issuers, {"CN=Lab Root CA,O=Lab,C=US", "CN=Lab Issuing CA,O=Lab,C=US"}),
    ("single-tier", "on", issuers, {"CN=Lab Root CA,O=Lab,C=US"}),
    ("ra", "split", set_of_roles, "Ces"),
    ("ra", "one", set_of_roles, "Cb"),
    ("ra", "none", set_of_roles, "C"),
    ("ra-order", "sorted", set_of_roles, "Ces"),
    ("ra-order", "sign,encrypt,ca", roles, "seC"),
    ("ra-order", "sign,ca,encrypt", roles, "sCe"),
    ("ra-order", "encrypt,sign,ca", roles, "esC"),
    ("ra-order", "encrypt,ca,sign", roles, "eCs"),
    ("ra-order", "ca,sign,encrypt", roles, "Cse"),
    ("ra-order", "ca,encrypt,sign", roles, "Ces"),
    ("ra-order", "root,encrypt,ca,sign", roles, "CeCs"),
    ("ra-stale", "encrypt", set_of_roles, "Cees"),
    ("ra-stale", "pair", set_of_roles, "Ceess"),
    ("ra-expired", "off", ra_life, ("valid", False)),
    ("ra-ending", "on", ra_life, ("valid", False)),
    ("ra-expired", "on", ra_life, ("expired", True)),
    ("ra-future", "on", ra_life, ("future", True)),
    ("ra-signature", "sha256", ra_signature, {"sha256WithRSAEncryption"}),
    ("ra-signature", "sha1", ra_signature, {"sha1WithRSAEncryption"}),
    ("ra-signature", "pss", ra_signature, {"RSASSA-PSS"}),
    ("ra-old-ca", "off", ra_issuer, True),
    ("ra-old-ca", "on", ra_issuer, False),
    ("root-included", "on", set_of_roles, "CCes"),
    ("other-ca", "on", issuers, {"CN=Other Root CA,O=Other,C=US", "CN=Other Issuing CA,O=Other,C=US"}),
    ("rollover", "off", next_ca, (400, "text/html", False)),
    ("rollover", "on", next_ca, (200, "application/x-x509-next-ca-cert", True)),
    ("rollover", "forged", next_ca, (200, "application/x-x509-next-ca-cert", True)),
    ("rollover", "done", next_ca, (400, "text/html", False)),
    *((name, "now" if name == "rollover-begins" else "off", while_announced(announced), ("ca", "sha256", [(True, True)]))
      for name in ("rollover-begins", "rollover-fault")),
    ("rollover-begins", "later", while_announced(announced), ("ca", "sha256", [(True, False)])),
    ("rollover-fault", "ra", while_announced(announced), ("ra", "sha256", [(True, True)])),
    ("rollover-fault", "tampered", while_announced(announced), "broken"),
    ("rollover-fault", "nothing", while_announced(announced), ("ca", "sha256", False)),
    ("rollover-fault", "content", while_announced(announced), ("ca", "sha256", True)),
    ("rollover-fault", "no-ca", while_announced(announced), ("ca", "sha256", [(False, True)])),
    ("rollover-fault", "two", while_announced(announced), ("ca", "sha256", [(True, False), (True, True)])),
    ("rollover-fault", "sha1", while_announced(announced), ("ca", "sha1", [(True, True)])),
    ("rollover-fault", "unlisted", while_announced(announced), (200, 0)),
    ("reply-shape", "ndes", enrolled(shape), ("sha1", "des3", False, False)),
    ("reply-shape", "rfc", enrolled(shape), ("sha256", "aes", True, True)),
    *(("digest", name, enrolled(lambda reply: reply.digest), name) for name in ("sha1", "sha256", "sha384", "sha512")),
    *(("cipher", name, enrolled(lambda reply: reply.opened().cipher), name) for name in ("des", "des3", "aes", "aes256")),
    ("signature", "rsa", enrolled(signature), "1.2.840.113549.1.1.1"),
    ("signature", "full", enrolled(signature), "1.2.840.113549.1.1.5"),
    ("transport", "pkcs1", enrolled(key_transport), "1.2.840.113549.1.1.1"),
    ("transport", "oaep", enrolled(key_transport), "1.2.840.113549.1.1.7"),
    ("ec-reply", "refuse", from_ec, "0"),
    ("ec-reply", "http-500", from_ec, 500),
    ("ec-reply", "pwri", from_ec, (2, 3)),
    ("ec-reply", "kari", from_ec, (2, 1)),
    ("transport", "oaep-sha256", enrolled(key_transport), "1.2.840.113549.1.1.7"),
    ("kari-kdf", "sha256", agreed, ("1.3.132.1.11.1", "2.16.840.1.101.3.4.1.5", True, 66, 24)),
    ("kari-kdf", "sha1", agreed, ("1.3.133.16.840.63.0.2", "2.16.840.1.101.3.4.1.5", True, 66, 24)),
    ("kari-kdf", "unknown", agreed, ("1.3.6.1.4.1.55555.1", "2.16.840.1.101.3.4.1.5", True, 66, 24)),
    ("kari-wrap", "aes256", agreed, ("1.3.132.1.11.1", "2.16.840.1.101.3.4.1.45", True, 66, 24)),
    ("kari-wrap", "unknown", agreed, ("1.3.132.1.11.1", "1.3.6.1.4.1.55555.1", True, 66, 24)),
    ("kari-form", "bare", agreement_form, ([], None)),
    ("kari-form", "null", agreement_form, (["0500"], None)),
    ("kari-form", "named", agreement_form, (["06082a8648ce3d030107"], None)),
    ("kari-form", "ukm", agreement_form, ([], 64)),
    ("kari-fault", "other-recipient", agreed, ("1.3.132.1.11.1", "2.16.840.1.101.3.4.1.5", False, 66, 24)),
    ("kari-fault", "other-curve", agreed, ("1.3.132.1.11.1", "2.16.840.1.101.3.4.1.5", True, 98, 24)),
    ("kari-fault", "truncated", agreed, ("1.3.132.1.11.1", "2.16.840.1.101.3.4.1.5", True, 66, 12)),
    ("kari-fault", "off", curve_holds, True),
    ("kari-fault", "off-curve", curve_holds, False),
    ("pwri-prf", "none", by_password, (None, 10000, 32)),
    ("pwri-prf", "sha512", by_password, ("1.2.840.113549.2.11", 10000, 32)),
    ("pwri-prf", "unknown", by_password, ("1.3.6.1.4.1.55555.1", 10000, 32)),
    ("pwri-prf", "none", opens_with_challenge, True),
    ("pwri-prf", "sha384", opens_with_challenge, True),
    ("pwri-iterations", "2048", by_password, ("1.2.840.113549.2.9", 2048, 32)),
    ("pwri-iterations", "10000000", by_password, ("1.2.840.113549.2.9", 10000000, 32)),
    ("pwri-fault", "truncated", by_password, ("1.2.840.113549.2.9", 10000, 16)),
    ("pwri-fault", "off", opens_with_challenge, True),
    ("pwri-fault", "other-password", opens_with_challenge, False),
    ("foreign-signer", "accept", foreign_and_own, (200, None, "0")),
    ("foreign-signer", "refuse", foreign_and_own, (200, "2", "0")),
    ("foreign-signer", "http-400", foreign_and_own, (400, None, "0")),
    ("attributes", "sorted", attributes_order, (True, True)),
    ("attributes", "unsorted", attributes_order, (False, False)),
    ("attributes", "unsorted-signed", attributes_order, (False, True)),
    ("ca-key", "rsa", ca_keys, ("RS", {"RS"})),
    ("ca-key", "ec", ca_keys, ("El", {"RS"})),
    ("ec-key", "accept", for_ec, ("0", None)),
    ("ec-key", "refuse", for_ec, ("2", "0")),
    ("encoding", "der", enrolled(lambda reply: reply.body[1]), 0x82),
    ("encoding", "ber", enrolled(lambda reply: reply.body[1]), 0x80),
    ("order", "leaf-first", enrolled(lambda reply: is_ca(reply.certificates()[0])), False),
    ("order", "ca-first", enrolled(lambda reply: is_ca(reply.certificates()[0])), True),
    ("pki-status", "1", enrolled(lambda reply: reply.status), "1"),
    ("fail-info", "4", verdict, (200, "2", "4", "0x80070057")),
    ("pending", "off", polled, "000"),
    ("pending", "2", polled, "330"),
    ("pending", "approve", polled, "3330"),
    ("unknown-signer", "off", truth, (True, True, True)),
    ("unknown-signer", "on", truth, (True, True, False)),
    ("wrong-nonce", "on", truth, (False, True, True)),
    ("wrong-transaction", "on", truth, (True, False, True)),
    ("wrong-key", "off", key_is_ours, True),
    ("wrong-key", "on", key_is_ours, False),
    ("wrong-subject", "on", enrolled(subject), "CN=somebody-else"),
    ("rewrite-subject", "off", enrolled(subject), "CN=dev1,O=Lab"),
    ("rewrite-subject", "cn-only", enrolled(subject), "CN=dev1"),
    ("rewrite-subject", "add-ou", enrolled(subject), "OU=Devices,CN=dev1,O=Lab"),
    ("add-eku", "off", enrolled(ekus), [CLIENT]),
    ("add-eku", SERVER, enrolled(ekus), [CLIENT, SERVER]),
    ("drop-eku", "off", enrolled(extensions), [True, True, True]),
    ("drop-eku", "on", enrolled(extensions), [True, False, True]),
    ("drop-san", "on", enrolled(extensions), [True, True, False]),
    ("drop-ku", "on", enrolled(extensions), [False, True, True]),
    ("lifetime", "request", enrolled(days), 365),
    ("lifetime", "30d", enrolled(days), 30),
    ("validity", "honor", enrolled(days, validity=("Days", "10")), 10),
    ("validity", "ignore", enrolled(days, validity=("Days", "10")), 365),
    ("backdate", "1d", enrolled(days), 366),
    ("stale", "off", same_certificate, False),
    ("stale", "on", same_certificate, True),
    ("crl", "published", crl_state, [200, True, True, 0]),
    ("crl", "expired", crl_state, [200, False, True, 0]),
    ("crl", "future", crl_state, [200, False, True, 0]),
    ("crl", "foreign", crl_state, [200, True, False, 0]),
    ("crl", "missing", crl_state, [404]),
    ("crl", "ca-revoked", crl_state, [200, True, True, 0]),
    ("crl", "ca-revoked", root_crl_state, [200, True, True, 1]),
    ("get-crl", "answer", crls_by_scep, ["0", [True], 0]),
    ("get-crl", "refuse", crls_by_scep, ["2"]),
    ("get-crl", "pending", crls_by_scep, ["3"]),
    ("get-crl", "http-500", crls_by_scep, [500]),
    ("get-crl", "beside", crls_by_scep, ["0", [True], 1]),
    ("get-crl", "two-keys", crls_by_scep, ["0", [False, True], 0]),
    ("get-crl", "other-ca", crls_by_scep, ["0", [False], 0]),
    ("get-crl", "certificate", crls_by_scep, ["0", [], 1]),
    ("get-crl", "nothing", crls_by_scep, ["0", [], 0]),
    ("crl-point", "http", crl_scheme, "http"),
    ("crl-point", "ldap", crl_scheme, "ldap"),
    ("crl-point", "none", crl_scheme, ""),
    ("renewal", "accept", renewals, ["0", "0"]),
    ("renewal", "refuse", renewals, ["2", "2"]),
    ("renewal", "type-19", renewals, ["2", "0"]),
    ("renewal", "http-500", renewals, [500, "0"]),
    ("renewal", "challenge", renewals, ["2", "2"]),
    ("wrong-challenge", "off", verdict, OK),
    ("wrong-challenge", "always", verdict, REFUSED),
    *(("challenge-reason", reason, connector, (event, f"0x{code:08X}", reason))
      for reason, (event, code) in policy.REASONS.items()),
    ("challenge-lifetime", "0", connector, (20501, "0x00000411", "ChallengeExpired")),
    ("challenge-encoding", "printable", utf8, "2"),
    ("challenge-encoding", "any", utf8, "0"),
    ("balancer", "off", in_turn, ["0", "2"]),
    ("balancer", "on", in_turn, ["2", "0"]),
    ("diagnostic", "off", told, [(20600, "0x00000000")]),
    ("diagnostic", "0x400", told, [(20102, "0x00000400")]),
    ("diagnostic", "0x401", told, [(20102, "0x00000401")]),
    ("diagnostic", "0x402", told, [(20600, "0x00000000")]),
    ("diagnostic", "0x403", told, [(10301, "0x00000403")]),
    ("diagnostic", "0x404", told, [(10302, "0x00000404")]),
    ("diagnostic", "0x405", told, [(10102, "0x00000405")]),
    ("diagnostic", "0x400", verdict, (200, "2", "2", RPC)),
    ("diagnostic", "0x408", connector, (20502, "0x00000408", "Unknown")),
    ("diagnostic", "0x409", connector, (20502, "0x00000409", "Unknown")),
    ("diagnostic", "0x410", connector, (20502, "0x00000410", "Unknown")),
    ("diagnostic", "0x411", connector, (20501, "0x00000411", "ChallengeExpired")),
    ("diagnostic", "0x0FFFFFFF", connector, (20502, "0x0FFFFFFF", "Unknown")),
    ("diagnostic", "0x408", verdict, REFUSED),
    ("notify", "succeed", told, [(20600, "0x00000000")]),
    ("notify", "fail", told, [(20602, "0x0FFFFFFF")]),
    ("template-missing", "off", templates, [None, None, None]),
    ("template-missing", "on", templates, [TEMPLATE, TEMPLATE, TEMPLATE]),
    ("template-missing", "signature", templates, [TEMPLATE, None, None]),
    ("template-missing", "encryption", templates, [None, TEMPLATE, None]),
    ("template-missing", "general", templates, [None, None, TEMPLATE]),
    ("key-minimum", "2048", verdict, OK),
    ("key-minimum", "3072", verdict, (200, "2", "2", LENGTH)),
    ("ca-offline", "on", verdict, (200, "2", "2", RPC)),
    ("record", "off", files_recorded, 0),
    ("record", "on", files_recorded, 2),
]


@pytest.mark.parametrize("switch, value, look, seen", ROWS, ids=[f"{row[0]}={row[1]}-{index}" for index, row in enumerate(ROWS)])
def test_switch(responder, switch, value, look, seen):
    responder.call("set", name=switch, value=value)
    assert look(responder) == seen


def test_each_switch_is_looked_at():
    assert {row[0] for row in ROWS} == {switch.name for switch in switches.TABLE}


def test_reset_restores(responder):
    before = caps(responder), both_paths(responder), browser(responder), verdict(responder)
    for switch in switches.TABLE:
        values = [row[1] for row in ROWS if row[0] == switch.name and row[1] != switch.default]
        if values:
            responder.call("set", name=switch.name, value=values[-1])
    assert len(responder.call("state")["switches"]) == len(switches.TABLE)
    responder.call("reset")
    assert responder.call("state")["switches"] == {}
    assert (caps(responder), both_paths(responder), browser(responder), verdict(responder)) == before
    assert len(certificates(responder.get("GetCACert")[2])) == 3


def test_help_lists_each(folder):
    text = run(LAB, "ndes", folder, "help").stdout
    for switch in switches.TABLE:
        assert f"\n{switch.name} {switch.values}   (default {switch.default})\n" in text


@pytest.mark.parametrize("words", [("frob", "on"), ("paths", "neither"), ("diagnostic", "0x406"), ("ra-order", "sign"),
                                   ("date-skew", "behind"), ("add-eku", "clientAuth"), ("tls", "best"), ("close",),
                                   ("challenge-reason", "Success"), ("template-missing", "user")])
def test_unknown_is_refused(responder, words):
    result = run(LAB, "ndes", responder.layout.dir, "set", *words, check=False)
    assert result.returncode == 2 and result.stdout.startswith("lab: ")
    assert responder.call("state")["switches"] == {}
