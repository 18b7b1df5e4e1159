/*
 * A consumer (scepter.consumer(5)): what has to take up a device's certificate once it is installed. This
 * file knows its settings; who reads its file checks who owns that. Pure.
 */
#pragma once

#include "policy/settings.h"

/* Each names a file that is written. */
enum consumer_file {
        CONSUMER_CERTIFICATE,
        CONSUMER_CHAIN,      /* its issuers, without it and without the anchor */
        CONSUMER_FULL_CHAIN, /* both */
        CONSUMER_ANCHOR,
        CONSUMER_KEY,     /* TSS2 PRIVATE KEY, of a TPM's key alone */
        CONSUMER_KEY_URI, /* one line */
        _CONSUMER_FILE_MAX
};

enum unit_verb { UNIT_RELOAD, UNIT_RESTART, UNIT_START, _UNIT_VERB_MAX };

enum { CONSUMER_UNITS_MAX = 16, CONSUMER_PATH_MAX = 1024 };

struct consumer {
        char *name;    /* of its file, without ".consumer" */
        char *profile; /* NULL: the file does not say */
        char *path[_CONSUMER_FILE_MAX];
        char *owner, *group; /* NULL: root */
        uint32_t mode;
        struct strings units[_UNIT_VERB_MAX];
        bool trust;       /* the anchor goes to the system's trust store */
        char *connection; /* of NetworkManager, its id or UUID; NULL: none */
        bool connection_update;
        bool connection_pkcs11;      /* its private key is ours, by a pkcs11: URI */
        uint64_t connection_timeout; /* seconds */
        char digest[65];             /* of its file's text, SHA-256 */
        struct error failure;        /* code ERR_OK: the file can be used */
};

/* @name is copied. */
MUST_CHECK enum err consumer_init(struct consumer *ret, const char *name, struct error *e);
/* One line of the file. ERR_CONFIG says what is wrong with it, without file and line. */
MUST_CHECK enum err consumer_take(struct consumer *consumer, const char *section, const char *key,
                                  const char *value, struct error *e);
/* After the last line: what belongs together is there. */
MUST_CHECK enum err consumer_check(const struct consumer *consumer, struct error *e);
void consumer_done(struct consumer *consumer);

/* It concerns the device's certificate of this name: one that does not say what it follows, because its file
 * is wrong, concerns each, so that somebody hears of it. */
bool consumer_follows(const struct consumer *consumer, const char *name);
const char *consumer_file_name(enum consumer_file file); /* "FullChain" */
