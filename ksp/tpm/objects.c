/* Keys in the TPM: created, loaded into slots (least recently used goes first, one slot stays free), used. */
#include "internal.h"

#include <openssl/ecdsa.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "base/ossl.h"

static void ring_remove(struct tpm *tpm, struct tpm_object *object)
{
        object->newer->older = object->older;
        object->older->newer = object->newer;
        object->newer = object->older = NULL;
        object->epoch = 0;
        tpm->loaded--;
}

static void ring_push(struct tpm *tpm, struct tpm_object *object)
{
        object->newer = &tpm->newest;
        object->older = tpm->newest.older;
        object->older->newer = object;
        tpm->newest.older = object;
        tpm->loaded++;
}

/* The ring's head: older is the newest key, newer the oldest one. */
static void evict_oldest(struct tpm *tpm)
{
        struct tpm_object *oldest = tpm->newest.newer;
        ESYS_TR handle = oldest->handle;

        tpm_context_save(tpm, oldest);
        ring_remove(tpm, oldest);
        (void)Esys_FlushContext(tpm->esys, handle);
}

void tpm_evict_all(struct tpm *tpm)
{
        while (tpm->loaded)
                evict_oldest(tpm);
}

void tpm_forget_all(struct tpm *tpm)
{
        while (tpm->loaded)
                ring_remove(tpm, tpm->newest.newer);
}

void tpm_lost_all(struct tpm *tpm)
{
        while (tpm->loaded) {
                ESYS_TR handle = tpm->newest.newer->handle;

                ring_remove(tpm, tpm->newest.newer);
                (void)Esys_TR_Close(tpm->esys, &handle); /* a flush would hit who has the handle now */
        }
}

/* The TPM gives handles anew after a reset: one of ours that is given twice was lost, and with it all that
 * were loaded before. A password session names no key, so the TPM would sign with the wrong one. */
static void notice_reset(struct tpm *tpm, ESYS_TR fresh)
{
        TPM2_HANDLE handle, other;

        if (!tpm->loaded || Esys_TR_GetTpmHandle(tpm->esys, fresh, &handle))
                return;
        for (struct tpm_object *o = tpm->newest.newer; o != &tpm->newest; o = o->newer) {
                if (Esys_TR_GetTpmHandle(tpm->esys, o->handle, &other) || other != handle)
                        continue;
                tpm_lost_all(tpm);
                return;
        }
}

void tpm_make_room(struct tpm *tpm, unsigned slots)
{
        while (tpm->loaded && tpm->loaded + slots > tpm->slots)
                evict_oldest(tpm);
}

void tpm_unload(struct tpm *tpm, struct tpm_object *object)
{
        ESYS_TR handle = object->handle;

        tpm_context_drop(tpm, object);
        if (!object->epoch)
                return;
        ring_remove(tpm, object);
        if (tpm->esys)
                (void)Esys_FlushContext(tpm->esys, handle);
}

void tpm_object_done(struct tpm_object *object)
{
        bytes_done(&object->public);
        bytes_done(&object->private);
        bytes_done(&object->context);
}

static enum err unmarshal(const struct tpm_object *object, TPM2B_PUBLIC *public, TPM2B_PRIVATE *private,
                          struct error *e)
{
        size_t offset = 0;

        if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(object->public.data, object->public.len, &offset, public) ||
            offset != object->public.len)
                return error_set(e, ERR_KEY_DAMAGED, "The public area of a TPM key is malformed");
        offset = 0;
        if (private &&
            (Tss2_MU_TPM2B_PRIVATE_Unmarshal(object->private.data, object->private.len, &offset, private) ||
             offset != object->private.len))
                return error_set(e, ERR_KEY_DAMAGED, "The private area of a TPM key is malformed");
        return ERR_OK;
}

