/*
 * The caller's side of the bus: blocking calls to the service, and its signals one after another. For
 * programs that do one thing at a time; the daemon uses bus-server. Every call allows interactive
 * authorisation and waits long enough for somebody to type a password.
 */
#pragma once

#include "bus/read.h"
#include "bus/write.h"

struct bus_client;

/* @address NULL: the system bus. ERR_NO_SERVICE: there is no bus. *ret: bus_client_close(). */
MUST_CHECK enum err bus_client_open(const char *address, struct bus_client **ret, struct error *e);
/* Takes NULL. */
void bus_client_close(struct bus_client *client);

static inline void bus_client_close_p(struct bus_client **client)
{
        bus_client_close(*client);
}

/* Begins a call to an object of the service; may be NULL (no memory): write on. An invalid @path is refused
 * when it is sent. */
struct bus_writer *bus_client_begin(const char *path, const char *interface, const char *member);

/* The same to another service, without a question to the user; the names are our own, @path may be an
 * answer's. */
struct bus_writer *bus_client_begin_at(const char *destination, const char *path, const char *interface,
                                       const char *member);
/* From now on bus_client_next() tells of the signals of this rule too (the D-Bus specification has its
 * form). */
MUST_CHECK enum err bus_client_match(struct bus_client *client, const char *rule, struct error *e);

/* Details of ERR_FILE_NEEDED: which key of the profile names which file. Both are empty for every other
 * answer. */
struct bus_file_needed {
        char *key, *value;
};
void bus_file_needed_done(struct bus_file_needed *needed);

/*
 * Sends the call and waits for the answer; @w is gone in any case. *ret stands at the first out argument
 * (bus_reader_free()); NULL where they do not matter. @needed may be NULL; what it held is freed.
 * An error of the service comes back as it was there, with its remedy. ERR_NO_SERVICE, ERR_TIMEOUT: no
 * answer.
 */
MUST_CHECK enum err bus_client_call(struct bus_client *client, struct bus_writer *w, struct bus_reader **ret,
                                    struct bus_file_needed *needed, struct error *e);

/* From now on bus_client_next() tells of @path (PropertiesChanged), of objects that go (InterfacesRemoved),
 * and of the service that leaves the bus or comes back (NameOwnerChanged). */
MUST_CHECK enum err bus_client_watch(struct bus_client *client, const char *path, struct error *e);

struct bus_signal {
        const char *path, *interface, *member; /* borrowed from the reader */
        struct bus_reader *args;               /* NULL: none came in time */
};
void bus_signal_done(struct bus_signal *signal);
/* The next signal, or after @timeout_ms none. *ret: bus_signal_done(). */
MUST_CHECK enum err bus_client_next(struct bus_client *client, int timeout_ms, struct bus_signal *ret,
                                    struct error *e);

/*
 * For a program that is called itself, as an agent is: the next call or signal that is here, without waiting,
 * which is done at the descriptor. After each other call there may be some. ERR_NO_SERVICE: the connection is
 * lost. *ret: bus_incoming_done().
 */
struct bus_incoming {
        const char *sender, *interface, *member; /* borrowed from the reader; "": none */
        struct bus_reader *args;                 /* NULL: nothing has come */
        struct DBusMessage *call;                /* NULL: a signal */
};
void bus_incoming_done(struct bus_incoming *incoming);
int bus_client_fd(const struct bus_client *client);
MUST_CHECK enum err bus_client_take(struct bus_client *client, struct bus_incoming *ret, struct error *e);
/* Answers a call: with @fault, or else with @fd, or, -1, with nothing. Best effort. */
void bus_client_answer(struct bus_client *client, const struct bus_incoming *call, int fd,
                       const struct error *fault);
