#include "base/ossl.h"

#include "base/parse.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum err ossl_begin(struct error *e)
{
        return OSSL_LIB_CTX_get0_global_default() ? ERR_OK : error_no_memory(e);
}

enum err ossl_error(struct error *e, enum err code, const char *fmt, ...)
{
        char text[ERROR_MESSAGE_MAX / 2];
        const char *reason = NULL, *data = NULL, *detail = NULL;
        unsigned long queued;
        int flags;
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        /* The first entry is the deepest one: where it broke, not where it was noticed. */
        while ((queued = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
                if (ERR_GET_REASON(queued) == ERR_R_MALLOC_FAILURE)
                        code = ERR_NO_MEMORY;
                if (!reason) {
                        reason = ERR_reason_error_string(queued);
                        detail = (flags & ERR_TXT_STRING) && data && *data ? data : NULL;
                        if (detail)
                                (void)error_set(e, code, "%s: %s (%s)", text, reason ? reason : "unknown",
                                                detail);
                        else if (reason)
                                (void)error_set(e, code, "%s: %s", text, reason);
                }
        }
        if (!reason)
                (void)error_set(e, code, "%s", text);
        else if (e && e->code != code)
                e->code = code;
        return code;
}

enum err x509_parse(struct view der, X509 **ret, struct error *e)
{
        const uint8_t *p = der.data;
        CLEANUP(x509_free_p) X509 *cert = NULL;

        if (der.len > 65536)
                return error_set(e, ERR_REPLY, "A certificate is larger than 64 KiB");
        cert = d2i_X509(NULL, &p, (long)der.len);
        if (!cert)
                return ossl_error(e, ERR_REPLY, "A certificate could not be read");
        if (p != der.data + der.len)
                return error_set(e, ERR_REPLY, "A certificate is followed by other data");
        *ret = STEAL(cert);
        return ERR_OK;
}

int pem_no_passphrase(char *buffer, int size, int writing, void *ctx)
{
        (void)buffer;
        (void)size;
        (void)writing;
        (void)ctx;
        return -1;
}

X509 *pem_certificate(BIO *bio)
{
        return PEM_read_bio_X509(bio, NULL, pem_no_passphrase, NULL);
}

enum err x509_der(const X509 *cert, struct bytes *ret, struct error *e)
{
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len = i2d_X509(cert, &der);

        if (len < 0)
                return ossl_error(e, ERR_FAILED, "A certificate could not be encoded");
        return bytes_copy(ret, der, (size_t)len, e);
}

enum err spki_der(EVP_PKEY *key, struct bytes *ret, struct error *e)
{
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len = i2d_PUBKEY(key, &der);

        if (len < 0)
                return ossl_error(e, ERR_FAILED, "A public key could not be encoded");
        return bytes_copy(ret, der, (size_t)len, e);
}

OSSL_CLEANUP(OSSL_PARAM, params_free, OSSL_PARAM_free)

enum err public_copy(OSSL_LIB_CTX *libctx, EVP_PKEY *key, EVP_PKEY **ret, struct error *e)
{
        CLEANUP(params_free_p) OSSL_PARAM *params = NULL;
        CLEANUP(evp_pkey_ctx_free_p)
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, EVP_PKEY_is_a(key, "RSA") ? "RSA" : "EC",
                                                       "provider=default");
        EVP_PKEY *copy = NULL;

        if (!ctx || EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params) != 1 ||
            EVP_PKEY_fromdata_init(ctx) != 1 ||
            EVP_PKEY_fromdata(ctx, &copy, EVP_PKEY_PUBLIC_KEY, params) != 1)
                return ossl_error(e, ERR_FAILED, "A public key could not be copied");
        *ret = copy;
        return ERR_OK;
}

enum err x509_name_text(const X509_NAME *name, char **ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        struct bytes text = {0};
        enum err r;

        if (!bio ||
            X509_NAME_print_ex(bio, name, 0,
                               XN_FLAG_RFC2253 & ~(unsigned long)(XN_FLAG_DN_REV | ASN1_STRFLGS_ESC_MSB)) < 0)
                return ossl_error(e, ERR_FAILED, "A name could not be written");
        r = bio_bytes(bio, &text, e);
        if (r)
                return r;
        utf8_scrub((char *)text.data, text.len + 1);
        *ret = (char *)text.data;
        return ERR_OK;
}

uint64_t random_number(void)
{
        uint64_t number = 0;

        if (RAND_bytes((unsigned char *)&number, sizeof number) != 1)
                ERR_clear_error();
        return number;
}

bool asn1_time_seconds(const ASN1_TIME *t, int64_t *ret)
{
        struct tm tm;

        if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
                return false;
        *ret = (int64_t)timegm(&tm);
        return true;
}

enum err bio_bytes(BIO *bio, struct bytes *ret, struct error *e)
{
        char *data = NULL;
        long len = BIO_get_mem_data(bio, &data);

        return bytes_copy(ret, data, len > 0 ? (size_t)len : 0, e);
}

enum err spki_key_id(EVP_PKEY *key, uint8_t ret[20], struct error *e)
{
        X509_PUBKEY *spki = NULL;
        const uint8_t *bits;
        int len;
        bool ok = X509_PUBKEY_set(&spki, key) == 1 &&
                  X509_PUBKEY_get0_param(NULL, &bits, &len, NULL, spki) == 1 &&
                  EVP_Digest(bits, (size_t)len, ret, NULL, EVP_sha1(), NULL) == 1;

        X509_PUBKEY_free(spki);
        return ok ? ERR_OK : ossl_error(e, ERR_FAILED, "The identifier of a key could not be computed");
}
