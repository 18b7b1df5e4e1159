/*
 * Files, pipes and "-" as memfds for the service, and the challenge through locked memory. Contents never
 * reach argv, the environment or a message.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* @name as it stands on the command line; "-" is @standard_input. *ret_fd: a sealed memfd with at most @max
 * octets, close it. ERR_NOT_FOUND: there is no such file. ERR_TOO_LARGE: it is larger. */
MUST_CHECK enum err input_document(const char *name, int standard_input, size_t max, int *ret_fd,
                                   struct error *e);
/* The same for a challenge: one line end behind it goes; an empty one is ERR_INVALID. */
MUST_CHECK enum err input_challenge(const char *name, int standard_input, int *ret_fd, struct error *e);

/* What else is looked at while somebody types: @come, at first and whenever @fd can be read. Its error ends
 * the asking. */
struct input_beside {
        int fd;
        enum err (*come)(void *ctx, struct error *e);
        void *ctx;
};
/*
 * A PIN from the terminal (/dev/tty), without echo, as a memfd; close it. @again: it is a new one and is
 * asked for twice. @beside: may be NULL. ERR_PIN_NEEDED: there is no terminal; ERR_INVALID: none is of that
 * form, or the two differ; ERR_CANCELLED: Ctrl-C or the end of the input.
 */
MUST_CHECK enum err input_pin(const char *of, bool again, const struct input_beside *beside, int *ret_fd,
                              struct error *e);
/* /dev/tty; ERR_PIN_NEEDED: there is none. */
MUST_CHECK enum err input_terminal(int *ret_fd, struct error *e);

/* INI text @document has a line "key = value" with exactly this value. */
bool input_names_file(const char *document, const char *key, const char *value);
/*
 * Opens what a profile names: @value is a path, or "file:" and a path; a relative one starts at the directory
 * of
 * @profile. ERR_FILE_REFUSED: @document does not name it, or it is no file. *ret_fd: a sealed memfd, close
 * it.
 */
MUST_CHECK enum err input_named_file(const char *profile, const char *document, const char *key,
                                     const char *value, int *ret_fd, struct error *e);
