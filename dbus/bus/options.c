/* Option dictionaries against their tables. */
#include "bus/options.h"

#include <assert.h>
#include <string.h>

#include "base/parse.h"

int bus_files_find(const struct bus_files *files, const char *value)
{
        for (size_t i = 0; i < files->n; i++)
                if (strcmp(files->file[i].value, value) == 0)
                        return files->file[i].fd;
        return -1;
}

void bus_files_done(struct bus_files *files)
{
        for (size_t i = 0; i < files->n; i++)
                close_p(&files->file[i].fd);
        files->n = 0;
}

static enum err read_one_file(struct bus_reader *r, struct bus_files *files, struct error *e)
{
        const char *value;
        int fd;
        enum err err = bus_read_string(r, "files", &value, e);

        if (err)
                return err;
        if (bus_files_find(files, value) >= 0)
                return error_set(e, ERR_INVALID, "Option 'files' holds '%s' twice", value);
        if (files->n == N_ELEMENTS(files->file))
                return error_set(e, ERR_TOO_LARGE, "Option 'files' holds more than %d files", BUS_FILES_MAX);
        err = bus_read_fd(r, "files", &fd, e);
        if (err)
                return err;
        files->file[files->n].value = value;
        files->file[files->n++].fd = fd;
        return ERR_OK;
}

static enum err read_files(struct bus_reader *r, struct bus_files *files, struct error *e)
{
        enum err err = bus_read_enter(r, "files", e);

        while (!err && bus_read_more(r)) {
                err = bus_read_enter(r, "files", e);
                if (err)
                        return err;
                err = read_one_file(r, files, e);
                bus_read_leave(r);
        }
        if (err)
                return err;
        bus_read_leave(r);
        return ERR_OK;
}

static enum err read_value(struct bus_reader *r, const struct bus_option *option, struct error *e)
{
        static const char *const signature[_BUS_KIND_MAX] = {
                [BUS_KIND_STRING] = "s",    [BUS_KIND_PATH] = "o", [BUS_KIND_BOOL] = "b",
                [BUS_KIND_U32] = "u",       [BUS_KIND_U64] = "t",  [BUS_KIND_FD] = "h",
                [BUS_KIND_FILES] = "a{sh}",
        };

        if (!bus_read_is(r, signature[option->kind]))
                return error_set(e, ERR_INVALID, "Option '%s' is not of type %s", option->key,
                                 signature[option->kind]);
        switch (option->kind) {
        case BUS_KIND_STRING:
                return bus_read_string(r, option->key, option->value, e);
        case BUS_KIND_PATH:
                return bus_read_path(r, option->key, option->value, e);
        case BUS_KIND_BOOL:
                return bus_read_bool(r, option->key, option->value, e);
        case BUS_KIND_U32:
                return bus_read_u32(r, option->key, option->value, e);
        case BUS_KIND_U64:
                return bus_read_u64(r, option->key, option->value, e);
        case BUS_KIND_FD:
                assert(*(int *)option->value == -1);
                return bus_read_fd(r, option->key, option->value, e);
        case BUS_KIND_FILES:
                return read_files(r, option->value, e);
        case _BUS_KIND_MAX:
                break;
        }
        assert(false);
        return ERR_FAILED;
}

static enum err read_option(struct bus_reader *r, const struct bus_option *options, size_t n, uint32_t *seen,
                            struct error *e)
{
        const char *key;
        size_t i = 0;
        enum err err = bus_read_string(r, "options", &key, e);

        if (err)
                return err;
        while (i < n && strcmp(options[i].key, key) != 0)
                i++;
        if (i == n) {
                char name[64];

                /* Cut, so that a long key does not hide the rest of the sentence. */
                (void)snprintf(name, sizeof name, "%s", key);
                utf8_scrub(name, sizeof name);
                return error_set(e, ERR_UNKNOWN_OPTION, "Option '%s' is not known to this method", name);
        }
        if (*seen & UINT32_C(1) << i)
                return error_set(e, ERR_INVALID, "Option '%s' is given twice", key);
        *seen |= UINT32_C(1) << i;
        err = bus_read_enter(r, key, e);
        if (err)
                return err;
        err = read_value(r, &options[i], e);
        if (err)
                return err;
        bus_read_leave(r);
        return ERR_OK;
}

enum err bus_options_read(struct bus_reader *r, const struct bus_option *options, size_t n, struct error *e)
{
        uint32_t seen = 0;
        enum err err;

        assert(n <= 32);
        if (!bus_read_is(r, "a{sv}"))
                return error_set(e, ERR_INVALID, "'options' is not a dictionary (a{sv})");
        err = bus_read_enter(r, "options", e);
        while (!err && bus_read_more(r)) {
                err = bus_read_enter(r, "options", e);
                if (!err)
                        err = read_option(r, options, n, &seen, e);
                if (!err)
                        bus_read_leave(r);
        }
        if (err)
                return err;
        bus_read_leave(r);
        return ERR_OK;
}
