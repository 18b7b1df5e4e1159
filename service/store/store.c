/* Directories, records, generations and the commit. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "internal.h"

static const char *const kind_names[] = {
        [STORE_PROFILES] = "profiles", [STORE_CERTIFICATES] = "certificates"};

enum err store_open(const char *path, struct store **ret, struct error *e)
{
        static const char *const directories[] = {"anchors", "profiles", "certificates", "syncml"};
        struct store *store = malloc(sizeof *store);

        if (!store)
                return error_no_memory(e);
        store->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (store->fd < 0) {
                enum err r = errno_error(e, errno, "The state directory %s could not be opened", path);

                free(store);
                return error_remedy(e, r, "Create it, owned by the user of the service, with mode 0711.");
        }
        for (size_t i = 0; i < N_ELEMENTS(directories); i++) {
                CLEANUP(close_p) int fd = -1;
                enum err r = dir_ensure(store->fd, directories[i], 0711, &fd, e);

                if (r) {
                        store_close(store);
                        return r;
                }
        }
        *ret = store;
        return ERR_OK;
}

void store_close(struct store *store)
{
        if (!store)
                return;
        (void)close(store->fd);
        free(store);
}

enum err store_new_id(store_id ret, struct error *e)
{
        uint8_t random[ID_LEN / 2];

        if (RAND_bytes(random, sizeof random) != 1)
                return ossl_error(e, ERR_FAILED, "There are no random numbers");
        hex_encode((struct view){random, sizeof random}, ret);
        return ERR_OK;
}

void owner_directory(const char *kind, uint64_t owner, char ret[64])
{
        if (owner == NO_OWNER)
                (void)snprintf(ret, 64, "%s/device", kind);
        else
                (void)snprintf(ret, 64, "%s/%llu", kind, (unsigned long long)owner);
}

enum err store_path(char ret[STORE_PATH_MAX], enum store_kind kind, const char *id, const char *name,
                    struct error *e)
{
        int n = snprintf(ret, STORE_PATH_MAX, "%s/%s%s%s", kind_names[kind], id, *name ? "/" : "", name);

        if (!is_lower_hex(id, ID_LEN) || n < 0 || n >= STORE_PATH_MAX)
                return error_set(e, ERR_NOT_FOUND, "There is no object '%s'", id);
        return ERR_OK;
}

enum err store_each(struct store *store, enum store_kind kind,
                    enum err (*each)(void *ctx, const char *id, struct error *e), void *ctx, struct error *e)
{
        int fd = openat(store->fd, kind_names[kind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CLEANUP(closedir_p) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry = NULL;
        enum err r;

        if (!dir) {
                r = errno_error(e, errno, "The directory %s could not be listed", kind_names[kind]);
                close_p(&fd);
                return r;
        }
        do {
                r = dir_next(dir, &entry, e);
                if (!r && entry && is_lower_hex(entry->d_name, ID_LEN))
                        r = each(ctx, entry->d_name, e);
        } while (!r && entry);
        return r;
}

enum err store_remove(struct store *store, enum store_kind kind, const char *id, struct error *e)
{
        char path[STORE_PATH_MAX];
        enum err r = store_path(path, kind, id, "", e);

        return r ? r : tree_remove(store->fd, path, e);
}

enum err store_ensure(struct store *store, enum store_kind kind, const char *id, struct error *e)
{
        char path[STORE_PATH_MAX];
        CLEANUP(close_p) int fd = -1;
        enum err r = store_path(path, kind, id, "", e);

        return r ? r : dir_ensure(store->fd, path, 0711, &fd, e);
}

enum err store_directory(struct store *store, enum store_kind kind, const char *id, int *ret_fd,
                         struct error *e)
{
        char path[STORE_PATH_MAX];
        enum err r = store_path(path, kind, id, "", e);
        int fd;

        if (r)
                return r;
        fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? error_set(e, ERR_NOT_FOUND, "There is no object '%s'", id)
                                       : errno_error(e, errno, "The directory %s could not be opened", path);
        *ret_fd = fd;
        return ERR_OK;
}

enum err store_attestation(struct store *store, int *ret_fd, struct error *e)
{
        return dir_ensure(store->fd, "attestation", 0711, ret_fd, e);
}

enum err store_record_read(struct store *store, const char *id, struct record *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes json = {0};
        char path[STORE_PATH_MAX];
        enum err r = store_path(path, STORE_CERTIFICATES, id, "record.json", e);

        if (!r)
                r = file_read(store->fd, path, RECORD_MAX, &json, e);
        if (!r)
                r = record_from_json(bytes_view(&json), ret, e);
        return r ? error_context(e, r, "Certificate %s", id) : ERR_OK;
}

enum err store_record_write(struct store *store, const char *id, const struct record *record, struct error *e)
{
        CLEANUP(free_p) char *json = NULL;
        char path[STORE_PATH_MAX];
        enum err r = record_to_json(record, &json, e);

        if (!r)
                r = store_ensure(store, STORE_CERTIFICATES, id, e);
        if (!r)
                r = store_path(path, STORE_CERTIFICATES, id, "record.json", e);
        return r ? r : file_write(store->fd, path, 0600, str_view(json), e);
}

enum err store_generation(struct store *store, const char *id, uint64_t n, bool create, int *ret_fd,
                          struct error *e)
{
        char path[STORE_PATH_MAX], name[32];
        CLEANUP(close_p) int parent = -1;
        enum err r;
        int fd;

        (void)snprintf(name, sizeof name, "generations/%llu", (unsigned long long)n);
        if (create) {
                r = store_ensure(store, STORE_CERTIFICATES, id, e);
                if (!r)
                        r = store_path(path, STORE_CERTIFICATES, id, "generations", e);
                if (!r)
                        r = dir_ensure(store->fd, path, 0711, &parent, e);
                if (r)
                        return r;
        }
        r = store_path(path, STORE_CERTIFICATES, id, name, e);
        if (r)
                return r;
        if (create)
                return dir_ensure(store->fd, path, 0711, ret_fd, e);
        fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 && errno == ENOENT)
                return error_set(e, ERR_NOT_FOUND, "The generation %llu does not exist",
                                 (unsigned long long)n);
        if (fd < 0)
                return errno_error(e, errno, "The generation %llu could not be opened",
                                   (unsigned long long)n);
        *ret_fd = fd;
        return ERR_OK;
}

enum err store_commit(struct store *store, const char *id, uint64_t n, struct error *e)
{
        char path[STORE_PATH_MAX], target[64];
        CLEANUP(close_p) int fd = -1;
        enum err r = store_path(path, STORE_CERTIFICATES, id, "", e);

        if (r)
                return r;
        fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno_error(e, errno, "The certificate's directory could not be opened");
        (void)snprintf(target, sizeof target, "generations/%llu", (unsigned long long)n);
        if (unlinkat(fd, "current.new", 0) < 0 && errno != ENOENT)
                return errno_error(e, errno, "An old link could not be removed");
        if (symlinkat(target, fd, "current.new") < 0 || renameat(fd, "current.new", fd, "current") < 0) {
                r = errno_error(e, errno, "The new generation could not be put in place");
                (void)unlinkat(fd, "current.new", 0);
                return r;
        }
        return dir_sync(fd, e);
}

enum err store_current(struct store *store, const char *id, uint64_t *ret, struct error *e)
{
        static const char prefix[] = "generations/";
        char path[STORE_PATH_MAX], target[64];
        ssize_t n;
        enum err r = store_path(path, STORE_CERTIFICATES, id, "current", e);

        if (r)
                return r;
        n = readlinkat(store->fd, path, target, sizeof target - 1);
        if (n < 0 && errno != ENOENT)
                return errno_error(e, errno, "The link 'current' could not be read");
        if (n < 0) {
                *ret = 0;
                return ERR_OK;
        }
        target[n] = 0;
        if (strncmp(target, prefix, sizeof prefix - 1) != 0 ||
            !parse_u64(target + sizeof prefix - 1, UINT32_MAX, ret))
                return error_set(e, ERR_CONFIG, "The link 'current' does not point to a generation");
        return ERR_OK;
}

enum err store_generation_remove(struct store *store, const char *id, uint64_t n, struct error *e)
{
        char path[STORE_PATH_MAX], name[32];
        enum err r;

        (void)snprintf(name, sizeof name, "generations/%llu", (unsigned long long)n);
        r = store_path(path, STORE_CERTIFICATES, id, name, e);
        return r ? r : tree_remove(store->fd, path, e);
}

enum err store_file_write(struct store *store, enum store_kind kind, const char *id, const char *name,
                          mode_t mode, struct view v, struct error *e)
{
        char path[STORE_PATH_MAX];
        enum err r = store_path(path, kind, id, name, e);

        if (!r)
                r = store_ensure(store, kind, id, e);
        return r ? r : file_write(store->fd, path, mode, v, e);
}

enum err store_file_read(struct store *store, enum store_kind kind, const char *id, const char *name,
                         struct secret *ret, struct error *e)
{
        char path[STORE_PATH_MAX];
        enum err r = store_path(path, kind, id, name, e);

        return r ? r : file_read_secret(store->fd, path, STORE_FILE_MAX, ret, e);
}

uint64_t store_file_time(struct store *store, enum store_kind kind, const char *id, const char *name)
{
        char path[STORE_PATH_MAX];
        struct stat st;

        if (store_path(path, kind, id, name, NULL) || fstatat(store->fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        return (uint64_t)st.st_mtim.tv_sec;
}

enum err store_file_remove(struct store *store, enum store_kind kind, const char *id, const char *name,
                           struct error *e)
{
        char path[STORE_PATH_MAX];
        enum err r = store_path(path, kind, id, name, e);

        return r ? r : file_remove(store->fd, path, e);
}
