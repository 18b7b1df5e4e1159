"""The event log: JSON lines with the ids and diagnostic codes that administrators of NDES and of the Intune
connector know, and counters that tests ask for."""
import json
import threading

from . import clock

# NDES's own, then the connector's (old log; the new one's id beside it)
EVENTS = {
    0: ("HttpRequest", None),
    1: ("ServiceStarted", None),
    3: ("ServiceStopped", None),
    10: ("RaCertificateProblem", None),
    16: ("MessageNotDecodable", None),
    17: ("MessageIncomplete", None),
    18: ("EnvelopeNotDecryptable", None),
    28: ("RenewalRefused", None),
    29: ("PasswordNotVerified", None),
    31: ("SubmissionFailed", None),
    4003: ("ScepRequestReceived", None),
    4006: ("ScepIssuedSuccess", None),
    4007: ("ScepIssuedFailure", None),
    10010: ("StartedConnectorService", None),
    10020: ("StoppedConnectorService", None),
    10100: ("CertificateRenewal_Success", None),
    10102: ("CertificateRenewal_Failure", None),
    10301: ("RetrieveCertificate_Warning", None),
    10302: ("RetrieveCertificate_Error", None),
    20100: ("PkcsCertIssue_Success", None),
    20102: ("PkcsCertIssue_Failure", None),
    20200: ("RevokeCert_Success", None),
    20202: ("RevokeCert_Failure", None),
    20300: ("Upload_Success", None),
    20302: ("Upload_Failure", 4002),
    20400: ("Download_Success", None),
    20402: ("Download_Failure", None),
    20500: ("CRPVerifyMetric_Success", 4004),
    20501: ("CRPVerifyMetric_Warning", 4005),
    20502: ("CRPVerifyMetric_Failure", 4005),
    20600: ("CRPNotifyMetric_Success", 4008),
    20602: ("CRPNotifyMetric_Failure", 4009),
}
DIAGNOSTICS = {
    0x0: "Success",
    0x400: "PKCS_Issue_CA_Unavailable",
    0x401: "Symantec_ClientAuthCertNotFound",
    0x402: "RevokeCert_AccessDenied",
    0x403: "CertThumbprint_NotFound",
    0x404: "Certificate_NotFound",
    0x405: "Certificate_Expired",
    0x408: "CRPSCEPCert_NotFound",
    0x409: "CRPSCEPSigningCert_NotFound",
    0x410: "CRPSCEPDeserialize_Failed",
    0x411: "CRPSCEPChallenge_Expired",
    0x0FFFFFFF: "Unknown_Error",
}


class EventLog:
    """Appends to one file. Any thread may write."""

    def __init__(self, path):
        self._lock = threading.Lock()
        self._file = open(path, "a", encoding="utf-8", buffering=1)
        self._issued = {}

    def write(self, event, diagnostic=None, **fields):
        name, connector = EVENTS[event]
        line = {"time": clock.now().isoformat(timespec="milliseconds"),
                "event": event, "name": name}
        if connector:
            line["connectorEvent"] = connector
        if diagnostic is not None:
            line["diagnostic"] = f"0x{diagnostic:08X}"
            line["diagnosticName"] = DIAGNOSTICS[diagnostic]
        line.update((key, value) for key, value in fields.items() if value is not None)
        with self._lock:
            if event == 4006:
                transaction = fields["transaction"]
                self._issued[transaction] = self._issued.get(transaction, 0) + 1
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def issued(self, transaction=None):
        """How many certificates were issued, in all or for one transaction."""
        with self._lock:
            return self._issued.get(transaction, 0) if transaction else sum(self._issued.values())
