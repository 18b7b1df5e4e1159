/* What a TPM said about its keys, taken apart by MU and checked with OpenSSL: no TPM, no ESYS. */
#include "evidence.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "base/ossl.h"
#include "public.h"

void cert_list_done(struct cert_list *list)
{
        for (size_t i = 0; i < list->count; i++)
                bytes_done(&list->items[i]);
        list->count = 0;
}

enum err cert_list_add(struct cert_list *list, struct view der, struct error *e)
{
        enum err r;

        if (list->count == EVIDENCE_CERTS_MAX)
                return error_set(e, ERR_TOO_LARGE, "There are more than %d certificates", EVIDENCE_CERTS_MAX);
        if (der.len > EVIDENCE_CERT_MAX)
                return error_set(e, ERR_TOO_LARGE, "A certificate is larger than %d octets",
                                 EVIDENCE_CERT_MAX);
        r = bytes_copy(&list->items[list->count], der.data, der.len, e);
        if (!r)
                list->count++;
        return r;
}

void evidence_done(struct evidence *evidence)
{
        bytes_done(&evidence->public);
        bytes_done(&evidence->certify);
        bytes_done(&evidence->signature);
        bytes_done(&evidence->attester);
        bytes_done(&evidence->creation);
        bytes_done(&evidence->creation_certify);
        bytes_done(&evidence->creation_signature);
        cert_list_done(&evidence->endorsement);
        cert_list_done(&evidence->endorsement_chain);
}

enum err evidence_qualifying(struct view certificate, struct view nonce, uint8_t ret[EVIDENCE_HASH_LEN],
                             struct error *e)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1 ||
            EVP_DigestUpdate(ctx, certificate.data, certificate.len) != 1 ||
            EVP_DigestUpdate(ctx, nonce.data, nonce.len) != 1 || EVP_DigestFinal_ex(ctx, ret, NULL) != 1)
                return ossl_error(e, ERR_FAILED, "The certificate and the nonce could not be hashed");
        return ERR_OK;
}

/* A public area, and what is computed from it. */
struct area {
        TPMT_PUBLIC public;
        TPM2B_NAME name;
};

static const EVP_MD *hash_of(TPMI_ALG_HASH alg)
{
        switch (alg) {
        case TPM2_ALG_SHA256:
                return EVP_sha256();
        case TPM2_ALG_SHA384:
                return EVP_sha384();
        case TPM2_ALG_SHA512:
                return EVP_sha512();
        default:
                return NULL;
        }
}

/* Part 1, Names: the algorithm's number and the hash of @above, which may be empty, and @of. */
static enum err name_of(TPMI_ALG_HASH alg, const TPM2B_NAME *above, struct view of, TPM2B_NAME *ret,
                        struct error *e)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        const EVP_MD *md = hash_of(alg);
        unsigned len = 0;

        if (!md)
                return error_set(e, ERR_EVIDENCE,
                                 "A key is named by the hash 0x%x, which is not one of SHA-2", alg);
        ret->name[0] = (uint8_t)(alg >> 8);
        ret->name[1] = (uint8_t)alg;
        if (!ctx || EVP_DigestInit_ex(ctx, md, NULL) != 1 ||
            EVP_DigestUpdate(ctx, above->name, above->size) != 1 ||
            EVP_DigestUpdate(ctx, of.data, of.len) != 1 || EVP_DigestFinal_ex(ctx, ret->name + 2, &len) != 1)
                return ossl_error(e, ERR_FAILED, "A name could not be computed");
        ret->size = (UINT16)(2 + len);
        return ERR_OK;
}

static struct view name_view(const TPM2B_NAME *name)
{
        return (struct view){name->name, name->size};
}

static bool same_name(const TPM2B_NAME *a, const TPM2B_NAME *b)
{
        return view_equal(name_view(a), name_view(b));
}

static enum err read_area(const struct bytes *octets, const char *what, struct area *ret, struct error *e)
{
        static const TPM2B_NAME none = {0};
        size_t offset = 0;

        if (Tss2_MU_TPMT_PUBLIC_Unmarshal(octets->data, octets->len, &offset, &ret->public) ||
            offset != octets->len)
                return error_set(e, ERR_EVIDENCE, "The public area of the %s is malformed", what);
        return name_of(ret->public.nameAlg, &none, bytes_view(octets), &ret->name, e);
}

static enum err read_key(const struct evidence *evidence, struct area *ret, struct error *e)
{
        return read_area(&evidence->public, "key", ret, e);
}

