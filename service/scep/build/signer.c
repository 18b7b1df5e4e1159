#include "scep-build/signer.h"

#include <openssl/err.h>
#include <openssl/rand.h>

static bool set_serial(X509 *cert)
{
        uint8_t octets[16];
        CLEANUP(bn_free_p) BIGNUM *serial = NULL;

        if (RAND_bytes(octets, sizeof octets) != 1)
                return false;
        octets[0] = (uint8_t)((octets[0] & 0x3f) | 0x40); /* positive and of one length (RFC 5280 §4.1.2.2) */
        serial = BN_bin2bn(octets, sizeof octets, NULL);
        return serial && BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));
}

/* RFC 5280 §4.2.1.3 */
enum { DIGITAL_SIGNATURE = 0, KEY_ENCIPHERMENT = 2, KEY_AGREEMENT = 4 };

/* A server may tell from it how the reply can reach us. */
static bool set_key_usage(X509 *cert, EVP_PKEY *key)
{
        const int receives = EVP_PKEY_is_a(key, "RSA") ? KEY_ENCIPHERMENT : KEY_AGREEMENT;
        ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
        bool ok = bits && ASN1_BIT_STRING_set_bit(bits, DIGITAL_SIGNATURE, 1) &&
                  ASN1_BIT_STRING_set_bit(bits, receives, 1) &&
                  X509_add1_ext_i2d(cert, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT) == 1;

        ASN1_BIT_STRING_free(bits);
        return ok;
}

enum err signer_build(struct view subject, EVP_PKEY *key, const char *digest, time_t now, unsigned life,
                      X509 **ret, struct error *e)
{
        const uint8_t *p = subject.data;
        CLEANUP(x509_name_free_p) X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)subject.len);
        CLEANUP(x509_free_p) X509 *cert = X509_new();
        CLEANUP(evp_md_free_p) EVP_MD *md = EVP_MD_fetch(NULL, digest, NULL);
        CLEANUP(bytes_done) struct bytes der = {0};
        enum err r;

        if (!cert)
                return error_no_memory(e);
        if (!name || p != subject.data + subject.len) {
                ERR_clear_error();
                return error_set(e, ERR_INVALID, "The subject is not a DER name");
        }
        if (life < SIGNER_LIFE_MIN || life > SIGNER_LIFE_MAX)
                return error_set(e, ERR_INVALID,
                                 "A signer certificate lives between %d and %d seconds, not %u",
                                 SIGNER_LIFE_MIN, SIGNER_LIFE_MAX, life);
        if (!md)
                return ossl_error(e, ERR_UNSUPPORTED, "The digest '%s' is not available", digest);
        if (!X509_set_version(cert, X509_VERSION_3) || !set_serial(cert) ||
            !X509_set_subject_name(cert, name) || !X509_set_issuer_name(cert, name) ||
            !ASN1_TIME_set(X509_getm_notBefore(cert), now - SIGNER_BACKDATE) ||
            !ASN1_TIME_set(X509_getm_notAfter(cert), now + (time_t)life) || !X509_set_pubkey(cert, key) ||
            !set_key_usage(cert, key))
                return ossl_error(e, ERR_FAILED, "The signer certificate could not be built");
        if (X509_sign(cert, key, md) <= 0)
                return ossl_error(e, ERR_FAILED, "The signer certificate could not be signed");
        /* X509_set_pubkey() keeps @key itself: whoever asks this object for its public key would get the
         * provider's. */
        r = x509_der(cert, &der, e);
        return r ? r : x509_parse(bytes_view(&der), ret, e);
}
