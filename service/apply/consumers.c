#include "apply/consumers.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/file.h"
#include "base/ossl.h"
#include "base/parse.h"
#include "daemon/ini.h"
#include "daemon/root-file.h"

static const char suffix[] = ".consumer";

static enum err take(void *ctx, const struct ini_line *line, struct error *e)
{
        struct consumer *consumer = ctx;
        struct error why = {0};
        enum err r = consumer_take(consumer, line->section, line->key, line->value, &why);

        /* The lines behind a wrong one are read too: one of them says whom it concerns. */
        if (r == ERR_OK || r == ERR_NO_MEMORY)
                return r ? error_copy(e, &why) : ERR_OK;
        if (consumer->failure.code == ERR_OK) {
                (void)error_copy(&consumer->failure, &why);
                (void)error_context(&consumer->failure, r, "line %d", line->number);
        }
        return ERR_OK;
}

enum err digest_text(struct view content, char ret[65], struct error *e)
{
        uint8_t digest[32];

        if (EVP_Digest(content.data, content.len, digest, NULL, EVP_sha256(), NULL) != 1)
                return ossl_error(e, ERR_FAILED, "A digest could not be made");
        hex_encode((struct view){digest, sizeof digest}, ret);
        return ERR_OK;
}

static enum err read_file(int dirfd, const char *file, uid_t own, struct consumer *consumer, struct error *e)
{
        CLEANUP(secret_done) struct secret text = {0};
        struct error why = {0};
        enum err r = root_file_read(dirfd, file, own, CONSUMER_FILE_SIZE_MAX, &text, &why);

        if (!r)
                r = digest_text(secret_view(&text), consumer->digest, &why);
        if (!r)
                r = ini_read("its text", secret_view(&text), take, consumer, &why);
        if (!r && consumer->failure.code == ERR_OK)
                r = consumer_check(consumer, &why);
        if (r == ERR_NO_MEMORY)
                return error_copy(e, &why);
        if (r && consumer->failure.code == ERR_OK)
                consumer->failure = why;
        if (consumer->failure.code != ERR_OK)
                (void)error_context(&consumer->failure, consumer->failure.code, "Consumer file %s", file);
        return ERR_OK;
}

static enum err add(int dirfd, const char *file, uid_t own, struct consumers *list, struct error *e)
{
        CLEANUP(free_p) char *name = strndup(file, strlen(file) - strlen(suffix));
        struct consumer *larger = name ? realloc(list->items, (list->count + 1) * sizeof *larger) : NULL;
        enum err r;

        if (!larger)
                return error_no_memory(e);
        list->items = larger;
        r = consumer_init(&list->items[list->count], name, e);
        if (r)
                return r;
        list->count++;
        return read_file(dirfd, file, own, &list->items[list->count - 1], e);
}

/* "wifi.consumer", and nothing an editor leaves behind */
static bool is_consumer_file(const char *file)
{
        const size_t len = strlen(file);

        return *file != '.' && len > strlen(suffix) && strcmp(file + len - strlen(suffix), suffix) == 0;
}

static int by_name(const void *a, const void *b)
{
        return strcmp(((const struct consumer *)a)->name, ((const struct consumer *)b)->name);
}

enum err consumers_read(const char *path, uid_t own, struct consumers *ret, struct error *e)
{
        CLEANUP(consumers_done) struct consumers list = {0};
        CLEANUP(closedir_p) DIR *dir = opendir(path);
        struct dirent *entry;
        enum err r = ERR_OK;

        if (!dir && errno == ENOENT) {
                *ret = list;
                return ERR_OK;
        }
        if (!dir)
                return errno_error(e, errno, "The directory of consumers %s could not be opened", path);
        r = root_file_check(dirfd(dir), own, e);
        if (r)
                return error_context(e, r, "The directory of consumers %s", path);
        while (!(r = dir_next(dir, &entry, e)) && entry) {
                if (!is_consumer_file(entry->d_name))
                        continue;
                if (list.count == CONSUMERS_MAX)
                        return error_set(e, ERR_LIMIT, "%s holds more than %d consumers", path,
                                         CONSUMERS_MAX);
                r = add(dirfd(dir), entry->d_name, own, &list, e);
                if (r)
                        return r;
        }
        if (r)
                return error_context(e, r, "The directory of consumers %s", path);
        if (list.count)
                qsort(list.items, list.count, sizeof *list.items, by_name);
        *ret = list;
        list = (struct consumers){0};
        return ERR_OK;
}

void consumers_done(struct consumers *consumers)
{
        for (size_t i = 0; i < consumers->count; i++)
                consumer_done(&consumers->items[i]);
        free(consumers->items);
        *consumers = (struct consumers){0};
}

bool consumers_follow(const struct consumers *consumers, const char *name)
{
        for (size_t i = 0; i < consumers->count; i++)
                if (consumer_follows(&consumers->items[i], name))
                        return true;
        return false;
}
