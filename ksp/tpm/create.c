/* New keys: what the TPM can make, and making it. */
#include "internal.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "base/ossl.h"

/* Sign and decrypt with scheme NULL: padding is done in software, so the key serves RSA PKCS#1, PSS, OAEP and
 * any digest, and EC keys can agree on keys later (attributes are fixed at birth). noDA: a key without a
 * password must not lock the TPM, not even by an unclean power-off. */
static const TPMA_OBJECT key_attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                          TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                                          TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_DECRYPT;

static TPMT_PUBLIC key_template(enum key_alg alg, bool pin)
{
        TPMT_PUBLIC public = {.nameAlg = TPM2_ALG_SHA256, .objectAttributes = key_attributes};

        if (pin)
        public.objectAttributes &= ~(TPMA_OBJECT)TPMA_OBJECT_NODA;

        if (key_alg_is_rsa(alg)) {
                public.type = TPM2_ALG_RSA;
                public.parameters.rsaDetail =
                        (TPMS_RSA_PARMS){.symmetric = {.algorithm = TPM2_ALG_NULL},
                                         .scheme = {.scheme = TPM2_ALG_NULL},
                                         .keyBits = (TPMI_RSA_KEY_BITS)key_alg_bits(alg)};
        } else {
                public.type = TPM2_ALG_ECC;
                public.parameters.eccDetail = (TPMS_ECC_PARMS){
                        .symmetric = {.algorithm = TPM2_ALG_NULL},
                        .scheme = {.scheme = TPM2_ALG_NULL},
                        .curveID = alg == KEY_ALG_EC_P256 ? TPM2_ECC_NIST_P256 : TPM2_ECC_NIST_P384,
                        .kdf = {.scheme = TPM2_ALG_NULL}};
        }
        return public;
}

static enum err ask_supports(struct tpm *tpm, enum key_alg alg, struct error *e)
{
        const TPMT_PUBLIC template = key_template(alg, false);
        const TPMT_PUBLIC_PARMS parameters = {.type = template.type, .parameters = template.parameters};
        TSS2_RC rc = Esys_TestParms(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &parameters);

        switch (tpm_rc_base(rc)) {
        case TSS2_RC_SUCCESS:
                return ERR_OK;
        case TPM2_RC_VALUE:
        case TPM2_RC_KEY_SIZE:
        case TPM2_RC_CURVE:
        case TPM2_RC_ASYMMETRIC:
        case TPM2_RC_TYPE:
        case TPM2_RC_SCHEME:
                return error_set(e, ERR_KEY_NOT_SUPPORTED, "This TPM cannot make %s keys", key_alg_name(alg));
        default:
                return tpm_fault(tpm, rc, "say which keys it makes", e);
        }
}

/* With another attempt where that may help: the connection may have died since the last command, and a key
 * whose answer was lost is nowhere, so that nothing is left behind. */
static enum err attempt(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *ret,
                        enum err (*work)(struct tpm *, enum key_alg, struct view, struct tpm_object *,
                                         struct error *),
                        struct error *e)
{
        unsigned cures = 0;

        for (;;) {
                struct error why = {0};
                enum err r = tpm_ready(tpm, e);

                if (r)
                        return r;
                tpm->last = TSS2_RC_SUCCESS;
                r = work(tpm, alg, pin, ret, &why);
                if (!r)
                        return ERR_OK;
                if (!tpm_mend(tpm, &cures))
                        return error_copy(e, &why);
        }
}

static enum err supports(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *unused,
                         struct error *e)
{
        (void)pin;
        (void)unused;
        return ask_supports(tpm, alg, e);
}

enum err tpm_supports(struct tpm *tpm, enum key_alg alg, struct error *e)
{
        return attempt(tpm, alg, (struct view){0}, NULL, supports, e);
}

static enum err marshal(const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private, uint32_t parent,
                        struct tpm_object *ret, struct error *e)
{
        uint8_t buffer[sizeof(TPM2B_PUBLIC) + sizeof(TPM2B_PRIVATE)];
        struct tpm_object object = {.parent = parent};
        size_t len = 0;
        enum err r;

        if (Tss2_MU_TPM2B_PUBLIC_Marshal(public, buffer, sizeof buffer, &len))
                return error_set(e, ERR_TPM_FAILED, "The TPM returned a public area that cannot be stored");
        r = bytes_copy(&object.public, buffer, len, e);
        if (r)
                return r;
        len = 0;
        if (Tss2_MU_TPM2B_PRIVATE_Marshal(private, buffer, sizeof buffer, &len))
                r = error_set(e, ERR_TPM_FAILED, "The TPM returned a private area that cannot be stored");
        else
                r = bytes_copy(&object.private, buffer, len, e);
        if (r) {
                tpm_object_done(&object);
                return r;
        }
        *ret = object;
        return ERR_OK;
}