static enum err load_under(struct tpm *tpm, uint32_t at, const TPM2B_PUBLIC *public,
                           const TPM2B_PRIVATE *private, ESYS_TR *ret, struct error *e)
{
        ESYS_TR parent, handle;
        TSS2_RC rc;
        enum err r = tpm_parent_get(tpm, at, &parent, e);

        if (r)
                return r;
        rc = Esys_Load(tpm->esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, private, public,
                       &handle);
        if (tpm_cure(rc) == TPM_CURE_EVICT && tpm->loaded) {
                tpm_evict_all(tpm);
                rc = Esys_Load(tpm->esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, private,
                               public, &handle);
        }
        if (rc)
                r = tpm_parent_fault(tpm, at, rc, "load this key", e);
        if (tpm_cure(rc) != TPM_CURE_RECONNECT)
                tpm_parent_put(tpm, parent);
        if (!r)
                *ret = handle;
        return r;
}

/* The same storage key may be at hand both ways: the hierarchy has got a password since, or the persistent
 * one was removed. */
static enum err load_anyhow(struct tpm *tpm, uint32_t at, const TPM2B_PUBLIC *public,
                            const TPM2B_PRIVATE *private, ESYS_TR *ret, uint32_t *ret_under, struct error *e)
{
        const uint32_t other = at == TPM_SRK ? (uint32_t)TPM2_RH_OWNER : (uint32_t)TPM_SRK;
        struct error why = {0};
        enum err r = load_under(tpm, at, public, private, ret, &why);
        TSS2_RC rc = tpm->last;

        *ret_under = at;
        if (!r)
                return ERR_OK;
        if (((at == TPM2_RH_OWNER && r == ERR_TPM_OWNER_AUTH) ||
             (at == TPM_SRK && (r == ERR_KEY_FOREIGN || r == ERR_TPM_OWNER_AUTH))) &&
            load_under(tpm, other, public, private, ret, NULL) == ERR_OK) {
                *ret_under = other;
                return ERR_OK;
        }
        /* what failed in the second place may need a cure, and the next attempt begins with the first */
        if (tpm_cure(tpm->last) == TPM_CURE_NONE)
                tpm->last = rc;
        return error_copy(e, &why);
}

/* From what is stored, under its parent. */
static enum err load_stored(struct tpm *tpm, struct tpm_object *object, ESYS_TR *ret, struct error *e)
{
        TPM2B_PUBLIC public = {0};
        TPM2B_PRIVATE private = {0};
        enum err r = unmarshal(object, &public, &private, e);

        if (r)
                return r;
        tpm_make_room(tpm, 2);
        return load_anyhow(tpm, object->parent, &public, &private, ret, &object->under, e);
}

enum err tpm_object_load(struct tpm *tpm, struct tpm_object *object, ESYS_TR *ret, struct error *e)
{
        ESYS_TR handle;

        if (object->epoch == tpm->epoch && object->epoch) {
                ring_remove(tpm, object);
                ring_push(tpm, object);
                object->epoch = tpm->epoch;
                *ret = object->handle;
                return ERR_OK;
        }
        if (object->context_epoch)
                tpm_make_room(tpm, 1);
        if (!tpm_context_load(tpm, object, &handle)) {
                const enum err r = load_stored(tpm, object, &handle, e);

                if (r)
                        return r;
        }
        notice_reset(tpm, handle);
        object->handle = handle;
        object->epoch = tpm->epoch;
        ring_push(tpm, object);
        object->epoch = tpm->epoch;
        *ret = handle;
        return ERR_OK;
}

/* One command on a loaded key. */
struct use {
        struct view in;
        ESYS_TR session;
        struct tpm_pin *pin; /* NULL: a command without authorisation */
        bool beside_parent;  /* a command that names the parent too, */
        ESYS_TR parent;      /* here; NONE: it is not loaded */
        TPM2B_PRIVATE *private;
        TPM2B_PUBLIC_KEY_RSA *rsa;
        TPMT_SIGNATURE *signature;
        TPM2B_PUBLIC *public;
        TPM2B_ECC_POINT *point;
        TSS2_RC (*other)(struct tpm *tpm, ESYS_TR key, ESYS_TR session, void *ctx); /* another file's */
        void *ctx;
};

