#include "granted-key.h"

#include <stdlib.h>
#include <string.h>

#include "channel/stream.h"
#include "channel/tls13.h"

enum { ANSWER_MAX = 8192 };

/* The backend's object. One stream for both keys: one operation after the other. */
struct grant {
        int fd;
        uint32_t next_id;
        struct error *failure; /* where the client's is left; NULL: the recipient's key */
};

static enum err grant_sign(void *key, const struct key_sign *how, struct view data, struct bytes *ret,
                           struct error *e)
{
        (void)key, (void)how, (void)data, (void)ret;
        return error_set(e, ERR_KEY_DENIED, "A worker's grant does not cover signing");
}

static enum err refuse_decrypt(void *key, const struct key_decrypt *how, struct view data, struct secret *ret,
                               struct error *e)
{
        (void)key, (void)how, (void)data, (void)ret;
        return error_set(e, ERR_KEY_DENIED, "A client certificate's key does not decrypt");
}

/* *ret: the answer's data, borrowed from *ret_answer. */
static enum err ask(struct grant *grant, enum frame_type type, const struct key_request *request,
                    struct secret *ret_answer, struct view *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes body = {0};
        enum err r = key_request_encode(type, request, &body, e);

        if (!r)
                r = channel_call(grant->fd, type, grant->next_id++, bytes_view(&body), ANSWER_MAX, ret_answer,
                                 e);
        if (!r && !fields_find(secret_view(ret_answer), FRAME_TAG_DATA, ret))
                r = error_set(e, ERR_PROTOCOL, "The daemon's answer to a private operation holds nothing");
        return r;
}

static enum err grant_decrypt(void *key, const struct key_decrypt *how, struct view data, struct secret *ret,
                              struct error *e)
{
        const struct key_request request = {.decrypt = *how, .data = data};
        CLEANUP(secret_done) struct secret answer = {0};
        struct view plain;
        enum err r = ask(key, FRAME_DECRYPT, &request, &answer, &plain, e);

        return r ? r : secret_copy(ret, plain, e);
}

static enum err grant_derive(void *key, struct view point, struct secret *ret, struct error *e)
{
        const struct key_request request = {.data = point};
        CLEANUP(secret_done) struct secret answer = {0};
        struct view shared;
        enum err r = ask(key, FRAME_DERIVE, &request, &answer, &shared, e);

        return r ? r : secret_copy(ret, shared, e);
}

enum err granted_unwrap(int fd, const struct key_unwrap *how, struct view wrapped, struct secret *ret,
                        struct error *e)
{
        struct grant grant = {.fd = fd, .next_id = 1};
        const struct key_request request = {.unwrap = *how, .data = wrapped};
        CLEANUP(secret_done) struct secret answer = {0};
        struct view plain;
        enum err r = ask(&grant, FRAME_UNWRAP, &request, &answer, &plain, e);

        return r ? r : secret_copy(ret, plain, e);
}

static enum err sign_verify(struct grant *grant, const struct key_sign *how, struct view message,
                            struct bytes *ret, struct error *e)
{
        CLEANUP(secret_done) struct secret answer = {0};
        struct key_request request = {0};
        struct view signature;
        enum err r;

        if (!tls13_scheme_of(how, &request.tls_scheme) || !tls13_input_transcript(message, &request.data))
                return error_set(e, ERR_KEY_DENIED,
                                 "A client certificate's key signs the CertificateVerify of TLS 1.3 alone");
        r = ask(grant, FRAME_TLS_SIGN, &request, &answer, &signature, e);
        return r ? r : bytes_copy(ret, signature.data, signature.len, e);
}

static enum err grant_sign_message(void *key, const struct key_sign *how, struct view message,
                                   struct bytes *ret, struct error *e)
{
        struct grant *grant = key;
        enum err r = sign_verify(grant, how, message, ret, e);

        /* OpenSSL tells libcurl only that it failed. */
        *grant->failure = (struct error){0};
        return r ? error_copy(grant->failure, e) : ERR_OK;
}

static void grant_close(void *key)
{
        free(key);
}

static const struct ksp_backend recipient_backend = {
        .sign = grant_sign, .decrypt = grant_decrypt, .derive = grant_derive, .close = grant_close};
static const struct ksp_backend client_backend = {.sign = grant_sign,
                                                  .decrypt = refuse_decrypt,
                                                  .close = grant_close,
                                                  .sign_message = grant_sign_message};

static enum err open_key(int fd, EVP_PKEY *public, const struct ksp_backend *backend, struct error *failure,
                         EVP_PKEY **ret, struct error *e)
{
        struct grant *grant = malloc(sizeof *grant);

        if (!grant)
                return error_no_memory(e);
        *grant = (struct grant){fd, 1, failure};
        return ksp_provider_key(NULL, backend, grant, public, ret, e);
}

enum err granted_keys_open(int fd, EVP_PKEY *recipient, EVP_PKEY *client, struct granted_keys *ret,
                           struct error *e)
{
        enum err r = ksp_provider_load(NULL, &ret->provider, e);

        if (!r && recipient)
                r = open_key(fd, recipient, &recipient_backend, NULL, &ret->recipient, e);
        if (!r && client)
                r = open_key(fd, client, &client_backend, &ret->client_failure, &ret->client, e);
        if (r)
                granted_keys_done(ret);
        return r;
}

void granted_keys_done(struct granted_keys *keys)
{
        EVP_PKEY_free(keys->recipient);
        EVP_PKEY_free(keys->client);
        if (keys->provider.ksp)
                ksp_provider_unload(&keys->provider);
        *keys = (struct granted_keys){0};
}