static enum err create(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *ret,
                       struct error *e)
{
        const TPM2B_PUBLIC template = {.publicArea = key_template(alg, pin.len > 0)};
        TPM2B_SENSITIVE_CREATE sensitive = {.sensitive.userAuth.size = (UINT16)pin.len};
        const TPM2B_DATA outside = {0};
        const TPML_PCR_SELECTION pcrs = {0};
        CLEANUP(esys_free_p) TPM2B_PUBLIC *public = NULL;
        CLEANUP(esys_free_p) TPM2B_PRIVATE *private = NULL;
        uint32_t handle;
        ESYS_TR parent, session = ESYS_TR_NONE;
        TSS2_RC rc;
        enum err r = ask_supports(tpm, alg, e);

        if (!r)
                r = tpm_parent_choose(tpm, &handle, e);
        if (!r)
                tpm_make_room(tpm, 2);
        if (!r && pin.len) { /* what is made is encrypted on its way, and the PIN stands in it */
                rc = tpm_session(tpm, &session);
                if (rc)
                        r = tpm_fault(tpm, rc, "begin a session for the PIN", e);
        }
        if (!r)
                r = tpm_parent_get(tpm, handle, &parent, e);
        if (r) {
                tpm_pin_end(tpm, ESYS_TR_NONE, session);
                return r;
        }
        if (pin.len)
                memcpy(sensitive.sensitive.userAuth.buffer, pin.data, pin.len);
        rc = Esys_Create(tpm->esys, parent, ESYS_TR_PASSWORD, session, ESYS_TR_NONE, &sensitive, &template,
                         &outside, &pcrs, &private, &public, NULL, NULL, NULL);
        wipe(&sensitive, sizeof sensitive);
        if (rc)
                r = tpm_parent_fault(tpm, handle, rc, "make the key", e);
        if (tpm_cure(rc) != TPM_CURE_RECONNECT)
                tpm_parent_put(tpm, parent);
        tpm_pin_end(tpm, ESYS_TR_NONE, session);
        if (!r)
                r = marshal(public, private, handle, ret, e);
        if (!r)
                ret->wants_pin = pin.len > 0;
        return r;
}

enum err tpm_create(struct tpm *tpm, enum key_alg alg, struct view pin, struct tpm_object *ret,
                    struct error *e)
{
        return attempt(tpm, alg, pin, ret, create, e);
}

static enum err rsa_public(const TPMT_PUBLIC *area, enum key_alg *ret_alg, OSSL_PARAM_BLD *params, BIGNUM **n,
                           BIGNUM **exponent, struct error *e)
{
        uint32_t value = area->parameters.rsaDetail.exponent;

        for (int alg = 0; alg < _KEY_ALG_MAX; alg++) {
                if (!key_alg_is_rsa((enum key_alg)alg) ||
                    key_alg_bits((enum key_alg)alg) != area->unique.rsa.size * 8u)
                        continue;
                *n = BN_bin2bn(area->unique.rsa.buffer, area->unique.rsa.size, NULL);
                *exponent = BN_new();
                /* An exponent of 0 in a public area means 2^16 + 1. */
                if (!*n || !*exponent || !BN_set_word(*exponent, value ? value : 65537) ||
                    !OSSL_PARAM_BLD_push_BN(params, OSSL_PKEY_PARAM_RSA_N, *n) ||
                    !OSSL_PARAM_BLD_push_BN(params, OSSL_PKEY_PARAM_RSA_E, *exponent))
                        return ossl_error(e, ERR_KEY_DAMAGED, "The RSA key in a public area is malformed");
                *ret_alg = (enum key_alg)alg;
                return ERR_OK;
        }
        return error_set(e, ERR_KEY_NOT_SUPPORTED, "RSA keys of %u bits are not supported",
                         area->unique.rsa.size * 8u);
}

