/*
 * The journal, or standard error where there is none: one line an event, with fields for machines. Levels:
 * error = somebody must act; warning = we went on; notice = life of the service and each issued certificate;
 * debug = free.
 */
#pragma once

#include <syslog.h>

#include "base/error.h"

void log_line(int level, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* An error where it stops travelling: sentence and remedy. */
void log_error(int level, const struct error *e);