static enum err read_attester(const struct evidence *evidence, struct area *ret, struct error *e)
{
        return read_area(&evidence->attester, "attestation key", ret, e);
}

/* A key of the other kinds is as little ours as a malformed one. */
static enum err area_key(const struct area *area, EVP_PKEY **ret, struct error *e)
{
        struct error why = {0};
        enum key_alg alg;
        enum err r = tpm_area_key(&area->public, &alg, ret, &why);

        return r && r != ERR_NO_MEMORY ? error_set(e, ERR_EVIDENCE, "%s", why.message) : r;
}

enum err evidence_key(const struct evidence *evidence, EVP_PKEY *certified, struct error *e)
{
        CLEANUP(evp_pkey_free_p) EVP_PKEY *key = NULL;
        struct area area = {0};
        enum err r = read_key(evidence, &area, e);

        if (!r)
                r = area_key(&area, &key, e);
        if (!r && EVP_PKEY_eq(key, certified) != 1)
                r = error_set(e, ERR_EVIDENCE,
                              "The certificate is for another key than the one that is attested");
        return r;
}

/* Part 2, TPMA_OBJECT: by these a TPM made it, of its own random numbers, and never gives it away. */
static enum err made_by_tpm(const struct area *area, const char *what, struct error *e)
{
        static const struct {
                TPMA_OBJECT bit;
                const char *name;
        } needed[] = {{TPMA_OBJECT_FIXEDTPM, "fixedTPM"},
                      {TPMA_OBJECT_FIXEDPARENT, "fixedParent"},
                      {TPMA_OBJECT_SENSITIVEDATAORIGIN, "sensitiveDataOrigin"}};

        for (size_t i = 0; i < N_ELEMENTS(needed); i++)
                if (!(area->public.objectAttributes & needed[i].bit))
                        return error_set(e, ERR_EVIDENCE,
                                         "The %s lacks the attribute %s: it may exist outside of the TPM",
                                         what, needed[i].name);
        return ERR_OK;
}

enum err evidence_origin(const struct evidence *evidence, struct error *e)
{
        struct area area = {0};
        enum err r = read_key(evidence, &area, e);

        return r ? r : made_by_tpm(&area, "key", e);
}

static bool signs_with_sha256(const TPMT_PUBLIC *public)
{
        switch (public->type) {
        case TPM2_ALG_RSA:
                return public->parameters.rsaDetail.scheme.scheme == TPM2_ALG_RSASSA &&
                       public->parameters.rsaDetail.scheme.details.rsassa.hashAlg == TPM2_ALG_SHA256;
        case TPM2_ALG_ECC:
                return public->parameters.eccDetail.scheme.scheme == TPM2_ALG_ECDSA &&
                       public->parameters.eccDetail.scheme.details.ecdsa.hashAlg == TPM2_ALG_SHA256;
        default:
                return false;
        }
}

enum err evidence_attester(const struct evidence *evidence, struct error *e)
{
        const TPMA_OBJECT kind = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_DECRYPT;
        struct area area = {0};
        enum err r = read_attester(evidence, &area, e);

        /* One that is not restricted signs whatever looks like a statement of its TPM. */
        if (!r && (area.public.objectAttributes & kind) != (kind & ~(TPMA_OBJECT)TPMA_OBJECT_DECRYPT))
                r = error_set(e, ERR_EVIDENCE,
                              "The attestation key is not restricted to sign what its TPM made");
        if (!r && (!signs_with_sha256(&area.public) || area.public.nameAlg != TPM2_ALG_SHA256))
                r = error_set(e, ERR_EVIDENCE,
                              "The attestation key does not sign by RSASSA or ECDSA with SHA-256");
        return r ? r : made_by_tpm(&area, "attestation key", e);
}

enum err evidence_name(const struct evidence *evidence, uint8_t ret[EVIDENCE_NAME_LEN], struct error *e)
{
        struct area area = {0};
        enum err r = read_attester(evidence, &area, e);

        if (!r && area.name.size != EVIDENCE_NAME_LEN)
                r = error_set(e, ERR_EVIDENCE, "The attestation key is not named by SHA-256");
        if (!r)
                memcpy(ret, area.name.name, EVIDENCE_NAME_LEN);
        return r;
}

/* One of the two statements, with the words for it. */
struct statement {
        const struct bytes *octets, *signature;
        TPMI_ST_ATTEST type;
        const char *what;
        TPMS_ATTEST attest;
};

