/*
 * The key channel's frames: the one protocol between the daemon and whoever uses a key (applications on
 * keys.sock) or works for it (workers on their stream). Pure: encode and decode alone; stream.h moves them.
 *
 * A frame is a header of 12 octets and a body of fields (base/fields.h), numbers big-endian:
 *     version (1), type (1), zero (2), id (4), length of the body (4).
 * The side that asks chooses the id; the answer carries the same one. Requests are answered in any order.
 *
 *   type       body of the request                                        body of FRAME_ANSWER
 *   OPEN       LABEL (a certificate's name or id) or KEY_ID (20 octets)    HANDLE, SPKI, KEY_ID,
 *                                                                          CERTIFICATE*, WANTS_PIN*
 *   SIGN       HANDLE, SCHEME, DIGEST, MGF1, SALT, DATA, PIN*              DATA (signature; DER for ECDSA)
 *   DECRYPT    HANDLE, PADDING, DIGEST, MGF1, OAEP_LABEL, DATA, PIN*       DATA (plaintext, unpadded)
 *   DERIVE     HANDLE, DATA (the other side's point, X9.62 uncompressed),  DATA (x of the shared point)
 *              PIN*
 *   VERIFY     HANDLE, PIN                                                 nothing: it is the right one
 *   CLOSE      HANDLE                                                     (no answer)
 *   LIST       INDEX (0, or NEXT of the answer before)                     NEXT (0: the end), ENTRY*
 *   DESCRIBE   KEY_ID, INDEX (0: its certificate; from 1: its chain)       CERTIFICATE; 0: LABEL, OWNER*,
 *                                                                          WANTS_PIN* too
 *   TLS_SIGN   HANDLE, TLS_SCHEME, DATA (transcript hash)                  DATA (signature): tls13.h
 *   UNWRAP     HANDLE, SALT_OCTETS, ITERATIONS, DIGEST (PRF), KEK, IV,     DATA (the content key)
 *              DATA (what RFC 3211 wrapped)
 *   JOB        what service/worker/protocol.h says, daemon to worker       RESULT, the same
 * Fields with a star may be missing, and unknown ones are passed over: a program that knows nothing of PINs
 * gets ERR_PIN_NEEDED at each use of a key that wants one (WANTS_PIN, whatever its value).
 * An ENTRY's value is again fields: LABEL, KEY_ID, OWNER (a uid; missing: the device).
 * FRAME_ERROR answers any request: CODE (name of enum err), MESSAGE, REMEDY.
 */
#pragma once

#include "base/fields.h"
#include "base/secret.h"
#include "key/key.h"

enum {
        FRAME_VERSION = 1,
        FRAME_HEADER = 12,
        FRAME_KEYS_MAX = 64 * 1024,         /* body, applications: data, not keys, is the caller's to hash */
        FRAME_WORKER_MAX = 4 * 1024 * 1024, /* body, worker streams: documents and replies of 1 MiB */
        FRAME_LABEL_MAX = 256,
        FRAME_DATA_MAX = 4096, /* what is signed or decrypted */
};

enum frame_type {
        FRAME_OPEN = 1,
        FRAME_SIGN = 2,
        FRAME_DECRYPT = 3,
        FRAME_DERIVE = 4,
        FRAME_CLOSE = 5,
        FRAME_TLS_SIGN = 6, /* workers alone */
        FRAME_UNWRAP = 7,   /* workers alone */
        FRAME_LIST = 8,
        FRAME_DESCRIBE = 9,
        FRAME_VERIFY = 10,
        FRAME_ANSWER = 0x40,
        FRAME_ERROR = 0x41,
        FRAME_JOB = 0x80,
        FRAME_RESULT = 0x81,
};

enum frame_tag {
        FRAME_TAG_LABEL = 1,
        FRAME_TAG_KEY_ID,
        FRAME_TAG_HANDLE,
        FRAME_TAG_SPKI,
        FRAME_TAG_CERTIFICATE,
        FRAME_TAG_SCHEME,
        FRAME_TAG_PADDING,
        FRAME_TAG_DIGEST,
        FRAME_TAG_MGF1,
        FRAME_TAG_SALT,
        FRAME_TAG_OAEP_LABEL,
        FRAME_TAG_DATA,
        FRAME_TAG_CODE,
        FRAME_TAG_MESSAGE,
        FRAME_TAG_REMEDY,
        FRAME_TAG_TLS_SCHEME,
        FRAME_TAG_SALT_OCTETS,
        FRAME_TAG_ITERATIONS,
        FRAME_TAG_KEK,
        FRAME_TAG_IV,
        FRAME_TAG_INDEX,
        FRAME_TAG_NEXT,
        FRAME_TAG_ENTRY,
        FRAME_TAG_OWNER,
        FRAME_TAG_PIN,
        FRAME_TAG_WANTS_PIN,
};

struct frame_header {
        enum frame_type type;
        uint32_t id;
        size_t len; /* of the body */
};

void frame_header_encode(const struct frame_header *h, uint8_t ret[FRAME_HEADER]);
/* ERR_PROTOCOL: another version, an unknown type, or a body over @max. */
MUST_CHECK enum err frame_header_decode(const uint8_t in[FRAME_HEADER], size_t max, struct frame_header *ret,
                                        struct error *e);

/* A request for a key operation as it came; views point into the body. */
struct key_request {
        char label[FRAME_LABEL_MAX + 1]; /* OPEN; empty: by key_id */
        uint8_t key_id[KEY_ID_LEN];
        uint64_t handle, index;
        struct key_sign sign;
        struct key_decrypt decrypt;
        struct key_unwrap unwrap;
        uint16_t tls_scheme;
        struct view data;
        struct view pin; /* empty: none */
};

/* Body to request; every value is checked against its enum and bound. @type: OPEN, SIGN, DECRYPT, DERIVE,
 * CLOSE, TLS_SIGN, UNWRAP, LIST, DESCRIBE or VERIFY. */
MUST_CHECK enum err key_request_decode(enum frame_type type, struct view body, struct key_request *ret,
                                       struct error *e);
/* *ret holds the PIN if there is one: wipe() before bytes_done(). */
MUST_CHECK enum err key_request_encode(enum frame_type type, const struct key_request *request,
                                       struct bytes *ret, struct error *e);

/* FRAME_ERROR both ways. Decoding an error that is itself malformed gives ERR_PROTOCOL; both return a code
 * that is never ERR_OK for decode. */
MUST_CHECK enum err frame_error_encode(const struct error *from, struct bytes *ret, struct error *e);
enum err frame_error_decode(struct view body, struct error *e);