static TSS2_RC use_rsa(struct tpm *tpm, ESYS_TR key, struct use *use)
{
        const TPMT_RSA_DECRYPT raw = {.scheme = TPM2_ALG_NULL};
        const TPM2B_DATA label = {0};
        TPM2B_PUBLIC_KEY_RSA in = {.size = (UINT16)use->in.len};

        memcpy(in.buffer, use->in.data, use->in.len);
        return Esys_RSA_Decrypt(tpm->esys, key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &in, &raw, &label,
                                &use->rsa);
}

static TSS2_RC use_ecdsa(struct tpm *tpm, ESYS_TR key, struct use *use)
{
        TPM2B_DIGEST hash = {.size = (UINT16)use->in.len};
        const TPMT_SIG_SCHEME scheme = {.scheme = TPM2_ALG_ECDSA,
                                        .details.ecdsa.hashAlg =
                                                use->in.len > 32 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256};
        const TPMT_TK_HASHCHECK ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};

        memcpy(hash.buffer, use->in.data, use->in.len);
        return Esys_Sign(tpm->esys, key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &hash, &scheme, &ticket,
                         &use->signature);
}

static TSS2_RC use_ecdh(struct tpm *tpm, ESYS_TR key, struct use *use)
{
        const size_t len = (use->in.len - 1) / 2;
        TPM2B_ECC_POINT in = {.point = {.x.size = (UINT16)len, .y.size = (UINT16)len}};

        memcpy(in.point.x.buffer, use->in.data + 1, len);
        memcpy(in.point.y.buffer, use->in.data + 1 + len, len);
        return Esys_ECDH_ZGen(tpm->esys, key, use->session, ESYS_TR_NONE, ESYS_TR_NONE, &in, &use->point);
}

static TSS2_RC use_public(struct tpm *tpm, ESYS_TR key, struct use *use)
{
        return Esys_ReadPublic(tpm->esys, key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &use->public, NULL,
                               NULL);
}

/* The answer comes by the PIN that the key has; @key keeps that as long as it is loaded (Part 3,
 * TPM2_ObjectChangeAuth). */
static TSS2_RC use_change(struct tpm *tpm, ESYS_TR key, struct use *use)
{
        TPM2B_AUTH fresh = {.size = (UINT16)use->in.len};
        TSS2_RC rc;

        memcpy(fresh.buffer, use->in.data, use->in.len);
        rc = Esys_ObjectChangeAuth(tpm->esys, key, use->parent, use->session, ESYS_TR_NONE, ESYS_TR_NONE,
                                   &fresh, &use->private);
        wipe(&fresh, sizeof fresh);
        return rc;
}

static enum err load_for(struct tpm *tpm, struct tpm_object *object, struct use *use, ESYS_TR *ret,
                         struct error *e)
{
        enum err r = tpm_object_load(tpm, object, ret, e);

        if (r || !use->beside_parent)
                return r;
        tpm_make_room(tpm, 1); /* the oldest goes: not this one */
        return tpm_parent_get(tpm, object->under, &use->parent, e);
}

