/*
 * Any OpenSSL provider: a key loaded by its OSSL_STORE URI, one EVP_DigestSign (SHA-256) over 32 octets a
 * signature, as a TLS library calls it.
 *
 *     bench-sign-evp PROVIDER URI [PROPQ]
 */
#include "turns.h"

#include <openssl/provider.h>
#include <openssl/store.h>
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"

struct provided {
        const char *uri, *propq;
        EVP_PKEY *key;
};

static enum err load(void *ctx, struct error *e)
{
        struct provided *p = ctx;
        OSSL_STORE_CTX *store = OSSL_STORE_open_ex(p->uri, NULL, p->propq, NULL, NULL, NULL, NULL, NULL);

        while (store && !p->key && !OSSL_STORE_eof(store)) {
                OSSL_STORE_INFO *info = OSSL_STORE_load(store);

                if (info)
                        p->key = OSSL_STORE_INFO_get1_PKEY(info);
                OSSL_STORE_INFO_free(info);
        }
        (void)OSSL_STORE_close(store);
        return p->key ? ERR_OK : ossl_error(e, ERR_NOT_FOUND, "No key could be loaded from %s", p->uri);
}

static void unload(void *ctx)
{
        struct provided *p = ctx;

        EVP_PKEY_free(STEAL(p->key));
}

static enum err sign(void *ctx, const uint8_t digest[TURN_DIGEST_LEN], struct error *e)
{
        const struct provided *p = ctx;
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *md = EVP_MD_CTX_new();
        uint8_t signature[TURN_SIGNATURE_MAX];
        size_t len = sizeof signature;

        if (!md || EVP_DigestSignInit_ex(md, NULL, "SHA256", NULL, p->propq, p->key, NULL) != 1 ||
            EVP_DigestSign(md, signature, &len, digest, TURN_DIGEST_LEN) != 1)
                return ossl_error(e, ERR_FAILED, "No signature came from %s", p->uri);
        return ERR_OK;
}

int main(int argc, char **argv)
{
        struct provided p = {.uri = argc > 2 ? argv[2] : NULL, .propq = argc == 4 ? argv[3] : NULL};
        const struct signer signer = {&p, load, unload, sign};
        OSSL_PROVIDER *own, *base;
        struct error e = {0};
        int status;

        if (argc != 3 && argc != 4) {
                (void)fprintf(stderr, "Usage: %s PROVIDER URI [PROPQ]\n", argv[0]);
                return 2;
        }
        own = OSSL_PROVIDER_load(NULL, argv[1]);
        base = OSSL_PROVIDER_load(NULL, "default");
        if (!own || !base) {
                (void)ossl_error(&e, ERR_NOT_FOUND, "The provider %s could not be loaded", argv[1]);
                return turns_fail(&e);
        }
        status = turns_serve(&signer);
        (void)OSSL_PROVIDER_unload(own);
        (void)OSSL_PROVIDER_unload(base);
        return status;
}
