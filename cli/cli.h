/* What every verb gets: how to print, and the connection to the service. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "bus-client/client.h"

struct cli {
        bool json, color;
        FILE *out, *err;
        int status;          /* exit status of a verb that did its work and has bad news */
        const char *address; /* of the bus; NULL: the system bus */
        struct bus_client *client;
};

struct verb {
        const char *words;       /* "profile add" */
        const char *usage;       /* what follows the words */
        const char *description; /* one line for --help */
        bool asks;               /* polkit may want a password */
        /* @argv: what follows the words, without global options. NULL: a verb of a later version. */
        enum err (*run)(struct cli *cli, int argc, char **argv, struct error *e);
};

/* verbs.c. The table of all verbs; the last one has no words. */
extern const struct verb verbs[];
/* The verb whose words begin @argv, *ret_words of them. NULL: there is none. */
const struct verb *verb_find(int argc, char **argv, int *ret_words);
void verbs_help(FILE *out);
/* Runs a whole command line (without the program's name) and returns the exit status. Prints results and
 * errors. */
int cli_run(struct cli *cli, int argc, char **argv);
void cli_done(struct cli *cli);

/* Connects at the first call. */
MUST_CHECK enum err cli_connect(struct cli *cli, struct error *e);
/* Calls with what cli_connect() made: bus_client_call(). */
MUST_CHECK enum err cli_call(struct cli *cli, struct bus_writer *w, struct bus_reader **ret, struct error *e);

static inline void json_decref_p(json_t **j)
{
        json_decref(*j);
}

/* The verbs, by file */
MUST_CHECK enum err verb_profile_add(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_profile_list(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_profile_show(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_profile_remove(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_syncml_apply(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_enroll(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_renew(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_list(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_show(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_wait(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_cancel(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_remove(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_key_test(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_attest(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_attest_verify(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_agent(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_change_pin(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_diagnose(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_events(struct cli *cli, int argc, char **argv, struct error *e);
MUST_CHECK enum err verb_tpm(struct cli *cli, int argc, char **argv, struct error *e);
