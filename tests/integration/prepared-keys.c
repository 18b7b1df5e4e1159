/*
 * Preloaded into scepterd by labs.py: an RSA key of 2048 bits is not made, which is what a quarter of the
 * time of all tests would go into, but is the next one of those in the file that PREPARED_KEYS names:
 * eight octets that count, for this process and the ones after it, then the keys as PEM, then an octet of 0.
 * After the last one keys are made, so that no two of a lab are alike; with PREPARED_KEYS_AGAIN, the first
 * comes again.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COUNT_LEN = 8, BITS = 2048, KEYS_MAX = 64 };

typedef EVP_PKEY *keygen_fn(OSSL_LIB_CTX *, const char *, const char *, ...);

static struct {
        _Atomic int64_t *count;
        const char *at[KEYS_MAX];
        size_t n;
        bool again;
} keys;

__attribute__((constructor)) static void start(void)
{
        const char *path = getenv("PREPARED_KEYS");
        const bool wanted = path && strcmp(program_invocation_short_name, "scepterd") == 0;
        int fd = wanted ? open(path, O_RDWR | O_CLOEXEC) : -1;
        struct stat st;
        void *at = MAP_FAILED;

        if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > COUNT_LEN)
                at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd >= 0)
                (void)close(fd);
        if (at == MAP_FAILED)
                return;
        keys.count = at;
        keys.again = getenv("PREPARED_KEYS_AGAIN") != NULL;
        for (const char *pem = (const char *)at + COUNT_LEN; keys.n < KEYS_MAX; pem = keys.at[keys.n++] + 1) {
                keys.at[keys.n] = strstr(pem, "-----BEGIN ");
                if (!keys.at[keys.n])
                        break;
        }
}

/* NULL: none is left. */
static EVP_PKEY *next_key(OSSL_LIB_CTX *ctx, const char *propq)
{
        const size_t number = (size_t)atomic_fetch_add(keys.count, 1);
        const char *at = keys.at[number % keys.n];
        BIO *bio = BIO_new_mem_buf(at, -1);
        EVP_PKEY *key = bio && (keys.again || number < keys.n)
                                ? PEM_read_bio_PrivateKey_ex(bio, NULL, NULL, NULL, ctx, propq)
                                : NULL;

        BIO_free(bio);
        return key;
}

__attribute__((visibility("default"))) EVP_PKEY *EVP_PKEY_Q_keygen(OSSL_LIB_CTX *ctx, const char *propq,
                                                                   const char *type, ...)
{
        keygen_fn *real = (keygen_fn *)(uintptr_t)dlsym(RTLD_NEXT, "EVP_PKEY_Q_keygen");
        const bool rsa = strcmp(type, "RSA") == 0;
        EVP_PKEY *prepared = NULL;
        size_t bits = 0;
        const char *curve = NULL;
        va_list more;

        va_start(more, type);
        if (rsa)
                bits = va_arg(more, size_t);
        else
                curve = va_arg(more, const char *);
        va_end(more);
        if (rsa && bits == BITS && keys.n > 0)
                prepared = next_key(ctx, propq);
        if (prepared)
                return prepared;
        return rsa ? real(ctx, propq, type, bits) : real(ctx, propq, type, curve);
}
