/* What every layer that uses OpenSSL needs: owners that clean up, and errors from OpenSSL's queue. */
#pragma once

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/bytes.h"

#define OSSL_CLEANUP(type, name, free_function)                                                              \
        static inline void name##_p(type **p)                                                                \
        {                                                                                                    \
                if (*p)                                                                                      \
                        free_function(*p);                                                                   \
        }
OSSL_CLEANUP(EVP_PKEY, evp_pkey_free, EVP_PKEY_free)
OSSL_CLEANUP(EVP_PKEY_CTX, evp_pkey_ctx_free, EVP_PKEY_CTX_free)
OSSL_CLEANUP(EVP_MD_CTX, evp_md_ctx_free, EVP_MD_CTX_free)
OSSL_CLEANUP(EVP_MD, evp_md_free, EVP_MD_free)
OSSL_CLEANUP(X509, x509_free, X509_free)
OSSL_CLEANUP(X509_CRL, x509_crl_free, X509_CRL_free)
OSSL_CLEANUP(X509_REQ, x509_req_free, X509_REQ_free)
OSSL_CLEANUP(X509_NAME, x509_name_free, X509_NAME_free)
OSSL_CLEANUP(X509_STORE, x509_store_free, X509_STORE_free)
OSSL_CLEANUP(X509_STORE_CTX, x509_store_ctx_free, X509_STORE_CTX_free)
OSSL_CLEANUP(X509_EXTENSION, x509_extension_free, X509_EXTENSION_free)
OSSL_CLEANUP(GENERAL_NAMES, general_names_free, GENERAL_NAMES_free)
OSSL_CLEANUP(GENERAL_NAME, general_name_free, GENERAL_NAME_free)
OSSL_CLEANUP(BIO, bio_free, BIO_free_all)
OSSL_CLEANUP(BIGNUM, bn_free, BN_clear_free)
OSSL_CLEANUP(ASN1_OBJECT, asn1_object_free, ASN1_OBJECT_free)
OSSL_CLEANUP(ASN1_INTEGER, asn1_integer_free, ASN1_INTEGER_free)
OSSL_CLEANUP(ASN1_OCTET_STRING, asn1_octet_string_free, ASN1_OCTET_STRING_free)

static inline void x509_stack_free_p(STACK_OF(X509) * *p)
{
        if (*p)
                sk_X509_pop_free(*p, X509_free);
}

/* What a d2i/i2d function allocated. */
static inline void ossl_free_p(void *p)
{
        OPENSSL_free(*(void **)p);
}

/*
 * Makes libcrypto's default context, which otherwise comes with its first use: where there is no memory for
 * it then, OpenSSL 3.0 goes on without its locks and crashes. To be called before anything else of
 * libcrypto's. ERR_NO_MEMORY. Any thread, any number of times.
 */
MUST_CHECK enum err ossl_begin(struct error *e);

/* The sentence, then the deepest reason in this thread's OpenSSL queue, which is emptied. An allocation
 * failure in the queue becomes ERR_NO_MEMORY. */
enum err ossl_error(struct error *e, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* DER of one certificate, without anything behind it; ERR_REPLY otherwise. At most 64 KiB. */
MUST_CHECK enum err x509_parse(struct view der, X509 **ret, struct error *e);
MUST_CHECK enum err x509_der(const X509 *cert, struct bytes *ret, struct error *e);
/* Where libcrypto's readers of PEM take a function: what is encrypted is then an error. Without one they ask
 * whoever sits at the terminal for a passphrase, for a certificate too. */
int pem_no_passphrase(char *buffer, int size, int writing, void *ctx);
/* The next certificate in PEM, passing over what else stands there. NULL: there is none that can be read. */
X509 *pem_certificate(BIO *bio);
/* DER SubjectPublicKeyInfo of @key. */
MUST_CHECK enum err spki_der(EVP_PKEY *key, struct bytes *ret, struct error *e);
/* The public half of @key as a key of @libctx's default provider. By parameters: decoding an encoded key is
 * ten times the work. */
MUST_CHECK enum err public_copy(OSSL_LIB_CTX *libctx, EVP_PKEY *key, EVP_PKEY **ret, struct error *e);
/* The name as people read it: RFC 4514's escapes, but first RDN first, as profiles write it. *ret: free(). */
MUST_CHECK enum err x509_name_text(const X509_NAME *name, char **ret, struct error *e);
/* For waits that spread: nothing secret depends on it. */
uint64_t random_number(void);
/* In seconds since the epoch. false: @t is NULL or no time. */
bool asn1_time_seconds(const ASN1_TIME *t, int64_t *ret);
/* The content of a memory BIO as an own copy. */
MUST_CHECK enum err bio_bytes(BIO *bio, struct bytes *ret, struct error *e);
/* SHA-1 of a certificate's public key as CKA_ID has it: over the bit string's octets (RFC 5280 §4.2.1.2,
 * method 1). */
MUST_CHECK enum err spki_key_id(EVP_PKEY *key, uint8_t ret[20], struct error *e);