static enum err ec_public(const TPMT_PUBLIC *area, enum key_alg *ret_alg, OSSL_PARAM_BLD *params,
                          uint8_t *point, struct error *e)
{
        const TPM2B_ECC_PARAMETER *x = &area->unique.ecc.x, *y = &area->unique.ecc.y;
        bool p256 = area->parameters.eccDetail.curveID == TPM2_ECC_NIST_P256;
        size_t len = p256 ? 32 : 48;

        if (!p256 && area->parameters.eccDetail.curveID != TPM2_ECC_NIST_P384)
                return error_set(e, ERR_KEY_NOT_SUPPORTED, "The curve 0x%x is not supported",
                                 area->parameters.eccDetail.curveID);
        if (x->size > len || y->size > len)
                return error_set(e, ERR_KEY_DAMAGED, "The point in a public area is malformed");
        /* X9.62 uncompressed; coordinates may come shorter than the field. */
        memset(point, 0, 1 + 2 * len);
        point[0] = 4;
        memcpy(point + 1 + len - x->size, x->buffer, x->size);
        memcpy(point + 1 + 2 * len - y->size, y->buffer, y->size);
        if (!OSSL_PARAM_BLD_push_utf8_string(params, OSSL_PKEY_PARAM_GROUP_NAME, p256 ? "P-256" : "P-384",
                                             0) ||
            !OSSL_PARAM_BLD_push_octet_string(params, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * len))
                return ossl_error(e, ERR_KEY_DAMAGED, "The point in a public area is malformed");
        *ret_alg = p256 ? KEY_ALG_EC_P256 : KEY_ALG_EC_P384;
        return ERR_OK;
}

enum err tpm_usable(const struct tpm_object *object, struct error *e)
{
        TPM2B_PUBLIC public = {0};
        size_t offset = 0;
        TPMA_OBJECT attributes;
        TPM2_ALG_ID scheme;
        bool rsa;

        if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(object->public.data, object->public.len, &offset, &public) ||
            offset != object->public.len)
                return error_set(e, ERR_KEY_DAMAGED, "The public area of a TPM key is malformed");
        rsa = public.publicArea.type == TPM2_ALG_RSA;
        attributes = public.publicArea.objectAttributes;
        scheme = rsa ? public.publicArea.parameters.rsaDetail.scheme.scheme
                     : public.publicArea.parameters.eccDetail.scheme.scheme;
        if (attributes & TPMA_OBJECT_RESTRICTED)
                return error_set(e, ERR_KEY_NOT_SUPPORTED, "The TPM key is restricted to what its TPM made");
        if (!(attributes & TPMA_OBJECT_USERWITHAUTH))
                return error_set(e, ERR_KEY_NOT_SUPPORTED, "The TPM key asks for a policy");
        /* padding is done in software, see key_attributes */
        if (!(attributes & (rsa ? TPMA_OBJECT_DECRYPT : TPMA_OBJECT_SIGN_ENCRYPT)))
                return error_set(e, ERR_KEY_NOT_SUPPORTED, "The TPM key lacks the attribute '%s'",
                                 rsa ? "decrypt" : "sign");
        if (scheme != TPM2_ALG_NULL && (rsa || scheme != TPM2_ALG_ECDSA))
                return error_set(e, ERR_KEY_NOT_SUPPORTED, "The TPM key is bound to the scheme 0x%x", scheme);
        return ERR_OK;
}

OSSL_CLEANUP(OSSL_PARAM_BLD, param_bld_free, OSSL_PARAM_BLD_free)
OSSL_CLEANUP(OSSL_PARAM, params_free, OSSL_PARAM_free)

enum err tpm_public_key(const struct tpm_object *object, enum key_alg *ret_alg, EVP_PKEY **ret,
                        struct error *e)
{
        CLEANUP(param_bld_free_p) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        CLEANUP(params_free_p) OSSL_PARAM *params = NULL;
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = NULL;
        CLEANUP(bn_free_p) BIGNUM *n = NULL;
        CLEANUP(bn_free_p) BIGNUM *exponent = NULL;
        EVP_PKEY *key = NULL;
        TPM2B_PUBLIC public = {0};
        uint8_t point[1 + 2 * 48];
        size_t offset = 0;
        bool rsa;
        enum err r;

        if (!builder)
                return error_no_memory(e);
        if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(object->public.data, object->public.len, &offset, &public) ||
            offset != object->public.len)
                return error_set(e, ERR_KEY_DAMAGED, "The public area of a TPM key is malformed");
        rsa = public.publicArea.type == TPM2_ALG_RSA;
        if (!rsa && public.publicArea.type != TPM2_ALG_ECC)
                return error_set(e, ERR_KEY_NOT_SUPPORTED,
                                 "TPM objects of type 0x%x are not keys for certificates",
                                 public.publicArea.type);
        r = rsa ? rsa_public(&public.publicArea, ret_alg, builder, &n, &exponent, e)
                : ec_public(&public.publicArea, ret_alg, builder, point, e);
        if (r)
                return r;
        params = OSSL_PARAM_BLD_to_param(builder);
        ctx = EVP_PKEY_CTX_new_from_name(NULL, rsa ? "RSA" : "EC", NULL);
        if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
            EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
                return ossl_error(e, ERR_KEY_DAMAGED, "The public area of a TPM key is not a usable key");
        *ret = key;
        return ERR_OK;
}
