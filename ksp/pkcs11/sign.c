/* Signatures: hashed here where the mechanism says so, made by the key service. */
#include "internal.h"

#include <openssl/ecdsa.h>
#include <string.h>

static ck_rv_t hash_begin(struct module *m, struct operation *operation)
{
        CLEANUP(evp_md_free_p) EVP_MD *md = NULL;
        ck_rv_t rv = module_libctx(m);

        if (rv != CKR_OK || operation->md)
                return rv;
        md = EVP_MD_fetch(m->libctx, key_digest_name(operation->hash), NULL);
        operation->md = md ? EVP_MD_CTX_new() : NULL;
        return operation->md && EVP_DigestInit_ex2(operation->md, md, NULL) ? CKR_OK : CKR_HOST_MEMORY;
}

/* A part of what is signed, into the hash or as it is. */
static ck_rv_t take(struct module *m, struct operation *operation, const unsigned char *part,
                    unsigned long len)
{
        ck_rv_t rv;

        if (len && !part)
                return CKR_ARGUMENTS_BAD;
        if (!operation->hash) {
                if (len > operation->input_max - operation->len)
                        return CKR_DATA_LEN_RANGE;
                if (len)
                        memcpy(operation->data + operation->len, part, len);
                operation->len += len;
                return CKR_OK;
        }
        rv = hash_begin(m, operation);
        if (rv != CKR_OK)
                return rv;
        return !len || EVP_DigestUpdate(operation->md, part, len) ? CKR_OK : CKR_FUNCTION_FAILED;
}

/* r and s, each as long as the order, for the DER that the service gives. */
static ck_rv_t flatten(const struct bytes *der, unsigned char *signature, size_t len)
{
        const uint8_t *p = der->data;
        ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &p, (long)der->len);
        const int half = (int)(len / 2);
        const bool ok = parsed && BN_bn2binpad(ECDSA_SIG_get0_r(parsed), signature, half) == half &&
                        BN_bn2binpad(ECDSA_SIG_get0_s(parsed), signature + half, half) == half;

        ECDSA_SIG_free(parsed);
        return ok ? CKR_OK : CKR_DEVICE_ERROR;
}

static ck_rv_t finish(struct module *m, struct operation *operation, unsigned char *signature)
{
        CLEANUP(bytes_done) struct bytes made = {0};
        unsigned hash_len = 0;
        ck_rv_t rv = operation->hash ? hash_begin(m, operation) : CKR_OK;

        if (rv != CKR_OK)
                return rv;
        if (operation->hash) {
                if (!EVP_DigestFinal_ex(operation->md, operation->data, &hash_len))
                        return CKR_FUNCTION_FAILED;
                operation->len = hash_len;
        } else if (operation->len < operation->input_min || operation->len > operation->input_max) {
                return CKR_DATA_LEN_RANGE;
        }
        rv = identity_key(m, operation->identity);
        if (rv == CKR_OK)
                rv = rv_of(channel_key_sign(operation->identity->key, &operation->sign,
                                            (struct view){operation->data, operation->len},
                                            secret_view(&operation->pin), &made, NULL));
        if (rv != CKR_OK)
                return rv;
        if (operation->sign.scheme == KEY_SCHEME_ECDSA)
                return flatten(&made, signature, operation->result_len);
        if (made.len != operation->result_len)
                return CKR_DEVICE_ERROR;
        memcpy(signature, made.data, made.len);
        return CKR_OK;
}

ck_rv_t sign_update(struct module *m, struct session *s, const unsigned char *part, unsigned long len)
{
        ck_rv_t rv = operation_ready(&s->operation, OPERATION_SIGN, false);

        if (rv != CKR_OK)
                return rv;
        s->operation.updated = true;
        rv = take(m, &s->operation, part, len);
        if (rv != CKR_OK)
                operation_end(&s->operation);
        return rv;
}

/* The length alone, or too little room: the operation goes on (§5.2). true: that was all. */
static bool only_length(const struct session *s, const unsigned char *signature, unsigned long *len,
                        ck_rv_t *ret)
{
        const bool too_small = signature && *len < s->operation.result_len;

        *len = s->operation.result_len;
        *ret = too_small ? CKR_BUFFER_TOO_SMALL : CKR_OK;
        return !signature || too_small;
}

ck_rv_t sign_final(struct module *m, struct session *s, unsigned char *signature,
                   unsigned long *signature_len)
{
        ck_rv_t rv = operation_ready(&s->operation, OPERATION_SIGN, !signature);

        if (rv != CKR_OK)
                return rv;
        if (only_length(s, signature, signature_len, &rv))
                return rv;
        rv = finish(m, &s->operation, signature);
        operation_end(&s->operation);
        return rv;
}

ck_rv_t sign_once(struct module *m, struct session *s, const unsigned char *data, unsigned long len,
                  unsigned char *signature, unsigned long *signature_len)
{
        ck_rv_t rv = operation_ready(&s->operation, OPERATION_SIGN, !signature);

        if (rv != CKR_OK)
                return rv;
        if (s->operation.updated) {
                operation_end(&s->operation);
                return CKR_OPERATION_ACTIVE;
        }
        if (only_length(s, signature, signature_len, &rv))
                return rv;
        rv = take(m, &s->operation, data, len);
        if (rv == CKR_OK)
                rv = finish(m, &s->operation, signature);
        operation_end(&s->operation);
        return rv;
}
