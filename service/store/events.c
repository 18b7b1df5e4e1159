/*
 * events.jsonl of one certificate: lines that are only added, in a file that stays small. What a crash leaves
 * is at most half a line at the end, which readers pass over and the next line does not continue.
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

enum { KEPT = STORE_EVENTS_MAX / 2 };

/* The last octets of the file, at most @max, from the beginning of a line. */
static enum err read_tail(int fd, off_t size, size_t max, struct bytes *ret, struct error *e)
{
        const off_t from = size > (off_t)max ? size - (off_t)max - 1
                                             : 0; /* the octet before tells whether a line begins */
        CLEANUP(bytes_done) struct bytes read = {malloc((size_t)(size - from) + 1), 0};
        const uint8_t *start = read.data, *newline;

        if (!read.data)
                return error_no_memory(e);
        while (read.len < (size_t)(size - from)) {
                ssize_t n = pread(fd, read.data + read.len, (size_t)(size - from) - read.len,
                                  from + (off_t)read.len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno_error(e, errno, "events.jsonl could not be read");
                if (n == 0)
                        break;
                read.len += (size_t)n;
        }
        read.data[read.len] = 0;
        if (from > 0) {
                newline = memchr(start, '\n', read.len);
                start = newline ? newline + 1 : start + read.len;
        }
        return bytes_copy(ret, start, read.len - (size_t)(start - read.data), e);
}

static enum err open_events(struct store *store, const char *path, int flags, int *ret, off_t *ret_size,
                            struct error *e)
{
        struct stat st;
        int fd = openat(store->fd, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return errno == ENOENT ? error_set(e, ERR_NOT_FOUND, "There is no %s", path)
                                       : errno_error(e, errno, "%s could not be opened", path);
        if (fstat(fd, &st) < 0) {
                enum err r = errno_error(e, errno, "%s could not be examined", path);

                (void)close(fd);
                return r;
        }
        *ret = fd;
        *ret_size = st.st_size;
        return ERR_OK;
}

enum err store_events_trim(struct store *store, const char *id, struct error *e)
{
        CLEANUP(bytes_done) struct bytes kept = {0};
        CLEANUP(close_p) int fd = -1;
        char path[STORE_PATH_MAX];
        off_t size = 0;
        enum err r = store_path(path, STORE_CERTIFICATES, id, "events.jsonl", e);

        if (!r)
                r = open_events(store, path, O_RDONLY, &fd, &size, e);
        if (r == ERR_NOT_FOUND || (!r && size < STORE_EVENTS_MAX - STORE_EVENT_MAX))
                return ERR_OK;
        if (!r)
                r = read_tail(fd, size, KEPT, &kept, e);
        return r ? r : file_write(store->fd, path, 0600, bytes_view(&kept), e);
}

enum err store_event_add(struct store *store, const char *id, const char *line, struct error *e)
{
        CLEANUP(free_p) char *text = NULL;
        CLEANUP(close_p) int fd = -1;
        char path[STORE_PATH_MAX], last = '\n';
        off_t size = 0;
        enum err r = store_path(path, STORE_CERTIFICATES, id, "events.jsonl", e);

        if (!r && strlen(line) >= STORE_EVENT_MAX)
                r = error_set(e, ERR_TOO_LARGE, "An event is longer than %d octets", STORE_EVENT_MAX);
        if (!r)
                r = open_events(store, path, O_RDWR | O_CREAT | O_APPEND, &fd, &size, e);
        if (r)
                return r;
        if (size > 0 && pread(fd, &last, 1, size - 1) < 0)
                return errno_error(e, errno, "%s could not be read", path);
        if (asprintf(&text, "%s%s\n", last == '\n' ? "" : "\n", line) < 0) {
                text = NULL;
                return error_no_memory(e);
        }
        r = write_all(fd, str_view(text), e);
        if (!r)
                return ERR_OK;
        if (ftruncate(fd, size) < 0) /* half a line stays, which readers pass over */
                return error_context(e, r, "%s, which ends in half a line", path);
        return error_context(e, r, "%s", path);
}

enum err store_events_read(struct store *store, const char *id, struct bytes *ret, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        char path[STORE_PATH_MAX];
        off_t size = 0;
        enum err r = store_path(path, STORE_CERTIFICATES, id, "events.jsonl", e);

        if (!r)
                r = open_events(store, path, O_RDONLY, &fd, &size, e);
        return r ? r : read_tail(fd, size, STORE_EVENTS_MAX, ret, e);
}