/* One attempt, in the session that the key wants. *ret_tried: whether the command went out. */
static enum err use_once(struct tpm *tpm, struct tpm_object *object,
                         TSS2_RC (*command)(struct tpm *, ESYS_TR, struct use *), struct use *use,
                         const char *what, bool *ret_tried, struct error *e)
{
        const bool pin = object->wants_pin && use->pin;
        ESYS_TR key = ESYS_TR_NONE, session = ESYS_TR_NONE;
        TSS2_RC rc;
        enum err r = pin ? tpm_pin_begin(tpm, use->pin, &session, e) : ERR_OK;

        use->parent = ESYS_TR_NONE;
        if (!r)
                r = load_for(tpm, object, use, &key, e);
        if (!r) {
                use->session = pin ? session : ESYS_TR_PASSWORD;
                rc = pin ? tpm_pin_give(tpm, key, use->pin->value) : TSS2_RC_SUCCESS;
                *ret_tried = !rc;
                if (pin)
                        use->pin->tried = use->pin->tried || !rc;
                if (!rc)
                        rc = command(tpm, key, use);
                if (rc)
                        r = pin ? tpm_pin_fault(tpm, use->pin, rc, what, e) : tpm_fault(tpm, rc, what, e);
        }
        if (use->parent != ESYS_TR_NONE && tpm_cure(tpm->last) != TPM_CURE_RECONNECT)
                tpm_parent_put(tpm, use->parent);
        if (pin)
                tpm_pin_end(tpm, key, session);
        return r;
}

/* With another attempt where a new connection or freshly loaded keys can cure what failed. */
static enum err use_key(struct tpm *tpm, struct tpm_object *object,
                        TSS2_RC (*command)(struct tpm *, ESYS_TR, struct use *), struct use *use,
                        const char *what, struct error *e)
{
        unsigned cures = 0;

        for (;;) {
                struct error why = {0};
                enum err r = tpm_ready(tpm, e);
                bool tried = false, lost;

                if (r)
                        return r;
                tpm->last = TSS2_RC_SUCCESS;
                r = use_once(tpm, object, command, use, what, &tried, &why);
                if (!r)
                        return ERR_OK;
                /* Whether the TPM counted a PIN whose answer was lost nobody knows: it is not tried twice. */
                lost = tried && object->wants_pin && tpm_cure(tpm->last) == TPM_CURE_RECONNECT;
                if (!tpm_mend(tpm, &cures) || lost)
                        return error_copy(e, &why);
        }
}

enum err tpm_rsa(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin, struct view in,
                 uint8_t *out, struct error *e)
{
        struct use use = {.in = in, .pin = pin};
        enum err r = use_key(tpm, object, use_rsa, &use, "use this key", e);

        if (r)
                return r;
        if (use.rsa->size > in.len) {
                Esys_Free(use.rsa);
                return error_set(e, ERR_TPM_FAILED, "The TPM answered more octets than the key has");
        }
        memset(out, 0, in.len - use.rsa->size);
        memcpy(out + in.len - use.rsa->size, use.rsa->buffer, use.rsa->size);
        wipe(use.rsa->buffer, use.rsa->size);
        Esys_Free(use.rsa);
        return ERR_OK;
}

enum err tpm_ecdsa(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin, struct view hash,
                   struct bytes *ret, struct error *e)
{
        struct use use = {.in = hash, .pin = pin};
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        ECDSA_SIG *signature;
        const TPMS_SIGNATURE_ECC *ecc;
        BIGNUM *r_value, *s_value;
        int len = -1;
        enum err r = use_key(tpm, object, use_ecdsa, &use, "sign with this key", e);

        if (r)
                return r;
        ecc = &use.signature->signature.ecdsa;
        r_value = BN_bin2bn(ecc->signatureR.buffer, ecc->signatureR.size, NULL);
        s_value = BN_bin2bn(ecc->signatureS.buffer, ecc->signatureS.size, NULL);
        signature = ECDSA_SIG_new();
        if (signature && r_value && s_value && ECDSA_SIG_set0(signature, r_value, s_value) == 1) {
                r_value = s_value = NULL;
                len = i2d_ECDSA_SIG(signature, &der);
        }
        ECDSA_SIG_free(signature);
        BN_free(r_value);
        BN_free(s_value);
        Esys_Free(use.signature);
        if (len < 0)
                return ossl_error(e, ERR_FAILED, "A signature could not be encoded");
        return bytes_copy(ret, der, (size_t)len, e);
}

