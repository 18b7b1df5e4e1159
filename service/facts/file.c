/* The facts file: what a management agent or root has written down for this machine, scepter.conf(5). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "daemon/ini.h"
#include "internal.h"

enum { FACTS_FILE_MAX = 64 * 1024 };

void facts_file_done(struct facts_file *file)
{
        settings_done(&file->values);
        strings_done(&file->unknown);
}

static enum err take(void *ctx, const struct ini_line *line, struct error *e)
{
        struct facts_file *file = ctx;
        char text[128];

        if (*line->section)
                return error_set(e, ERR_CONFIG, "line %d: the file has no sections", line->number);
        if (facts_file_knows(line->key))
                return settings_add(&file->values, line->key, line->value, (unsigned)line->number, e);
        (void)snprintf(text, sizeof text, "line %d: unknown key '%.64s'", line->number, line->key);
        line_scrub(text, sizeof text);
        /* so many are told; the rest is ignored too */
        return file->unknown.count < STRINGS_MAX ? strings_add(&file->unknown, text, e) : ERR_OK;
}

/* Who could write it could give this machine another's name. */
static enum err check_owner(const struct stat *st, uid_t own, struct error *e)
{
        if (!S_ISREG(st->st_mode))
                return error_set(e, ERR_FILE_REFUSED, "it is no regular file");
        if (st->st_uid != 0 && st->st_uid != own)
                return error_set(e, ERR_FILE_REFUSED, "it belongs to the uid %lu, not to root",
                                 (unsigned long)st->st_uid);
        if (st->st_mode & (S_IWGRP | S_IWOTH))
                return error_set(e, ERR_FILE_REFUSED, "its mode %04o lets others than its owner write it",
                                 (unsigned)(st->st_mode & 07777));
        if (st->st_size > FACTS_FILE_MAX)
                return error_set(e, ERR_FILE_REFUSED, "it is larger than %d octets", FACTS_FILE_MAX);
        return ERR_OK;
}

static enum err read_file(const char *path, uid_t own, struct facts_file *ret, struct error *e)
{
        CLEANUP(close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
        CLEANUP(free_p) uint8_t *text = NULL;
        struct error wrong = {0};
        size_t len = 0;
        struct stat st;
        ssize_t n = 0;
        enum err r;

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
                ret->missing = true;
                return error_set(e, ERR_NOT_FOUND, "it does not exist");
        }
        if (fd < 0 || fstat(fd, &st) < 0) {
                (void)error_set(e, ERR_FILE_REFUSED, "it could not be opened: %s",
                                errno == ELOOP ? "it is a symbolic link" : strerror(errno));
                if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
                        ret->edited = st.st_ctim;
                return ERR_FILE_REFUSED;
        }
        ret->edited = st.st_ctim;
        r = check_owner(&st, own, e);
        if (r)
                return r;
        text = malloc(FACTS_FILE_MAX + 1);
        if (!text)
                return error_no_memory(e);
        while (len <= FACTS_FILE_MAX && (n = read(fd, text + len, FACTS_FILE_MAX + 1 - len)) > 0)
                len += (size_t)n;
        if (n < 0)
                return errno_error(e, errno, "it could not be read");
        if (len > FACTS_FILE_MAX)
                return error_set(e, ERR_FILE_REFUSED, "it is larger than %d octets", FACTS_FILE_MAX);
        r = ini_read("its text", (struct view){text, len}, take, ret, &wrong);
        if (r == ERR_CONFIG || r == ERR_PROFILE || r == ERR_TOO_LARGE)
                return error_set(e, ERR_FILE_REFUSED, "%s", wrong.message);
        return r ? error_copy(e, &wrong) : ERR_OK;
}

void facts_file_read(const char *path, uid_t own, struct facts_file *ret)
{
        *ret = (struct facts_file){.result = ERR_OK};
        ret->result = read_file(path, own, ret, &ret->why);
}

enum err look_facts_file(struct place *place, const char *key, char **ret, struct error *e)
{
        const char *value;

        if (!place->file) {
                place->file = malloc(sizeof *place->file);
                if (!place->file)
                        return error_no_memory(e);
                facts_file_read(place->facts_path, place->own, place->file);
        }
        if (place->file->result) {
                (void)error_copy(e, &place->file->why);
                return place->file->result;
        }
        value = settings_get(&place->file->values, key);
        if (!value)
                return error_set(e, ERR_NOT_FOUND, "it has no line %s=", key);
        *ret = strdup(value);
        return *ret ? ERR_OK : error_no_memory(e);
}
