/* ksp.so: the provider whose private operations go through the key socket. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "channel/client.h"

#define KEYS_SOCKET "/run/scepter/keys.sock"

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                       void **provctx);

/* "corp-wifi" or "id=<hex of CKA_ID>". */
static enum err socket_open(void *ctx, const char *name, void **ret_key, struct bytes *ret_spki,
                            struct bytes *ret_certificate, struct error *e)
{
        struct channel_key *key;
        uint8_t id[KEY_ID_LEN];
        struct view spki, certificate;
        size_t len = 0;
        enum err r;

        if (strncmp(name, "id=", 3) == 0) {
                if (!hex_decode(name + 3, id, sizeof id, &len) || len != sizeof id)
                        return error_set(e, ERR_INVALID,
                                         "ksp:%s does not hold an id of %d hexadecimal digits", name,
                                         2 * KEY_ID_LEN);
                r = channel_key_open(ctx, NULL, id, &key, e);
        } else {
                r = channel_key_open(ctx, name, NULL, &key, e);
        }
        if (r)
                return r;
        spki = channel_key_spki(key);
        certificate = channel_key_certificate(key);
        r = bytes_copy(ret_spki, spki.data, spki.len, e);
        if (!r)
                r = bytes_copy(ret_certificate, certificate.data, certificate.len, e);
        if (r) {
                channel_key_close(key);
                return r;
        }
        *ret_key = key;
        return ERR_OK;
}

static enum err socket_sign(void *key, const struct key_sign *how, struct view data, struct bytes *ret,
                            struct error *e)
{
        return channel_key_sign(key, how, data, (struct view){0}, ret, e);
}

static enum err socket_decrypt(void *key, const struct key_decrypt *how, struct view data, struct secret *ret,
                               struct error *e)
{
        return channel_key_decrypt(key, how, data, (struct view){0}, ret, e);
}

static enum err socket_derive(void *key, struct view point, struct secret *ret, struct error *e)
{
        return channel_key_derive(key, point, (struct view){0}, ret, e);
}

static void socket_close(void *key)
{
        channel_key_close(key);
}

static const struct ksp_backend socket_backend = {.open = socket_open,
                                                  .sign = socket_sign,
                                                  .decrypt = socket_decrypt,
                                                  .derive = socket_derive,
                                                  .close = socket_close};

static void free_client(void *client)
{
        channel_client_free(client);
}

__attribute__((visibility("default"))) int OSSL_provider_init(const OSSL_CORE_HANDLE *handle,
                                                              const OSSL_DISPATCH *in,
                                                              const OSSL_DISPATCH **out, void **provctx)
{
        /* secure_getenv: a set-user-id program must not be led to another socket. */
        const char *path = secure_getenv("SCEPTER_KEYS");
        struct channel_client *client;

        (void)handle;
        (void)in;
        if (channel_client_new(path ? path : KEYS_SOCKET, &client, NULL))
                return 0;
        if (provider_start(out, provctx, &socket_backend, client, free_client))
                return 1;
        channel_client_free(client);
        return 0;
}
