#include "pad.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/ossl.h"

static const EVP_MD *evp_digest(enum key_digest digest)
{
        switch (digest) {
        case KEY_DIGEST_SHA1:
                return EVP_sha1();
        case KEY_DIGEST_SHA224:
                return EVP_sha224();
        case KEY_DIGEST_SHA256:
                return EVP_sha256();
        case KEY_DIGEST_SHA384:
                return EVP_sha384();
        case KEY_DIGEST_SHA512:
                return EVP_sha512();
        case KEY_DIGEST_SHA3_256:
                return EVP_sha3_256();
        case KEY_DIGEST_SHA3_384:
                return EVP_sha3_384();
        case KEY_DIGEST_SHA3_512:
                return EVP_sha3_512();
        case KEY_DIGEST_NONE:
        case _KEY_DIGEST_MAX:
                break;
        }
        return NULL;
}

static enum err too_long(struct error *e)
{
        return error_set(e, ERR_INVALID, "The data does not fit into a signature of this key");
}

static enum err pad_pkcs1(const struct key_sign *how, struct view data, uint8_t *out, size_t size,
                          struct error *e)
{
        struct view prefix = key_digest_info_prefix(how->digest);
        size_t len = prefix.len + data.len;

        if (len + 11 > size)
                return too_long(e);
        memset(out, 0xff, size);
        out[0] = 0;
        out[1] = 1;
        out[size - len - 1] = 0;
        if (prefix.len)
                memcpy(out + size - len, prefix.data, prefix.len);
        if (data.len)
                memcpy(out + size - data.len, data.data, data.len);
        return ERR_OK;
}

/* MGF1 (§B.2.1) of @seed, XORed into @data. */
static bool mgf1_xor(const EVP_MD *md, struct view seed, uint8_t *data, size_t len)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        uint8_t mask[EVP_MAX_MD_SIZE];
        size_t step = (size_t)EVP_MD_get_size(md), done = 0;

        for (uint32_t counter = 0; ctx && done < len; counter++) {
                const uint8_t c[4] = {(uint8_t)(counter >> 24), (uint8_t)(counter >> 16),
                                      (uint8_t)(counter >> 8), (uint8_t)counter};

                if (!EVP_DigestInit_ex(ctx, md, NULL) || !EVP_DigestUpdate(ctx, seed.data, seed.len) ||
                    !EVP_DigestUpdate(ctx, c, sizeof c) || !EVP_DigestFinal_ex(ctx, mask, NULL))
                        return false;
                for (size_t i = 0; i < step && done < len; i++)
                        data[done++] ^= mask[i];
        }
        wipe(mask, sizeof mask);
        return ctx != NULL;
}

static enum err pad_pss(const struct key_sign *how, struct view data, uint8_t *out, size_t size,
                        struct error *e)
{
        static const uint8_t zeros[8];
        const EVP_MD *md = evp_digest(how->digest);
        const EVP_MD *mgf1 = evp_digest(how->mgf1 != KEY_DIGEST_NONE ? how->mgf1 : how->digest);
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        uint8_t salt[KEY_MODULUS_MAX], *hash;
        size_t hash_len = data.len, db_len = size - hash_len - 1;

        if (!md || !mgf1)
                return error_set(e, ERR_INVALID, "PSS needs a digest");
        if (hash_len + how->salt_len + 2 > size || how->salt_len > sizeof salt)
                return too_long(e);
        /* The modulus has a multiple of 8 bits, so emBits is one less and the first bit is cleared below. */
        memset(out, 0, size);
        hash = out + db_len;
        if (!ctx || RAND_bytes(salt, how->salt_len) != 1 || !EVP_DigestInit_ex(ctx, md, NULL) ||
            !EVP_DigestUpdate(ctx, zeros, sizeof zeros) || !EVP_DigestUpdate(ctx, data.data, data.len) ||
            !EVP_DigestUpdate(ctx, salt, how->salt_len) || !EVP_DigestFinal_ex(ctx, hash, NULL))
                return ossl_error(e, ERR_FAILED, "A signature could not be padded");
        out[db_len - how->salt_len - 1] = 1;
        if (how->salt_len)
                memcpy(out + db_len - how->salt_len, salt, how->salt_len);
        if (!mgf1_xor(mgf1, (struct view){hash, hash_len}, out, db_len))
                return ossl_error(e, ERR_FAILED, "A signature could not be padded");
        out[0] &= 0x7f;
        out[size - 1] = 0xbc;
        return ERR_OK;
}

enum err pad_sign(const struct key_sign *how, struct view data, uint8_t *out, size_t size, struct error *e)
{
        size_t digest_len = key_digest_len(how->digest);

