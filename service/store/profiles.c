/* Profiles as JSON files. */
#include <string.h>

#include "internal.h"
#include "json.h"

enum { PROFILE_VERSION = 1 };

#define ROW(type, member)                                                                                    \
        {                                                                                                    \
#member, type, offsetof(struct stored_profile, member)                                       \
        }

static const struct json_row rows[] = {
        ROW(JSON_ROW_NUMBER, owner),  ROW(JSON_ROW_BOOL, managed),  ROW(JSON_ROW_PAIRS, settings),
        ROW(JSON_ROW_STRINGS, notes), ROW(JSON_ROW_TEXT, location), ROW(JSON_ROW_TEXT, digest),
};

void stored_profile_done(struct stored_profile *profile)
{
        json_rows_done(rows, N_ELEMENTS(rows), profile);
}

enum err store_profile_write(struct store *store, const char *id, const struct stored_profile *profile,
                             struct error *e)
{
        CLEANUP(free_p) char *json = NULL;
        char path[STORE_PATH_MAX];
        enum err r = json_rows_write(rows, N_ELEMENTS(rows), PROFILE_VERSION, profile, &json, e);

        if (!r)
                r = store_ensure(store, STORE_PROFILES, id, e);
        if (!r)
                r = store_path(path, STORE_PROFILES, id, "profile.json", e);
        return r ? r : file_write(store->fd, path, 0600, str_view(json), e);
}

enum err store_profile_read(struct store *store, const char *id, struct stored_profile *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes json = {0};
        struct stored_profile profile = {0};
        char path[STORE_PATH_MAX];
        enum err r = store_path(path, STORE_PROFILES, id, "profile.json", e);

        if (!r)
                r = file_read(store->fd, path, STORE_FILE_MAX, &json, e);
        if (!r)
                r = json_rows_read(rows, N_ELEMENTS(rows), PROFILE_VERSION, bytes_view(&json), &profile, e);
        if (r) {
                stored_profile_done(&profile);
                return error_context(e, r, "Profile %s", id);
        }
        *ret = profile;
        return ERR_OK;
}
