/*
 * struct error as a D-Bus error and back: name org.scepter1.Error.NAME, arguments (s message, s remedy), then
 * whatever details the method documents (FileNeeded: s key, s value).
 */
#pragma once

#include "bus/write.h"

struct DBusMessage;

/* An error message that answers @call; NULL: no memory. */
struct DBusMessage *bus_fault_message(struct DBusMessage *call, const struct error *fault,
                                      const char *const *details, size_t n_details);
/*
 * Fills *e from an error message and returns its code, never ERR_OK. The bus's own errors become
 * ERR_NO_SERVICE, ERR_DENIED, ERR_TIMEOUT and so on, with the remedy that fits.
 */
enum err bus_fault_read(struct DBusMessage *message, struct error *e);
/* The same from a name and a text, as libdbus tells its own failures. */
enum err bus_fault_set(struct error *e, const char *name, const char *text);
