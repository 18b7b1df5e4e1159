#include "tls-sign.h"

#include "base/ossl.h"
#include "channel/tls13.h"

/* RFC 8446 binds a curve to its hash; RSA takes each of the three. */
static bool fits(enum key_alg alg, const struct key_sign *how)
{
        if (key_alg_is_rsa(alg))
                return how->scheme == KEY_SCHEME_RSA_PSS;
        return how->scheme == KEY_SCHEME_ECDSA &&
               how->digest == (alg == KEY_ALG_EC_P256 ? KEY_DIGEST_SHA256 : KEY_DIGEST_SHA384);
}

enum err tls_sign(struct ksp_key *key, uid_t uid, uint16_t scheme, struct view transcript, struct bytes *ret,
                  struct error *e)
{
        struct tls13_input input;
        struct key_sign how;
        uint8_t hash[EVP_MAX_MD_SIZE];
        unsigned len;

        if (!tls13_scheme_sign(scheme, &how) || !fits(ksp_key_alg(key), &how))
                return error_set(e, ERR_INVALID, "The key makes no signature of the TLS scheme 0x%04x",
                                 scheme);
        if (!tls13_input_make(transcript, &input))
                return error_set(e, ERR_INVALID, "A TLS 1.3 transcript hash has no %zu octets",
                                 transcript.len);
        if (EVP_Digest(input.octets, input.len, hash, &len, EVP_get_digestbyname(key_digest_name(how.digest)),
                       NULL) != 1)
                return ossl_error(e, ERR_FAILED, "A TLS handshake could not be hashed");
        return ksp_sign(key, uid, &how, (struct view){hash, len}, ret, e);
}
