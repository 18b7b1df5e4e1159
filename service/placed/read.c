#include "placed/read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "daemon/root-file.h"
#include "keys/groups.h"
#include "policy/profile.h"

static const char suffix[] = ".profile";

void placed_files_done(struct placed_files *files)
{
        for (size_t i = 0; i < files->count; i++) {
                free(files->items[i].name);
                secret_done(&files->items[i].text);
        }
        free(files->items);
        *files = (struct placed_files){0};
}

/* "wifi.profile", and nothing an editor leaves behind */
static bool is_profile_file(const char *file)
{
        const size_t len = strlen(file);

        return *file != '.' && len > strlen(suffix) && len <= PLACED_NAME_MAX &&
               strcmp(file + len - strlen(suffix), suffix) == 0;
}

static enum err add(int dirfd, const char *name, uid_t own, struct placed_files *files, struct error *e)
{
        struct placed_file *larger = realloc(files->items, (files->count + 1) * sizeof *larger);
        struct placed_file *file;

        if (!larger)
                return error_no_memory(e);
        files->items = larger;
        file = &larger[files->count];
        *file = (struct placed_file){.name = strdup(name)};
        files->count++;
        if (!file->name)
                return error_no_memory(e);
        if (root_file_read(dirfd, name, own, PLACED_SIZE_MAX, &file->text, &file->failure))
                (void)error_context(&file->failure, file->failure.code, "Profile file %s", name);
        return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct placed_file *)a)->name, ((const struct placed_file *)b)->name);
}

enum err placed_read(const char *path, uid_t own, struct placed_files *ret, struct error *e)
{
        CLEANUP(placed_files_done) struct placed_files files = {0};
        CLEANUP(closedir_p) DIR *dir = opendir(path);
        struct dirent *entry;
        enum err r = ERR_OK;

        if (!dir && errno == ENOENT) {
                ret->missing = true;
                return ERR_OK;
        }
        if (!dir)
                return errno_error(e, errno, "The directory of profiles %s could not be opened", path);
        r = root_file_check(dirfd(dir), own, e);
        if (r)
                return error_context(e, r, "The directory of profiles %s", path);
        while (!(r = dir_next(dir, &entry, e)) && entry) {
                if (!is_profile_file(entry->d_name))
                        continue;
                if (files.count == PLACED_MAX)
                        return error_set(e, ERR_LIMIT, "%s holds more than %d profiles", path, PLACED_MAX);
                r = add(dirfd(dir), entry->d_name, own, &files, e);
                if (r)
                        return r;
        }
        if (r)
                return error_context(e, r, "The directory of profiles %s", path);
        if (files.count)
                qsort(files.items, files.count, sizeof *files.items, by_name);
        *ret = files;
        files = (struct placed_files){0};
        return ERR_OK;
}

/* An absolute path as it is; any other one lies beside the profile. */
static enum err path_of(const char *directory, const char *value, char **ret, struct error *e)
{
        if (asprintf(ret, "%s%s%s", *value == '/' ? "" : directory, *value == '/' ? "" : "/", value) < 0) {
                *ret = NULL;
                return error_no_memory(e);
        }
        return ERR_OK;
}

static enum err take(const struct setting *named, const char *directory, uid_t own, struct ksp *ksp,
                     EVP_MD_CTX *digest, struct named_files *ret, struct error *e)
{
        CLEANUP(secret_done) struct secret content = {0};
        CLEANUP(free_p) char *path = NULL;
        const char *dot = strchr(named->key, '.');
        enum err r = path_of(directory, named->value, &path, e);

        if (!r)
                r = root_file_read(AT_FDCWD, path, own, NAMED_FILE_MAX, &content, e);
        if (r)
                return error_context(e, r, "%s=%s", dot ? dot + 1 : named->key, named->value);
        if (EVP_DigestUpdate(digest, &content.len, sizeof content.len) != 1 ||
            EVP_DigestUpdate(digest, content.data, content.len) != 1)
                return ossl_error(e, ERR_FAILED, "A file could not be hashed");
        return named_files_take(ret, ksp, named, secret_view(&content), e);
}

enum err placed_named(const struct settings *settings, const char *directory, uid_t own, struct view text,
                      struct ksp *ksp, struct named_files *ret, char ret_digest[65], struct error *e)
{
        CLEANUP(profile_done) struct profile profile = {0};
        CLEANUP(settings_done) struct settings named = {0};
        CLEANUP(named_files_done) struct named_files files = {0};
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *digest = EVP_MD_CTX_new();
        uint8_t octets[32];
        /* Whether there is an anchor shows when the files are there. */
        enum err r = profile_from_settings(settings, true, &profile, e);

        if (!r)
                r = profile_file_values(&profile, &named, e);
        if (!r)
                r = key_groups_check(&profile.groups, e);
        if (!r && (!digest || EVP_DigestInit_ex2(digest, EVP_sha256(), NULL) != 1 ||
                   EVP_DigestUpdate(digest, text.data, text.len) != 1))
                r = ossl_error(e, ERR_FAILED, "A profile could not be hashed");
        for (size_t i = 0; !r && i < named.count; i++)
                if (strcmp(named.items[i].key, "Server.Challenge") != 0)
                        r = take(&named.items[i], directory, own, ksp, digest, &files, e);
        if (!r && EVP_DigestFinal_ex(digest, octets, NULL) != 1)
                r = ossl_error(e, ERR_FAILED, "A profile could not be hashed");
        if (r)
                return r;
        hex_encode((struct view){octets, sizeof octets}, ret_digest);
        *ret = files;
        files = (struct named_files){0};
        return ERR_OK;
}
