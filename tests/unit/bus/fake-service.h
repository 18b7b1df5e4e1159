/*
 * A service for the dispatcher's tests, in a process of its own: objects of the device, of one user (alice)
 * and of another (bob), with methods that do what daemons do wrong. See the table in fake-service.c.
 */
#pragma once

#include <sys/types.h>

#define FAKE_INTERFACE "org.scepter1.Test"
#define FAKE_PUBLIC    "/org/scepter1/certificate/public"
#define FAKE_ALICE     "/org/scepter1/certificate/alice"
#define FAKE_BOB       "/org/scepter1/profile/bob"
#define FAKE_ADDED     "/org/scepter1/certificate/added"

/* The bus takes only uids that have a name: daemon and bin, which every system has. */
enum { ALICE = 1, BOB = 2 };

/* Returns when it owns the name on the bus. */
pid_t fake_service_start(const char *address);

extern const char fake_introspection[];
