#include "daemon/ini.h"

#include <ini.h>
#include <string.h>

enum { LINE_MAX_OCTETS = 4096 };

struct reading {
        const char *path;
        const char *left, *end; /* of the text */
        int line;
        enum err (*take)(void *ctx, const struct ini_line *line, struct error *e);
        void *ctx;
        struct error *e;
        enum err result;
};

void ini_prepare(void)
{
        /* Debian's inih exports its compile-time choices; unchanged, it cuts lines at 200 octets and takes "
         * ;" for a comment. Nothing else in this process uses it. */
        ini_max_line = LINE_MAX_OCTETS;
        ini_allow_inline_comments = false;
        ini_allow_multiline = false;
        ini_stop_on_first_error = true;
}

/* fgets(3) for inih, which does not tell its handler the line. */
static char *next_line(char *buffer, int size, void *stream)
{
        struct reading *reading = stream;
        const char *newline = memchr(reading->left, '\n', (size_t)(reading->end - reading->left));
        size_t len = (size_t)((newline ? newline + 1 : reading->end) - reading->left);

        if (len == 0 || reading->result)
                return NULL;
        reading->line++;
        if (len >= (size_t)size) {
                reading->result = error_set(reading->e, ERR_CONFIG, "%s, line %d is longer than %d octets",
                                            reading->path, reading->line, LINE_MAX_OCTETS);
                return NULL;
        }
        memcpy(buffer, reading->left, len);
        buffer[len] = 0;
        reading->left += len;
        return buffer;
}

static int handle(void *ctx, const char *section, const char *key, const char *value)
{
        struct reading *reading = ctx;
        const struct ini_line line = {section, key, value, reading->line};

        reading->result = reading->take(reading->ctx, &line, reading->e);
        return reading->result == ERR_OK;
}

enum err ini_read(const char *path, struct view text,
                  enum err (*take)(void *ctx, const struct ini_line *line, struct error *e), void *ctx,
                  struct error *e)
{
        const char *start = (const char *)text.data;
        struct reading reading = {
                .path = path, .left = start, .end = start + text.len, .take = take, .ctx = ctx, .e = e};
        int line = text.len ? ini_parse_stream(next_line, &reading, handle, &reading) : 0;

        if (reading.result)
                return reading.result;
        if (line)
                return error_set(e, ERR_CONFIG, "%s, line %d is not 'Key=value'", path, line);
        return ERR_OK;
}
