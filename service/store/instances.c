/* What documents made, as one JSON file for each instance, and its challenge beside it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "internal.h"
#include "json.h"

enum { INSTANCE_VERSION = 1, HASH_DIGITS = 64, CHALLENGE_MAX = 16384 };

#define ROW(type, member)                                                                                    \
        {                                                                                                    \
#member, type, offsetof(struct stored_instance, member)                                      \
        }

static const struct json_row rows[] = {
        ROW(JSON_ROW_NUMBER, owner), ROW(JSON_ROW_TEXT, key),     ROW(JSON_ROW_TEXT, name),
        ROW(JSON_ROW_TEXT, profile), ROW(JSON_ROW_TEXT, anchor),  ROW(JSON_ROW_PAIRS, values),
        ROW(JSON_ROW_BOOL, due),     ROW(JSON_ROW_BOOL, leaving), ROW(JSON_ROW_BOOL, awaited),
};

void stored_instance_done(struct stored_instance *instance)
{
        json_rows_done(rows, N_ELEMENTS(rows), instance);
        *instance = (struct stored_instance){0};
}

enum err stored_instance_settle(struct stored_instance *instance, struct error *e)
{
        return json_rows_settle(rows, N_ELEMENTS(rows), instance, e);
}

enum err stored_instance_copy(const struct stored_instance *from, struct stored_instance *ret,
                              struct error *e)
{
        CLEANUP(free_p) char *json = NULL;
        struct stored_instance copy = {0};
        enum err r = json_rows_write(rows, N_ELEMENTS(rows), INSTANCE_VERSION, from, &json, e);

        if (!r)
                r = json_rows_read(rows, N_ELEMENTS(rows), INSTANCE_VERSION, str_view(json), &copy, e);
        if (r)
                stored_instance_done(&copy);
        else
                *ret = copy;
        return r;
}

static enum err instance_path(const struct stored_instance *instance, const char *suffix,
                              char ret[STORE_PATH_MAX], struct error *e)
{
        char directory[64], name[HASH_DIGITS + 1];
        uint8_t digest[32];

        if (EVP_Digest(instance->key, strlen(instance->key), digest, NULL, EVP_sha256(), NULL) != 1)
                return ossl_error(e, ERR_FAILED, "A location could not be hashed");
        hex_encode((struct view){digest, sizeof digest}, name);
        owner_directory("syncml", instance->owner, directory);
        (void)snprintf(ret, STORE_PATH_MAX, "%s/%s%s", directory, name, suffix);
        return ERR_OK;
}

enum err store_instance_write(struct store *store, const struct stored_instance *instance, struct error *e)
{
        CLEANUP(free_p) char *json = NULL;
        CLEANUP(close_p) int fd = -1;
        char path[STORE_PATH_MAX], directory[64];
        enum err r = instance_path(instance, "", path, e);

        owner_directory("syncml", instance->owner, directory);
        if (!r)
                r = json_rows_write(rows, N_ELEMENTS(rows), INSTANCE_VERSION, instance, &json, e);
        if (!r)
                r = dir_ensure(store->fd, directory, 0711, &fd, e);
        return r ? r : file_write(store->fd, path, 0600, str_view(json), e);
}

enum err store_instance_remove(struct store *store, const struct stored_instance *instance, struct error *e)
{
        char path[STORE_PATH_MAX];
        enum err r = store_instance_challenge(store, instance, (struct view){0}, e);

        if (!r)
                r = instance_path(instance, "", path, e);
        return r ? r : file_remove(store->fd, path, e);
}

enum err store_instance_challenge(struct store *store, const struct stored_instance *instance,
                                  struct view challenge, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        char path[STORE_PATH_MAX], directory[64];
        enum err r = instance_path(instance, ".challenge", path, e);

        if (r || !challenge.len)
                return r ? r : file_remove(store->fd, path, e);
        owner_directory("syncml", instance->owner, directory);
        r = dir_ensure(store->fd, directory, 0711, &fd, e);
        return r ? r : file_write(store->fd, path, 0600, challenge, e);
}

enum err store_instance_challenge_read(struct store *store, const struct stored_instance *instance,
                                       struct secret *ret, struct error *e)
{
        char path[STORE_PATH_MAX];
        enum err r = instance_path(instance, ".challenge", path, e);

        return r ? r : file_read_secret(store->fd, path, CHALLENGE_MAX, ret, e);
}

static enum err read_instance(int dirfd, const char *name, struct stored_instance *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes json = {0};
        enum err r = file_read(dirfd, name, STORE_FILE_MAX, &json, e);

        if (!r)
                r = json_rows_read(rows, N_ELEMENTS(rows), INSTANCE_VERSION, bytes_view(&json), ret, e);
        if (r)
                stored_instance_done(ret);
        return r;
}

/* The file is what cannot be read; anything else is of the machine, and passes. */
static bool is_damage(enum err r)
{
        return r == ERR_CONFIG || r == ERR_TOO_LARGE || r == ERR_NOT_FOUND;
}

static enum err each_of_owner(int parent, const char *owner,
                              enum err (*each)(void *ctx, struct stored_instance *instance, struct error *e),
                              void *ctx, struct error *e)
{
        int fd = openat(parent, owner, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        CLEANUP(closedir_p) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry = NULL;
        enum err r;

        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) /* nothing of ours */
                return ERR_OK;
        if (!dir) {
                r = errno_error(e, errno, "The directory syncml/%s could not be listed", owner);
                close_p(&fd);
                return r;
        }
        do {
                struct stored_instance instance = {0};

                r = dir_next(dir, &entry, e);
                if (r || !entry || !is_lower_hex(entry->d_name, HASH_DIGITS))
                        continue;
                r = read_instance(dirfd(dir), entry->d_name, &instance, e);
                if (!r)
                        r = each(ctx, &instance, e);
                else if (is_damage(r))
                        r = ERR_OK;
        } while (!r && entry);
        return r;
}

enum err store_instances_each(struct store *store,
                              enum err (*each)(void *ctx, struct stored_instance *instance, struct error *e),
                              void *ctx, struct error *e)
{
        int fd = openat(store->fd, "syncml", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CLEANUP(closedir_p) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry = NULL;
        enum err r;

        if (!dir) {
                r = errno_error(e, errno, "The directory syncml could not be listed");
                close_p(&fd);
                return r;
        }
        do {
                r = dir_next(dir, &entry, e);
                if (!r && entry && entry->d_name[0] != '.')
                        r = each_of_owner(dirfd(dir), entry->d_name, each, ctx, e);
        } while (!r && entry);
        return r;
}
