"""What the server tells about its CA to anybody who asks: capabilities, certificates, the next CA, CRLs."""
from . import cms, pages
from .pages import Answer

ONE, CHAIN, NEXT = "application/x-x509-ca-cert", "application/x-x509-ca-ra-cert", "application/x-x509-next-ca-cert"
CRL = "application/pkix-crl"
NO_POST = ("POSTPKIOperation", "SCEPStandard")


def capabilities(services):
    """None: the connection is to be closed."""
    switches, words = services.switches, services.switches["caps"]
    if words is None:
        return pages.page(404, "Not Found")
    if words == "closed":
        return None
    if switches["rollover"] in ("on", "forged") and switches["rollover-fault"] != "unlisted":
        words += "\nGetNextCACert"
    if switches["get-only"]:
        words = "\n".join(word for word in words.splitlines() if word not in NO_POST)
    return Answer(200, "text/plain", words.encode(), "CAPS")


def certificates(services):
    switches = services.switches
    if switches["ra"] != "none" and (switches["ra-expired"] or switches["ra-future"]):
        services.log.write(10, reason="the RA certificates are not valid now")
    found = services.authorities(switches).published(switches)
    if len(found) == 1:
        return Answer(200, ONE, found[0], "CERTIFICATES")
    return Answer(200, CHAIN, cms.degenerate(found), "CERTIFICATES")


def next_certificates(services):
    """RFC 8894 4.7.1: signed by the CA in force, in it the certificate of the one after it."""
    switches, pki = services.switches, services.authorities(services.switches)
    if switches["rollover"] not in ("on", "forged"):
        return pages.page(400, "Bad Request")
    signer = services.strangers("signer") if switches["rollover"] == "forged" else pki.issuer(switches)
    content, digest, fault = cms.degenerate([pki.authority(pki.next_issuer_label(switches)).der]), "sha256", \
        switches["rollover-fault"]
    if fault == "ra":
        signer = pki.signer(switches)
    elif fault == "no-ca":
        content = cms.degenerate([services.strangers("signer").der])
    elif fault == "content":
        content = b"the next certificate comes by mail"
    elif fault == "nothing":
        content = None
    elif fault == "two":
        content = cms.degenerate([pki.authority(label + pki.tier(switches)).der for label in ("next-", "later-")])
    elif fault == "sha1":
        digest = "sha1"
    body = cms.sign(content, [], signer, digest, (signer.der,))
    if fault == "tampered":  # the last octet of the certificate's own signature
        body = body.replace(content, content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    return Answer(200, NEXT, body, "NEXT")


def crl(services, file_name):
    """@file_name: NAME.crl, as certificates have it."""
    state, (pki, label) = services.switches["crl"], services.authorities.by_crl(file_name)
    if not pki or state == "missing":
        return pages.page(404, "Not Found")
    body = services.store.crl(f"{pki.name}-{label}", pki.crl_signer(label, state), state, pki.below(label))
    return Answer(200, CRL, body, "CRL")
