#include "past.h"

#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

enum { PAST_TEXT_MAX = 8 * 1024 * 1024, LINES_MIN = 256 };

/* A line, which begins with its time: {"time":1234,… */
struct line {
        uint64_t time;
        uint64_t order; /* in which they were read */
        struct bytes text;
};

/* At most twice as many as are wanted: then the older ones are dropped. */
struct lines {
        struct line *items;
        size_t n, size, limit;
        uint64_t read;  /* lines */
        uint64_t since; /* what is older is of no interest */
};

static void lines_done(struct lines *lines)
{
        for (size_t i = 0; i < lines->n; i++)
                bytes_done(&lines->items[i].text);
        free(lines->items);
}

static int by_time(const void *a, const void *b)
{
        const struct line *x = a, *y = b;

        if (x->time != y->time)
                return x->time < y->time ? -1 : 1;
        return x->order < y->order ? -1 : x->order > y->order;
}

/* Sorts them; the newest stay. */
static void trim(struct lines *lines)
{
        const size_t drop = lines->n > lines->limit ? lines->n - lines->limit : 0;

        if (lines->n)
                qsort(lines->items, lines->n, sizeof *lines->items, by_time);
        for (size_t i = 0; i < drop; i++)
                bytes_done(&lines->items[i].text);
        if (!drop)
                return;
        memmove(lines->items, lines->items + drop, (lines->n - drop) * sizeof *lines->items);
        lines->n -= drop;
        if (lines->n && lines->items[0].time > lines->since)
                lines->since = lines->items[0].time;
}

static enum err grow(struct lines *lines, struct error *e)
{
        const size_t max = 2 * lines->limit > LINES_MIN ? 2 * lines->limit : LINES_MIN;
        size_t size = lines->size ? 2 * lines->size : LINES_MIN;
        struct line *items;

        if (lines->n == max) {
                trim(lines);
                return ERR_OK;
        }
        if (size > max)
                size = max;
        items = realloc(lines->items, size * sizeof *items);
        if (!items)
                return error_no_memory(e);
        lines->items = items;
        lines->size = size;
        return ERR_OK;
}

static enum err add_line(struct lines *lines, uint64_t time, struct view text, struct error *e)
{
        enum err r = lines->n == lines->size ? grow(lines, e) : ERR_OK;

        if (r)
                return r;
        lines->items[lines->n] = (struct line){.time = time, .order = lines->read};
        r = bytes_copy(&lines->items[lines->n].text, text.data, text.len, e);
        lines->n += r == ERR_OK;
        return r;
}

/* What the line @p begins with, in digits alone: a number library goes on into the next line where there are
 * none. 0: it has no time. */
static uint64_t time_of(const char *p, const char *end)
{
        static const char prefix[] = "{\"time\":";
        uint64_t time = 0;

        if ((size_t)(end - p) < sizeof prefix - 1 || strncmp(p, prefix, sizeof prefix - 1) != 0)
                return 0;
        for (p += sizeof prefix - 1; p < end && *p >= '0' && *p <= '9'; p++) {
                if (time > UINT64_MAX / 10 - 1)
                        return 0;
                time = 10 * time + (uint64_t)(*p - '0');
        }
        return time;
}

static enum err add_file(struct lines *lines, const struct bytes *file, struct error *e)
{
        const char *p = (const char *)file->data, *end = p + file->len, *newline;
        enum err r = ERR_OK;

        /* half a line at the end: the daemon was killed while it wrote */
        for (; !r && p < end && (newline = memchr(p, '\n', (size_t)(end - p))); p = newline + 1) {
                const uint64_t time = time_of(p, newline);

                lines->read++;
                if (time >= lines->since)
                        r = add_line(lines, time,
                                     (struct view){(const uint8_t *)p, (size_t)(newline - p) + 1}, e);
        }
        return r;
}

static enum err join(const struct lines *lines, struct bytes *ret, struct error *e)
{
        struct text text = TEXT(PAST_TEXT_MAX);
        char *all = NULL;
        enum err r;

        for (size_t i = 0; i < lines->n; i++)
                text_add_n(&text, (const char *)lines->items[i].text.data, lines->items[i].text.len);
        r = text_finish(&text, &all, e);
        if (!r)
                *ret = (struct bytes){(uint8_t *)all, strlen(all)};
        return r;
}

static int by_certificate(const void *a, const void *b)
{
        return strcmp(((const struct follower_mark *)a)->certificate,
                      ((const struct follower_mark *)b)->certificate);
}

enum err past_read(struct event_log *log, const struct past_wanted *wanted, struct bytes *ret,
                   struct follower_mark **ret_marks, struct error *e)
{
        CLEANUP(lines_done) struct lines lines = {.limit = wanted->limit, .since = wanted->since};
        struct follower_mark *marks = calloc(wanted->n + 1, sizeof *marks);
        enum err r = marks ? ERR_OK : error_no_memory(e);

        for (size_t i = 0; !r && i < wanted->n; i++) {
                CLEANUP(bytes_done) struct bytes file = {0};

                memcpy(marks[i].certificate, wanted->certificates[i], sizeof marks[i].certificate);
                r = event_log_read(log, marks[i].certificate, &file, &marks[i].serial, e);
                r = r == ERR_NOT_FOUND ? ERR_OK : r ? r : add_file(&lines, &file, e);
        }
        trim(&lines);
        if (!r)
                r = join(&lines, ret, e);
        if (r) {
                free(marks);
                return r;
        }
        qsort(marks, wanted->n, sizeof *marks, by_certificate);
        *ret_marks = marks;
        return ERR_OK;
}
