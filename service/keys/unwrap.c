#include "unwrap.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "base/ossl.h"

OSSL_CLEANUP(EVP_CIPHER_CTX, cipher_ctx_free, EVP_CIPHER_CTX_free)
OSSL_CLEANUP(EVP_CIPHER, cipher_free, EVP_CIPHER_free)

enum err unwrap_copy(const struct key_unwrap *how, struct bytes *ret_octets, struct key_unwrap *ret,
                     struct error *e)
{
        uint8_t both[KEY_SALT_MAX + EVP_MAX_BLOCK_LENGTH];
        enum err r;

        bytes_done(ret_octets);
        memcpy(both, how->salt.data, how->salt.len);
        memcpy(both + how->salt.len, how->iv.data, how->iv.len);
        r = bytes_copy(ret_octets, both, how->salt.len + how->iv.len, e);
        if (r)
                return r;
        *ret = *how;
        ret->salt.data = ret_octets->data;
        ret->iv.data = ret_octets->data + how->salt.len;
        return ERR_OK;
}

/* One pass of the KEK's cipher without padding. */
static bool decrypt(const EVP_CIPHER *cipher, const uint8_t *kek, const uint8_t *iv, const uint8_t *in,
                    size_t len, uint8_t *out)
{
        CLEANUP(cipher_ctx_free_p) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        int n = 0, rest = 0;

        return ctx && EVP_DecryptInit_ex2(ctx, cipher, kek, iv, NULL) == 1 &&
               EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
               EVP_DecryptUpdate(ctx, out, &n, in, (int)len) == 1 &&
               EVP_DecryptFinal_ex(ctx, out + n, &rest) == 1 && (size_t)(n + rest) == len;
}

/* RFC 3211 §2.3.2: the last block was encrypted with the one before as its IV; its plaintext is the IV of the
 * first pass. Then all once more from the front with the IV that was sent. */
static bool unwrap(const EVP_CIPHER *cipher, const uint8_t *kek, size_t block, struct view iv, struct view in,
                   uint8_t *once, uint8_t *out)
{
        const uint8_t *last = in.data + in.len - block;

        if (!decrypt(cipher, kek, last - block, last, block, once + in.len - block) ||
            !decrypt(cipher, kek, once + in.len - block, in.data, in.len - block, once))
                return false;
        return decrypt(cipher, kek, iv.data, once, in.len, out);
}

/* Length, three octets that are those of the key inverted, the key, padding. */
static bool key_of(const uint8_t *block, size_t len, struct view *ret)
{
        size_t n = block[0];

        if (n < 4 || n + 4 > len ||
            ((block[1] ^ block[4]) & (block[2] ^ block[5]) & (block[3] ^ block[6])) != 0xff)
                return false;
        *ret = (struct view){block + 4, n};
        return true;
}

enum err password_unwrap(struct view password, const struct key_unwrap *how, struct view wrapped,
                         struct secret *ret, struct error *e)
{
        CLEANUP(secret_done) struct secret work = {0};
        CLEANUP(cipher_free_p) EVP_CIPHER *cipher = NULL;
        const EVP_MD *md;
        uint8_t *kek, *once, *out;
        struct view key;
        enum err r;

        if (!password.len || password.len > INT32_MAX || !key_unwrap_valid(how, wrapped.len))
                return error_set(e, ERR_INVALID, "This is no key that was wrapped by a password");
        cipher = EVP_CIPHER_fetch(NULL, key_kek_cipher(how->kek), NULL);
        md = EVP_get_digestbyname(key_digest_name(how->prf));
        r = secret_new(&work, key_kek_len(how->kek) + 2 * wrapped.len, e);
        if (r)
                return r;
        kek = work.data;
        once = kek + key_kek_len(how->kek);
        out = once + wrapped.len;
        if (!cipher || !md ||
            PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.len, how->salt.data,
                              (int)how->salt.len, (int)how->iterations, md, (int)key_kek_len(how->kek),
                              kek) != 1 ||
            !unwrap(cipher, kek, key_kek_block(how->kek), how->iv, wrapped, once, out))
                return ossl_error(e, ERR_FAILED, "A wrapped key could not be decrypted");
        if (!key_of(out, wrapped.len, &key)) {
                (void)error_set(e, ERR_REPLY, "It was encrypted with another password than the challenge");
                return error_remedy(e, ERR_REPLY, "Enroll again with a fresh challenge.");
        }
        return secret_copy(ret, key, e);
}
