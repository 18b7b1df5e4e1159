"""May this request have a certificate? NDES itself knows passwords alone; its policy module asks the connector, which
answers with event ids, diagnostic codes and reasons."""
from typing import NamedTuple, Optional

from . import messages, request as pkcs10
from .ca import ENCIPHER, SIGN

E_INVALIDARG, NTE_BAD_ALGID = 0x80070057, 0x80090008
CERTSRV_E_UNSUPPORTED_CERT_TYPE, CERTSRV_E_KEY_LENGTH, RPC_S_SERVER_UNAVAILABLE = 0x80094800, 0x80094811, 0x800706BA
TEMPLATES = {SIGN: "SignatureTemplate", ENCIPHER: "EncryptionTemplate", SIGN | ENCIPHER: "GeneralPurposeTemplate"}
TEMPLATE_WORDS = {"signature": "SignatureTemplate", "encryption": "EncryptionTemplate",
                  "general": "GeneralPurposeTemplate"}

# The connector's reasons: its event, the diagnostic code
_REFUSED, _FAILED, _UNKNOWN = 20501, 20502, 0x0FFFFFFF
REASONS = {
    "Unknown": (_FAILED, _UNKNOWN),
    "CertificateRequestDecodingFailed": (_FAILED, _UNKNOWN),
    "ChallengePasswordMissing": (_FAILED, 0x410),
    "ChallengeDeserializationError": (_FAILED, 0x410),
    "ChallengeDecryptionError": (_FAILED, 0x410),
    "ChallengeDecodingError": (_FAILED, 0x410),
    "ChallengeInvalidTimestamp": (_FAILED, 0x410),
    "ChallengeExpired": (_REFUSED, 0x411),
    "SubjectNameMissing": (_REFUSED, _UNKNOWN),
    "SubjectNameMismatch": (_REFUSED, _UNKNOWN),
    "SubjectAltNameMissing": (_REFUSED, _UNKNOWN),
    "SubjectAltNameMismatch": (_REFUSED, _UNKNOWN),
    "KeyUsageMismatch": (_REFUSED, _UNKNOWN),
    "KeyLengthMismatch": (_REFUSED, _UNKNOWN),
    "EnhancedKeyUsageMissing": (_REFUSED, _UNKNOWN),
    "EnhancedKeyUsageMismatch": (_REFUSED, _UNKNOWN),
    "AadKeyIdentifierListMissing": (_REFUSED, _UNKNOWN),
    "RegisteredKeyMismatch": (_REFUSED, _UNKNOWN),
    "SigningCertThumbprintMismatch": (_FAILED, 0x409),
    "ScepProfileNoLongerTargetedToTheClient": (_REFUSED, _UNKNOWN),
    "SignatureValidationFailed": (_FAILED, 0x409),
    "BadCertificateRequestIdInChallenge": (_REFUSED, _UNKNOWN),
    "BadDeviceIdInChallenge": (_REFUSED, _UNKNOWN),
    "BadUserIdInChallenge": (_REFUSED, _UNKNOWN),
    "ChallengeUsed": (_FAILED, 0x410),      # not among Intune's: NDES has it
}
_ABOUT_CHALLENGE = tuple(reason for reason in REASONS if reason.startswith(("Challenge", "Sign")))

# What breaks in the connector, and the event that tells it
DIAGNOSTICS = {0x400: 20102, 0x401: 20102, 0x402: 20202, 0x403: 10301, 0x404: 10302, 0x405: 10102, 0x408: _FAILED,
               0x409: _FAILED, 0x410: _FAILED, 0x411: _REFUSED, _UNKNOWN: _FAILED}


class Verdict(NamedTuple):
    allowed: bool
    event: Optional[int] = 20500            # the connector's; None: it was not asked
    diagnostic: int = 0
    reason: str = "Success"
    server_event: Optional[int] = None      # NDES's own
    fail_info: int = messages.BAD_REQUEST
    hresult: int = E_INVALIDARG
    challenge: object = None                # to be used up
    before: Optional[tuple] = None          # another event of the connector and its code, told first


def refuse(reason):
    """As the connector says it."""
    event, diagnostic = REASONS[reason]
    return Verdict(False, event, diagnostic, reason, 29 if reason in _ABOUT_CHALLENGE else None)


def _refuse_password():
    """As NDES itself says it."""
    return Verdict(False, None, 0, "PasswordNotVerified", 29)


def template(key_usage):
    """NDES chooses by digitalSignature and keyEncipherment alone."""
    return TEMPLATES.get(key_usage & (SIGN | ENCIPHER), "GeneralPurposeTemplate")


