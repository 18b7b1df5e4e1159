/*
 * Records: structs whose members are described by a table, one row per member, so that a value has ONE way
 * from its text into the struct (with its bounds) and one way back. The profile and the plan are such
 * records.
 */
#pragma once

#include "policy/settings.h"

enum field_type {
        FIELD_TEXT,     /* char *; NULL: not set */
        FIELD_LIST,     /* struct strings; the key may be repeated, each time with one item */
        FIELD_WORDS,    /* struct strings; words in one value */
        FIELD_BOOL,     /* bool */
        FIELD_NUMBER,   /* unsigned, min..max */
        FIELD_ENUM,     /* an enum; names[i] is the number i + min; a smaller number: not set */
        FIELD_FLAGS,    /* unsigned; words of names; names[i] is bit i; an empty name cannot be written */
        FIELD_HEX,      /* struct bytes, at most max octets */
        FIELD_DURATION, /* uint64_t seconds, min..max; written as a number and s, m, h or d */
        FIELD_VALIDITY, /* struct validity; "2 years" */
};

enum validity_unit { VALIDITY_DAYS, VALIDITY_MONTHS, VALIDITY_YEARS };
struct validity {
        unsigned number; /* 0: the CA decides */
        enum validity_unit unit;
};

struct field {
        const char *key;
        enum field_type type;
        size_t offset;
        uint64_t min, max; /* see the type; of texts and items: octets (max 0: 1024), of lists also .items */
        const char *const *names; /* FIELD_ENUM, FIELD_FLAGS: ends with NULL */
        unsigned items;           /* lists: how many at most (0: 16) */
        const char *unset;        /* value of a member that is not set; NULL: it stays zero */
        bool quiet;               /* may hold a secret by mistake: no message repeats the value */
        bool file;                /* the value names something outside the document (a path) */
        bool document;            /* comes from documents only: the INI file has no such key */
        /* What is wrong with one text or item, as the end of the sentence "…: it"; NULL: nothing. May be
         * NULL. */
        const char *(*wrong)(const char *value);
};

struct table {
        const struct field *fields; /* at most 64 */
        size_t count;
};

const struct field *table_find(const struct table *t, const char *key);
/*
 * Puts @value into the member. An empty value leaves the member as it is. *given: bit i is set once field i
 * was; a second value for a field that is no list is an error. ERR_PROFILE names key, value and line.
 */
MUST_CHECK enum err record_set(const struct table *t, void *record, uint64_t *given, const char *key,
                               const char *value, unsigned line, struct error *e);
/* Whether record_set() would take the value; @scratch is a record of zeroes, and is again afterwards. */
MUST_CHECK enum err record_check(const struct table *t, void *scratch, const char *key, const char *value,
                                 unsigned line, struct error *e);
/* The values of "unset" of every field that is not in *given; they are not added to it. */
MUST_CHECK enum err record_defaults(const struct table *t, void *record, uint64_t given, struct error *e);
/* Canonical values of field @f, appended to *ret under its key: none where it is not set, one per item of a
 * list. */
MUST_CHECK enum err record_get(const struct field *f, const void *record, struct settings *ret,
                               struct error *e);
/* Frees what the members own and zeroes them. */
void record_done(const struct table *t, void *record);
