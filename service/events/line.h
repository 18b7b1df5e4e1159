/*
 * One event in its two written forms: a line of JSON, and the fields of a journal entry. Both come from the
 * tables of policy/events.h, and texts from outside are made harmless in both: valid UTF-8, no control
 * characters, bounded. Pure.
 */
#pragma once

#include <sys/types.h>

#include "policy/events.h"

enum { EVENT_VALUE_MAX = 2048 }; /* octets of one text, its NUL included; the rest is cut off */

struct event_value {
        enum event_field field;
        const char *text; /* EVENT_TEXT, EVENT_LIST; NULL or "": not told */
        uint64_t number;  /* EVENT_NUMBER */
};

/* All borrowed. */
struct event {
        enum event_kind kind;
        uint64_t time;
        const char *certificate, *name, *profile; /* ids; profile "": it was removed */
        uid_t owner; /* of the certificate, NO_OWNER: the device; who may see it */
        const char *message;
        const struct event_value *values;
        size_t n;
};

/* Bits 1 << field of what it tells. */
uint64_t event_told(const struct event *event);
/* The number of Windows' event, 0: none. */
unsigned event_number(const struct event *event);
/* *ret: free(); without a newline. "time" comes first: whoever sorts lines looks there. */
MUST_CHECK enum err event_to_json(const struct event *event, char **ret, struct error *e);

/* "NAME=value", beginning with MESSAGE_ID; but for PRIORITY and MESSAGE, which whoever sends it adds. */
struct event_entry {
        char *text[16 + _EVENT_FIELD_MAX];
        size_t n;
};
MUST_CHECK enum err event_to_entry(const struct event *event, struct event_entry *ret, struct error *e);
void event_entry_done(struct event_entry *entry);
