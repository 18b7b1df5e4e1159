/* The KSP's front: which store a key belongs to, and the key objects both share. */
#include "ksp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/ossl.h"
#include "import.h"
#include "soft/soft.h"
#include "tpm/pad.h"
#include "tpm/queue.h"
#include "tpm/tpm.h"

enum { KEY_FILE_MAX = 16 * 1024, KEY_IMPORT_MAX = 256 * 1024 };

struct ksp {
        struct tpm *tpm; /* inside the queue's exclusive place alone */
        struct tpm_queue *queue;
        struct secret host_secret;
};

struct ksp_key {
        atomic_uint references;
        struct ksp *ksp;
        enum key_alg alg;
        EVP_PKEY *public;
        uint8_t id[KEY_ID_LEN];
        EVP_PKEY *soft;           /* software keys */
        struct tpm_object object; /* TPM keys: soft is NULL */
};

enum err ksp_open(const struct ksp_config *config, struct ksp **ret, struct error *e)
{
        struct ksp *ksp = calloc(1, sizeof *ksp);
        enum err r;

        if (!ksp)
                return error_no_memory(e);
        r = tpm_new(config->tcti, "", &ksp->tpm, e);
        if (!r && config->owner_auth.len)
                r = tpm_set_owner_auth(ksp->tpm, config->owner_auth, e);
        if (!r)
                r = tpm_queue_new(&ksp->queue, e);
        if (!r && config->host_secret.len)
                r = secret_copy(&ksp->host_secret, config->host_secret, e);
        if (r) {
                ksp_close(ksp);
                return r;
        }
        *ret = ksp;
        return ERR_OK;
}

void ksp_close(struct ksp *ksp)
{
        if (!ksp)
                return;
        tpm_queue_free(ksp->queue);
        tpm_free(ksp->tpm);
        secret_done(&ksp->host_secret);
        free(ksp);
}

/* Everything the TPM does for this file is one of these. */
struct call {
        struct tpm_job job;
        struct ksp *ksp;
        struct ksp_key *key;
        enum key_alg alg;
        unsigned *attributes;
        struct tpm_object *object;
        struct ksp_tpm *info;
        enum err result;
        struct error error;
};

static struct call *as_call(struct tpm_job *job)
{
        return (struct call *)job;
}

/* Runs @run exclusively and waits for it. */
static enum err call_tpm(struct ksp *ksp, struct call *call, enum tpm_class class, uid_t uid,
                         void (*run)(struct tpm_job *), struct error *e)
{
        call->ksp = ksp;
        call->job = (struct tpm_job){class, uid, run, NULL};
        tpm_queue_run(ksp->queue, &call->job);
        return call->result ? error_copy(e, &call->error) : ERR_OK;
}

static void run_info(struct tpm_job *job)
{
        tpm_info(as_call(job)->ksp->tpm, as_call(job)->info);
}

void ksp_tpm(struct ksp *ksp, struct ksp_tpm *ret)
{
        struct call call = {.info = ret};

        (void)call_tpm(ksp, &call, TPM_CLASS_USE, 0, run_info, NULL);
}

uint64_t ksp_busy_since(struct ksp *ksp, uint64_t *ret_limit)
{
        return tpm_queue_busy_since(ksp->queue, ret_limit);
}

static enum err key_new(struct ksp *ksp, struct ksp_key **ret, struct error *e)
{
        struct ksp_key *key = calloc(1, sizeof *key);

        if (!key)
                return error_no_memory(e);
        atomic_init(&key->references, 1);
        key->ksp = ksp;
        *ret = key;
        return ERR_OK;
}

struct ksp_key *ksp_key_ref(struct ksp_key *key)
{
        atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
        return key;
}

static void run_unload(struct tpm_job *job)
{
        tpm_unload(as_call(job)->ksp->tpm, &as_call(job)->key->object);
}

/* Frees the key where the TPM may be asked to flush it: in the TPM's place, without waiting for it. */
struct farewell {
        struct tpm_job job;
        struct ksp_key *key;
};

static void key_free(struct ksp_key *key)
{
        EVP_PKEY_free(key->public);
        EVP_PKEY_free(key->soft);
        tpm_object_done(&key->object);
        free(key);
}

static void run_farewell(struct tpm_job *job)
{
        struct farewell *farewell = (struct farewell *)job;

        tpm_unload(farewell->key->ksp->tpm, &farewell->key->object);
        key_free(farewell->key);
        free(farewell);
}

