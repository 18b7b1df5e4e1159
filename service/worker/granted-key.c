#include "granted-key.h"

#include <stdlib.h>
#include <string.h>

#include "channel/stream.h"

enum { ANSWER_MAX = 8192 };

/* The backend's object: one stream, one operation after the other. */
struct grant {
        int fd;
        uint32_t next_id;
};

static enum err grant_sign(void *key, const struct key_sign *how, struct view data, struct bytes *ret,
                           struct error *e)
{
        (void)key, (void)how, (void)data, (void)ret;
        return error_set(e, ERR_KEY_DENIED, "A worker's grant does not cover signing");
}

static enum err grant_decrypt(void *key, const struct key_decrypt *how, struct view data, struct secret *ret,
                              struct error *e)
{
        struct grant *grant = key;
        const struct key_request request = {.decrypt = *how, .data = data};
        CLEANUP(bytes_done) struct bytes body = {0};
        CLEANUP(secret_done) struct secret answer = {0};
        struct view plain;
        enum err r = key_request_encode(FRAME_DECRYPT, &request, &body, e);

        if (!r)
                r = channel_call(grant->fd, FRAME_DECRYPT, grant->next_id++, bytes_view(&body), ANSWER_MAX,
                                 &answer, e);
        if (r)
                return r;
        if (!fields_find(secret_view(&answer), FRAME_TAG_DATA, &plain))
                return error_set(e, ERR_PROTOCOL, "The daemon's answer to a decrypt holds nothing");
        return secret_copy(ret, plain, e);
}

static void grant_close(void *key)
{
        free(key);
}

enum err granted_key_open(int fd, EVP_PKEY *public, struct granted_key *ret, struct error *e)
{
        static const struct ksp_backend backend = {
                .sign = grant_sign, .decrypt = grant_decrypt, .close = grant_close};
        struct granted_key key = {0};
        struct grant *grant;
        enum err r = ksp_provider_load(NULL, &key.provider, e);

        if (r)
                return r;
        grant = malloc(sizeof *grant);
        if (!grant) {
                granted_key_done(&key);
                return error_no_memory(e);
        }
        *grant = (struct grant){fd, 1};
        r = ksp_provider_key(NULL, &backend, grant, public, &key.pkey, e);
        if (r) {
                granted_key_done(&key);
                return r;
        }
        *ret = key;
        return ERR_OK;
}

void granted_key_done(struct granted_key *key)
{
        EVP_PKEY_free(key->pkey);
        if (key->provider.ksp)
                ksp_provider_unload(&key->provider);
        *key = (struct granted_key){0};
}
