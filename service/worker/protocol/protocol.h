/*
 * The job protocol: what the daemon asks of a worker (body of FRAME_JOB) and what it answers (body of
 * FRAME_RESULT). Pure; the frames around it and the granted operations between the two are the key channel's
 * (channel/frame.h: one FRAME_DECRYPT, FRAME_DERIVE or FRAME_UNWRAP, and with a client certificate up to four
 * FRAME_TLS_SIGN, each with handle 0, answered by FRAME_ANSWER or FRAME_ERROR).
 *
 * A stream carries one job and ends with one result. Both sides come from one package, so there is no
 * growing: an unknown field, a missing one, a second one of a kind, or one out of its bounds is ERR_PROTOCOL,
 * in both directions.
 *
 * The structs borrow everything: decoded ones from the record, which must outlive them; records to encode
 * from the caller. Texts are UTF-8 without control characters.
 */
#pragma once

#include "base/bytes.h"

enum {
        JOB_URLS_MAX = 8,
        JOB_CERTS_MAX = 16,
        JOB_URL_MAX = 2048,
        JOB_TEXT_MAX = 1024,
        JOB_CERT_MAX = 64 * 1024,
        JOB_BODY_MAX = 1024 * 1024,              /* a document, a request, a body of the server's */
        JOB_RECORD_MAX = 4 * 1024 * 1024 - 4096, /* fits FRAME_WORKER_MAX */
        JOB_COMMANDS_MAX = JOB_RECORD_MAX - 1024,
        JOB_FILE_MAX = 3 * 1024 * 1024, /* a CRL */
        JOB_TIMEOUT_MAX_MS = 300 * 1000,
        JOB_RETRY_AFTER_MAX = 24 * 3600,
};

struct job_texts {
        const char *at[JOB_URLS_MAX];
        size_t n;
};
struct job_blobs {
        struct view at[JOB_CERTS_MAX];
        size_t n;
};

enum job_kind { JOB_PARSE = 1, JOB_DISCOVER, JOB_EXCHANGE, JOB_PROBE, JOB_FETCH, _JOB_KIND_MAX };
const char *job_kind_name(enum job_kind kind); /* "parse" */

/* Read a document; kind parse. */
struct job_parse {
        const char *format;   /* "auto", "syncml", "ini" */
        struct view document; /* holds challenges: whoever owns the record wipes it */
        const char *origin;   /* a name for messages ("wifi.profile"); NULL: none */
};

/* How to reach a server. */
struct job_link {
        const char *proxy;     /* NULL: none */
        struct view ca_bundle; /* PEM; empty: the system's */
        struct job_blobs
                client; /* DER; TLS client authentication: the certificate, its issuers; none: none */
        uint64_t connect_ms, total_ms;
        uint64_t deny_local; /* 1: no address of this machine or link */
};

enum { DISCOVER_CAPS = 1, DISCOVER_CERTS = 2, DISCOVER_BOTH = 3, DISCOVER_NEXT = 4, DISCOVER_ALL = 7 };

/* GetCACaps and GetCACert, and GetNextCACert where that is wanted and listed; kind network. */
struct job_discover {
        struct job_texts urls;  /* tried in order until one answers */
        const char *identifier; /* the message of both, NULL: "default" */
        uint64_t suffix;        /* enum scep_suffix */
        uint64_t want;          /* DISCOVER_… */
        struct job_link link;
};

/* Look at a server without asking for anything: a browser's GET, GetCACaps, GetCACert; kind network. */
struct job_probe {
        const char *url, *identifier; /* identifier NULL: "default" */
        uint64_t with_suffix;         /* 1 */
        struct job_link link;
};

/* A file that a certificate names, a CRL; kind network. */
struct job_fetch {
        struct job_texts urls; /* tried in order until one answers */
        struct job_link link;
};

enum { EXCHANGE_ALLOW_DES = 1, EXCHANGE_ALLOW_ALL = 1 };

/* How the content key of the reply may reach us: what the grant opens. */
enum {
        REPLY_BY_TRANSPORT = 1, /* RSA, to the recipient's key: FRAME_DECRYPT */
        REPLY_BY_AGREEMENT = 2, /* ECDH with the recipient's key: FRAME_DERIVE */
        REPLY_BY_PASSWORD = 4,  /* the challenge: FRAME_UNWRAP */
        REPLY_BY_ALL = 7,
};

