/*
 * The one error type: a code for programs, a sentence for people (what failed, on which object, why), and a
 * remedy (what to do next). It is born where the failure is understood, travels up unchanged, and is logged
 * once where it stops.
 *
 * Functions return enum err and fill *e, which may be NULL; ERR_OK leaves *e alone. A caller either handles a
 * code named in the callee's header, or returns it, adding at most which object was involved
 * (error_context()). No message holds a secret or bytes of a stranger that were not scrubbed.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "base/cleanup.h"

/*
 * code, name on the bus (org.scepter1.Error.NAME), exit status of the CLI, remedy where the spot knows no
 * better. Exit status: 1 failed, 2 usage, 3 not found, 4 not authorised, 5 TPM, 6 server refused, 7 network,
 * 8 pending.
 */
#define ERR_TABLE(X)                                                                                         \
        X(ERR_FAILED, "Failed", 1,                                                                           \
          "Look at the journal of scepterd (journalctl -u scepterd) for the details.")                       \
        X(ERR_NO_MEMORY, "NoMemory", 1, "Free some memory and try again.")                                   \
        X(ERR_IO, "IoError", 1, "Check the file system and its permissions, then try again.")                \
        X(ERR_DISK_FULL, "DiskFull", 1,                                                                      \
          "Free space on the file system that holds /var/lib/scepter, then try again.")                      \
        X(ERR_INVALID, "InvalidArgument", 2, "Correct the argument and try again.")                          \
        X(ERR_TOO_LARGE, "TooLarge", 2, "Make the input smaller; the limit is named in the message.")        \
        X(ERR_UNKNOWN_OPTION, "UnknownOption", 2,                                                            \
          "Leave this option out, or upgrade scepter to a version that knows it.")                           \
        X(ERR_UNSUPPORTED, "NotSupported", 1, "Use a setting this version supports; scepter(1) lists them.") \
        X(ERR_CONFIG, "InvalidConfiguration", 1, "Correct the file named in the message.")                   \
        X(ERR_PROFILE, "InvalidProfile", 2,                                                                  \
          "Correct the profile at the place named in the message and add it again.")                         \
        X(ERR_VARIABLE, "VariableMissing", 1,                                                                \
          "Give the machine or user this property, or use another variable; 'scepter profile show "          \
          "--resolve' lists the values.")                                                                    \
        X(ERR_DOCUMENT, "InvalidDocument", 2,                                                                \
          "Export the document again from the management service and apply it unchanged.")                   \
        X(ERR_NOT_A_MEMFD, "NotAMemfd", 2,                                                                   \
          "Copy the data into a memfd and pass that, as the scepter command does for files and pipes.")      \
        X(ERR_FILE_REFUSED, "FileRefused", 2,                                                                \
          "Put the profile into /etc/scepter/profiles.d as root, or pass the file's content instead of its " \
          "path.")                                                                                           \
        X(ERR_FILE_NEEDED, "FileNeeded", 2,                                                                  \
          "Pass the content of this file along with the profile, as the scepter command does for files you " \
          "can read.")                                                                                       \
        X(ERR_NOT_FOUND, "NotFound", 3, "List what exists with 'scepter list' and 'scepter profile list'.")  \
        X(ERR_EXISTS, "AlreadyExists", 1, "Remove the existing object first, or use another name.")          \
        X(ERR_BUSY, "Busy", 1, "Wait for the running operation to end, then try again.")                     \
        X(ERR_LIMIT, "LimitExceeded", 1, "Remove what is no longer needed, then try again.")                 \
        X(ERR_DENIED, "NotAuthorized", 4, "Ask an administrator to do this, or run the command as root.")    \
        X(ERR_NO_SERVICE, "NoService", 1, "Start the service: systemctl start scepterd.")                    \
        X(ERR_TPM_ABSENT, "TpmAbsent", 5,                                                                    \
          "Enable the TPM in the firmware set-up, or use a profile with Protection=tpm-preferred or "        \
          "software.")                                                                                       \
        X(ERR_TPM_FAILED, "TpmFailed", 5,                                                                    \
          "Try again; if it persists, run 'scepter tpm' and restart the machine.")                           \
        X(ERR_TPM_LOCKED_OUT, "TpmLockedOut", 5,                                                             \
          "Wait until the TPM's lockout ends, or clear it with 'tpm2_dictionarylockout --clear-lockout'.")   \
        X(ERR_TPM_PERMISSION, "TpmPermission", 5,                                                            \
          "Give the user 'scepter' access to the TPM device: it must be in the group 'tss'.")                \
        X(ERR_TPM_OWNER_AUTH, "TpmOwnerAuth", 5,                                                             \
          "Provide a storage key at 0x81000001, or clear the owner password of the TPM.")                    \
        X(ERR_TPM_FULL, "TpmFull", 5,                                                                        \
          "Close other programs that use the TPM, or flush their objects with 'tpm2_flushcontext -t'.")      \
        X(ERR_TPM_RESET, "TpmReset", 5,                                                                      \
          "Restart the machine; a TPM without firmware is started with 'tpm2_startup -c'.")                  \
        X(ERR_TPM_CLEARED, "TpmCleared", 5,                                                                  \
          "The key is lost with what the TPM held before: 'scepter enroll' makes a new one.")                \
        X(ERR_TPM_WRONG_AUTH, "TpmWrongAuth", 5, "Enter the PIN of this key again.")                         \
        X(ERR_PIN_NEEDED, "PinNeeded", 5, "Enter the PIN that was chosen when this key was made.")           \
        X(ERR_PIN_LOCKED, "PinLocked", 5, "Wait as long as the message says, then enter the right PIN.")     \
        X(ERR_KEY_NOT_SUPPORTED, "KeyNotSupported", 5,                                                       \
          "Choose an algorithm and size this TPM supports, or Protection=tpm-preferred.")                    \
        X(ERR_KEY_FOREIGN, "KeyForeign", 5,                                                                  \
          "Put the storage key it was made under back to 0x81000001, or enroll again for a new key.")        \
        X(ERR_KEY_DAMAGED, "KeyDamaged", 5,                                                                  \
          "Restore the key file from a backup, or remove the certificate and enroll again.")                 \
        X(ERR_KEY_DENIED, "KeyDenied", 4,                                                                    \
          "Use a key you own, or ask an administrator to allow it in the profile's Groups=.")                \
        X(ERR_EVIDENCE, "InvalidEvidence", 1,                                                                \
          "Do not rely on it: have 'scepter attest' make it anew, and find out who has changed it.")         \
        X(ERR_HOST_SECRET, "HostSecretMissing", 1,                                                           \
          "Restore /etc/scepter/host.key (mode 0640, root:scepter) from a backup; software keys need it.")   \
        X(ERR_PROTOCOL, "ProtocolError", 1,                                                                  \
          "Upgrade the program and the scepter service to the same version.")                                \
        X(ERR_NETWORK, "NetworkError", 7,                                                                    \
          "Check the connection to the server: name, route, proxy and firewall.")                            \
        X(ERR_TIMEOUT, "Timeout", 7, "Check that the server answers, then try again.")                       \
        X(ERR_TLS, "TlsError", 7,                                                                            \
          "Check the server's TLS certificate, the clock, and CaBundle= in the profile.")                    \
        X(ERR_HTTP, "HttpError", 6, "Check the URL in the profile and the server's log.")                    \
        X(ERR_REPLY, "InvalidReply", 6,                                                                      \
          "Check that the URL leads to a SCEP server and not to a proxy or portal page.")                    \
        X(ERR_SERVER_REFUSED, "ServerRefused", 6,                                                            \
          "Read the reason in the message; get a fresh challenge if it was used or has expired.")            \
        X(ERR_SERVER_ALGORITHM, "ServerAlgorithm", 6,                                                        \
          "Have the server use AES or 3DES and SHA-256, or name the algorithm in AllowLegacy=.")             \
        X(ERR_CA_MISMATCH, "CaMismatch", 6,                                                                  \
          "Compare the thumbprint in the profile with the root certificate of the CA.")                      \
        X(ERR_CA_EXPIRED, "CaExpired", 6,                                                                    \
          "Have the server's administrator renew the certificate named in the message, and check this "      \
          "machine's clock.")                                                                                \
        X(ERR_CERTIFICATE_REFUSED, "CertificateRefused", 6,                                                  \
          "Compare the profile with the CA's template; 'scepter show' lists the differences.")               \
        X(ERR_CHALLENGE_NEEDED, "ChallengeNeeded", 6,                                                        \
          "Get a challenge from the server's administrator and enroll with --challenge-file.")               \
        X(ERR_PENDING, "Pending", 8,                                                                         \
          "Wait for the CA's administrator to approve the request; polling goes on by itself.")              \
        X(ERR_CANCELLED, "Cancelled", 1, "Start the operation again if it was not meant to be cancelled.")   \
        X(ERR_WORKER, "WorkerFailed", 1, "Look at the journal for the worker's message, then try again.")    \
        X(ERR_CONSUMER, "ConsumerFailed", 1,                                                                 \
          "Cure what the message names; it is tried again by itself, without a new certificate.")            \
        X(ERR_SANDBOX, "SandboxUnavailable", 1,                                                              \
          "Use a kernel with Landlock and seccomp, or start scepterd with --weak-workers.")