void ksp_key_unref(struct ksp_key *key)
{
        struct farewell *farewell;

        if (!key || atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) != 1)
                return;
        /* Whether it is loaded may only be looked at inside; what was never a TPM key need not go there. */
        farewell = key->object.public.data ? malloc(sizeof *farewell) : NULL;
        if (farewell) {
                *farewell = (struct farewell){{TPM_CLASS_USE, 0, run_farewell, NULL}, key};
                tpm_queue_submit(key->ksp->queue, &farewell->job);
                return;
        }
        if (key->object.public.data) {
                struct call call = {.key = key};

                (void)call_tpm(key->ksp, &call, TPM_CLASS_USE, 0, run_unload, NULL);
        }
        key_free(key);
}

static enum err key_finish(struct ksp_key *key, struct error *e)
{
        return spki_key_id(key->public, key->id, e);
}

static void run_supports(struct tpm_job *job)
{
        struct call *call = as_call(job);

        call->result = tpm_supports(call->ksp->tpm, call->alg, &call->error);
}

static void run_create(struct tpm_job *job)
{
        struct call *call = as_call(job);

        call->result = tpm_create(call->ksp->tpm, call->alg, call->object, &call->error);
}

static enum err create_in_tpm(struct ksp *ksp, const struct ksp_spec *spec, struct ksp_key *key,
                              struct error *e)
{
        struct call call = {.alg = spec->alg, .object = &key->object};
        enum err r = call_tpm(ksp, &call, TPM_CLASS_CREATE, spec->uid, run_create, e);

        if (!r)
                r = tpm_public_key(&key->object, &key->alg, &key->public, e);
        return r;
}

static enum err create_in_software(const struct ksp *ksp, const struct ksp_spec *spec, struct ksp_key *key,
                                   struct error *e)
{
        enum err r = soft_need_secret(secret_view(&ksp->host_secret), e);

        if (!r)
                r = soft_create(spec->alg, &key->soft, e);
        if (!r)
                r = public_copy(NULL, key->soft, &key->public, e);
        key->alg = spec->alg;
        return r;
}

static enum err reason_text(enum key_protection protection, enum ksp_place place, const struct error *why,
                            char **ret, struct error *e)
{
        int n;

        if (place == KSP_IN_TPM)
                n = asprintf(ret, "The key was made in the TPM, as the setting '%s' asks",
                             key_protection_name(protection));
        else if (protection == KEY_PROTECTION_SOFTWARE)
                n = asprintf(ret, "The setting 'software' asks for a software key");
        else
                n = asprintf(ret, "The setting 'tpm-preferred' allowed a software key: %s", why->message);
        return n < 0 ? error_no_memory(e) : ERR_OK;
}

enum err ksp_create(struct ksp *ksp, const struct ksp_spec *spec, struct ksp_key **ret, char **ret_reason,
                    struct error *e)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
        struct call call = {.alg = spec->alg};
        struct error why = {0};
        enum ksp_place place;
        char *reason;
        enum err r, tpm = ERR_OK;

        if (spec->protection != KEY_PROTECTION_TPM && spec->protection != KEY_PROTECTION_TPM_PREFERRED &&
            spec->protection != KEY_PROTECTION_SOFTWARE)
                return error_set(e, ERR_UNSUPPORTED,
                                 "Keys with the protection '%s' are not supported by this version",
                                 key_protection_name(spec->protection));
        if (spec->protection != KEY_PROTECTION_SOFTWARE)
                tpm = call_tpm(ksp, &call, TPM_CLASS_USE, spec->uid, run_supports, &why);
        place = ksp_decide(spec->protection, tpm, spec->no_downgrade);
        if (place == KSP_REFUSED)
                return error_copy(e, &why);
        r = key_new(ksp, &key, e);
        if (!r)
                r = place == KSP_IN_TPM ? create_in_tpm(ksp, spec, key, e)
                                        : create_in_software(ksp, spec, key, e);
        if (!r)
                r = key_finish(key, e);
        if (!r)
                r = reason_text(spec->protection, place, &why, &reason, e);
        if (r)
                return r;
        *ret_reason = reason;
        *ret = STEAL(key);
        return ERR_OK;
}

enum err ksp_key_save(struct ksp_key *key, int dirfd, const char *name, struct error *e)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        enum err r = key->soft ? soft_pem_write(key->soft, secret_view(&key->ksp->host_secret), &pem, e)
                               : tss2_pem_write(&key->object, &pem, e);

        return r ? r : file_write(dirfd, name, 0600, bytes_view(&pem), e);
}

