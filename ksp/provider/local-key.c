#include "local-key.h"

#include "base/ossl.h"

struct local {
        struct ksp_key *key;
        uid_t uid;
        struct view pin;
        struct error *failure;
};

static enum err note(const struct local *local, enum err r, const struct error *e)
{
        if (r && local->failure)
                *local->failure = *e;
        return r;
}

static enum err local_sign(void *key, const struct key_sign *how, struct view data, struct bytes *ret,
                           struct error *e)
{
        const struct local *local = key;
        struct ksp_op op = {
                .key = local->key, .uid = local->uid, .sign = *how, .data = data, .pin = local->pin};

        if (ksp_run(&op))
                return note(local, error_copy(e, &op.error), e);
        *ret = op.signature;
        return ERR_OK;
}

static enum err local_decrypt(void *key, const struct key_decrypt *how, struct view data, struct secret *ret,
                              struct error *e)
{
        const struct local *local = key;

        return note(local, ksp_decrypt(local->key, local->uid, how, data, ret, e), e);
}

static enum err local_derive(void *key, struct view point, struct secret *ret, struct error *e)
{
        const struct local *local = key;

        return ksp_derive(local->key, local->uid, point, ret, e);
}

static void local_close(void *key)
{
        struct local *local = key;

        ksp_key_unref(local->key);
        free(local);
}

static const struct ksp_backend local_backend = {
        .sign = local_sign, .decrypt = local_decrypt, .derive = local_derive, .close = local_close};

enum err local_key(OSSL_LIB_CTX *libctx, struct ksp_key *key, uid_t uid, struct view pin,
                   struct error *failure, EVP_PKEY **ret, struct error *e)
{
        struct local *local = malloc(sizeof *local);

        if (!local)
                return error_no_memory(e);
        *local = (struct local){ksp_key_ref(key), uid, pin, failure};
        return ksp_provider_key(libctx, &local_backend, local, ksp_key_public(key), ret, e);
}
