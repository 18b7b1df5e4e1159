"""The policy module: may this request have a certificate? Answers with the connector's event ids, diagnostic
codes and reasons, and with NDES's own event and HRESULT."""
from typing import NamedTuple, Optional

from . import messages, request as pkcs10
from .ca import ENCIPHER, SIGN

E_INVALIDARG, CERTSRV_E_UNSUPPORTED_CERT_TYPE = 0x80070057, 0x80094800
TEMPLATES = {SIGN: "SignatureTemplate", ENCIPHER: "EncryptionTemplate", SIGN | ENCIPHER: "GeneralPurposeTemplate"}


class Verdict(NamedTuple):
    allowed: bool
    event: int = 20500
    diagnostic: int = 0
    reason: str = "Success"
    server_event: Optional[int] = None      # NDES's own
    fail_info: int = messages.BAD_REQUEST
    hresult: int = E_INVALIDARG
    challenge: object = None                # to be used up


def _refuse(event, diagnostic, reason, server_event=29):
    return Verdict(False, event, diagnostic, reason, server_event)


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


def verify(csr, challenges, switches):
    """A request with a challenge."""
    if csr.challenge is None:
        return _refuse(20502, 0x410, "ChallengePasswordMissing")
    if csr.challenge_tag != pkcs10.PRINTABLE_STRING and switches["challenge-encoding"] == "printable":
        return _refuse(20502, 0x410, "ChallengeDecodingError")
    if switches["wrong-challenge"] == "always":
        return _refuse(20502, 0x410, "ChallengeDecryptionError")
    challenge = challenges.find(csr.challenge)
    if not challenge or challenge.used_by:
        return _refuse(20502, 0x410, "ChallengeDecryptionError" if not challenge else "ChallengeUsed")
    if challenge.expired():
        return _refuse(20501, 0x411, "ChallengeExpired")
    reason = _mismatch(csr, challenge.binding)
    if reason:
        return _refuse(20501, 0x0FFFFFFF, reason, server_event=None)
    return Verdict(True, challenge=challenge)


def verify_renewal(kind, switches):
    """A request signed with a certificate of ours, without a challenge."""
    mode = switches["renewal"]
    if mode == "refuse" or (mode == "type-19" and kind == messages.RENEWAL_REQ):
        return _refuse(20502, 0x0FFFFFFF, "RenewalRefused", server_event=28)
    return Verdict(True, reason="SignedByIssuedCertificate")
