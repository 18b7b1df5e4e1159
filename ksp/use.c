/* What a key is used for, in the TPM or in software, and who waits for it. */
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "internal.h"
#include "soft/soft.h"
#include "tpm/pad.h"

/* The hash as ECDSA over this curve takes it: cut on the right or padded on the left (FIPS 186-4 §6.4). */
static void fit_hash(struct view data, size_t len, uint8_t *ret)
{
        memset(ret, 0, len);
        if (data.len >= len)
                memcpy(ret, data.data, len);
        else if (data.len)
                memcpy(ret + len - data.len, data.data, data.len);
}

static enum err tpm_sign(struct ksp_key *key, struct tpm_pin *pin, const struct key_sign *how,
                         struct view data, struct bytes *ret, struct error *e)
{
        uint8_t in[KEY_MODULUS_MAX], out[KEY_MODULUS_MAX];
        size_t len = key_alg_bits(key->alg) / 8;
        enum err r;

        if (key_alg_is_rsa(key->alg) == (how->scheme == KEY_SCHEME_ECDSA))
                return error_set(e, ERR_INVALID, "The key is not of the type the signature asks for");
        if (how->scheme == KEY_SCHEME_ECDSA) {
                if (how->digest != KEY_DIGEST_NONE && data.len != key_digest_len(how->digest))
                        return error_set(e, ERR_INVALID, "A hash of %zu octets is not one of %s", data.len,
                                         key_digest_name(how->digest));
                fit_hash(data, len, in);
                return tpm_ecdsa(key->ksp->tpm, &key->object, pin, (struct view){in, len}, ret, e);
        }
        r = pad_sign(how, data, in, len, e);
        if (!r)
                r = tpm_rsa(key->ksp->tpm, &key->object, pin, (struct view){in, len}, out, e);
        return r ? r : bytes_copy(ret, out, len, e);
}

static enum err tpm_decrypt(struct ksp_key *key, struct tpm_pin *pin, const struct key_decrypt *how,
                            struct view data, struct secret *ret, struct error *e)
{
        uint8_t out[KEY_MODULUS_MAX];
        size_t len = key_alg_bits(key->alg) / 8;
        CLEANUP(bn_free_p) BIGNUM *in = NULL;
        CLEANUP(bn_free_p) BIGNUM *n = NULL;
        enum err r;

        if (!key_alg_is_rsa(key->alg))
                return error_set(e, ERR_INVALID, "Only RSA keys decrypt");
        /* What is not below the modulus makes some TPMs report a failure of themselves: refuse it here. */
        in = BN_bin2bn(data.data, (int)data.len, NULL);
        if (!in || EVP_PKEY_get_bn_param(key->public, "n", &n) != 1)
                return ossl_error(e, ERR_FAILED, "A key could not be examined");
        if (data.len != len || BN_cmp(in, n) >= 0)
                return error_set(e, ERR_INVALID, "%zu octets are not data that was encrypted to this key",
                                 data.len);
        r = tpm_rsa(key->ksp->tpm, &key->object, pin, data, out, e);
        if (!r)
                r = unpad_decrypt(how, out, len, ret, e);
        wipe(out, sizeof out);
        return r;
}

static enum err derive(struct ksp_key *key, struct tpm_pin *pin, struct view point, struct secret *ret,
                       struct error *e)
{
        CLEANUP(evp_pkey_free_p) EVP_PKEY *peer = NULL;
        enum err r = soft_point(key->public, point, &peer, e);

        if (r)
                return r;
        return key->soft ? soft_derive(key->soft, peer, ret, e)
                         : tpm_ecdh(key->ksp->tpm, &key->object, pin, point, ret, e);
}

static enum err change_pin(struct ksp_key *key, struct tpm_pin *pin, struct view fresh, struct bytes *ret,
                           struct error *e)
{
        struct tpm_object changed = {
                .parent = key->object.parent, .public = key->object.public, .wants_pin = true};
        enum err r;

        if (!ksp_key_wants_pin(key))
                return error_set(e, ERR_UNSUPPORTED, "The key has no PIN that could be changed");
        r = key_pin_check(fresh, e);
        if (!r)
                r = tpm_change_pin(key->ksp->tpm, &key->object, pin, fresh, &changed.private, e);
        if (!r)
                r = tss2_pem_write(&changed, ret, e);
        bytes_done(&changed.private);
        return r;
}