static bool pem_is(const struct bytes *pem, const char *label)
{
        char line[64];

        (void)snprintf(line, sizeof line, "-----BEGIN %s-----", label);
        return strstr((const char *)pem->data, line) != NULL;
}

/* What follows from the private half: algorithm, public half, id. */
static enum err key_read(struct ksp_key *key, struct error *e)
{
        enum err r;

        if (key->soft) {
                r = soft_alg(key->soft, &key->alg, e);
                if (!r)
                        r = public_copy(NULL, key->soft, &key->public, e);
        } else {
                r = tpm_public_key(&key->object, &key->alg, &key->public, e);
        }
        return r ? r : key_finish(key, e);
}

enum err ksp_load(struct ksp *ksp, int dirfd, const char *name, struct ksp_key **ret, struct error *e)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
        CLEANUP(bytes_done) struct bytes pem = {0};
        enum err r = file_read(dirfd, name, KEY_FILE_MAX, &pem, e);

        if (!r)
                r = key_new(ksp, &key, e);
        if (r)
                return r;
        if (pem_is(&pem, "ENCRYPTED PRIVATE KEY"))
                r = soft_pem_read(bytes_view(&pem), secret_view(&ksp->host_secret), &key->soft, e);
        else
                r = tss2_pem_read(bytes_view(&pem), &key->object, e);
        if (!r)
                r = key_read(key, e);
        if (r)
                return error_context(e, r, "%s", name);
        *ret = STEAL(key);
        return ERR_OK;
}

enum err ksp_import(struct ksp *ksp, struct view pem, struct ksp_key **ret, struct error *e)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
        enum err r = pem.len <= KEY_IMPORT_MAX
                             ? key_new(ksp, &key, e)
                             : error_set(e, ERR_TOO_LARGE, "A file with a key is larger than %d octets",
                                         KEY_IMPORT_MAX);

        if (!r)
                r = import_read(pem, &key->soft, &key->object, e);
        if (!r && key->soft)
                r = soft_need_secret(secret_view(&ksp->host_secret), e);
        if (!r)
                r = key_read(key, e);
        if (r)
                return r;
        *ret = STEAL(key);
        return ERR_OK;
}

enum err ksp_delete(struct ksp *ksp, struct ksp_key *key, int dirfd, const char *name, struct error *e)
{
        if (key && !key->soft) {
                struct call call = {.key = key};

                (void)call_tpm(ksp, &call, TPM_CLASS_USE, 0, run_unload, NULL);
        }
        return file_remove(dirfd, name, e);
}

enum err ksp_list(int dirfd, enum err (*each)(void *ctx, const char *name, bool in_tpm, struct error *e),
                  void *ctx, struct error *e)
{
        struct dirent **names = NULL;
        int n = scandirat(dirfd, ".", &names, NULL, alphasort);
        enum err r = ERR_OK;

        if (n < 0)
                return errno_error(e, errno, "A directory of keys could not be listed");
        for (int i = 0; i < n; i++) {
                CLEANUP(bytes_done) struct bytes pem = {0};

                if (!r && file_read(dirfd, names[i]->d_name, KEY_FILE_MAX, &pem, NULL) == ERR_OK) {
                        bool in_tpm = pem_is(&pem, "TSS2 PRIVATE KEY");

                        if (in_tpm || pem_is(&pem, "ENCRYPTED PRIVATE KEY"))
                                r = each(ctx, names[i]->d_name, in_tpm, e);
                }
                free(names[i]);
        }
        free(names);
        return r;
}

EVP_PKEY *ksp_key_public(const struct ksp_key *key)
{
        return key->public;
}

enum key_alg ksp_key_alg(const struct ksp_key *key)
{
        return key->alg;
}

bool ksp_key_in_tpm(const struct ksp_key *key)
{
        return !key->soft;
}

const uint8_t *ksp_key_id(const struct ksp_key *key)
{
        return key->id;
}

static void run_attributes(struct tpm_job *job)
{
        struct call *call = as_call(job);

        call->result = tpm_attributes(call->ksp->tpm, &call->key->object, call->attributes, &call->error);
}

enum err ksp_describe(struct ksp_key *key, struct ksp_key_info *ret, struct error *e)
{
        struct ksp_key_info info = {.alg = key->alg, .in_tpm = !key->soft};
        struct call call = {.key = key, .attributes = &info.attributes};
        enum err r = key->soft ? ERR_OK : call_tpm(key->ksp, &call, TPM_CLASS_USE, 0, run_attributes, e);

