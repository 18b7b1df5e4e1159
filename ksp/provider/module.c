/* ksp.so: the provider whose private operations go through the key socket. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "channel/client.h"

#define KEYS_SOCKET "/run/scepter/keys.sock"

int OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                       void **provctx);

/* A key as a program has loaded it, with its user's PIN where it wants one. */
struct socket_key {
        struct channel_key *channel;
        struct secret pin;
        pid_t pid; /* whose the PIN is: a child's copy is wiped */
};

static void socket_close(void *key)
{
        struct socket_key *k = key;

        channel_key_close(k->channel);
        secret_done(&k->pin);
        free(k);
}

/* "corp-wifi" or "id=<hex of CKA_ID>". */
static enum err open_channel(struct channel_client *client, const char *name, struct channel_key **ret,
                             struct error *e)
{
        uint8_t id[KEY_ID_LEN];
        size_t len = 0;

        if (strncmp(name, "id=", 3) != 0)
                return channel_key_open(client, name, NULL, ret, e);
        if (!hex_decode(name + 3, id, sizeof id, &len) || len != sizeof id)
                return error_set(e, ERR_INVALID, "ksp:%s does not hold an id of %d hexadecimal digits", name,
                                 2 * KEY_ID_LEN);
        return channel_key_open(client, NULL, id, ret, e);
}

static enum err socket_open(void *ctx, const char *name, void **ret_key, struct bytes *ret_spki,
                            struct bytes *ret_certificate, struct error *e)
{
        struct socket_key *k = calloc(1, sizeof *k);
        struct view spki, certificate;
        enum err r;

        if (!k)
                return error_no_memory(e);
        r = open_channel(ctx, name, &k->channel, e);
        if (r) {
                free(k);
                return r;
        }
        spki = channel_key_spki(k->channel);
        certificate = channel_key_certificate(k->channel);
        r = bytes_copy(ret_spki, spki.data, spki.len, e);
        if (!r)
                r = bytes_copy(ret_certificate, certificate.data, certificate.len, e);
        if (r) {
                socket_close(k);
                return r;
        }
        *ret_key = k;
        return ERR_OK;
}

static bool socket_wants_pin(const void *key)
{
        const struct socket_key *k = key;

        return channel_key_wants_pin(k->channel);
}

static enum err socket_unlock(void *key, struct view pin, struct error *e)
{
        struct socket_key *k = key;
        CLEANUP(secret_done) struct secret copy = {0};
        enum err r = secret_copy(&copy, pin, e);

        if (!r)
                r = channel_key_verify(k->channel, pin, e);
        if (r)
                return r;
        secret_done(&k->pin);
        k->pin = copy;
        k->pid = getpid();
        copy = (struct secret){0};
        return ERR_OK;
}

static enum err pin_of(const struct socket_key *k, struct view *ret, struct error *e)
{
        if (k->pin.len && k->pid != getpid()) {
                (void)error_set(e, ERR_PIN_NEEDED, "A process has not the PIN that its parent gave");
                return error_remedy(e, ERR_PIN_NEEDED, "Load the key in the process that uses it.");
        }
        *ret = secret_view(&k->pin);
        return ERR_OK;
}

static enum err socket_sign(void *key, const struct key_sign *how, struct view data, struct bytes *ret,
                            struct error *e)
{
        const struct socket_key *k = key;
        struct view pin;
        enum err r = pin_of(k, &pin, e);

        return r ? r : channel_key_sign(k->channel, how, data, pin, ret, e);
}

static enum err socket_decrypt(void *key, const struct key_decrypt *how, struct view data, struct secret *ret,
                               struct error *e)
{
        const struct socket_key *k = key;
        struct view pin;
        enum err r = pin_of(k, &pin, e);

        return r ? r : channel_key_decrypt(k->channel, how, data, pin, ret, e);
}

static enum err socket_derive(void *key, struct view point, struct secret *ret, struct error *e)
{
        const struct socket_key *k = key;
        struct view pin;
        enum err r = pin_of(k, &pin, e);

        return r ? r : channel_key_derive(k->channel, point, pin, ret, e);
}

static const struct ksp_backend socket_backend = {.open = socket_open,
                                                  .sign = socket_sign,
                                                  .decrypt = socket_decrypt,
                                                  .derive = socket_derive,
                                                  .close = socket_close,
                                                  .wants_pin = socket_wants_pin,
                                                  .unlock = socket_unlock};

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
