/*
 * The journal, or standard error where there is none: one line an event, with fields for machines. Levels:
 * error = somebody must act; warning = we went on; notice = life of the service and each issued certificate;
 * debug = free.
 */
#pragma once

#include <syslog.h>

#include "base/error.h"

enum { LOG_FIELDS_MAX = 48 };

void log_line(int level, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* An error where it stops travelling: sentence and remedy. */
void log_error(int level, const struct error *e);
/* A line with fields of its own, each "NAME=value"; where there is no journal, the line alone. */
void log_entry(int level, const char *text, const char *const *fields, size_t n);