        if (r)
                return r;
        if (!key->soft)
                (void)snprintf(info.parent, sizeof info.parent, "0x%08x", key->object.parent);
        *ret = info;
        return ERR_OK;
}

/* The hash as ECDSA over this curve takes it: cut on the right or padded on the left (FIPS 186-4 §6.4). */
static void fit_hash(struct view data, size_t len, uint8_t *ret)
{
        memset(ret, 0, len);
        if (data.len >= len)
                memcpy(ret, data.data, len);
        else if (data.len)
                memcpy(ret + len - data.len, data.data, data.len);
}

static enum err tpm_sign(struct ksp_key *key, const struct key_sign *how, struct view data, struct bytes *ret,
                         struct error *e)
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
                return tpm_ecdsa(key->ksp->tpm, &key->object, (struct view){in, len}, ret, e);
        }
        r = pad_sign(how, data, in, len, e);
        if (!r)
                r = tpm_rsa(key->ksp->tpm, &key->object, (struct view){in, len}, out, e);
        return r ? r : bytes_copy(ret, out, len, e);
}

static enum err tpm_decrypt(struct ksp_key *key, const struct key_decrypt *how, struct view data,
                            struct secret *ret, struct error *e)
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
        r = tpm_rsa(key->ksp->tpm, &key->object, data, out, e);
        if (!r)
                r = unpad_decrypt(how, out, len, ret, e);
        wipe(out, sizeof out);
        return r;
}

static enum err derive(struct ksp_key *key, struct view point, struct secret *ret, struct error *e)
{
        CLEANUP(evp_pkey_free_p) EVP_PKEY *peer = NULL;
        enum err r = soft_point(key->public, point, &peer, e);

        if (r)
                return r;
        return key->soft ? soft_derive(key->soft, peer, ret, e)
                         : tpm_ecdh(key->ksp->tpm, &key->object, point, ret, e);
}

static void operate(struct ksp_op *op)
{
        switch (op->use) {
        case KSP_USE_SIGN:
                op->result =
                        op->key->soft
                                ? soft_sign(op->key->soft, &op->sign, op->data, &op->signature, &op->error)
                                : tpm_sign(op->key, &op->sign, op->data, &op->signature, &op->error);
                break;
        case KSP_USE_DECRYPT:
                op->result =
                        op->key->soft
                                ? soft_decrypt(op->key->soft, &op->decrypt, op->data, &op->plain, &op->error)
                                : tpm_decrypt(op->key, &op->decrypt, op->data, &op->plain, &op->error);
                break;
        case KSP_USE_DERIVE:
                op->result = derive(op->key, op->data, &op->plain, &op->error);
                break;
        }
}

struct op_job {
        struct tpm_job job;
        struct ksp_op *op;
};

static void run_op(struct tpm_job *job)
{
        operate(((struct op_job *)job)->op);
}

static void wait_for(struct ksp_op *op)
{
        struct op_job job = {{TPM_CLASS_USE, op->uid, run_op, NULL}, op};

        if (op->key->soft)
                operate(op);
        else
                tpm_queue_run(op->key->ksp->queue, &job.job);
}

enum err ksp_sign(struct ksp_key *key, uid_t uid, const struct key_sign *how, struct view data,
                  struct bytes *ret, struct error *e)
{
        struct ksp_op op = {.key = key, .uid = uid, .sign = *how, .data = data};

        wait_for(&op);
        if (op.result)
                return error_copy(e, &op.error);
        *ret = op.signature;
        return ERR_OK;
}

enum err ksp_decrypt(struct ksp_key *key, uid_t uid, const struct key_decrypt *how, struct view data,
                     struct secret *ret, struct error *e)
{
        struct ksp_op op = {.key = key, .uid = uid, .use = KSP_USE_DECRYPT, .decrypt = *how, .data = data};

        wait_for(&op);
        if (op.result)
                return error_copy(e, &op.error);
        *ret = op.plain;
        return ERR_OK;
}

enum err ksp_derive(struct ksp_key *key, uid_t uid, struct view point, struct secret *ret, struct error *e)
{
        struct ksp_op op = {.key = key, .uid = uid, .use = KSP_USE_DERIVE, .data = point};

        wait_for(&op);
        if (op.result)
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
        *job = (struct op_job){{TPM_CLASS_USE, op->uid, run_submitted, NULL}, op};
        tpm_queue_submit(op->key->ksp->queue, &job->job);
}
