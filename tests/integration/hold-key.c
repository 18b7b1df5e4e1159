/*
 * A program that keeps a key: loads it through OSSL_STORE, then signs once for each line it reads, "fork" in
 * a child. Prints "ready", then "ok" or the reason for each. Usage: hold-key URI [PIN]
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int give_pin(char *buffer, int size, int writing, void *pin)
{
        (void)writing;
        return snprintf(buffer, (size_t)size, "%s", (const char *)pin);
}

/* @pin: NULL: there is nobody to ask. */
static EVP_PKEY *load(const char *uri, char *pin)
{
        UI_METHOD *ui = pin ? UI_UTIL_wrap_read_pem_callback(give_pin, 0) : NULL;
        OSSL_STORE_CTX *store = OSSL_STORE_open(uri, ui, pin, NULL, NULL);
        EVP_PKEY *key = NULL;

        while (store && !key && !OSSL_STORE_eof(store)) {
                OSSL_STORE_INFO *info = OSSL_STORE_load(store);

                if (info && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
                        key = OSSL_STORE_INFO_get1_PKEY(info);
                OSSL_STORE_INFO_free(info);
        }
        OSSL_STORE_close(store);
        UI_destroy_method(ui);
        return key;
}

static bool sign(EVP_PKEY *key)
{
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_MD_CTX *check = EVP_MD_CTX_new();
        unsigned char signature[1024];
        size_t len = sizeof signature;
        bool ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                  EVP_DigestSign(ctx, signature, &len, (const unsigned char *)"x", 1) == 1 &&
                  EVP_DigestVerifyInit(check, NULL, EVP_sha256(), NULL, key) == 1 &&
                  EVP_DigestVerify(check, signature, len, (const unsigned char *)"x", 1) == 1;

        EVP_MD_CTX_free(ctx);
        EVP_MD_CTX_free(check);
        return ok;
}

static void answer(bool ok)
{
        const char *data = NULL;
        int flags;

        if (ok) {
                puts("ok");
        } else {
                (void)ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);
                printf("failed: %s\n", data ? data : "");
                ERR_clear_error();
        }
        fflush(stdout);
}

int main(int argc, char **argv)
{
        OSSL_PROVIDER *standard = OSSL_PROVIDER_load(NULL, "default");
        OSSL_PROVIDER *ksp = OSSL_PROVIDER_load(NULL, "ksp");
        EVP_PKEY *key = argc >= 2 && standard && ksp ? load(argv[1], argv[2]) : NULL;
        char line[64];

        if (!key) {
                ERR_print_errors_fp(stderr);
                return 1;
        }
        puts("ready");
        fflush(stdout);
        while (fgets(line, sizeof line, stdin)) {
                if (strncmp(line, "fork", 4) == 0) {
                        pid_t child = fork();

                        if (child == 0) {
                                answer(sign(key));
                                _exit(0);
                        }
                        (void)waitpid(child, NULL, 0);
                } else {
                        answer(sign(key));
                }
        }
        EVP_PKEY_free(key);
        OSSL_PROVIDER_unload(ksp);
        OSSL_PROVIDER_unload(standard);
        return 0;
}