/* Send a pkiMessage, open the reply; kind network. */
struct job_exchange {
        const char *url; /* the one that answered, suffix included */
        uint64_t post;
        uint64_t type; /* of the message that is sent: enum scep_type */
        struct view request;
        const char *transaction;
        struct view nonce;        /* 16 octets */
        struct job_blobs signers; /* DER; who may sign the reply, chained by the daemon */
        struct view recipient;    /* DER; the certificate the reply is encrypted to */
        uint64_t allow;           /* EXCHANGE_… */
        uint64_t ways;            /* REPLY_BY_…, at least one */
        struct job_link link;
};

struct job {
        enum job_kind kind;
        union {
                struct job_parse parse;
                struct job_discover discover;
                struct job_exchange exchange;
                struct job_probe probe;
                struct job_fetch fetch;
        } of;
};

/* *ret: bytes_done(); a parse job's is to be wiped (wipe_free()). ERR_PROTOCOL or ERR_TOO_LARGE: out of
 * bounds. */
MUST_CHECK enum err job_encode(const struct job *job, struct bytes *ret, struct error *e);
MUST_CHECK enum err job_decode(struct view record, struct job *ret, struct error *e);

enum result_kind {
        RESULT_PARSED = 1,
        RESULT_DISCOVERED,
        RESULT_EXCHANGED,
        RESULT_FAILED,
        RESULT_PROBED,
        RESULT_FETCHED,
        _RESULT_KIND_MAX
};

struct result_parsed {
        struct view commands; /* policy/command.h's form; holds challenges */
};

/* What HTTP said on the way. */
struct result_http {
        int64_t status; /* of the last answer; 0: none */
        uint64_t has_date;
        int64_t date_offset;  /* the server's clock minus ours, seconds */
        uint64_t retry_after; /* seconds it asks us to stay away for; 0: it does not */
};

struct result_discovered {
        const char *url;     /* the one that answered, suffix included */
        struct view caps;    /* raw body; empty: the server has none */
        struct view certs;   /* raw body of GetCACert */
        int64_t caps_status; /* HTTP status of GetCACaps; other than 200: taken as no capabilities */
        struct result_http http;
        struct view next; /* raw body of GetNextCACert; empty: there is none */
        const char *next_name, *next_message, *next_remedy; /* of the error where it was asked; or NULL */
};

struct result_exchanged {
        uint64_t status;  /* enum scep_status */
        int64_t fail;     /* enum scep_fail, -1: none */
        const char *text; /* failInfoText; NULL: none */
        uint64_t has_hresult, hresult;
        struct job_blobs certs; /* DER; SUCCESS alone */
        struct job_blobs crls;  /* the same, instead of them in answer to GetCRL */
        uint64_t notes;         /* enum scep_note */
        struct result_http http;
};

/* One of the three operations of a probe. */
struct probe_answer {
        uint64_t asked;                      /* 0: an earlier failure made it pointless */
        uint64_t problem;                    /* enum http_problem, scep-wire/problem.h */
        int64_t verify;                      /* X509_V_ERR_… */
        const char *address, *type, *target; /* see scep-http/http.h; NULL: "" */
        const char *name, *message, *remedy; /* of the error; NULL: none */
        uint64_t milliseconds;
        struct view body; /* of GetCACaps and GetCACert with 200 */
        struct result_http http;
};

struct result_probed {
        const char *url; /* what was asked, suffix included */
        struct probe_answer page, caps, certs;
};

struct result_fetched {
        const char *url; /* the one that answered */
        struct view body;
        struct result_http http;
};

struct result_failed {
        const char *name; /* "HttpError" */
        const char *message, *remedy;
        struct result_http http;
};

struct result {
        enum result_kind kind;
        union {
                struct result_parsed parsed;
                struct result_discovered discovered;
                struct result_exchanged exchanged;
                struct result_failed failed;
                struct result_probed probed;
                struct result_fetched fetched;
        } of;
};

MUST_CHECK enum err result_encode(const struct result *result, struct bytes *ret, struct error *e);
/* ERR_PROTOCOL also where the kind does not answer @job (a failure answers every kind). */
MUST_CHECK enum err result_decode(struct view record, enum job_kind job, struct result *ret, struct error *e);
/* The failure as an error of this process, scrubbed; a code it does not know becomes ERR_FAILED. */
enum err result_error(const struct result_failed *failed, struct error *e);
/* The other way: @failed borrows from @e. */
void result_from_error(const struct error *e, struct result_failed *ret);
