/* A content key that was wrapped after key agreement (KeyAgreeRecipientInfo, RFC 5753 §3.1): what stands
 * there is judged here, libcrypto and the key open it. */
#include <openssl/asn1t.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include "scep-open/parts.h"

enum { UKM_MAX = 1024 };

/* RFC 5652 §6.2.2. OpenSSL's CMS API does not show the wrapped keys. */
struct encrypted_key {
        ASN1_TYPE *recipient;
        ASN1_OCTET_STRING *octets;
};
struct key_agree {
        ASN1_INTEGER *version;
        ASN1_TYPE *originator;
        ASN1_OCTET_STRING *ukm;
        X509_ALGOR *algorithm;
        STACK_OF(ENCRYPTED_KEY) * keys;
};
typedef struct encrypted_key ENCRYPTED_KEY;
typedef struct key_agree KEY_AGREE;
DEFINE_STACK_OF(ENCRYPTED_KEY)

ASN1_SEQUENCE(ENCRYPTED_KEY) =
        {
                ASN1_SIMPLE(ENCRYPTED_KEY, recipient, ASN1_ANY),
                ASN1_SIMPLE(ENCRYPTED_KEY, octets, ASN1_OCTET_STRING),
} static_ASN1_SEQUENCE_END(ENCRYPTED_KEY)

                ASN1_SEQUENCE(KEY_AGREE) =
                        {
                                ASN1_SIMPLE(KEY_AGREE, version, ASN1_INTEGER),
                                ASN1_SIMPLE(KEY_AGREE, originator, ASN1_ANY),
                                ASN1_EXP_OPT(KEY_AGREE, ukm, ASN1_OCTET_STRING, 1),
                                ASN1_SIMPLE(KEY_AGREE, algorithm, X509_ALGOR),
                                ASN1_SEQUENCE_OF(KEY_AGREE, keys, ENCRYPTED_KEY),
} static_ASN1_SEQUENCE_END(KEY_AGREE)

                                static void key_agree_free_p(KEY_AGREE * *p)
{
        ASN1_item_free((ASN1_VALUE *)*p, ASN1_ITEM_rptr(KEY_AGREE));
}

static const int schemes[] = {
        NID_dhSinglePass_stdDH_sha1kdf_scheme,        NID_dhSinglePass_stdDH_sha224kdf_scheme,
        NID_dhSinglePass_stdDH_sha256kdf_scheme,      NID_dhSinglePass_stdDH_sha384kdf_scheme,
        NID_dhSinglePass_stdDH_sha512kdf_scheme,      NID_dhSinglePass_cofactorDH_sha1kdf_scheme,
        NID_dhSinglePass_cofactorDH_sha224kdf_scheme, NID_dhSinglePass_cofactorDH_sha256kdf_scheme,
        NID_dhSinglePass_cofactorDH_sha384kdf_scheme, NID_dhSinglePass_cofactorDH_sha512kdf_scheme,
};
/* What each adds: RFC 3394, and RFC 3217 §3.1 for servers that know 3DES alone. */
static const struct {
        int nid;
        size_t adds;
} wraps[] = {{NID_id_aes128_wrap, 8},
             {NID_id_aes192_wrap, 8},
             {NID_id_aes256_wrap, 8},
             {NID_id_smime_alg_CMS3DESwrap, 16}};

static bool is_scheme(const ASN1_OBJECT *oid)
{
        for (size_t i = 0; i < N_ELEMENTS(schemes); i++)
                if (schemes[i] == OBJ_obj2nid(oid))
                        return true;
        return false;
}

static enum err not_taken(const char *what, const ASN1_OBJECT *oid, struct error *e)
{
        char name[80];

        OBJ_obj2txt(name, sizeof name, oid, 0);
        (void)error_set(e, ERR_SERVER_ALGORITHM,
                        "The server encrypted its reply with the %s %s, which is not taken", what, name);
        return error_remedy(e, ERR_SERVER_ALGORITHM,
                            "Have the server use ECDH with a key derivation of X9.63 and AES key wrap.");
}

static enum err check_algorithms(CMS_RecipientInfo *ri, size_t *ret_adds, struct error *e)
{
        X509_ALGOR *scheme = NULL, *wrap;
        ASN1_OCTET_STRING *ukm = NULL;
        const ASN1_OBJECT *oid, *wrap_oid;
        const void *value;
        const uint8_t *p;
        int type;
        enum err r;

        *ret_adds = 0;
        if (CMS_RecipientInfo_kari_get0_alg(ri, &scheme, &ukm) != 1)
                return ossl_error(e, ERR_REPLY, "The key agreement of the reply could not be read");
        X509_ALGOR_get0(&oid, &type, &value, scheme);
        if (!is_scheme(oid))
                return not_taken("key agreement", oid, e);
        if (ukm && ASN1_STRING_length(ukm) > UKM_MAX)
                return error_set(e, ERR_REPLY, "The keying material of the reply has %d octets",
                                 ASN1_STRING_length(ukm));
        p = type == V_ASN1_SEQUENCE ? ASN1_STRING_get0_data(value) : NULL;
        wrap = p ? d2i_X509_ALGOR(NULL, &p, ASN1_STRING_length(value)) : NULL;
        if (!wrap)
                return ossl_error(e, ERR_REPLY, "The key agreement of the reply names no key wrap");
        X509_ALGOR_get0(&wrap_oid, NULL, NULL, wrap);
        for (size_t i = 0; i < N_ELEMENTS(wraps); i++)
                if (wraps[i].nid == OBJ_obj2nid(wrap_oid))
                        *ret_adds = wraps[i].adds;
        r = *ret_adds ? ERR_OK : not_taken("key wrap", wrap_oid, e);
        X509_ALGOR_free(wrap);
        return r;
}

