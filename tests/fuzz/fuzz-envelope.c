/* An envelope as a pinned server could send it, to an EC key and to a password, judged, opened and read. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "fuzz.h"
#include "keys/unwrap.h"
#include "scep-open/parts.h"

/* Made for this file; what the corpus is encrypted to. */
static const char own_key[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgyoj8t+pORhDDCE/6\n"
                              "tF2jp5zFRb8Y5MRSYeFoZGDBLhahRANCAASF+4et3bq6rZFYG5LX6TqRpN5tKg2w\n"
                              "amkZlbewMJWfWmcvCYWhciyTbGrUYXx6Q9K6Vmm4tZ5RmYY8SxQilZ8C\n"
                              "-----END PRIVATE KEY-----\n";
static const char own_cert[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIBeTCCAR+gAwIBAgIUCTQNENS9zQRiMSlIiJg1DEHV62MwCgYIKoZIzj0EAwIw\n"
                               "ETEPMA0GA1UEAwwGZGV2aWNlMCAXDTI2MTEyMjAxMDU1NFoYDzIxMjYxMDI5MDEw\n"
                               "NTU0WjARMQ8wDQYDVQQDDAZkZXZpY2UwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
                               "AASF+4et3bq6rZFYG5LX6TqRpN5tKg2wamkZlbewMJWfWmcvCYWhciyTbGrUYXx6\n"
                               "Q9K6Vmm4tZ5RmYY8SxQilZ8Co1MwUTAdBgNVHQ4EFgQUV7sMS+pjU2adzdcbW7QG\n"
                               "sEUsWhQwHwYDVR0jBBgwFoAUV7sMS+pjU2adzdcbW7QGsEUsWhQwDwYDVR0TAQH/\n"
                               "BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAwHHmEUOJj5BD3O5esNFOjXfOsb5pS\n"
                               "FrSmLXHRyPonNwIhAKYFcjS3s21sY3n/8Egc//xsa6GRH4CIWdWiwg3STTfD\n"
                               "-----END CERTIFICATE-----\n";

struct uses {
        unsigned unwraps;
};

static enum err unwrap(void *ctx, const struct key_unwrap *how, struct view wrapped, struct secret *ret,
                       struct error *e)
{
        struct uses *uses = ctx;
        struct key_unwrap quick = *how;

        fuzz_promise(++uses->unwraps == 1, "one envelope is one unwrap");
        fuzz_promise(key_unwrap_valid(how, wrapped.len), "what goes to the daemon is within its bounds");
        if (quick.iterations > 16) /* what it costs is not the question here */
                quick.iterations = 16;
        return password_unwrap(str_view("word"), &quick, wrapped, ret, e);
}

static BIO *memory(const char *text)
{
        return BIO_new_mem_buf(text, -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static EVP_PKEY *key;
        static X509 *cert;
        struct uses uses = {0};
        struct reply reply = {0};
        struct reply_spec spec = {.agreement = true, .unwrap = unwrap, .unwrap_ctx = &uses};
        struct error e = {0};
        enum err r;

        if (!key) {
                CLEANUP(bio_free_p) BIO *k = memory(own_key);
                CLEANUP(bio_free_p) BIO *c = memory(own_cert);

                key = PEM_read_bio_PrivateKey(k, NULL, NULL, NULL);
                cert = PEM_read_bio_X509(c, NULL, NULL, NULL);
                fuzz_promise(key && cert, "the key is read");
        }
        spec.key = key;
        spec.recipient = cert;
        r = envelope_open(&spec, (struct view){data, size}, &reply, &e);
        fuzz_whole(r, &e);
        fuzz_promise(r || sk_X509_num(reply.certs) > 0, "what was opened has certificates");
        reply_done(&reply);
        ERR_clear_error();
        return 0;
}
