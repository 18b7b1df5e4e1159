#include "daemon/intact.h"

#include <openssl/decoder.h>
#include <openssl/core_dispatch.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "daemon/log.h"

enum { ALGORITHM_MAX = 64 };

/* EVP_MD_fetch() and its kind, as @name. */
#define HAS(name, type, prefix)                                                                              \
        static bool has_##name(OSSL_LIB_CTX *libctx, const char *algorithm, const char *properties)          \
        {                                                                                                    \
                type *found = prefix##_fetch(libctx, algorithm, properties);                                 \
                const bool ret = found != NULL;                                                              \
                                                                                                             \
                prefix##_free(found);                                                                        \
                return ret;                                                                                  \
        }
HAS(digest, EVP_MD, EVP_MD)
HAS(cipher, EVP_CIPHER, EVP_CIPHER)
HAS(mac, EVP_MAC, EVP_MAC)
HAS(kdf, EVP_KDF, EVP_KDF)
HAS(random, EVP_RAND, EVP_RAND)
HAS(keys, EVP_KEYMGMT, EVP_KEYMGMT)
HAS(agreement, EVP_KEYEXCH, EVP_KEYEXCH)
HAS(signature, EVP_SIGNATURE, EVP_SIGNATURE)
HAS(encryption, EVP_ASYM_CIPHER, EVP_ASYM_CIPHER)
HAS(encoder, OSSL_ENCODER, OSSL_ENCODER)
HAS(decoder, OSSL_DECODER, OSSL_DECODER)

static const struct {
        int operation;
        bool (*has)(OSSL_LIB_CTX *libctx, const char *algorithm, const char *properties);
} operations[] = {
        {OSSL_OP_DIGEST, has_digest},
        {OSSL_OP_CIPHER, has_cipher},
        {OSSL_OP_MAC, has_mac},
        {OSSL_OP_KDF, has_kdf},
        {OSSL_OP_RAND, has_random},
        {OSSL_OP_KEYMGMT, has_keys},
        {OSSL_OP_KEYEXCH, has_agreement},
        {OSSL_OP_SIGNATURE, has_signature},
        {OSSL_OP_ASYM_CIPHER, has_encryption},
        {OSSL_OP_ENCODER, has_encoder},
        {OSSL_OP_DECODER, has_decoder},
};

/* What a new context would have. */
static bool was_to_be_had(size_t operation, const OSSL_ALGORITHM *at, const char *name)
{
        OSSL_LIB_CTX *fresh = OSSL_LIB_CTX_new();
        const bool ret = fresh && operations[operation].has(fresh, name, at->property_definition);

        OSSL_LIB_CTX_free(fresh);
        return ret;
}

/* Of the first one that the provider names and that cannot be had of it any more. */
static bool find_missing(OSSL_LIB_CTX *libctx, const OSSL_PROVIDER *provider, char ret_name[ALGORITHM_MAX])
{
        for (size_t i = 0; i < N_ELEMENTS(operations); i++) {
                int no_cache = 0;
                const OSSL_ALGORITHM *at =
                        OSSL_PROVIDER_query_operation(provider, operations[i].operation, &no_cache);

                for (; at && at->algorithm_names; at++) {
                        (void)snprintf(ret_name, ALGORITHM_MAX, "%.*s",
                                       (int)strcspn(at->algorithm_names, ":"), at->algorithm_names);
                        if (!operations[i].has(libctx, ret_name, at->property_definition) &&
                            was_to_be_had(i, at, ret_name))
                                return true;
                }
        }
        return false;
}

/* Whether something is; false also where there is no memory to tell. */
static bool look(OSSL_LIB_CTX *libctx, char ret_name[ALGORITHM_MAX])
{
        OSSL_PROVIDER *provider = OSSL_PROVIDER_load(libctx, "default");
        const bool missing = provider && find_missing(libctx, provider, ret_name);

        if (provider)
                (void)OSSL_PROVIDER_unload(provider);
        ERR_clear_error();
        return missing;
}

/* What a network, a server or a person has done. A laptop that is offline need not ask at each attempt: the
 * algorithms that were never used take their memory with the first question. */
static bool is_foreign(enum err code)
{
        static const enum err foreign[] = {ERR_NETWORK,    ERR_TIMEOUT,          ERR_TLS,
                                           ERR_HTTP,       ERR_CHALLENGE_NEEDED, ERR_PENDING,
                                           ERR_CANCELLED,  ERR_SERVER_REFUSED,   ERR_DENIED,
                                           ERR_BUSY,       ERR_NOT_FOUND,        ERR_FILE_NEEDED,
                                           ERR_PIN_NEEDED, ERR_INVALID,          ERR_LIMIT};

        for (size_t i = 0; i < N_ELEMENTS(foreign); i++)
                if (code == foreign[i])
                        return true;
        return false;
}

void intact_look(struct daemon *d, const struct error *why)
{
        char name[ALGORITHM_MAX];

        if (is_foreign(why->code) || (!look(NULL, name) && !look(d->libctx, name)))
                return;
        log_line(LOG_ERR, "For want of memory libcrypto has lost %s; the service ends and is started anew",
                 name);
        (void)sd_event_exit(d->event, 1);
}
