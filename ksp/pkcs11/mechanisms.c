/* Mechanisms, by table: what each signs or decrypts, and with which parameters (PKCS#11 2.40 Current
 * Mechanisms, §2.1, §2.3). */
#include "internal.h"

#include <string.h>

enum { EC_MIN = 256, EC_MAX = 384, PKCS1_OVERHEAD = 11 };

static const struct mechanism {
        ck_mechanism_type_t type;
        bool rsa;
        ck_flags_t flags; /* CKF_SIGN, CKF_DECRYPT, CKF_DERIVE */
        enum key_scheme scheme;
        enum key_digest hash; /* made by us; NONE: of what comes */
} mechanisms[] = {
        {CKM_RSA_PKCS, true, CKF_SIGN | CKF_DECRYPT, KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_NONE},
        {CKM_SHA1_RSA_PKCS, true, CKF_SIGN, KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA1},
        {CKM_SHA224_RSA_PKCS, true, CKF_SIGN, KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA224},
        {CKM_SHA256_RSA_PKCS, true, CKF_SIGN, KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA256},
        {CKM_SHA384_RSA_PKCS, true, CKF_SIGN, KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA384},
        {CKM_SHA512_RSA_PKCS, true, CKF_SIGN, KEY_SCHEME_RSA_PKCS1, KEY_DIGEST_SHA512},
        {CKM_RSA_PKCS_PSS, true, CKF_SIGN, KEY_SCHEME_RSA_PSS, KEY_DIGEST_NONE},
        {CKM_SHA1_RSA_PKCS_PSS, true, CKF_SIGN, KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA1},
        {CKM_SHA224_RSA_PKCS_PSS, true, CKF_SIGN, KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA224},
        {CKM_SHA256_RSA_PKCS_PSS, true, CKF_SIGN, KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256},
        {CKM_SHA384_RSA_PKCS_PSS, true, CKF_SIGN, KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA384},
        {CKM_SHA512_RSA_PKCS_PSS, true, CKF_SIGN, KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA512},
        {CKM_RSA_PKCS_OAEP, true, CKF_DECRYPT, 0, KEY_DIGEST_NONE},
        {CKM_ECDSA, false, CKF_SIGN, KEY_SCHEME_ECDSA, KEY_DIGEST_NONE},
        {CKM_ECDSA_SHA1, false, CKF_SIGN, KEY_SCHEME_ECDSA, KEY_DIGEST_SHA1},
        {CKM_ECDSA_SHA224, false, CKF_SIGN, KEY_SCHEME_ECDSA, KEY_DIGEST_SHA224},
        {CKM_ECDSA_SHA256, false, CKF_SIGN, KEY_SCHEME_ECDSA, KEY_DIGEST_SHA256},
        {CKM_ECDSA_SHA384, false, CKF_SIGN, KEY_SCHEME_ECDSA, KEY_DIGEST_SHA384},
        {CKM_ECDSA_SHA512, false, CKF_SIGN, KEY_SCHEME_ECDSA, KEY_DIGEST_SHA512},
        {CKM_ECDH1_DERIVE, false, CKF_DERIVE, 0, KEY_DIGEST_NONE},
};

static const struct mechanism *find(ck_mechanism_type_t type)
{
        for (size_t i = 0; i < N_ELEMENTS(mechanisms); i++)
                if (mechanisms[i].type == type)
                        return &mechanisms[i];
        return NULL;
}

ck_rv_t mechanism_list(ck_mechanism_type_t *list, unsigned long *count)
{
        const unsigned long room = *count;

        *count = N_ELEMENTS(mechanisms);
        if (!list)
                return CKR_OK;
        if (room < *count)
                return CKR_BUFFER_TOO_SMALL;
        for (size_t i = 0; i < N_ELEMENTS(mechanisms); i++)
                list[i] = mechanisms[i].type;
        return CKR_OK;
}

ck_rv_t mechanism_info(ck_mechanism_type_t type, struct ck_mechanism_info *ret)
{
        const struct mechanism *mechanism = find(type);

        if (!mechanism)
                return CKR_MECHANISM_INVALID;
        /* CKF_HW: not in the program that asks; with a software key, in the service. */
        *ret = mechanism->rsa ? (struct ck_mechanism_info){RSA_MIN, RSA_MAX, mechanism->flags | CKF_HW}
                              : (struct ck_mechanism_info){EC_MIN, EC_MAX,
                                                           mechanism->flags | CKF_HW | CKF_EC_F_P |
                                                                   CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS};
        return CKR_OK;
}

static bool digest_of(ck_mechanism_type_t type, enum key_digest *ret)
{
        static const struct {
                ck_mechanism_type_t type;
                enum key_digest digest;
        } digests[] = {{CKM_SHA_1, KEY_DIGEST_SHA1},
                       {CKM_SHA224, KEY_DIGEST_SHA224},
                       {CKM_SHA256, KEY_DIGEST_SHA256},
                       {CKM_SHA384, KEY_DIGEST_SHA384},
                       {CKM_SHA512, KEY_DIGEST_SHA512}};

        for (size_t i = 0; i < N_ELEMENTS(digests); i++) {
                if (digests[i].type == type) {
                        *ret = digests[i].digest;
                        return true;
                }
        }
        return false;
}

