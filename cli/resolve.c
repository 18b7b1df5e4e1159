#include "cli/resolve.h"

#include <string.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "cli/object.h"
#include "cli/value.h"

enum { ID_DIGITS = 32 };

static enum err not_found(const char *kind, const char *word, struct error *e)
{
        enum err r = error_set(e, ERR_NOT_FOUND, "There is no %s '%s'", kind, word);

        if (strcmp(kind, "profile") == 0)
                return error_remedy(e, r, "See which there are: scepter profile list.");
        return error_remedy(e, r, "See which there are: scepter list.");
}

static enum err ambiguous(const json_t *list, const char *kind, const char *word, struct error *e)
{
        CLEANUP(free_p) char *ids = NULL;
        struct text t = TEXT(400);
        enum err r;

        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *object = json_array_get(list, i);

                if (strcmp(value_string(object, "name"), word) == 0)
                        text_addf(&t, "%s%s", t.len ? ", " : "", value_string(object, "id"));
        }
        r = text_finish(&t, &ids, NULL);
        r = error_set(e, ERR_INVALID, "There is more than one %s '%s': %s", kind, word,
                      r ? "too many to list" : ids);
        return error_remedy(e, r, "Name it by its id.");
}

enum err resolve_in(const json_t *list, const char *kind, const char *word, char **ret, struct error *e)
{
        const json_t *found = NULL;
        size_t named = 0;

        for (size_t i = 0; i < json_array_size(list); i++) {
                const json_t *object = json_array_get(list, i);

                if (strcmp(value_string(object, "id"), word) == 0 ||
                    strcmp(value_string(object, "path"), word) == 0) {
                        found = object;
                        named = 1;
                        break;
                }
                if (strcmp(value_string(object, "name"), word) == 0) {
                        found = object;
                        named++;
                }
        }
        if (named == 0)
                return not_found(kind, word, e);
        if (named > 1)
                return ambiguous(list, kind, word, e);
        *ret = strdup(value_string(found, "path"));
        return *ret ? ERR_OK : error_no_memory(e);
}

/* @word is an id or a path, and the object exists. *ret NULL: it is neither, or there is none. */
static enum err try_id(struct cli *cli, const char *base, const char *interface, const char *word, char **ret,
                       struct error *e)
{
        CLEANUP(json_decref_p) json_t *object = NULL;
        CLEANUP(free_p) char *path = NULL;
        enum err r;

        *ret = NULL;
        if (strncmp(word, base, strlen(base)) == 0 && word[strlen(base)] == '/')
                word += strlen(base) + 1;
        if (!is_lower_hex(word, ID_DIGITS))
                return ERR_OK;
        if (asprintf(&path, "%s/%s", base, word) < 0) {
                path = NULL;
                return error_no_memory(e);
        }
        r = object_properties(cli, path, interface, &object, e);
        if (!r)
                *ret = STEAL(path);
        return r == ERR_NOT_FOUND ? ERR_OK : r;
}

enum err resolve_certificate(struct cli *cli, const char *word, char **ret, struct error *e)
{
        CLEANUP(json_decref_p) json_t *list = NULL;
        char *path;
        enum err r = try_id(cli, BUS_PATH_CERTIFICATES, BUS_INTERFACE_CERTIFICATE, word, &path, e);

        if (r)
                return r;
        if (path) {
                *ret = path;
                return ERR_OK;
        }
        r = object_certificates(cli, word, &list, e);
        return r ? r : resolve_in(list, "certificate", word, ret, e);
}

enum err resolve_profile(struct cli *cli, const char *word, char **ret, struct error *e)
{
        CLEANUP(json_decref_p) json_t *list = NULL;
        char *path;
        enum err r = try_id(cli, BUS_PATH_PROFILES, BUS_INTERFACE_PROFILE, word, &path, e);

        if (r)
                return r;
        if (path) {
                *ret = path;
                return ERR_OK;
        }
        r = object_profiles(cli, &list, e);
        return r ? r : resolve_in(list, "profile", word, ret, e);
}
