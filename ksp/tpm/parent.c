/*
 * The storage parent: the owner hierarchy's ECC primary by the TCG template with an empty unique field, which
 * every reader of a key file can make again (0x40000001). With a password on the hierarchy: the persistent
 * SRK, if it is one we know. The primary lives as a saved context, so that it takes a slot only while a key
 * is loaded.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

enum { OWNER = TPM2_RH_OWNER };

/* TCG TPM v2.0 Provisioning Guidance §7.5.1, the H template: fixedTPM, fixedParent, sensitiveDataOrigin,
 * userWithAuth, noDA, restricted, decrypt; no password; unique empty. */
static const TPMA_OBJECT storage_attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                              TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                              TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;

TPM2B_PUBLIC tpm_storage_template(bool ecc)
{
        TPM2B_PUBLIC public = {.publicArea = {.type = ecc ? TPM2_ALG_ECC : TPM2_ALG_RSA,
                                              .nameAlg = TPM2_ALG_SHA256,
                                              .objectAttributes = storage_attributes}};
        const TPMT_SYM_DEF_OBJECT aes = {
                .algorithm = TPM2_ALG_AES, .keyBits = {.aes = 128}, .mode = {.aes = TPM2_ALG_CFB}};

        if (ecc) {
                public.publicArea.parameters.eccDetail = (TPMS_ECC_PARMS){.symmetric = aes,
                                                                          .scheme = {.scheme = TPM2_ALG_NULL},
                                                                          .curveID = TPM2_ECC_NIST_P256,
                                                                          .kdf = {.scheme = TPM2_ALG_NULL}};
        } else {
                public.publicArea.parameters.rsaDetail = (TPMS_RSA_PARMS){
                        .symmetric = aes, .scheme = {.scheme = TPM2_ALG_NULL}, .keyBits = 2048};
        }
        return public;
}

static bool is_auth(TSS2_RC rc)
{
        return tpm_rc_base(rc) == TPM2_RC_BAD_AUTH || tpm_rc_base(rc) == TPM2_RC_AUTH_FAIL;
}

static TSS2_RC create_primary_in(struct tpm *tpm, bool ecc, ESYS_TR session, ESYS_TR *ret)
{
        const TPM2B_PUBLIC template = tpm_storage_template(ecc);
        const TPM2B_SENSITIVE_CREATE sensitive = {0};
        const TPM2B_DATA outside = {0};
        const TPML_PCR_SELECTION pcrs = {0};

        return Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_OWNER, session, ESYS_TR_NONE, ESYS_TR_NONE,
                                  &sensitive, &template, &outside, &pcrs, ret, NULL, NULL, NULL, NULL);
}

/* With the password we were given only where the hierarchy has one: its failures do not count towards the
 * lockout (Part 1, the hierarchies' passwords are exempt but for the lockout's own). */
static TSS2_RC create_primary(struct tpm *tpm, bool ecc, ESYS_TR *ret)
{
        TSS2_RC rc = create_primary_in(tpm, ecc, ESYS_TR_PASSWORD, ret);
        ESYS_TR session;

        if (!is_auth(rc) || !tpm->owner_auth.len)
                return rc;
        rc = tpm_owner_session(tpm, &session);
        if (rc)
                return rc;
        rc = create_primary_in(tpm, ecc, session, ret);
        (void)Esys_FlushContext(tpm->esys, session);
        (void)Esys_TR_SetAuth(tpm->esys, ESYS_TR_RH_OWNER, NULL);
        return rc;
}

