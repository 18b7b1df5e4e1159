/* Shared by the files of service/facts alone. */
#pragma once

#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "policy/fact.h"
#include "policy/settings.h"

struct bus_reader;
struct bus_writer;

/* The facts file, scepter.conf(5). file.c */
struct facts_file {
        enum err result; /* of reading it; @why then says what is wrong */
        struct error why;
        bool missing;           /* there is none, which is nothing to speak of */
        struct timespec edited; /* last change of content, owner or mode */
        struct settings values;
        struct strings unknown; /* "line 3: Colour" */
};
/* @own: whose file it may be beside root's. */
void facts_file_read(const char *path, uid_t own, struct facts_file *ret);
void facts_file_done(struct facts_file *file);
/* What may stand in it, and whether this does. */
bool facts_file_knows(const char *key);

/* Where local sources look. */
struct place {
        const char *root;        /* before every path; "" but in tests */
        const char *credentials; /* directory of the service's credentials, or NULL */
        const char *facts_path;
        uid_t own;
        struct facts_file *file; /* NULL until somebody asked for it */
        uid_t uid;               /* of the owner */
        char *login;             /* the owner's; NULL: see @login_why */
        struct error login_why;
};

/*
 * One source. It looks by itself (a thread of the pool), or is asked over the bus, one question and one
 * answer. *ret is the value as it was given, free(). Codes of an answer: ERR_NOT_FOUND and ERR_INVALID: it
 * has none, or none that can be one; ERR_DENIED: the answer is about somebody else, so nobody else is asked
 * either; any other: not now.
 */
struct fact_source {
        const char *name; /* NULL: the key of the row tells it */
        enum err (*look)(struct place *place, const char *key, char **ret, struct error *e);
        struct bus_writer *(*question)(const struct place *place, const char *key);
        enum err (*answer)(const struct place *place, const char *key, struct bus_reader *reader, char **ret,
                           struct error *e);
        bool of_login; /* the question names the owner's login */
        /* What to do where it does not exist, refuses, or has no value; NULL: others know better. */
        const char *absent, *refused, *none;
};

enum fact_owner { OWNER_ANY, OWNER_USER, OWNER_DEVICE };

struct fact_row {
        enum fact fact;
        enum fact_owner owner; /* whose profiles it serves */
        const struct fact_source *source;
        const char *key; /* what it is asked for */
        /* Stands in for those before it, which may say otherwise: not asked while one of them does not
         * answer. */
        bool stand_in;
};

/* sources.c. Ends with a row that has no source. */
extern const struct fact_row fact_rows[];
/* Index of the first row at or behind @i that serves @fact for this owner; the end row's where none does. */
size_t fact_row_next(size_t i, enum fact fact, bool of_user);

/* local.c */
MUST_CHECK enum err look_login(struct place *place, const char *key, char **ret, struct error *e);
MUST_CHECK enum err look_short_login(struct place *place, const char *key, char **ret, struct error *e);
MUST_CHECK enum err look_host_name(struct place *place, const char *key, char **ret, struct error *e);
MUST_CHECK enum err look_credential(struct place *place, const char *key, char **ret, struct error *e);
MUST_CHECK enum err look_kernel_file(struct place *place, const char *key, char **ret, struct error *e);
MUST_CHECK enum err look_wifi(struct place *place, const char *key, char **ret, struct error *e);
/* file.c */
MUST_CHECK enum err look_facts_file(struct place *place, const char *key, char **ret, struct error *e);

/* bus.c */
struct bus_writer *ask_static_name(const struct place *place, const char *key);
MUST_CHECK enum err read_static_name(const struct place *place, const char *key, struct bus_reader *reader,
                                     char **ret, struct error *e);
struct bus_writer *ask_serial(const struct place *place, const char *key);
MUST_CHECK enum err read_serial(const struct place *place, const char *key, struct bus_reader *reader,
                                char **ret, struct error *e);
struct bus_writer *ask_network_manager(const struct place *place, const char *key);
MUST_CHECK enum err read_adapter(const struct place *place, const char *key, struct bus_reader *reader,
                                 char **ret, struct error *e);
struct bus_writer *ask_modem_manager(const struct place *place, const char *key);
MUST_CHECK enum err read_modem(const struct place *place, const char *key, struct bus_reader *reader,
                               char **ret, struct error *e);
struct bus_writer *ask_directory(const struct place *place, const char *key);
MUST_CHECK enum err read_directory(const struct place *place, const char *key, struct bus_reader *reader,
                                   char **ret, struct error *e);