def _mismatch(csr, binding):
    """The reason a bound challenge does not fit, or None."""
    names, usages = csr.alternative_names(), csr.extended_key_usage()
    if binding.subject is not None and csr.subject_parts() != binding.subject:
        return "SubjectNameMismatch" if csr.subject_parts() else "SubjectNameMissing"
    if binding.alternative_names is not None and names != binding.alternative_names:
        return "SubjectAltNameMismatch" if names else "SubjectAltNameMissing"
    if binding.key_usage is not None and csr.key_usage() != binding.key_usage:
        return "KeyUsageMismatch"
    if binding.key_size is not None and csr.key_size() != binding.key_size:
        return "KeyLengthMismatch"
    if binding.extended_key_usage is not None and usages != binding.extended_key_usage:
        return "EnhancedKeyUsageMismatch" if usages else "EnhancedKeyUsageMissing"
    return None


def _verify_password(csr, challenges, switches):
    """NDES without the module: what it handed out itself, once, in time."""
    printable = csr.challenge_tag == pkcs10.PRINTABLE_STRING or switches["challenge-encoding"] == "any"
    challenge = challenges.find(csr.challenge) if csr.challenge and printable else None
    if (not challenge or challenge.used_by or challenge.early() or challenge.expired()
            or switches["wrong-challenge"] == "always"):
        return _refuse_password()
    return Verdict(True, event=None, challenge=challenge)


def _connector_fault(switches):
    """The verdict where the connector cannot do its work, or None."""
    diagnostic = switches["diagnostic"]
    if switches["challenge-reason"] != "off":
        return refuse(switches["challenge-reason"])
    if diagnostic == "off" or DIAGNOSTICS[diagnostic] in (20102, 20202):
        return None     # told where it strikes: at issuing, at revoking
    event, reason = DIAGNOSTICS[diagnostic], "ChallengeExpired" if diagnostic == 0x411 else "Unknown"
    if event in (_REFUSED, _FAILED):
        return Verdict(False, event, diagnostic, reason, 29)
    return Verdict(False, _FAILED, _UNKNOWN, reason, 29, before=(event, diagnostic))


def verify(csr, challenges, switches):
    """A request with a challenge."""
    if switches["balancer"] and switches.count("balancer") % 2:
        return _refuse_password()
    if not switches["policy-module"]:
        return _verify_password(csr, challenges, switches)
    fault = _connector_fault(switches)
    if fault:
        return fault
    if not csr.challenge:
        return refuse("ChallengePasswordMissing")
    if csr.challenge_tag != pkcs10.PRINTABLE_STRING and switches["challenge-encoding"] == "printable":
        return refuse("ChallengeDecodingError")
    if switches["wrong-challenge"] == "always":
        return refuse("ChallengeDecryptionError")
    challenge = challenges.find(csr.challenge)
    if not challenge:
        return refuse(challenges.what_is_wrong(csr.challenge))
    if challenge.used_by:
        return refuse("ChallengeUsed")
    if challenge.early():
        return refuse("ChallengeInvalidTimestamp")
    if challenge.expired():
        return refuse("ChallengeExpired")
    reason = _mismatch(csr, challenge.binding)
    return refuse(reason) if reason else Verdict(True, challenge=challenge)


def verify_renewal(kind, switches):
    """A request signed with a certificate of ours, without a challenge."""
    mode = switches["renewal"]
    event = None if not switches["policy-module"] else 20500
    if mode == "refuse" or (mode == "type-19" and kind == messages.RENEWAL_REQ):
        return Verdict(False, event and _FAILED, _UNKNOWN, "RenewalRefused", 28)
    return Verdict(True, event, reason="SignedByIssuedCertificate")


class SubmissionFault(NamedTuple):
    """Why the CA did not take what NDES handed on: event 31."""
    reason: str
    hresult: int


def submission_fault(csr, switches):
    """A SubmissionFault, or None."""
    wanted, missing = template(csr.key_usage()), switches["template-missing"]
    if missing == "on" or TEMPLATE_WORDS.get(missing) == wanted:
        return SubmissionFault("CERTSRV_E_UNSUPPORTED_CERT_TYPE", CERTSRV_E_UNSUPPORTED_CERT_TYPE)
    minimum = switches["key-minimum"]
    if minimum != "off" and not csr.is_ec() and csr.key_size() < minimum:
        return SubmissionFault("CERTSRV_E_KEY_LENGTH", CERTSRV_E_KEY_LENGTH)
    if switches["ca-offline"] or (switches["policy-module"] and switches["diagnostic"] in (0x400, 0x401)):
        return SubmissionFault("RPC_S_SERVER_UNAVAILABLE", RPC_S_SERVER_UNAVAILABLE)
    return None