/* Makes the primary and saves its context; the handle is flushed. */
static TSS2_RC make_owner_parent(struct tpm *tpm)
{
        ESYS_TR primary = ESYS_TR_NONE;
        bool ecc = true;
        TSS2_RC rc, base;

        if (tpm->owner_parent)
                return TSS2_RC_SUCCESS;
        rc = create_primary(tpm, ecc, &primary);
        base = tpm_rc_base(rc);
        /* draft-bottomley-tpm2-keys: the RSA template only where the TPM has no ECC. */
        if (base == TPM2_RC_CURVE || base == TPM2_RC_ASYMMETRIC || base == TPM2_RC_TYPE ||
            base == TPM2_RC_VALUE) {
                ecc = false;
                rc = create_primary(tpm, ecc, &primary);
        }
        if (tpm_cure(rc) == TPM_CURE_EVICT) {
                tpm_evict_all(tpm);
                rc = create_primary(tpm, ecc, &primary);
        }
        if (rc)
                return rc;
        rc = Esys_ContextSave(tpm->esys, primary, &tpm->owner_parent);
        (void)Esys_FlushContext(tpm->esys, primary);
        return rc;
}

/* A storage key: restricted, decrypting, with a password that is empty as far as its attributes can tell. */
static bool is_storage_key(const TPM2B_PUBLIC *public)
{
        const TPMA_OBJECT needed = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM |
                                   TPMA_OBJECT_USERWITHAUTH;

        return (public->publicArea.type == TPM2_ALG_ECC || public->publicArea.type == TPM2_ALG_RSA) &&
               (public->publicArea.objectAttributes & needed) == needed;
}

static enum err find_persistent(struct tpm *tpm, uint32_t handle, struct error *e)
{
        CLEANUP(esys_free_p) TPM2B_PUBLIC *public = NULL;
        ESYS_TR parent;
        TSS2_RC rc;

        if (tpm->refused_handle == handle)
                return error_set(e, ERR_TPM_OWNER_AUTH, "The storage key at 0x%08x has a password", handle);
        if (tpm->persistent_parent != ESYS_TR_NONE && tpm->persistent_handle == handle)
                return ERR_OK;
        /* tpm2-tss 3.2 gives the same ESYS_TR twice without counting: one per context, closed with it. */
        rc = Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parent);
        if (tpm_rc_base(rc) == TPM2_RC_HANDLE)
                return error_set(e, ERR_KEY_FOREIGN, "The TPM has no storage key at 0x%08x", handle);
        if (rc)
                return tpm_fault(tpm, rc, "find its storage key", e);
        rc = Esys_ReadPublic(tpm->esys, parent, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL,
                             NULL);
        if (rc || !is_storage_key(public))
                (void)Esys_TR_Close(tpm->esys, &parent);
        if (rc)
                return tpm_fault(tpm, rc, "read its storage key", e);
        if (!is_storage_key(public))
                return error_set(e, ERR_KEY_FOREIGN, "The object at 0x%08x in the TPM is not a storage key",
                                 handle);
        tpm->persistent_parent = parent;
        tpm->persistent_handle = handle;
        tpm->persistent_counts = !(public->publicArea.objectAttributes & TPMA_OBJECT_NODA);
        return ERR_OK;
}

static enum err owner_refuses(const struct tpm *tpm, const char *more, struct error *e)
{
        (void)error_set(e, ERR_TPM_OWNER_AUTH, "The owner hierarchy of the TPM has a password%s%s",
                        tpm->owner_auth.len ? ", and it is not the one the service was given" : "", more);
        return ERR_TPM_OWNER_AUTH;
}

enum err tpm_parent_choose(struct tpm *tpm, uint32_t *ret, struct error *e)
{
        TSS2_RC rc = make_owner_parent(tpm);
        struct error why = {0};
        enum err r;

        if (rc == TSS2_RC_SUCCESS) {
                *ret = OWNER;
                return ERR_OK;
        }
        if (!is_auth(rc))
                return tpm_fault(tpm, rc, "make its storage key", e);
        r = find_persistent(tpm, TPM_SRK, &why);
        if (r == ERR_KEY_FOREIGN || r == ERR_TPM_OWNER_AUTH) {
                char more[256];

                (void)snprintf(more, sizeof more, ". %s", why.message);
                return owner_refuses(tpm, more, e);
        }
        if (r)
                return error_copy(e, &why);
        *ret = TPM_SRK;
        return ERR_OK;
}

