#include "import.h"

#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/ossl.h"

/* One block of the file. */
struct block {
        char *name, *header;
        uint8_t *der;
        long len;
};

static void block_done(struct block *block)
{
        OPENSSL_free(block->name);
        OPENSSL_free(block->header);
        OPENSSL_clear_free(block->der, (size_t)block->len);
        *block = (struct block){0};
}

static bool ends_with(const char *s, const char *end)
{
        size_t n = strlen(s), m = strlen(end);

        return n >= m && strcmp(s + n - m, end) == 0;
}

OSSL_CLEANUP(PKCS8_PRIV_KEY_INFO, pkcs8_free, PKCS8_PRIV_KEY_INFO_free)

/* soft_alg() goes by the number of bits, which other curves have too. */
static bool is_our_curve(EVP_PKEY *key)
{
        char group[80];
        int nid;

        if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
                return false;
        nid = OBJ_txt2nid(group);
        return nid == NID_X9_62_prime256v1 || nid == NID_secp384r1;
}

static enum err read_pkcs8(const struct block *block, EVP_PKEY **ret, struct error *e)
{
        const uint8_t *p = block->der;
        CLEANUP(pkcs8_free_p) PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, block->len);
        CLEANUP(evp_pkey_free_p) EVP_PKEY *key = NULL;

        if (info && p == block->der + block->len)
                key = EVP_PKCS82PKEY_ex(info, NULL, "provider=default");
        if (!key)
                return ossl_error(e, ERR_INVALID, "The private key could not be read");
        if (EVP_PKEY_is_a(key, "EC") && !is_our_curve(key))
                return error_set(e, ERR_KEY_NOT_SUPPORTED,
                                 "Of EC keys, those of P-256 and P-384 are supported");
        *ret = STEAL(key);
        return ERR_OK;
}

static enum err read_tss2(const struct block *block, struct tpm_object *ret, struct error *e)
{
        struct tpm_object object = {0};
        enum err r = tss2_der_read((struct view){block->der, (size_t)block->len}, &object, e);

        if (!r && object.wants_pin)
                r = error_set(e, ERR_KEY_NOT_SUPPORTED, "A TPM key file asks for a password");
        if (!r)
                r = tpm_usable(&object, e);
        if (r) {
                tpm_object_done(&object);
                return r;
        }
        *ret = object;
        return ERR_OK;
}

static enum err refuse(const char *name, struct error *e)
{
        if (strcmp(name, "ENCRYPTED PRIVATE KEY") == 0)
                (void)error_set(e, ERR_INVALID, "The private key is encrypted with a passphrase");
        else
                (void)error_set(e, ERR_INVALID, "The private key is of the form '%.40s', not PKCS#8", name);
        return error_remedy(e, ERR_INVALID,
                            "Write it again as PKCS#8 without a passphrase: openssl pkey -in FILE.");
}

enum err import_read(struct view pem, EVP_PKEY **ret_soft, struct tpm_object *ret_object, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        CLEANUP(evp_pkey_free_p) EVP_PKEY *soft = NULL;
        struct tpm_object object = {0};
        unsigned keys = 0;
        enum err r = bio ? ERR_OK : error_no_memory(e);

        while (!r) {
                CLEANUP(block_done) struct block block = {0};

                if (PEM_read_bio(bio, &block.name, &block.header, &block.der, &block.len) != 1)
                        break;
                if (!ends_with(block.name, "PRIVATE KEY"))
                        continue;
                if (++keys > 1)
                        r = error_set(e, ERR_INVALID, "The file holds more than one private key");
                else if (strcmp(block.name, "TSS2 PRIVATE KEY") == 0)
                        r = read_tss2(&block, &object, e);
                else if (strcmp(block.name, "PRIVATE KEY") == 0)
                        r = read_pkcs8(&block, &soft, e);
                else
                        r = refuse(block.name, e);
        }
        ERR_clear_error();
        if (!r && keys == 0) {
                (void)error_set(e, ERR_INVALID, "The file holds no private key in PEM");
                r = error_remedy(e, ERR_INVALID,
                                 "Put the certificate, its issuers and its private key into one PEM "
                                 "file.");
        }
        if (r) {
                tpm_object_done(&object);
                return r;
        }
        *ret_soft = STEAL(soft);
        *ret_object = object;
        return ERR_OK;
}
