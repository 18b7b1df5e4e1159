#include "cli/input.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "bus/names.h"

enum { CHUNK = 16 * 1024 };

static enum err open_input(const char *name, int standard_input, int *ret_fd, struct error *e)
{
        struct stat st;
        int fd;

        if (strcmp(name, "-") == 0) {
                fd = fcntl(standard_input, F_DUPFD_CLOEXEC, 3);
                if (fd < 0)
                        return errno_error(e, errno, "The standard input could not be used");
                *ret_fd = fd;
                return ERR_OK;
        }
        fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0 && errno == ENOENT) {
                enum err r = error_set(e, ERR_NOT_FOUND, "There is no file %s", name);

                return error_remedy(e, r, "Check the path and try again.");
        }
        if (fd < 0)
                return errno_error(e, errno, "%s could not be opened", name);
        if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
                (void)close(fd);
                return error_set(e, ERR_INVALID, "%s is a directory", name);
        }
        *ret_fd = fd;
        return ERR_OK;
}

static enum err read_some(int fd, const char *name, uint8_t *buffer, size_t size, size_t *ret,
                          struct error *e)
{
        ssize_t n;

        do
                n = read(fd, buffer, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno_error(e, errno, "%s could not be read", name);
        *ret = (size_t)n;
        return ERR_OK;
}

/* Documents may hold challenges: the buffer they pass through is wiped. */
static enum err copy_to_memfd(int from, const char *name, size_t max, int to, struct error *e)
{
        uint8_t buffer[CHUNK];
        size_t total = 0, n = 0;
        enum err r;

        do {
                r = read_some(from, name, buffer, sizeof buffer, &n, e);
                total += n;
                if (!r && total > max)
                        r = error_set(e, ERR_TOO_LARGE, "%s holds more than %zu octets", name, max);
                if (!r)
                        r = write_all(to, (struct view){buffer, n}, e);
        } while (!r && n);
        wipe(buffer, sizeof buffer);
        return r;
}

enum err input_document(const char *name, int standard_input, size_t max, int *ret_fd, struct error *e)
{
        CLEANUP(close_p) int from = -1;
        CLEANUP(close_p) int to = -1;
        enum err r = open_input(name, standard_input, &from, e);

        if (r)
                return r;
        to = memfd_create("scepter-document", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (to < 0)
                return errno_error(e, errno, "A memfd could not be made");
        r = copy_to_memfd(from, name, max, to, e);
        if (r)
                return r;
        if (lseek(to, 0, SEEK_SET) < 0 ||
            fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return errno_error(e, errno, "A memfd could not be sealed");
        *ret_fd = steal_fd(&to);
        return ERR_OK;
}

enum err input_challenge(const char *name, int standard_input, int *ret_fd, struct error *e)
{
        CLEANUP(secret_done) struct secret s = {0};
        CLEANUP(close_p) int from = -1;
        size_t len = 0, n = 0;
        enum err r = open_input(name, standard_input, &from, e);

        if (r)
                return r;
        /* Two octets more than a challenge may have: its line end. One more tells that it is too long. */
        r = secret_new(&s, BUS_CHALLENGE_MAX + 3, e);
        if (r)
                return r;
        do {
                r = read_some(from, name, s.data + len, s.len - len, &n, e);
                if (r)
                        return r;
                len += n;
        } while (n && len < s.len);
        if (len && s.data[len - 1] == '\n')
                len--;
        if (len && s.data[len - 1] == '\r')
                len--;
        if (len > BUS_CHALLENGE_MAX)
                return error_set(e, ERR_TOO_LARGE, "The challenge in %s is longer than %d octets", name,
                                 BUS_CHALLENGE_MAX);
        if (len == 0)
                return error_set(e, ERR_INVALID, "There is no challenge in %s", name);
        return memfd_make("scepter-challenge", (struct view){s.data, len}, ret_fd, e);
}

static const char *skip_blanks(const char *s, const char *end)
{
        while (s < end && isblank((unsigned char)*s))
                s++;
        return s;
}

static const char *trim_end(const char *s, const char *end)
{
        while (end > s && isspace((unsigned char)end[-1]))
                end--;
        return end;
}

static bool is_text(const char *s, const char *end, const char *wanted)
{
        return (size_t)(end - s) == strlen(wanted) && memcmp(s, wanted, (size_t)(end - s)) == 0;
}

bool input_names_file(const char *document, const char *key, const char *value)
{
        while (*document) {
                const char *end = document + strcspn(document, "\n");
                const char *equals = memchr(document, '=', (size_t)(end - document));

                if (equals) {
                        const char *k = skip_blanks(document, equals), *v = skip_blanks(equals + 1, end);

                        if (is_text(k, trim_end(k, equals), key) && is_text(v, trim_end(v, end), value))
                                return true;
                }
                document = *end ? end + 1 : end;
        }
        return false;
}

enum err input_named_file(const char *profile, const char *document, const char *key, const char *value,
                          int *ret_fd, struct error *e)
{
        CLEANUP(free_p) char *joined = NULL;
        const char *slash = strrchr(profile, '/'), *path = value;
        enum err r;

        if (!input_names_file(document, key, value)) {
                r = error_set(e, ERR_FILE_REFUSED,
                              "The service asks for '%s', which %s does not name in %s=", value, profile,
                              key);
                return error_remedy(e, r,
                                    "Do not add this profile before you know why; the file was not opened.");
        }
        if (strncmp(path, "file:", 5) == 0)
                path += 5;
        else if (strncmp(path, "socket:", 7) == 0 || strncmp(path, "credential:", 11) == 0)
                return error_set(e, ERR_FILE_REFUSED, "%s=%s is no file", key, value);
        if (*path != '/' && slash) {
                if (asprintf(&joined, "%.*s/%s", (int)(slash - profile), profile, path) < 0) {
                        joined = NULL;
                        return error_no_memory(e);
                }
                path = joined;
        }
        r = input_document(path, /* standard_input= */ -1, BUS_DOCUMENT_MAX, ret_fd, e);
        return r ? error_context(e, r, "%s=%s in %s", key, value, profile) : ERR_OK;
}