static struct statement certify_statement(const struct evidence *evidence)
{
        return (struct statement){.octets = &evidence->certify,
                                  .signature = &evidence->signature,
                                  .type = TPM2_ST_ATTEST_CERTIFY,
                                  .what = "the statement about the key"};
}

static struct statement creation_statement(const struct evidence *evidence)
{
        return (struct statement){.octets = &evidence->creation_certify,
                                  .signature = &evidence->creation_signature,
                                  .type = TPM2_ST_ATTEST_CREATION,
                                  .what = "the statement about the attestation key"};
}

/* Part 2, TPMS_ATTEST. Its first octets keep a restricted key from signing a forged one: they are looked at
 * before anything else is. */
static enum err read_statement(struct statement *s, struct error *e)
{
        static const uint8_t magic[] = {TPM2_GENERATED_VALUE >> 24, TPM2_GENERATED_VALUE >> 16 & 0xff,
                                        TPM2_GENERATED_VALUE >> 8 & 0xff, TPM2_GENERATED_VALUE & 0xff};
        size_t offset = 0;

        if (s->octets->len < sizeof magic || memcmp(s->octets->data, magic, sizeof magic) != 0)
                return error_set(e, ERR_EVIDENCE,
                                 "What stands for %s was not made by a TPM (its magic number)", s->what);
        if (Tss2_MU_TPMS_ATTEST_Unmarshal(s->octets->data, s->octets->len, &offset, &s->attest) ||
            offset != s->octets->len)
                return error_set(e, ERR_EVIDENCE, "What stands for %s is malformed", s->what);
        if (s->attest.type != s->type)
                return error_set(e, ERR_EVIDENCE, "What stands for %s is another statement (0x%04x)", s->what,
                                 s->attest.type);
        return ERR_OK;
}

OSSL_CLEANUP(ECDSA_SIG, ecdsa_sig_free, ECDSA_SIG_free)

static enum err ecdsa_der(const TPMS_SIGNATURE_ECC *ecc, struct bytes *ret, struct error *e)
{
        CLEANUP(ecdsa_sig_free_p) ECDSA_SIG *signature = ECDSA_SIG_new();
        CLEANUP(bn_free_p) BIGNUM *r = BN_bin2bn(ecc->signatureR.buffer, ecc->signatureR.size, NULL);
        CLEANUP(bn_free_p) BIGNUM *s = BN_bin2bn(ecc->signatureS.buffer, ecc->signatureS.size, NULL);
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len;

        if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1)
                return error_no_memory(e);
        r = s = NULL;
        len = i2d_ECDSA_SIG(signature, &der);
        if (len < 0)
                return ossl_error(e, ERR_FAILED, "A signature could not be encoded");
        return bytes_copy(ret, der, (size_t)len, e);
}

static enum err signature_octets(const struct statement *s, bool rsa, struct bytes *ret, struct error *e)
{
        TPMT_SIGNATURE signature = {0};
        size_t offset = 0;

        if (Tss2_MU_TPMT_SIGNATURE_Unmarshal(s->signature->data, s->signature->len, &offset, &signature) ||
            offset != s->signature->len || signature.sigAlg != (rsa ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA) ||
            (rsa ? signature.signature.rsassa.hash : signature.signature.ecdsa.hash) != TPM2_ALG_SHA256)
                return error_set(e, ERR_EVIDENCE, "The signature of %s is malformed, or not one with SHA-256",
                                 s->what);
        return rsa ? bytes_copy(ret, signature.signature.rsassa.sig.buffer,
                                signature.signature.rsassa.sig.size, e)
                   : ecdsa_der(&signature.signature.ecdsa, ret, e);
}

static enum err check_signature(const struct statement *s, const struct area *attester, struct error *e)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        CLEANUP(evp_pkey_free_p) EVP_PKEY *key = NULL;
        CLEANUP(bytes_done) struct bytes signature = {0};
        enum err r = area_key(attester, &key, e);

        if (!r)
                r = signature_octets(s, EVP_PKEY_is_a(key, "RSA"), &signature, e);
        if (r)
                return r;
        if (!ctx || EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) != 1)
                return ossl_error(e, ERR_FAILED, "A signature could not be checked");
        if (EVP_DigestVerify(ctx, signature.data, signature.len, s->octets->data, s->octets->len) != 1)
                return error_set(e, ERR_EVIDENCE, "The attestation key has not signed %s", s->what);
        return ERR_OK;
}