static TSS2_RC load_owner_parent(struct tpm *tpm, ESYS_TR *ret)
{
        TSS2_RC rc = make_owner_parent(tpm);

        if (!rc)
                rc = Esys_ContextLoad(tpm->esys, tpm->owner_parent, ret);
        if (tpm_cure(rc) == TPM_CURE_EVICT) {
                tpm_evict_all(tpm);
                rc = Esys_ContextLoad(tpm->esys, tpm->owner_parent, ret);
        }
        if (tpm_rc_base(rc) == TPM2_RC_INTEGRITY) {
                /* The TPM was reset or cleared: it does not know its own saved context any more. */
                tpm_lost_all(tpm);
                Esys_Free(tpm->owner_parent);
                tpm->owner_parent = NULL;
                rc = make_owner_parent(tpm);
                if (!rc)
                        rc = Esys_ContextLoad(tpm->esys, tpm->owner_parent, ret);
        }
        return rc;
}

enum err tpm_parent_get(struct tpm *tpm, uint32_t handle, ESYS_TR *ret, struct error *e)
{
        TSS2_RC rc;

        if (handle != OWNER) {
                enum err r = find_persistent(tpm, handle, e);

                if (!r)
                        *ret = tpm->persistent_parent;
                return r;
        }
        rc = load_owner_parent(tpm, ret);
        if (rc == TSS2_RC_SUCCESS)
                return ERR_OK;
        return is_auth(rc) ? owner_refuses(tpm, "", e) : tpm_fault(tpm, rc, "load its storage key", e);
}

void tpm_parent_put(struct tpm *tpm, ESYS_TR parent)
{
        if (tpm->esys && parent != tpm->persistent_parent)
                (void)Esys_FlushContext(tpm->esys, parent);
}

enum err tpm_parent_fault(struct tpm *tpm, uint32_t handle, TSS2_RC rc, const char *what, struct error *e)
{
        const TSS2_RC base = tpm_rc_base(rc);

        if (is_auth(rc) && handle != OWNER) {
                /* Where failures count, asking again and again would lock the TPM. */
                tpm->refused_handle = handle;
                return error_set(e, ERR_TPM_OWNER_AUTH, "The storage key at 0x%08x has a password", handle);
        }
        if (handle != OWNER && (base == TPM2_RC_TYPE || base == TPM2_RC_ATTRIBUTES)) {
                /* Something else since we looked: the next attempt looks again. */
                tpm->last = TPM2_RC_HANDLE;
                return error_set(e, ERR_KEY_FOREIGN,
                                 "The object at 0x%08x in the TPM is not a storage key (0x%x)", handle, rc);
        }
        if (base != TPM2_RC_INTEGRITY)
                return tpm_fault(tpm, rc, what, e);
        tpm->last = rc;
        if (handle == OWNER)
                return error_set(e, ERR_TPM_CLEARED,
                                 "The TPM does not know this key: it was cleared or replaced since the key "
                                 "was made (0x%x)",
                                 rc);
        return error_set(e, ERR_KEY_FOREIGN,
                         "The storage key at 0x%08x is not the one that this key was made under (0x%x)",
                         handle, rc);
}

enum err tpm_parent_room(struct tpm *tpm, struct error *e)
{
        ESYS_TR parent, key;
        TSS2_RC rc;
        enum err r = tpm_parent_get(tpm, OWNER, &parent, e);

        if (r)
                return r;
        /* The parent once more takes what a key would. */
        rc = Esys_ContextLoad(tpm->esys, tpm->owner_parent, &key);
        if (tpm_cure(rc) == TPM_CURE_EVICT && tpm->loaded) {
                tpm_evict_all(tpm);
                rc = Esys_ContextLoad(tpm->esys, tpm->owner_parent, &key);
        }
        if (rc)
                r = tpm_fault(tpm, rc, "hold a key beside its storage key", e);
        else
                (void)Esys_FlushContext(tpm->esys, key);
        if (rc && tpm_cure(rc) == TPM_CURE_RECONNECT)
                tpm_disconnect(tpm);
        else
                tpm_parent_put(tpm, parent);
        return r;
}
