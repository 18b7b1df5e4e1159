/*
 * The files of events, of several certificates: two octets tell since when and how many lines are wanted,
 * the rest are the files, with a 0 octet between them. How a file gets into memory is replaced.
 */
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "events/past.h"
#include "fuzz.h"

enum { FILES_MAX = 8 };

struct event_log {
        struct view files[FILES_MAX];
        size_t n;
};

enum err event_log_read(struct event_log *log, const char *certificate, struct bytes *ret,
                        uint64_t *ret_serial, struct error *e)
{
        const struct view *file = &log->files[certificate[ID_LEN - 1] - '0'];

        *ret_serial = 1;
        if (!file->len)
                return error_set(e, ERR_NOT_FOUND, "There is none");
        return bytes_copy(ret, file->data, file->len, e);
}

/* As a reader would: no more digits than a time of this age has. */
static uint64_t time_of(const uint8_t *p, const uint8_t *end)
{
        char text[24] = "";
        uint64_t time;
        size_t n = 0;

        if (end - p < 8 || memcmp(p, "{\"time\":", 8) != 0)
                return 0;
        for (p += 8; p < end && *p >= '0' && *p <= '9'; p++)
                if (n < sizeof text - 1 && (n || *p != '0'))
                        text[n++] = (char)*p;
        return parse_u64(text, (UINT64_MAX / 10 - 1) * 10 + 9, &time) ? time : 0;
}

static void check(struct view text, const struct past_wanted *wanted)
{
        const uint8_t *end = text.data + text.len;
        uint64_t last = 0;
        size_t lines = 0;

        for (const uint8_t *p = text.data; p < end; lines++) {
                const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
                uint64_t time;

                fuzz_promise(newline != NULL, "only whole lines are given");
                time = time_of(p, newline);
                fuzz_promise(time >= wanted->since, "no line is too old");
                fuzz_promise(time >= last, "lines are in their order");
                last = time;
                p = newline + 1;
        }
        fuzz_promise(lines <= wanted->limit, "there are no more lines than were asked for");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct event_log log = {.n = 0};
        store_id ids[FILES_MAX];
        struct past_wanted wanted = {.certificates = (const store_id *)ids};
        CLEANUP(bytes_done) struct bytes text = {0};
        CLEANUP(free_p) struct follower_mark *marks = NULL;
        struct error e = {0};
        const uint8_t *p = data + 2, *end = data + size;
        enum err r;

        if (size < 2)
                return 0;
        wanted.since = data[0] < 128 ? 0 : data[0];
        wanted.limit = data[1];
        while (log.n < FILES_MAX && p < end) {
                const uint8_t *nul = memchr(p, 0, (size_t)(end - p));
                const size_t len = (size_t)((nul ? nul : end) - p);

                (void)snprintf(ids[log.n], sizeof ids[0], "%032zu", log.n);
                log.files[log.n++] = (struct view){p, len};
                p += len + 1;
        }
        wanted.n = log.n;
        r = past_read(&log, &wanted, &text, &marks, &e);
        fuzz_whole(r, &e);
        if (!r)
                check(bytes_view(&text), &wanted);
        return 0;
}
