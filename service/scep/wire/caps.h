/* GetCACaps: the server's list of words, read into flags (RFC 8894 §3.5.2). Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum scep_cap {
        SCEP_CAP_AES = 1 << 0,
        SCEP_CAP_DES3 = 1 << 1,
        SCEP_CAP_DES = 1 << 2, /* old drafts */
        SCEP_CAP_GET_NEXT_CA = 1 << 3,
        SCEP_CAP_POST = 1 << 4,
        SCEP_CAP_RENEWAL = 1 << 5,
        SCEP_CAP_SHA1 = 1 << 6,
        SCEP_CAP_SHA256 = 1 << 7,
        SCEP_CAP_SHA384 = 1 << 8, /* not in the RFC; jscep lists it */
        SCEP_CAP_SHA512 = 1 << 9,
        SCEP_CAP_STANDARD = 1 << 10, /* implies AES, POST and SHA-256, whose flags are set with it */
        SCEP_CAPS_ALL = (1 << 11) - 1,
};

enum { SCEP_CAPS_TEXT_MAX = 512, SCEP_CAPS_BODY_MAX = 64 * 1024 };

struct scep_caps {
        uint32_t flags;
        char text[SCEP_CAPS_TEXT_MAX]; /* the words as they came, one blank between them, printable ASCII; cut
                                          at the bound */
};

/*
 * Any order, CRLF or LF, any case; unknown words are skipped but kept in the text; an empty body is "no
 * capabilities". ERR_REPLY: a web page (the remedy names portals and proxies); ERR_TOO_LARGE: more than
 * SCEP_CAPS_BODY_MAX.
 */
MUST_CHECK enum err caps_parse(struct view body, struct scep_caps *ret, struct error *e);
/* The flag of one word of RequireCaps= or of a reply, in any case; 0: unknown. @len octets. */
uint32_t caps_word(const char *word, size_t len);
/* The first word of @flags, lowest bit; "" for 0. */
const char *caps_name(uint32_t flags);
/* Octets that begin like HTML or XML: a page of a proxy, portal or browser front, never SCEP. */
bool body_is_page(struct view body);