/* The sender's key: of our curve, and on it. What is not could make a key give itself away. */
static enum err check_originator(CMS_RecipientInfo *ri, EVP_PKEY *own, struct error *e)
{
        X509_ALGOR *algorithm = NULL;
        ASN1_BIT_STRING *point = NULL;
        EVP_PKEY *peer = NULL;
        CLEANUP(evp_pkey_ctx_free_p) EVP_PKEY_CTX *ctx = NULL;
        const ASN1_OBJECT *oid;
        const void *curve;
        char group[64];
        size_t len;
        int type;
        bool ok;

        if (CMS_RecipientInfo_kari_get0_orig_id(ri, &algorithm, &point, NULL, NULL, NULL) != 1 ||
            !algorithm || !point)
                return error_set(e, ERR_REPLY, "The reply's key agreement brings no key of the sender's");
        X509_ALGOR_get0(&oid, &type, &curve, algorithm);
        if (OBJ_obj2nid(oid) != NID_X9_62_id_ecPublicKey ||
            EVP_PKEY_get_group_name(own, group, sizeof group, &len) != 1 ||
            (type != V_ASN1_UNDEF && type != V_ASN1_NULL &&
             (type != V_ASN1_OBJECT || OBJ_obj2nid(curve) != OBJ_txt2nid(group))))
                return error_set(e, ERR_REPLY,
                                 "The sender's key in the reply is not of the curve of the request's key");
        peer = EVP_PKEY_new();
        ok = peer && ASN1_STRING_length(point) > 0 && ASN1_STRING_get0_data(point)[0] == 4 &&
             EVP_PKEY_copy_parameters(peer, own) == 1 &&
             EVP_PKEY_set1_encoded_public_key(peer, ASN1_STRING_get0_data(point),
                                              (size_t)ASN1_STRING_length(point)) == 1;
        ctx = ok ? EVP_PKEY_CTX_new_from_pkey(NULL, peer, NULL) : NULL;
        ok = ctx && EVP_PKEY_public_check(ctx) == 1;
        EVP_PKEY_free(peer);
        return ok ? ERR_OK
                  : ossl_error(e, ERR_REPLY, "The sender's key in the reply is no point of the curve");
}

static enum err check_wrapped(struct view raw, int which, size_t wanted, struct error *e)
{
        CLEANUP(key_agree_free_p) KEY_AGREE *parsed = NULL;
        CLEANUP(bytes_done) struct bytes sequence = {0};
        const ENCRYPTED_KEY *key;
        const uint8_t *p;
        enum err r = implicit_sequence(raw, &sequence, e);

        if (r)
                return r;
        p = sequence.data;
        parsed = (KEY_AGREE *)ASN1_item_d2i(NULL, &p, (long)sequence.len, ASN1_ITEM_rptr(KEY_AGREE));
        key = parsed ? sk_ENCRYPTED_KEY_value(parsed->keys, which) : NULL;
        if (!key)
                return ossl_error(e, ERR_REPLY, "The key agreement of the reply could not be read");
        if ((size_t)ASN1_STRING_length(key->octets) != wanted)
                return error_set(e, ERR_REPLY, "The wrapped key of the reply has %d octets instead of %zu",
                                 ASN1_STRING_length(key->octets), wanted);
        return ERR_OK;
}

enum err agreement_check(const struct reply_spec *spec, CMS_RecipientInfo *ri, struct view raw,
                         size_t content_key, bool *ret_ours, struct error *e)
{
        STACK_OF(CMS_RecipientEncryptedKey) *keys = CMS_RecipientInfo_kari_get0_reks(ri);
        EVP_PKEY *own = X509_get0_pubkey(spec->recipient);
        size_t adds = 0;
        enum err r;

        *ret_ours = false;
        for (int i = 0; i < sk_CMS_RecipientEncryptedKey_num(keys); i++) {
                if (CMS_RecipientEncryptedKey_cert_cmp(sk_CMS_RecipientEncryptedKey_value(keys, i),
                                                       spec->recipient) != 0)
                        continue;
                if (!EVP_PKEY_is_a(own, "EC"))
                        return error_set(
                                e, ERR_REPLY,
                                "The reply is encrypted by key agreement to a key that is no EC key");
                *ret_ours = true;
                r = check_algorithms(ri, &adds, e);
                if (!r)
                        r = check_originator(ri, own, e);
                return r ? r : check_wrapped(raw, i, content_key + adds, e);
        }
        ERR_clear_error();
        return ERR_OK;
}
