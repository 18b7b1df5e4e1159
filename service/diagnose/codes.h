/*
 * What a diagnosis can say: one stable code for each observation, with its step, its weight, the cause that
 * is most likely and the remedy (facts §8.1 to §8.4; scepter-diagnose(7) lists them). Pure.
 */
#pragma once

#include <stdbool.h>

/* In the order of the communication: from the profile to the certificate's consumers. */
enum diagnose_step {
        STEP_PROFILE,
        STEP_KEYS,
        STEP_DNS,
        STEP_TCP,
        STEP_TLS,
        STEP_CLOCK,
        STEP_URL,
        STEP_CAPS,
        STEP_CA,
        STEP_CHALLENGE,
        STEP_REQUEST, /* the last transaction */
        STEP_CERTIFICATE,
        STEP_REVOCATION,
        STEP_CONSUMERS, /* the programs that use the key */
        STEP_RENEWAL,
        _STEP_MAX
};
enum diagnose_result { RESULT_OK, RESULT_NOTE, RESULT_FAULT };

/* code name, step, result, cause, remedy; "" for both where there is nothing to do. */
#define DIAGNOSE_TABLE(X)                                                                                    \
        X(PROFILE_OK, "profile-ok", STEP_PROFILE, RESULT_OK, "", "")                                         \
        X(PROFILE_NONE, "profile-none", STEP_PROFILE, RESULT_NOTE,                                           \
          "No SCEP profile was delivered to this machine or user: it is not assigned to their group or "     \
          "platform, or the device has not checked in.",                                                     \
          "Check assignment, group and last check-in at the MDM, or add a profile: scepter profile add "     \
          "FILE.")                                                                                           \
        X(PROFILE_UNREADABLE, "profile-unreadable", STEP_PROFILE, RESULT_FAULT,                              \
          "The stored profile is damaged or of a version this one does not read.",                           \
          "Remove the profile and deliver or add it again.")                                                 \
        X(PROFILE_VARIABLE, "profile-variable", STEP_PROFILE, RESULT_FAULT,                                  \
          "The machine or the user lacks a property that the profile's subject needs.",                      \
          "Give the machine this property, write it into the facts file, or use another variable.")          \
        X(PROFILE_SOURCE, "profile-source", STEP_PROFILE, RESULT_FAULT,                                      \
          "A service that knows the value of a variable does not answer just now.",                          \
          "Look at the journal of the service that is named, and try again.")                                \
        X(PROFILE_INVALID, "profile-invalid", STEP_PROFILE, RESULT_FAULT,                                    \
          "The profile asks for something that cannot be encoded.",                                          \
          "Correct the profile at the place named and deliver it again.")                                    \
        X(PROFILE_NO_ROOT, "profile-no-root", STEP_PROFILE, RESULT_FAULT,                                    \
          "No root certificate came with the profile, and none with its thumbprint is known here.",          \
          "Deliver the trusted-root profile to the same kind of group as the SCEP profile.")                 \
        X(PROFILE_REMOVED, "profile-removed", STEP_PROFILE, RESULT_NOTE,                                     \
          "The certificate's profile was removed, so nothing renews it.",                                    \
          "Deliver the profile again, or remove the certificate.")                                           \
        X(PROFILE_ENCIPHERMENT, "profile-key-encipherment", STEP_PROFILE, RESULT_NOTE,                       \
          "TLS client authentication needs digital signature, and the profile asks for key encipherment "    \
          "alone.",                                                                                          \
          "Ask for digital signature too, unless the CA's template adds it.")                                \
                                                                                                             \
        X(KEYS_TPM, "keys-tpm", STEP_KEYS, RESULT_OK, "", "")                                                \
        X(KEYS_SOFTWARE, "keys-software", STEP_KEYS, RESULT_OK, "", "")                                      \
        X(KEYS_FALL_BACK, "keys-fall-back", STEP_KEYS, RESULT_NOTE,                                          \
          "The profile prefers the TPM, and there is none that can do this key.",                            \
          "Enable the TPM in the firmware set-up, or leave it at software.")                                 \
        X(KEYS_TPM_ABSENT, "keys-tpm-absent", STEP_KEYS, RESULT_FAULT,                                       \
          "The profile wants the TPM or failure, and this machine announces none.",                          \
          "Enable the TPM in the firmware set-up, or use Protection=tpm-preferred.")                         \
        X(KEYS_TPM_LOCKED_OUT, "keys-tpm-locked-out", STEP_KEYS, RESULT_FAULT,                               \
          "Wrong authorisations have put the TPM into its dictionary attack lockout.",                       \
          "Wait until it ends, or clear it with 'tpm2_dictionarylockout --clear-lockout'.")                  \
        X(KEYS_TPM_LOCKOUT, "keys-tpm-lockout", STEP_KEYS, RESULT_NOTE,                                      \
          "The TPM is in lockout after wrong passwords of others; keys without one work on.",                \
          "Wait until it ends, or clear it with 'tpm2_dictionarylockout --clear-lockout'.")                  \
        X(KEYS_TPM_PERMISSION, "keys-tpm-permission", STEP_KEYS, RESULT_FAULT,                               \
          "The service may not open the TPM device.",                                                        \
          "Put the user of scepterd into the group of /dev/tpmrm0 (tss) and restart it.")                    \
        X(KEYS_TPM_OWNER, "keys-tpm-owner-auth", STEP_KEYS, RESULT_FAULT,                                    \
          "The TPM's owner hierarchy has a password, and there is no storage key to use instead.",           \
          "Provide a storage key at 0x81000001, or clear the owner password.")                               \
        X(KEYS_TPM_FULL, "keys-tpm-full", STEP_KEYS, RESULT_FAULT,                                           \
          "Objects or sessions of other programs fill the TPM.",                                             \
          "Close those programs, or flush what they left with 'tpm2_flushcontext -t'.")                      \
        X(KEYS_TPM_RESET, "keys-tpm-reset", STEP_KEYS, RESULT_FAULT,                                         \
          "The TPM was reset and has not been started since.",                                               \
          "Restart the machine; a TPM without firmware is started with 'tpm2_startup -c'.")                  \
        X(KEYS_TPM_FAILED, "keys-tpm-failed", STEP_KEYS, RESULT_FAULT,                                       \
          "The TPM is there and does not answer as it should.",                                              \
          "Run 'scepter tpm'; restart the machine if it persists.")                                          \
        X(KEYS_NOT_SUPPORTED, "keys-not-supported", STEP_KEYS, RESULT_FAULT,                                 \
          "The TPM cannot make keys of this algorithm or size.",                                             \
          "Choose RSA 2048 or P-256, or Protection=tpm-preferred.")                                          \
        X(KEYS_HOST_SECRET, "keys-host-secret", STEP_KEYS, RESULT_FAULT,                                     \
          "Software keys are encrypted with a host secret, which is missing or unreadable.",                 \
          "Restore /etc/scepter/host.key (mode 0640, root:scepter) from a backup.")                          \
                                                                                                             \
        X(DNS_OK, "dns-ok", STEP_DNS, RESULT_OK, "", "")                                                     \
        X(DNS_FAILED, "dns-failed", STEP_DNS, RESULT_FAULT,                                                  \
          "The server's name is wrong in the profile, or this machine's name service does not know it.",     \
          "Compare the URL with the server's external name; test it with 'getent hosts NAME'.")              \
        X(DNS_LOCAL, "dns-local", STEP_DNS, RESULT_FAULT,                                                    \
          "The name leads to this machine or its link, which a user's own profile may not reach.",           \
          "Have an administrator add the profile.")                                                          \
        X(TCP_OK, "tcp-ok", STEP_TCP, RESULT_OK, "", "")                                                     \
        X(TCP_FAILED, "tcp-failed", STEP_TCP, RESULT_FAULT,                                                  \
          "Nobody listens at that address and port, or a firewall is between.",                              \
          "Open the way from this machine to the server (443 or 80), or correct the URL.")                   \
        X(TCP_TIMEOUT, "tcp-timeout", STEP_TCP, RESULT_FAULT,                                                \
          "The server, or what stands before it, takes longer than a request may.",                          \
          "Test the route and the load of the server; a firewall that drops packets looks the same.")        \
        X(TCP_PROXY, "tcp-proxy", STEP_TCP, RESULT_FAULT,                                                    \
          "The proxy of the profile is not there, or does not connect to the server.",                       \
          "Check Proxy= of the profile and what the proxy allows.")                                          \
        X(TLS_OK, "tls-ok", STEP_TLS, RESULT_OK, "", "")                                                     \
        X(TLS_NONE, "tls-none", STEP_TLS, RESULT_NOTE,                                                       \
          "The URL is http. SCEP protects its messages itself, so this is no danger to them.",               \
          "Use https where the server offers it.")                                                           \
        X(TLS_NAME, "tls-name", STEP_TLS, RESULT_FAULT,                                                      \
          "The server's TLS certificate is for another name (12175).",                                       \
          "Issue one with the external name as subject and the internal one as alternative name.")           \
        X(TLS_UNTRUSTED, "tls-untrusted", STEP_TLS, RESULT_FAULT,                                            \
          "The server's TLS certificate comes from a CA that this machine does not trust.",                  \
          "Name its CA in CaBundle=, or have the server send its intermediate certificates.")                \
        X(TLS_EXPIRED, "tls-expired", STEP_TLS, RESULT_FAULT,                                                \
          "The server's TLS certificate has expired, or this machine's clock is wrong.",                     \
          "Renew the certificate of the web server; see the clock below.")                                   \
        X(TLS_CLIENT, "tls-client-certificate", STEP_TLS, RESULT_FAULT,                                      \
          "The server asks for a client certificate, or refuses the one of the profile.",                    \
          "Set ClientCertificate= in the profile, or turn off the demand on the server.")                    \
        X(TLS_FAILED, "tls-failed", STEP_TLS, RESULT_FAULT,                                                  \
          "The server and this machine agree on no version or cipher of TLS, or something between breaks "   \
          "it.",                                                                                             \
          "Enable TLS 1.2 or newer on the server; look for a proxy that inspects TLS.")                      \
        X(CLOCK_OK, "clock-ok", STEP_CLOCK, RESULT_OK, "", "")                                               \
        X(CLOCK_UNKNOWN, "clock-unknown", STEP_CLOCK, RESULT_NOTE, "The server tells no time.", "")          \
        X(CLOCK_SKEW, "clock-skew", STEP_CLOCK, RESULT_FAULT,                                                \
          "The clocks of this machine and of the server differ, so that a CA refuses requests (failInfo 3) " \
          "and certificates seem not yet valid.",                                                            \
          "Turn on time synchronisation: timedatectl set-ntp true.")                                         \
                                                                                                             \
        X(URL_MODULE, "url-policy-module", STEP_URL, RESULT_OK, "", "")                                      \
        X(URL_OK, "url-ok", STEP_URL, RESULT_OK, "", "")                                                     \
        X(URL_NO_MODULE, "url-no-policy-module", STEP_URL, RESULT_NOTE,                                      \
          "NDES shows its general page: with Intune this means that the connector's policy module is not "   \
          "installed.",                                                                                      \
          "With Intune: reinstall the certificate connector; SetupMsi.log must tell success.")               \
        X(URL_NOT_FOUND, "url-not-found", STEP_URL, RESULT_FAULT,                                            \
          "The path is wrong, the NDES role is missing, or /pkiclient.exe stands twice (0x80190194).",       \
          "Correct the URL; NDES answers at /certsrv/mscep/mscep.dll.")                                      \
        X(URL_LOGIN, "url-login", STEP_URL, RESULT_FAULT,                                                    \
          "The server, or a proxy before it, wants somebody to log in.",                                     \
          "Set pre-authentication of the application proxy to Passthrough.")                                 \
        X(URL_PORTAL, "url-portal", STEP_URL, RESULT_FAULT,                                                  \
          "A web page comes where SCEP should answer: a page to log in, a captive portal, a proxy's, or "    \
          "another site.",                                                                                   \
          "Sign in to the network, set pre-authentication of the application proxy to Passthrough, or "      \
          "correct the "                                                                                     \
          "URL.")                                                                                            \
        X(URL_SERVER_ERROR, "url-server-error", STEP_URL, RESULT_FAULT,                                      \
          "NDES fails inside: its RA certificates expired, its account is locked, or IIS_IUSRS lacks "       \
          "'Impersonate a client after authentication' (500 with 1346).",                                    \
          "On the server: read the Application log, check the RA certificates' dates and the service "       \
          "account, then the user rights.")                                                                  \
        X(URL_UNAVAILABLE, "url-unavailable", STEP_URL, RESULT_FAULT,                                        \
          "The application pool SCEP is stopped or crashes (503).",                                          \
          "Start the pool; if it stops again: certificates in the Root store that are not self-signed, "     \
          "unreachable CRLs, an expired NDESPolicy certificate, logon rights of the account.")               \
        X(URL_GATEWAY, "url-gateway", STEP_URL, RESULT_FAULT,                                                \
          "The application proxy's connector does not run, or cannot reach NDES (502, 504).",                \
          "Start the service Microsoft AAD Application Proxy Connector, start-up type Automatic.")           \
        X(URL_TOO_LONG, "url-too-long", STEP_URL, RESULT_FAULT,                                              \
          "The server takes no URL of this length (414).",                                                   \
          "Raise the limits of IIS and HTTP.sys to 65534 and restart the server.")                           \
        X(URL_STATUS, "url-status", STEP_URL, RESULT_FAULT, "The server answers with an error.",             \
          "Look the status up in the server's log.")                                                         \
        X(URL_CLOSED, "url-closed", STEP_URL, RESULT_FAULT,                                                  \
          "The connection ends without an answer, or in the middle of one.",                                 \
          "Look at the server and at what stands between: a firewall, a proxy, a crashing pool.")            \
        X(URL_SLOW, "url-slow", STEP_URL, RESULT_NOTE, "The server needs long for an answer.",               \
          "A first answer of NDES may take seconds; if it stays so, look at its load and CRL retrieval.")    \
                                                                                                             \
        X(CAPS_OK, "caps-ok", STEP_CAPS, RESULT_OK, "", "")                                                  \
        X(CAPS_NONE, "caps-none", STEP_CAPS, RESULT_NOTE,                                                    \
          "The server lists no capabilities, as very old ones do; the weakest algorithms are assumed.",      \
          "Update the server, or allow them by name with AllowLegacy=.")                                     \
        X(CAPS_NO_AES, "caps-no-aes", STEP_CAPS, RESULT_NOTE,                                                \
          "The server lists no AES, as NDES does; requests are encrypted with triple DES.", "")              \
        X(CAPS_NO_POST, "caps-no-post", STEP_CAPS, RESULT_NOTE,                                              \
          "Requests go as part of the URL, so that every proxy must take one of ten kilobytes.",             \
          "Raise the limits of IIS and HTTP.sys to 65534 if requests fail.")                                 \
        X(CAPS_NO_RENEWAL, "caps-no-renewal", STEP_CAPS, RESULT_NOTE,                                        \
          "The server does not renew by the old certificate; a challenge is needed each time.", "")          \
        X(CAPS_WEAK, "caps-weak", STEP_CAPS, RESULT_FAULT,                                                   \
          "The server lists no digest or cipher that this machine may use.",                                 \
          "Enable SHA-256 and triple DES or AES on the server, or name what it has in AllowLegacy=.")        \
        X(CAPS_REQUIRED, "caps-required", STEP_CAPS, RESULT_FAULT,                                           \
          "The server lacks a capability that the profile requires.",                                        \
          "Update the server, or take the word out of RequireCaps=.")                                        \
                                                                                                             \
        X(CA_OK, "ca-ok", STEP_CA, RESULT_OK, "", "")                                                        \
        X(CA_UNREADABLE, "ca-unreadable", STEP_CA, RESULT_FAULT,                                             \
          "GetCACert does not answer with certificates.",                                                    \
          "Check that the URL leads to SCEP and not to a page; then the server's Application log.")          \
        X(CA_MISMATCH, "ca-mismatch", STEP_CA, RESULT_FAULT,                                                 \
          "The thumbprint in the profile is that of an intermediate, of an old root, or of another CA "      \
          "(hash value is not correct), or the RA certificates chain to an old certificate of the CA.",      \
          "Assign the top root of the issuing CA; after a renewal of the CA issue both RA certificates "     \
          "anew and restart IIS.")                                                                           \
        X(CA_EXPIRED, "ca-expired", STEP_CA, RESULT_FAULT,                                                   \
          "A certificate of the server has expired, or is not valid yet by this machine's clock.",           \
          "Enroll the RA certificates anew: CEP Encryption and Exchange Enrollment Agent, then iisreset.")   \
        X(CA_NO_RECIPIENT, "ca-no-recipient", STEP_CA, RESULT_FAULT,                                         \
          "No certificate of the server can receive a request: none with an RSA key for encipherment.",      \
          "Give NDES an RA certificate from the template CEP Encryption.")                                   \
        X(CA_EXPIRES, "ca-expires", STEP_CA, RESULT_NOTE,                                                    \
          "A certificate that everybody's requests need ends soon; RA certificates live two years.",         \
          "Renew it before it ends: after that NDES answers 500 to everybody.")                              \
        X(CA_WEAK, "ca-weak", STEP_CA, RESULT_NOTE,                                                          \
          "A certificate of the server is signed with SHA-1 or RSASSA-PSS, which some devices refuse.",      \
          "Issue it anew with PKCS #1 v1.5 and SHA-256.")                                                    \
                                                                                                             \
        X(CHALLENGE_NONE, "challenge-none", STEP_CHALLENGE, RESULT_OK, "", "")                               \
        X(CHALLENGE_READY, "challenge-ready", STEP_CHALLENGE, RESULT_OK, "", "")                             \
        X(CHALLENGE_NEEDED, "challenge-needed", STEP_CHALLENGE, RESULT_NOTE,                                 \
          "The profile needs a challenge, and none is waiting here.",                                        \
          "Deliver the document again, or enroll with --challenge-file.")                                    \
        X(CHALLENGE_CHARACTERS, "challenge-characters", STEP_CHALLENGE, RESULT_FAULT,                        \
          "The challenge holds characters outside PrintableString, which NDES does not read (event 29).",    \
          "Get one of letters, digits and ' ( ) + , - . / : = ? alone.")                                     \
        X(CHALLENGE_OLD, "challenge-old", STEP_CHALLENGE, RESULT_NOTE,                                       \
          "The challenge has been waiting longer than NDES keeps one (60 minutes unless set otherwise).",    \
          "Get a fresh one.")                                                                                \
                                                                                                             \
        X(REQUEST_NONE, "request-none", STEP_REQUEST, RESULT_OK, "", "")                                     \
        X(REQUEST_OK, "request-ok", STEP_REQUEST, RESULT_OK, "", "")                                         \
        X(REQUEST_RUNNING, "request-running", STEP_REQUEST, RESULT_NOTE, "A request is under way.", "")      \
        X(REQUEST_PENDING, "request-pending", STEP_REQUEST, RESULT_NOTE,                                     \
          "The template needs the approval of the CA's manager.",                                            \
          "Approve the request at the CA, or change the template.")                                          \
        X(REQUEST_NOT_APPROVED, "request-not-approved", STEP_REQUEST, RESULT_FAULT,                          \
          "Nobody approved the request while the profile waits for it (PendingLimit=).",                     \
          "Approve requests at the CA, or change the template; then enroll again.")                          \
        X(REQUEST_CHALLENGE, "request-challenge", STEP_REQUEST, RESULT_FAULT,                                \
          "failInfo 2: the challenge is wrong, used, expired or does not fit the request (event 29; "        \
          "connector 4005, 20501, 20502 with 0x408 to 0x411), or another node behind a balancer made it.",   \
          "Get a new challenge; with Intune the request must equal the profile in subject, alternative "     \
          "names, usages and key length. Behind a balancer make sessions sticky.")                           \
        X(REQUEST_ALGORITHM, "request-algorithm", STEP_REQUEST, RESULT_FAULT,                                \
          "failInfo 0: the server does not take the digest or cipher of the request.",                       \
          "Follow the server's capabilities; see the step caps.")                                            \
        X(REQUEST_INTEGRITY, "request-integrity", STEP_REQUEST, RESULT_FAULT,                                \
          "failInfo 1: the signature of the request could not be verified: an algorithm the server lacks, "  \
          "or a proxy that damages the message.",                                                            \
          "Look for a proxy that changes bodies; use SHA-256 and POST.")                                     \
        X(REQUEST_TIME, "request-time", STEP_REQUEST, RESULT_FAULT,                                          \
          "failInfo 3: the signing time is too far from the server's.", "Set this machine's clock.")         \
        X(REQUEST_UNKNOWN, "request-unknown", STEP_REQUEST, RESULT_FAULT,                                    \
          "failInfo 4: the server does not know the request that was polled for.",                           \
          "Enroll again: a new transaction begins.")                                                         \
        X(REQUEST_TEMPLATE, "request-template", STEP_REQUEST, RESULT_FAULT,                                  \
          "0x80094800: the template is not published at the CA, or NDES's registry has its display name.",   \
          "Write the template's name into the registry of MSCEP, publish it, grant Enroll, restart.")        \
        X(REQUEST_KEY_LENGTH, "request-key-length", STEP_REQUEST, RESULT_FAULT,                              \
          "0x80094811: the key is smaller than the template's minimum.",                                     \
          "Raise the key size of the profile.")                                                              \
        X(REQUEST_CA_DOWN, "request-ca-down", STEP_REQUEST, RESULT_FAULT,                                    \
          "0x800706BA: NDES does not reach the CA.", "Open RPC between NDES and the CA, or start the CA.")   \
        X(REQUEST_UNANSWERED, "request-unanswered", STEP_REQUEST, RESULT_FAULT,                              \
          "The last request did not reach the server or got no answer.",                                     \
          "See the steps of the network above; the request is repeated with the same bytes.")                \
        X(REQUEST_HTTP, "request-http", STEP_REQUEST, RESULT_FAULT,                                          \
          "The server answered the request with an error of HTTP.",                                          \
          "See the step url; a server that answers GetCACaps and fails here has a broken policy module or "  \
          "RA key.")                                                                                         \
        X(REQUEST_REPLY, "request-reply", STEP_REQUEST, RESULT_FAULT,                                        \
          "The reply could not be read: no SCEP message (event 18, 0x80090005: encrypted to the wrong "      \
          "certificate), an unknown signer, or an algorithm that is not allowed.",                           \
          "Compare the server's RA certificates with what GetCACert sends.")                                 \
        X(REQUEST_CERTIFICATE, "request-certificate", STEP_REQUEST, RESULT_FAULT,                            \
          "A certificate came and was refused or kept aside.",                                               \
          "Correct the CA's template; 'scepter show' lists every difference.")                               \
        X(REQUEST_KEY, "request-key", STEP_REQUEST, RESULT_FAULT, "The key could not be made or used.",      \
          "See the step keys.")                                                                              \
        X(REQUEST_FAILED, "request-failed", STEP_REQUEST, RESULT_FAULT, "The last request failed.",          \
          "Read the message; 'scepter events' has what went before.")                                        \
                                                                                                             \
        X(CERTIFICATE_NONE, "certificate-none", STEP_CERTIFICATE, RESULT_NOTE,                               \
          "There is no certificate yet.", "Enroll, or see the step request.")                                \
        X(CERTIFICATE_OK, "certificate-ok", STEP_CERTIFICATE, RESULT_OK, "", "")                             \
        X(CERTIFICATE_EXPIRED, "certificate-expired", STEP_CERTIFICATE, RESULT_FAULT,                        \
          "The certificate has expired, or the clock is wrong.", "Enroll again.")                            \
        X(CERTIFICATE_EARLY, "certificate-not-yet-valid", STEP_CERTIFICATE, RESULT_FAULT,                    \
          "The certificate begins in the future by this machine's clock.", "Set the clock.")                 \
        X(CERTIFICATE_UNREADABLE, "certificate-unreadable", STEP_CERTIFICATE, RESULT_FAULT,                  \
          "The stored certificate is damaged.", "Enroll again.")                                             \
        X(CERTIFICATE_KEY_LOST, "certificate-key-lost", STEP_CERTIFICATE, RESULT_FAULT,                      \
          "The key of the certificate cannot be loaded.",                                                    \
          "If the TPM was cleared or replaced: remove the certificate and enroll again.")                    \
        X(CERTIFICATE_KEY_UNUSABLE, "certificate-key-unusable", STEP_CERTIFICATE, RESULT_FAULT,              \
          "The key of the certificate is there, and the TPM does not work just now.",                        \
          "See the step keys and 'scepter tpm'; the key works again when the TPM does.")                     \
        X(CERTIFICATE_KEY_MISMATCH, "certificate-key-mismatch", STEP_CERTIFICATE, RESULT_FAULT,              \
          "The certificate is for another key than the one stored with it.", "Enroll again.")                \
        X(CERTIFICATE_CHAIN, "certificate-chain", STEP_CERTIFICATE, RESULT_FAULT,                            \
          "The certificate does not lead to its anchor any more.",                                           \
          "Compare the CA with the profile's root; enroll again.")                                           \
        X(CERTIFICATE_DEVIATES, "certificate-deviates", STEP_CERTIFICATE, RESULT_NOTE,                       \
          "The CA or its server did something else than was asked: a shorter life (EDITF_ATTRIBUTEENDDATE "  \
          "is not "                                                                                          \
          "set, or the template or the CA ends before), another subject, more usages, old algorithms.",      \
          "Set what the CA should honour, or leave it.")                                                     \
        X(REVOCATION_OK, "revocation-ok", STEP_REVOCATION, RESULT_OK, "", "")                                \
        X(REVOCATION_REVOKED, "revocation-revoked", STEP_REVOCATION, RESULT_FAULT,                           \
          "The CA revoked the certificate: whoever checks refuses it.",                                      \
          "Ask the CA's administrator for the reason, then enroll again.")                                   \
        X(REVOCATION_CA_REVOKED, "revocation-ca-revoked", STEP_REVOCATION, RESULT_FAULT,                     \
          "A CA on the way to the root was revoked, and with it every certificate it issued.",               \
          "Have the CA replaced, then enroll again.")                                                        \
        X(REVOCATION_STALE, "revocation-stale", STEP_REVOCATION, RESULT_FAULT,                               \
          "The CA publishes no new CRL, or not to this place: whoever checks refuses every certificate of "  \
          "this CA.",                                                                                        \
          "Publish a CRL at the CA (certutil -crl), and see that it reaches the web server.")                \
        X(REVOCATION_EARLY, "revocation-early", STEP_REVOCATION, RESULT_NOTE,                                \
          "The CRL begins in the future by this machine's clock.", "Set the clock.")                         \
        X(REVOCATION_FOREIGN, "revocation-foreign", STEP_REVOCATION, RESULT_FAULT,                           \
          "What lies at the address is no CRL of the CA that issued the certificate: another file, or one "  \
          "of the CA's other keys.",                                                                         \
          "Compare the file with what the CA publishes; after a renewal of the CA each key has a CRL of "    \
          "its own.")                                                                                        \
        X(REVOCATION_UNREACHABLE, "revocation-unreachable", STEP_REVOCATION, RESULT_NOTE,                    \
          "The CRL could not be fetched. Whoever checks may fail in the same way (CAPI2: CRL fetch "         \
          "failures).",                                                                                      \
          "Open the address from where certificates are checked; let the CA publish where all can reach "    \
          "it.")                                                                                             \
        X(REVOCATION_UNNAMED, "revocation-unnamed", STEP_REVOCATION, RESULT_NOTE,                            \
          "The certificate does not say where its CRL can be fetched, so nothing here tells whether it is "  \
          "revoked.",                                                                                        \
          "Let the CA put an http address among its CRL distribution points, or leave it.")                  \
        X(CONSUMERS_NONE, "consumers-none", STEP_CONSUMERS, RESULT_OK, "", "")                               \
        X(CONSUMERS_OK, "consumers-ok", STEP_CONSUMERS, RESULT_OK, "", "")                                   \
        X(CONSUMERS_OLD, "consumers-old", STEP_CONSUMERS, RESULT_NOTE,                                       \
          "A program that was running when the certificate changed goes on with the old one until it "       \
          "connects anew.",                                                                                  \
          "Reload or restart the program.")                                                                  \
        X(CONSUMERS_APPLIED, "consumers-applied", STEP_CONSUMERS, RESULT_OK, "", "")                         \
        X(CONSUMERS_PENDING, "consumers-pending", STEP_CONSUMERS, RESULT_NOTE,                               \
          "The certificate was installed, or the consumer written, a moment ago; or scepter-apply does "     \
          "not get to run.",                                                                                 \
          "Look again in a minute; then see the journal of scepterd.")                                       \
        X(CONSUMERS_FAILED, "consumers-failed", STEP_CONSUMERS, RESULT_FAULT,                                \
          "A consumer could not take the certificate; it is tried again by itself.",                         \
          "Cure what is named; 'scepter events' tells when it is tried next.")                               \
        X(CONSUMERS_CHANGED, "consumers-changed", STEP_CONSUMERS, RESULT_FAULT,                              \
          "Somebody changed or removed a file that was written for a consumer.",                             \
          "Have it written again: systemctl start scepter-apply@CERTIFICATE.")                               \
        X(CONSUMERS_WRONG, "consumers-wrong", STEP_CONSUMERS, RESULT_FAULT,                                  \
          "A file in consumers.d cannot be used as it is.", "Correct the file at the place named.")          \
        X(RENEWAL_NONE, "renewal-none", STEP_RENEWAL, RESULT_OK, "", "")                                     \
        X(RENEWAL_OK, "renewal-ok", STEP_RENEWAL, RESULT_OK, "", "")                                         \
        X(RENEWAL_DUE, "renewal-due", STEP_RENEWAL, RESULT_NOTE,                                             \
          "The date of the renewal has come: it runs, waits up to an hour so that machines do not come "     \
          "together, failed, or waits for a challenge.",                                                     \
          "See the step request; 'scepter renew' begins it now.")

enum diagnose_code {
#define X(code, name, step, result, cause, remedy) DIAGNOSE_##code,
        DIAGNOSE_TABLE(X)
#undef X
                _DIAGNOSE_MAX
};

struct diagnose_row {
        const char *name; /* "dns-failed" */
        enum diagnose_step step;
        enum diagnose_result result;
        const char *cause, *remedy;
};
const struct diagnose_row *diagnose_row(enum diagnose_code code);
const char *diagnose_step_name(enum diagnose_step step);       /* "dns" */
const char *diagnose_result_name(enum diagnose_result result); /* "ok", "note", "fault" */
