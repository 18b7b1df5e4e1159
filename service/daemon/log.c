#include "log.h"

#include <stdio.h>
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
