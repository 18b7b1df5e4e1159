/* The error table and the few functions that fill struct error. Logs nothing: that is for where the error
 * stops. */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

static const struct {
        const char *name;
        int exit_status;
        const char *remedy;
} errors[_ERR_MAX] = {[ERR_OK] = {"Ok", 0, ""},
#define X(code, name, exit, remedy) [code] = {name, exit, remedy},
                      ERR_TABLE(X)
#undef X
};

const char *err_name(enum err code)
{
        assert(code >= 0 && code < _ERR_MAX);
        return errors[code].name;
}

const char *err_default_remedy(enum err code)
{
        assert(code >= 0 && code < _ERR_MAX);
        return errors[code].remedy;
}

int err_exit_status(enum err code)
{
        assert(code >= 0 && code < _ERR_MAX);
        return errors[code].exit_status;
}

enum err err_from_name(const char *name)
{
        static const char prefix[] = "org.scepter1.Error.";

        if (strncmp(name, prefix, sizeof prefix - 1) == 0)
                name += sizeof prefix - 1;
        for (int i = 0; i < _ERR_MAX; i++)
                if (strcmp(errors[i].name, name) == 0)
                        return (enum err)i;
        return ERR_FAILED;
}

/* What came from outside may stand in a message: it must not be able to break UTF-8, lines or terminals. */
static void settle(char *text, size_t size)
{
        utf8_scrub(text, size);
        for (char *p = text; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        *p = ' ';
}

enum err error_set(struct error *e, enum err code, const char *fmt, ...)
{
        va_list ap;

        assert(code > ERR_OK && code < _ERR_MAX);
        if (!e)
                return code;
        e->code = code;
        va_start(ap, fmt);
        (void)vsnprintf(e->message, sizeof e->message, fmt, ap);
        va_end(ap);
        settle(e->message, sizeof e->message);
        (void)snprintf(e->remedy, sizeof e->remedy, "%s", errors[code].remedy);
        return code;
}

enum err error_remedy(struct error *e, enum err code, const char *fmt, ...)
{
        va_list ap;

        if (!e)
                return code;
        va_start(ap, fmt);
        (void)vsnprintf(e->remedy, sizeof e->remedy, fmt, ap);
        va_end(ap);
        settle(e->remedy, sizeof e->remedy);
        return code;
}

enum err error_context(struct error *e, enum err code, const char *fmt, ...)
{
        char text[ERROR_MESSAGE_MAX];
        va_list ap;
        int n;

        if (!e)
                return code;
        va_start(ap, fmt);
        n = vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        if (n < 0 || (size_t)n + 3 >= sizeof text)
                return code;
        (void)snprintf(text + n, sizeof text - (size_t)n, ": %s", e->message);
        memcpy(e->message, text, sizeof text);
        settle(e->message, sizeof e->message);
        return code;
}

enum err errno_error(struct error *e, int errnum, const char *fmt, ...)
{
        enum err code = ERR_IO;
        char text[ERROR_MESSAGE_MAX / 2], reason[128];
        va_list ap;

        if (errnum == ENOSPC || errnum == EDQUOT)
                code = ERR_DISK_FULL;
        else if (errnum == ENOMEM)
                code = ERR_NO_MEMORY;
        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        return error_set(e, code, "%s: %s", text, strerror_r(errnum, reason, sizeof reason));
}

enum err error_no_memory(struct error *e)
{
        return error_set(e, ERR_NO_MEMORY, "There is not enough memory");
}

enum err error_copy(struct error *e, const struct error *from)
{
        assert(from->code > ERR_OK && from->code < _ERR_MAX);
        if (e && e != from)
                *e = *from;
        return from->code;
}
