/* A place in this file says nothing about what is told. */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

static bool to_journal(void)
{
        return secure_getenv("JOURNAL_STREAM") != NULL;
}

static const char *prefix(int level)
{
        switch (level) {
        case LOG_ERR:
                return "error: ";
        case LOG_WARNING:
                return "warning: ";
        case LOG_DEBUG:
                return "debug: ";
        default:
                return "";
        }
}

void log_line(int level, const char *fmt, ...)
{
        char text[ERROR_MESSAGE_MAX + ERROR_REMEDY_MAX];
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        if (to_journal())
                (void)sd_journal_send("PRIORITY=%d", level, "MESSAGE=%s", text, NULL);
        else if (level <= LOG_INFO)
                (void)fprintf(stderr, "scepterd: %s%s\n", prefix(level), text);
}

static struct iovec vector_of(const char *text)
{
        union {
                const char *text;
                void *base;
        } u = {text}; /* sendv does not write, and has no const */

        return (struct iovec){u.base, strlen(text)};
}

void log_entry(int level, const char *text, const char *const *fields, size_t n)
{
        struct iovec vectors[LOG_FIELDS_MAX + 2];
        CLEANUP(free_p) char *message = NULL;
        char priority[16];

        assert(n <= LOG_FIELDS_MAX);
        if (!to_journal() || asprintf(&message, "MESSAGE=%s", text) < 0) {
                message = NULL;
                log_line(level, "%s", text);
                return;
        }
        (void)snprintf(priority, sizeof priority, "PRIORITY=%d", level);
        vectors[0] = vector_of(priority);
        vectors[1] = vector_of(message);
        for (size_t i = 0; i < n; i++)
                vectors[i + 2] = vector_of(fields[i]);
        (void)sd_journal_sendv(vectors, (int)n + 2);
}

void log_error(int level, const struct error *e)
{
        if (to_journal())
                (void)sd_journal_send("PRIORITY=%d", level, "MESSAGE=%s. %s", e->message, e->remedy,
                                      "SCEPTER_ERROR=%s", err_name(e->code), "SCEPTER_REMEDY=%s", e->remedy,
                                      NULL);
        else
                (void)fprintf(stderr, "scepterd: %s%s (%s). %s\n", prefix(level), e->message,
                              err_name(e->code), e->remedy);
}