static enum err attest(struct ksp_key *key, struct tpm_pin *pin, struct view qualifying,
                       struct ksp_attest *attest, struct error *e)
{
        if (key->soft)
                return error_set(e, ERR_KEY_NOT_SUPPORTED,
                                 "A key in software cannot be attested: no TPM knows it");
        return tpm_attest(key->ksp->tpm, &key->object, pin, qualifying, attest->dirfd, attest->name,
                          &attest->evidence, e);
}

static void operate(struct ksp_op *op)
{
        struct tpm_pin pin = {.value = op->pin};

        switch (op->use) {
        case KSP_USE_SIGN:
                op->result =
                        op->key->soft
                                ? soft_sign(op->key->soft, &op->sign, op->data, &op->signature, &op->error)
                                : tpm_sign(op->key, &pin, &op->sign, op->data, &op->signature, &op->error);
                break;
        case KSP_USE_DECRYPT:
                op->result =
                        op->key->soft
                                ? soft_decrypt(op->key->soft, &op->decrypt, op->data, &op->plain, &op->error)
                                : tpm_decrypt(op->key, &pin, &op->decrypt, op->data, &op->plain, &op->error);
                break;
        case KSP_USE_DERIVE:
                op->result = derive(op->key, &pin, op->data, &op->plain, &op->error);
                break;
        case KSP_USE_CHANGE_PIN:
                op->result = change_pin(op->key, &pin, op->data, &op->file, &op->error);
                break;
        case KSP_USE_ATTEST:
                op->result = attest(op->key, &pin, op->data, op->attest, &op->error);
                break;
        }
        op->tries = pin.left;
        op->tried = pin.tried;
}

struct op_job {
        struct tpm_job job;
        struct ksp_op *op;
};

/* It may make a key. */
static enum tpm_class class_of(const struct ksp_op *op)
{
        return op->use == KSP_USE_ATTEST ? TPM_CLASS_CREATE : TPM_CLASS_USE;
}

static void run_op(struct tpm_job *job)
{
        operate(((struct op_job *)job)->op);
}

enum err ksp_run(struct ksp_op *op)
{
        struct op_job job = {{class_of(op), op->uid, run_op, NULL}, op};

        if (op->key->soft)
                operate(op);
        else
                tpm_queue_run(op->key->ksp->queue, &job.job);
        return op->result;
}

enum err ksp_sign(struct ksp_key *key, uid_t uid, const struct key_sign *how, struct view data,
                  struct bytes *ret, struct error *e)
{
        struct ksp_op op = {.key = key, .uid = uid, .sign = *how, .data = data};

        if (ksp_run(&op))
                return error_copy(e, &op.error);
        *ret = op.signature;
        return ERR_OK;
}

enum err ksp_decrypt(struct ksp_key *key, uid_t uid, const struct key_decrypt *how, struct view data,
                     struct secret *ret, struct error *e)
{
        struct ksp_op op = {.key = key, .uid = uid, .use = KSP_USE_DECRYPT, .decrypt = *how, .data = data};

        if (ksp_run(&op))
                return error_copy(e, &op.error);
        *ret = op.plain;
        return ERR_OK;
}

enum err ksp_derive(struct ksp_key *key, uid_t uid, struct view point, struct secret *ret, struct error *e)
{
        struct ksp_op op = {.key = key, .uid = uid, .use = KSP_USE_DERIVE, .data = point};

        if (ksp_run(&op))
                return error_copy(e, &op.error);
        *ret = op.plain;
        return ERR_OK;
}

static void run_submitted(struct tpm_job *job)
{
        struct op_job *submitted = (struct op_job *)job;
        struct ksp_op *op = submitted->op;

        free(submitted);
        operate(op);
        op->done(op);
}

void ksp_submit(struct ksp_op *op)
{
        struct op_job *job = malloc(sizeof *job);

        if (!job) {
                op->result = error_no_memory(&op->error);
                op->done(op);
                return;
        }
        *job = (struct op_job){{class_of(op), op->uid, run_submitted, NULL}, op};
        tpm_queue_submit(op->key->ksp->queue, &job->job);
}