enum err tpm_ecdh(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin, struct view point,
                  struct secret *ret, struct error *e)
{
        struct use use = {.in = point, .pin = pin};
        const size_t len = (point.len - 1) / 2;
        CLEANUP(secret_done) struct secret shared = {0};
        TPM2B_ECC_PARAMETER *x;
        enum err r = secret_new(&shared, len, e);

        if (!r)
                r = use_key(tpm, object, use_ecdh, &use, "agree on a secret with this key", e);
        if (r)
                return r;
        x = &use.point->point.x;
        if (x->size <= len)
                memcpy(shared.data + len - x->size, x->buffer, x->size);
        else
                r = error_set(e, ERR_TPM_FAILED, "The TPM answered more octets than the curve has");
        wipe(use.point, sizeof *use.point);
        Esys_Free(use.point);
        if (r)
                return r;
        *ret = shared;
        shared = (struct secret){0};
        return ERR_OK;
}

enum err tpm_attributes(struct tpm *tpm, struct tpm_object *object, unsigned *ret, struct error *e)
{
        static const struct {
                TPMA_OBJECT tpm;
                unsigned ours;
        } bits[] = {
                {TPMA_OBJECT_FIXEDTPM, KSP_FIXED_TPM},
                {TPMA_OBJECT_FIXEDPARENT, KSP_FIXED_PARENT},
                {TPMA_OBJECT_SENSITIVEDATAORIGIN, KSP_SENSITIVE_DATA_ORIGIN},
                {TPMA_OBJECT_NODA, KSP_NO_DA},
                {TPMA_OBJECT_SIGN_ENCRYPT, KSP_SIGN},
                {TPMA_OBJECT_DECRYPT, KSP_DECRYPT},
                {TPMA_OBJECT_USERWITHAUTH, KSP_USER_WITH_AUTH},
        };
        struct use use = {0};
        unsigned attributes = 0;
        enum err r = use_key(tpm, object, use_public, &use, "describe this key", e);

        if (r)
                return r;
        for (size_t i = 0; i < N_ELEMENTS(bits); i++)
                if (use.public->publicArea.objectAttributes & bits[i].tpm)
                        attributes |= bits[i].ours;
        Esys_Free(use.public);
        *ret = attributes;
        return ERR_OK;
}

enum err tpm_change_pin(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin, struct view fresh,
                        struct bytes *ret, struct error *e)
{
        struct use use = {.in = fresh, .pin = pin, .beside_parent = true};
        uint8_t buffer[sizeof(TPM2B_PRIVATE)];
        size_t len = 0;
        enum err r = use_key(tpm, object, use_change, &use, "give this key another PIN", e);

        if (r)
                return r;
        if (Tss2_MU_TPM2B_PRIVATE_Marshal(use.private, buffer, sizeof buffer, &len))
                r = error_set(e, ERR_TPM_FAILED, "The TPM returned a private area that cannot be stored");
        else
                r = bytes_copy(ret, buffer, len, e);
        Esys_Free(use.private);
        return r;
}

void tpm_replace(struct tpm *tpm, struct tpm_object *object, struct bytes *private)
{
        tpm_unload(tpm, object);
        bytes_done(&object->private);
        object->private = *private;
        *private = (struct bytes){0};
}

static TSS2_RC use_other(struct tpm *tpm, ESYS_TR key, struct use *use)
{
        return use->other(tpm, key, use->session, use->ctx);
}

enum err tpm_use(struct tpm *tpm, struct tpm_object *object, struct tpm_pin *pin,
                 TSS2_RC (*command)(struct tpm *tpm, ESYS_TR key, ESYS_TR session, void *ctx), void *ctx,
                 const char *what, struct error *e)
{
        struct use use = {.pin = pin, .other = command, .ctx = ctx};

        return use_key(tpm, object, use_other, &use, what, e);
}
