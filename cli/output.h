/* Results and errors on the terminal. */
#pragma once

#include "cli/cli.h"

/* --json: @value on one line. Takes over @value, which may be NULL (no memory). */
MUST_CHECK enum err output_json(struct cli *cli, json_t *value, struct error *e);
/* Text for people: control characters from outside become '?'. */
void output_line(FILE *out, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "scepter: what happened" and "  next step" on the error output; with --json an object on the output. */
void output_error(struct cli *cli, const struct error *e);
/* The content of a descriptor of the service (a memfd) as a string, at most @max octets; free(). */
MUST_CHECK enum err output_fd_read(int fd, size_t max, char **ret, struct error *e);
/* Adds the rows "label: value" of a show verb; values that are empty are left out. */
struct output_field {
        const char *label, *key;
        char kind; /* 's' any value as text, 't' a time, 'd' a duration in seconds, 'l' a list, one line each
                    */
};
MUST_CHECK enum err output_fields(struct cli *cli, const json_t *object, const struct output_field *fields,
                                  size_t n, struct error *e);