static bool mgf1_of(ck_rsa_pkcs_mgf_type_t mgf, enum key_digest *ret)
{
        static const enum key_digest digests[] = {[CKG_MGF1_SHA1] = KEY_DIGEST_SHA1,
                                                  [CKG_MGF1_SHA256] = KEY_DIGEST_SHA256,
                                                  [CKG_MGF1_SHA384] = KEY_DIGEST_SHA384,
                                                  [CKG_MGF1_SHA512] = KEY_DIGEST_SHA512,
                                                  [CKG_MGF1_SHA224] = KEY_DIGEST_SHA224};

        if (mgf < CKG_MGF1_SHA1 || mgf >= N_ELEMENTS(digests))
                return false;
        *ret = digests[mgf];
        return true;
}

static ck_rv_t read_pss(const struct ck_mechanism *given, const struct mechanism *mechanism, size_t size,
                        struct key_sign *ret)
{
        struct ck_rsa_pkcs_pss_params params;

        if (!given->parameter || given->parameter_len != sizeof params)
                return CKR_MECHANISM_PARAM_INVALID;
        memcpy(&params, given->parameter, sizeof params);
        if (!digest_of(params.hash_alg, &ret->digest) || !mgf1_of(params.mgf, &ret->mgf1) ||
            (mechanism->hash && mechanism->hash != ret->digest))
                return CKR_MECHANISM_PARAM_INVALID;
        /* RFC 8017 §9.1.1: the salt has to fit beside the hash. */
        if (params.s_len > size - 2 - key_digest_len(ret->digest))
                return CKR_MECHANISM_PARAM_INVALID;
        ret->salt_len = (uint16_t)params.s_len;
        return CKR_OK;
}

static ck_rv_t read_oaep(const struct ck_mechanism *given, struct operation *ret)
{
        struct ck_rsa_pkcs_oaep_params params;

        if (!given->parameter || given->parameter_len != sizeof params)
                return CKR_MECHANISM_PARAM_INVALID;
        memcpy(&params, given->parameter, sizeof params);
        if (!digest_of(params.hash_alg, &ret->decrypt.digest) || !mgf1_of(params.mgf, &ret->decrypt.mgf1) ||
            (params.source && params.source != CKZ_DATA_SPECIFIED) ||
            params.source_data_len > sizeof ret->oaep_label ||
            (params.source_data_len && !params.source_data))
                return CKR_MECHANISM_PARAM_INVALID;
        ret->decrypt.padding = KEY_PADDING_RSA_OAEP;
        if (params.source_data_len)
                memcpy(ret->oaep_label, params.source_data, params.source_data_len);
        ret->decrypt.label = (struct view){ret->oaep_label, params.source_data_len};
        return CKR_OK;
}

static ck_rv_t read_sign(const struct ck_mechanism *given, const struct mechanism *mechanism, size_t size,
                         struct operation *ret)
{
        ck_rv_t rv = CKR_OK;

        ret->hash = mechanism->hash;
        ret->sign.scheme = mechanism->scheme;
        ret->sign.digest = mechanism->hash;
        ret->result_len = mechanism->rsa ? size : 2 * size;
        if (mechanism->scheme == KEY_SCHEME_RSA_PSS)
                rv = read_pss(given, mechanism, size, &ret->sign);
        else if (given->parameter_len)
                rv = CKR_MECHANISM_PARAM_INVALID;
        if (mechanism->scheme == KEY_SCHEME_RSA_PSS)
                ret->input_min = ret->input_max = key_digest_len(ret->sign.digest);
        else if (mechanism->rsa)
                ret->input_max = size - PKCS1_OVERHEAD;
        else
                ret->input_min = 1, ret->input_max = KEY_HASH_MAX;
        return rv;
}

ck_rv_t mechanism_operation(const struct ck_mechanism *given, bool rsa, size_t size, enum operation_kind kind,
                            struct operation *ret)
{
        const struct mechanism *mechanism = find(given->mechanism);

        if (!mechanism || !(mechanism->flags & (kind == OPERATION_SIGN ? CKF_SIGN : CKF_DECRYPT)))
                return CKR_MECHANISM_INVALID;
        if (mechanism->rsa != rsa)
                return CKR_KEY_TYPE_INCONSISTENT;
        if (kind == OPERATION_SIGN)
                return read_sign(given, mechanism, size, ret);
        ret->input_min = ret->input_max = size;
        ret->result_len = size - PKCS1_OVERHEAD;
        if (mechanism->type == CKM_RSA_PKCS_OAEP)
                return read_oaep(given, ret);
        ret->decrypt.padding = KEY_PADDING_RSA_PKCS1;
        return given->parameter_len ? CKR_MECHANISM_PARAM_INVALID : CKR_OK;
}