/* The exit status of all that is of the TPM or of a key. */
enum { EXIT_TPM = 5 };

enum err {
        ERR_OK = 0,
#define X(code, name, exit, remedy) code,
        ERR_TABLE(X)
#undef X
                _ERR_MAX
};

enum { ERROR_MESSAGE_MAX = 768, ERROR_REMEDY_MAX = 320 };

struct error {
        enum err code;
        char message[ERROR_MESSAGE_MAX]; /* UTF-8, one line, no final full stop needed */
        char remedy[ERROR_REMEDY_MAX];
};

/* Each of these returns @code, so a failing line reads: return error_set(e, ERR_X, "…"). The remedy is the
 * table's. */
enum err error_set(struct error *e, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts a remedy refined at the spot in the place of the table's. */
enum err error_remedy(struct error *e, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "<which object>: " before the message. */
enum err error_context(struct error *e, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* From errno: ENOSPC and EDQUOT become ERR_DISK_FULL, ENOMEM ERR_NO_MEMORY, all others ERR_IO; the text of
 * strerror() follows the sentence. */
enum err errno_error(struct error *e, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum err error_no_memory(struct error *e);
/* Copies an error that was kept (a struct error of another thread or process) into *e. */
enum err error_copy(struct error *e, const struct error *from);

/* "TpmAbsent" and so on; ERR_OK is "Ok". Never NULL for a valid code. */
const char *err_name(enum err code);
const char *err_default_remedy(enum err code);
int err_exit_status(enum err code);
/* ERR_FAILED for a name this version does not know. Takes the name with or without "org.scepter1.Error.". */
enum err err_from_name(const char *name);
