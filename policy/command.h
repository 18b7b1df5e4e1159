/*
 * What a document becomes: an ordered, bounded list of commands, and the header the answer needs. The parse
 * worker makes it, the wire carries it, the daemon executes it: whoever decodes trusts nothing and checks
 * every bound again (settings once more by profile_from_settings()).
 */
#pragma once

#include "base/secret.h"
#include "policy/settings.h"

enum {
        COMMANDS_MAX = 256,
        COMMAND_TEXT_MAX = 256,        /* CmdID, format, type, names */
        COMMAND_LOCATION_MAX = 2048,   /* a LocURI */
        COMMAND_DATA_MAX = 256 * 1024, /* data of a command the executor may know */
        COMMAND_CHALLENGE_MAX = 16384,
        COMMAND_CERTIFICATE_MAX = 65536,
        COMMANDS_WIRE_MAX = 4 * 1024 * 1024,
};

enum document_format { DOCUMENT_AUTO, DOCUMENT_SYNCML, DOCUMENT_INI };

enum command_verb {
        VERB_ADD,
        VERB_REPLACE,
        VERB_GET,
        VERB_EXEC,
        VERB_DELETE,
        VERB_ATOMIC_BEGIN, /* the command Atomic itself; what stands in it follows */
        VERB_ATOMIC_END,   /* no command of its own: the place where the Atomic ended */
        VERB_SEQUENCE,     /* the command Sequence itself: its members follow, in order as everything is */
        VERB_STATUS,       /* an answer of the server: gets none */
        VERB_RESULTS,      /* likewise */
        VERB_ALERT,
        VERB_UNKNOWN, /* name tells which */
        _VERB_MAX
};

enum command_kind {
        COMMAND_PLAIN,  /* location, format, type, data */
        COMMAND_ENROLL, /* settings, challenge, notes: a profile */
        COMMAND_ROOT,   /* certificate: an anchor */
        COMMAND_WRONG,  /* problem: what it carries cannot be used; the others are executed all the same */
};

struct command {
        enum command_verb verb;
        enum command_kind kind;
        char *name;     /* the command's name in SyncML: "Add" */
        char *id;       /* CmdID, "" where there is none; items of one command share it */
        char *location; /* LocURI as written, "" for none */
        bool user;      /* the location begins with ./User */
        bool has_data;  /* there was a Data element, if an empty one */
        char *format, *type;
        struct secret data; /* may hold a challenge; empty: none */
        struct settings settings;
        struct secret challenge;  /* empty: none came */
        struct strings notes;     /* unknown elements and values that were set aside; for people */
        struct bytes certificate; /* DER */
        struct error *problem;    /* of COMMAND_WRONG, NULL otherwise; no secret in it. free() */
};

struct commands {
        enum document_format format;                     /* never AUTO */
        char *session_id, *message_id, *source, *target; /* of the SyncHdr; "" in INI documents */
        struct command *items;
        size_t count;
};

/* "Add" and so on; "" for VERB_ATOMIC_END and VERB_UNKNOWN. */
const char *command_verb_name(enum command_verb verb);
/* Takes what @command owns, which is empty afterwards. ERR_TOO_LARGE over COMMANDS_MAX. */
MUST_CHECK enum err commands_add(struct commands *c, struct command *command, struct error *e);
/* The strings of @c, @command that are NULL become "". */
MUST_CHECK enum err command_settle(struct command *command, struct error *e);
MUST_CHECK enum err commands_settle(struct commands *c, struct error *e);
void command_done(struct command *c);
void commands_done(struct commands *c);

/* Fields for the worker's stream. *ret may hold secrets: wipe() and bytes_done(). */
MUST_CHECK enum err commands_encode(const struct commands *c, struct bytes *ret, struct error *e);
/* ERR_PROTOCOL for anything that is not what commands_encode() writes or breaks a bound. *ret:
 * commands_done(). */
MUST_CHECK enum err commands_decode(struct view in, struct commands *ret, struct error *e);
