/* The KSP's front: which store a key belongs to, and the key objects both share. */
#include "ksp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/ossl.h"
#include "import.h"
#include "internal.h"
#include "soft/soft.h"

enum { KEY_FILE_MAX = 16 * 1024, KEY_IMPORT_MAX = 256 * 1024 };

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
        struct view pin;
        unsigned *attributes;
        struct tpm_object *object;
        struct ksp_tpm *info;
        struct bytes *private;
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

        call->result = tpm_create(call->ksp->tpm, call->alg, call->pin, call->object, &call->error);
}

static enum err create_in_tpm(struct ksp *ksp, const struct ksp_spec *spec, struct ksp_key *key,
                              struct error *e)
{
        struct call call = {.alg = spec->alg, .pin = spec->pin, .object = &key->object};
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
                n = asprintf(ret, "The key was made in the TPM%s, as the setting '%s' asks",
                             protection == KEY_PROTECTION_USER_VERIFIED ? " with the user's PIN" : "",
                             key_protection_name(protection));
        else if (protection == KEY_PROTECTION_SOFTWARE)
                n = asprintf(ret, "The setting 'software' asks for a software key");
        else
                n = asprintf(ret, "The setting 'tpm-preferred' allowed a software key: %s", why->message);
        return n < 0 ? error_no_memory(e) : ERR_OK;
}

static enum err check_spec(const struct ksp_spec *spec, struct error *e)
{
        const bool pin = spec->protection == KEY_PROTECTION_USER_VERIFIED;

        if (spec->protection == KEY_PROTECTION_DEFAULT || (!pin && spec->pin.len))
                return error_set(e, ERR_INVALID, "A key of the protection '%s' cannot be made like this",
                                 key_protection_name(spec->protection));
        if (!pin)
                return ERR_OK;
        if (!spec->pin.len)
                return error_set(e, ERR_PIN_NEEDED, "A user-verified key is made with a PIN");
        return key_pin_check(spec->pin, e);
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

        r = check_spec(spec, e);
        if (r)
                return r;
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

static void run_replace(struct tpm_job *job)
{
        struct call *call = as_call(job);

        tpm_replace(call->ksp->tpm, &call->key->object, call->private);
}

static bool holds(int dirfd, const char *name, struct view wanted)
{
        CLEANUP(bytes_done) struct bytes pem = {0};

        return file_read(dirfd, name, KEY_FILE_MAX, &pem, NULL) == ERR_OK && pem.len == wanted.len &&
               memcmp(pem.data, wanted.data, wanted.len) == 0;
}

enum err ksp_key_replace(struct ksp_key *key, int dirfd, const char *name, struct view file, struct error *e)
{
        CLEANUP(tpm_object_done) struct tpm_object changed = {0};
        struct call call = {.key = key, .private = &changed.private};
        enum err r = tss2_pem_read(file, &changed, e);

        if (r)
                return r;
        r = file_write(dirfd, name, 0600, file, e);
        /* Whatever could not be synced: the file and what is in memory have one PIN. */
        if (!r || holds(dirfd, name, file))
                (void)call_tpm(key->ksp, &call, TPM_CLASS_USE, 0, run_replace, NULL);
        return r;
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

bool ksp_key_wants_pin(const struct ksp_key *key)
{
        return key->object.wants_pin;
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
