/* Where a challenge comes from: with the order, with a document, from an earlier attempt, or, for a profile
 * of profiles.d, from the source that it names. Threads of the pool. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/root-file.h"
#include "internal.h"
#include "placed/placed.h"
#include "policy/command.h"

enum err take_challenge(struct enrollment *en, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r;

        if (en->challenge.len)
                return ERR_OK;
        /* What a document left with its profile, then what an earlier attempt kept. */
        r = store_file_read(en->d->store, STORE_PROFILES, en->record.profile, "challenge", &en->challenge, e);
        if (r != ERR_NOT_FOUND)
                return r;
        if (store_generation(en->d->store, en->id, en->generation, false, &fd, NULL) == ERR_OK &&
            file_read_secret(fd, "challenge", COMMAND_CHALLENGE_MAX, &en->challenge, NULL) == ERR_OK)
                return ERR_OK;
        if (en->plan.challenge == CHALLENGE_NONE)
                return ERR_OK;
        (void)error_set(e, ERR_CHALLENGE_NEEDED, "The profile asks for a challenge, and none was given");
        return error_remedy(
                e, ERR_CHALLENGE_NEEDED,
                "Get a fresh challenge from the server's administrator and run 'scepter enroll %s "
                "--challenge-file FILE'.",
                en->record.name);
}

enum err keep_challenge(struct enrollment *en, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r;

        if (!en->challenge.len)
                return ERR_OK;
        r = store_generation(en->d->store, en->id, en->generation, true, &fd, e);
        return r ? r : file_write(fd, "challenge", 0600, secret_view(&en->challenge), e);
}

/* The value of Challenge= in a profile of profiles.d; NULL: no such profile. free() */
static char *source_of(const struct enrollment *en)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        const char *value;

        if (store_profile_read(en->d->store, en->record.profile, &stored, NULL) ||
            !is_placed(stored.location))
                return NULL;
        value = settings_get(&stored.settings, "Server.Challenge");
        return value ? strdup(value) : NULL;
}

bool challenge_comes_by_itself(const struct enrollment *en)
{
        CLEANUP(free_p) char *source = en->plan.challenge > CHALLENGE_ASK ? source_of(en) : NULL;

        return source != NULL;
}

static enum err read_source(struct enrollment *en, const char *directory, const char *name, struct error *e)
{
        CLEANUP(free_p) char *path = NULL;
        struct secret *challenge = &en->challenge;
        enum err r;

        if (asprintf(&path, "%s%s%s", directory, *directory ? "/" : "", name) < 0) {
                path = NULL;
                return error_no_memory(e);
        }
        r = root_file_read(AT_FDCWD, path, en->d->own_uid, COMMAND_CHALLENGE_MAX, challenge, e);
        while (!r && challenge->len &&
               (challenge->data[challenge->len - 1] == '\n' || challenge->data[challenge->len - 1] == '\r'))
                challenge->len--;
        if (!r && !challenge->len)
                r = error_set(e, ERR_FILE_REFUSED, "it is empty");
        return r ? error_context(e, r, "The challenge in %s", path) : ERR_OK;
}

enum err challenge_fetch(struct enrollment *en, struct error *e)
{
        CLEANUP(free_p) char *source = source_of(en);
        const char *colon = source ? strchr(source, ':') : NULL;
        const char *place = colon ? colon + 1 : "";
        const char *credentials = secure_getenv("CREDENTIALS_DIRECTORY");

        if (!colon)
                return error_set(e, ERR_CHALLENGE_NEEDED,
                                 "The profile names no source of challenges any more");
        switch (en->plan.challenge) {
        case CHALLENGE_FILE:
                return read_source(en, *place == '/' ? "" : en->d->config.profiles, place, e);
        case CHALLENGE_CREDENTIAL:
                if (!credentials) {
                        (void)error_set(e, ERR_NOT_FOUND, "The service was given no credential %s", place);
                        return error_remedy(
                                e, ERR_NOT_FOUND,
                                "Add LoadCredentialEncrypted=%s to scepterd.service and restart it.", place);
                }
                return read_source(en, credentials, place, e);
        case CHALLENGE_SOCKET:
                free(en->agent);
                en->agent = strdup(place);
                return en->agent ? error_set(e, ERR_CHALLENGE_NEEDED, "The agent at %s is asked", place)
                                 : error_no_memory(e);
        case CHALLENGE_NONE:
        case CHALLENGE_ASK:
                break;
        }
        return error_set(e, ERR_CHALLENGE_NEEDED, "The profile asks for a challenge, and none was given");
}
