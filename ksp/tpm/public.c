/* What a public area says (TPM 2.0 Part 2, TPMT_PUBLIC): the key in it as OpenSSL's, and whether it is one
 * for us. Pure: no TPM, no ESYS. */
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "base/ossl.h"
#include "public.h"
#include "tpm.h"

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

OSSL_CLEANUP(OSSL_PARAM_BLD, param_bld_free, OSSL_PARAM_BLD_free)
OSSL_CLEANUP(OSSL_PARAM, params_free, OSSL_PARAM_free)

enum err tpm_area_key(const TPMT_PUBLIC *area, enum key_alg *ret_alg, EVP_PKEY **ret, struct error *e)
{
        CLEANUP(param_bld_free_p) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        CLEANUP(params_free_p) OSSL_PARAM *params = NULL;
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = NULL;
        CLEANUP(bn_free_p) BIGNUM *n = NULL;
        CLEANUP(bn_free_p) BIGNUM *exponent = NULL;
        EVP_PKEY *key = NULL;
        uint8_t point[1 + 2 * 48];
        const bool rsa = area->type == TPM2_ALG_RSA;
        enum err r;

        if (!builder)
                return error_no_memory(e);
        if (!rsa && area->type != TPM2_ALG_ECC)
                return error_set(e, ERR_KEY_NOT_SUPPORTED,
                                 "TPM objects of type 0x%x are not keys for certificates", area->type);
        r = rsa ? rsa_public(area, ret_alg, builder, &n, &exponent, e)
                : ec_public(area, ret_alg, builder, point, e);
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

static enum err unmarshal(const struct tpm_object *object, TPM2B_PUBLIC *ret, struct error *e)
{
        size_t offset = 0;

        if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(object->public.data, object->public.len, &offset, ret) ||
            offset != object->public.len)
                return error_set(e, ERR_KEY_DAMAGED, "The public area of a TPM key is malformed");
        return ERR_OK;
}

enum err tpm_public_key(const struct tpm_object *object, enum key_alg *ret_alg, EVP_PKEY **ret,
                        struct error *e)
{
        TPM2B_PUBLIC public = {0};
        enum err r = unmarshal(object, &public, e);

        return r ? r : tpm_area_key(&public.publicArea, ret_alg, ret, e);
}

enum err tpm_usable(const struct tpm_object *object, struct error *e)
{
        TPM2B_PUBLIC public = {0};
        TPMA_OBJECT attributes;
        TPM2_ALG_ID scheme;
        bool rsa;
        enum err r = unmarshal(object, &public, e);

        if (r)
                return r;
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