/* What both have in common: form, signature, and for whom it was made. */
static enum err check_statement(struct statement *s, const struct area *attester,
                                const uint8_t qualifying[EVIDENCE_HASH_LEN], struct error *e)
{
        const TPM2B_DATA *extra = &s->attest.extraData;
        enum err r = read_statement(s, e);

        if (!r)
                r = check_signature(s, attester, e);
        if (!r &&
            (extra->size != EVIDENCE_HASH_LEN || memcmp(extra->buffer, qualifying, EVIDENCE_HASH_LEN) != 0))
                r = error_set(e, ERR_EVIDENCE, "%c%s was made for another certificate or another nonce",
                              s->what[0] - 'a' + 'A', s->what + 1);
        return r;
}

enum err evidence_certified(const struct evidence *evidence, const uint8_t qualifying[EVIDENCE_HASH_LEN],
                            struct error *e)
{
        struct statement s = certify_statement(evidence);
        struct area key = {0}, attester = {0};
        enum err r = read_key(evidence, &key, e);

        if (!r)
                r = read_attester(evidence, &attester, e);
        if (!r)
                r = check_statement(&s, &attester, qualifying, e);
        if (!r && !same_name(&s.attest.attested.certify.name, &key.name))
                r = error_set(e, ERR_EVIDENCE, "The TPM's statement is about another key");
        return r;
}

static enum err read_creation(const struct evidence *evidence, TPMS_CREATION_DATA *ret, struct error *e)
{
        size_t offset = 0;

        if (Tss2_MU_TPMS_CREATION_DATA_Unmarshal(evidence->creation.data, evidence->creation.len, &offset,
                                                 ret) ||
            offset != evidence->creation.len)
                return error_set(e, ERR_EVIDENCE, "The creation data of the attestation key are malformed");
        return ERR_OK;
}

static enum err check_creation_hash(const struct evidence *evidence, const TPM2B_DIGEST *hash,
                                    struct error *e)
{
        uint8_t digest[EVIDENCE_HASH_LEN];

        if (EVP_Digest(evidence->creation.data, evidence->creation.len, digest, NULL, EVP_sha256(), NULL) !=
            1)
                return ossl_error(e, ERR_FAILED, "The creation data could not be hashed");
        if (!view_equal((struct view){digest, sizeof digest}, (struct view){hash->buffer, hash->size}))
                return error_set(e, ERR_EVIDENCE,
                                 "The creation data are not those of the attestation key's creation");
        return ERR_OK;
}

/* Part 1, Qualified Name: that of the parent and the Name, hashed by the child's nameAlg. */
static enum err qualified(const TPMS_CREATION_DATA *creation, const struct area *area, TPM2B_NAME *ret,
                          struct error *e)
{
        return name_of(area->public.nameAlg, &creation->parentQualifiedName, name_view(&area->name), ret, e);
}

enum err evidence_created(const struct evidence *evidence, const uint8_t qualifying[EVIDENCE_HASH_LEN],
                          struct error *e)
{
        struct statement s = creation_statement(evidence), other = certify_statement(evidence);
        TPMS_CREATION_DATA creation = {0};
        struct area attester = {0};
        TPM2B_NAME name = {0};
        enum err r = read_attester(evidence, &attester, e);

        if (!r)
                r = read_creation(evidence, &creation, e);
        if (!r)
                r = check_statement(&s, &attester, qualifying, e);
        if (!r && !same_name(&s.attest.attested.creation.objectName, &attester.name))
                r = error_set(e, ERR_EVIDENCE, "The statement about a creation is about another key");
        if (!r)
                r = check_creation_hash(evidence, &s.attest.attested.creation.creationHash, e);
        if (!r)
                r = read_statement(&other, e);
        if (!r)
                r = qualified(&creation, &attester, &name, e);
        if (!r && (!same_name(&name, &s.attest.qualifiedSigner) ||
                   !same_name(&name, &other.attest.qualifiedSigner)))
                r = error_set(e, ERR_EVIDENCE,
                              "The attestation key was not made below the storage key of its creation data");
        return r;
}

bool evidence_siblings(const struct evidence *evidence)
{
        struct statement s = certify_statement(evidence);
        TPMS_CREATION_DATA creation = {0};
        struct area key = {0};
        TPM2B_NAME name = {0};

        return read_key(evidence, &key, NULL) == ERR_OK &&
               read_creation(evidence, &creation, NULL) == ERR_OK && read_statement(&s, NULL) == ERR_OK &&
               qualified(&creation, &key, &name, NULL) == ERR_OK &&
               same_name(&name, &s.attest.attested.certify.qualifiedName);
}