        if (digest_len && data.len != digest_len)
                return error_set(e, ERR_INVALID, "A hash of %zu octets is not one of %s", data.len,
                                 key_digest_name(how->digest));
        if (how->scheme == KEY_SCHEME_RSA_PSS)
                return pad_pss(how, data, out, size, e);
        if (how->scheme == KEY_SCHEME_RSA_PKCS1)
                return pad_pkcs1(how, data, out, size, e);
        return error_set(e, ERR_INVALID, "An RSA key cannot make an ECDSA signature");
}

static enum err bad_padding(struct error *e)
{
        (void)error_set(e, ERR_INVALID, "The data could not be decrypted with this key");
        return error_remedy(e, ERR_INVALID, "Check that the data was encrypted to this certificate.");
}

/* All ones where @a equals @b, else 0; no branch. */
static uint32_t equal_mask(uint32_t a, uint32_t b)
{
        uint32_t x = a ^ b;

        return (uint32_t)(((int64_t)x - 1) >> 63);
}

/* All ones where @a is below @b; both below 2^31. */
static uint32_t below_mask(uint32_t a, uint32_t b)
{
        return (uint32_t)(((int64_t)a - (int64_t)b) >> 63);
}

/*
 * Moves the last @len of @size octets to the front without an access pattern that depends on @len: every
 * octet of the result looks at every octet of the input.
 */
static void move_tail(const uint8_t *in, size_t size, uint32_t start, uint8_t *out)
{
        for (uint32_t i = 0; i < size; i++) {
                uint8_t v = 0;

                for (uint32_t j = i; j < size; j++)
                        v |= (uint8_t)(in[j] & equal_mask(j, start + i));
                out[i] = v;
        }
}

static enum err finish(uint8_t *padded, size_t size, uint32_t start, uint32_t good, struct secret *ret,
                       struct error *e)
{
        CLEANUP(secret_done) struct secret plain = {0};
        enum err r = secret_new(&plain, size, e);

        if (r)
                return r;
        move_tail(padded, size, start, plain.data);
        wipe(padded, size);
        if (!good)
                return bad_padding(e);
        plain.len = size - start;
        *ret = plain;
        plain = (struct secret){0};
        return ERR_OK;
}

static enum err unpad_pkcs1(uint8_t *padded, size_t size, struct secret *ret, struct error *e)
{
        uint32_t good = equal_mask(padded[0], 0) & equal_mask(padded[1], 2), found = 0, zero = 0;

        for (uint32_t i = 2; i < size; i++) {
                uint32_t here = equal_mask(padded[i], 0) & ~found;

                zero |= i & here;
                found |= here;
        }
        /* At least 8 octets of padding string stand before the zero. */
        good &= found & ~below_mask(zero, 10);
        return finish(padded, size, (zero + 1) & good, good, ret, e);
}

static enum err unpad_oaep(const struct key_decrypt *how, uint8_t *padded, size_t size, struct secret *ret,
                           struct error *e)
{
        const EVP_MD *md = evp_digest(how->digest);
        const EVP_MD *mgf1 = evp_digest(how->mgf1 != KEY_DIGEST_NONE ? how->mgf1 : how->digest);
        size_t hash_len = key_digest_len(how->digest), db_len;
        uint8_t label_hash[EVP_MAX_MD_SIZE], *seed = padded + 1, *db;
        uint32_t good, found = 0, one = 0;

        if (!md || !mgf1 || size < 2 * hash_len + 2)
                return error_set(e, ERR_INVALID, "OAEP needs a digest that fits this key");
        db = padded + 1 + hash_len;
        db_len = size - 1 - hash_len;
        if (!mgf1_xor(mgf1, (struct view){db, db_len}, seed, hash_len) ||
            !mgf1_xor(mgf1, (struct view){seed, hash_len}, db, db_len) ||
            !EVP_Digest(how->label.data, how->label.len, label_hash, NULL, md, NULL))
                return ossl_error(e, ERR_FAILED, "Data could not be decrypted");
        good = equal_mask(padded[0], 0) & equal_mask((uint32_t)CRYPTO_memcmp(db, label_hash, hash_len), 0);
        for (uint32_t i = (uint32_t)hash_len; i < db_len; i++) {
                uint32_t is_one = equal_mask(db[i], 1) & ~found, is_zero = equal_mask(db[i], 0);

                one |= i & is_one;
                good &= found | is_one | is_zero;
                found |= is_one;
        }
        good &= found;
        return finish(db, db_len, (one + 1) & good, good, ret, e);
}

enum err unpad_decrypt(const struct key_decrypt *how, uint8_t *padded, size_t size, struct secret *ret,
                       struct error *e)
{
        if (size < 11 || size > KEY_MODULUS_MAX)
                return bad_padding(e);
        if (how->padding == KEY_PADDING_RSA_OAEP)
                return unpad_oaep(how, padded, size, ret, e);
        return unpad_pkcs1(padded, size, ret, e);
}
