#include "cli/output.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "cli/table.h"
#include "cli/time.h"
#include "cli/value.h"

enum { CHUNK = 16 * 1024, LINE_MAX_OCTETS = 1024 * 1024 };

enum err output_json(struct cli *cli, json_t *value, struct error *e)
{
        CLEANUP(json_decref_p) json_t *owned = value;

        if (!value)
                return error_no_memory(e);
        if (json_dumpf(value, cli->out, JSON_COMPACT | JSON_ENSURE_ASCII) < 0 || fputc('\n', cli->out) == EOF)
                return error_set(e, ERR_IO, "The output could not be written");
        return ERR_OK;
}

void output_line(FILE *out, const char *fmt, ...)
{
        CLEANUP(free_p) char *text = NULL, *printable = NULL;
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vasprintf(&text, fmt, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                return;
        }
        printable = text_printable(text);
        if (printable)
                fprintf(out, "%s\n", printable);
}

void output_error(struct cli *cli, const struct error *e)
{
        if (cli->json) {
                CLEANUP(json_decref_p)
                json_t *error = json_pack("{s:{s:s,s:s,s:s}}", "error", "name", err_name(e->code), "message",
                                          e->message, "remedy", e->remedy);

                if (error && json_dumpf(error, cli->out, JSON_COMPACT | JSON_ENSURE_ASCII) == 0)
                        fputc('\n', cli->out);
                return;
        }
        output_line(cli->err, "scepter: %s", e->message);
        output_line(cli->err, "  %s", e->remedy);
}

enum err output_fd_read(int fd, size_t max, char **ret, struct error *e)
{
        CLEANUP(text_done) struct text t = TEXT(max);
        char buffer[CHUNK];
        off_t at = 0;

        for (;;) {
                ssize_t n = pread(fd, buffer, sizeof buffer, at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_error(e, errno, "The answer of the service could not be read");
                if (n == 0)
                        return text_finish(&t, ret, e);
                text_add_n(&t, buffer, (size_t)n);
                if (t.failed)
                        return text_finish(&t, ret, e);
                at += n;
        }
}

static enum err field_text(const json_t *value, char kind, char **ret, struct error *e)
{
        char absolute[TIME_TEXT], relative[TIME_TEXT];
        uint64_t t = json_is_integer(value) && json_integer_value(value) > 0
                             ? (uint64_t)json_integer_value(value)
                             : 0;

        if (kind != 't' && kind != 'd')
                return value_text(value, ret, e);
        if (t == 0)
                return value_text(NULL, ret, e);
        if (kind == 'd') {
                duration_text(t, absolute);
                *ret = strdup(absolute);
        } else {
                time_text(t, absolute);
                time_relative_text(t, (uint64_t)time(NULL), relative);
                if (asprintf(ret, "%s (%s)", absolute, relative) < 0)
                        *ret = NULL;
        }
        return *ret ? ERR_OK : error_no_memory(e);
}

/* One row for each element, the label on the first. */
static enum err add_list(struct table *t, const char *label, const json_t *list, struct error *e)
{
        for (size_t i = 0; i < json_array_size(list); i++) {
                CLEANUP(free_p) char *text = NULL;
                enum err r = value_text(json_array_get(list, i), &text, e);

                if (r)
                        return r;
                table_add(t, i ? " " : label, COLOR_NONE);
                table_add(t, text, COLOR_NONE);
        }
        return ERR_OK;
}

enum err output_fields(struct cli *cli, const json_t *object, const struct output_field *fields, size_t n,
                       struct error *e)
{
        CLEANUP(table_done) struct table t;

        table_init_plain(&t, 2);
        for (size_t i = 0; i < n; i++) {
                const json_t *value = json_object_get(object, fields[i].key);
                CLEANUP(free_p) char *text = NULL;
                enum err r;

                if (fields[i].kind == 'l') {
                        r = add_list(&t, fields[i].label, value, e);
                        if (r)
                                return r;
                        continue;
                }
                r = field_text(value, fields[i].kind, &text, e);
                if (r)
                        return r;
                if (!*text)
                        continue;
                table_add(&t, fields[i].label, COLOR_NONE);
                table_add(&t, text, color_of_state(text));
        }
        return table_print(&t, cli->out, cli->color, e);
}
