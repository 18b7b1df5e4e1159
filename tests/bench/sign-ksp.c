/*
 * ksp.h in process: keys made by ksp_create(), kept in FOLDER between the turns, used by ksp_sign() one after
 * the other: more of them than a TPM has room for make each signature wait for its key.
 *
 *     bench-sign-ksp TCTI rsa|ec FOLDER KEYS
 */
#include "turns.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "ksp.h"

enum { KEYS_MAX = 16, NAME = 16 };

struct in_process {
        struct ksp_config config;
        bool rsa;
        int folder;
        struct ksp *ksp;
        struct ksp_key *keys[KEYS_MAX];
        uint64_t n, next;
};

static const char *name_of(uint64_t i, char ret[NAME])
{
        (void)snprintf(ret, NAME, "key-%u.pem", (unsigned)i);
        return ret;
}

static enum err make_keys(struct in_process *p, struct error *e)
{
        const struct ksp_spec spec = {.alg = p->rsa ? KEY_ALG_RSA_2048 : KEY_ALG_EC_P256,
                                      .protection = KEY_PROTECTION_TPM};
        char name[NAME];
        struct ksp *ksp;
        enum err r = ksp_open(&p->config, &ksp, e);

        if (r)
                return r;
        for (uint64_t i = 0; !r && i < p->n; i++) {
                CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
                CLEANUP(free_p) char *reason = NULL;

                r = ksp_create(ksp, &spec, &key, &reason, e);
                if (!r)
                        r = ksp_key_save(key, p->folder, name_of(i, name), e);
        }
        ksp_close(ksp);
        return r;
}

static void unload(void *ctx)
{
        struct in_process *p = ctx;

        for (uint64_t i = 0; i < p->n; i++)
                ksp_key_unref(STEAL(p->keys[i]));
        ksp_close(STEAL(p->ksp));
}

static enum err load(void *ctx, struct error *e)
{
        struct in_process *p = ctx;
        char name[NAME];
        enum err r = ksp_open(&p->config, &p->ksp, e);

        if (r)
                return r;
        for (uint64_t i = 0; !r && i < p->n; i++)
                r = ksp_load(p->ksp, p->folder, name_of(i, name), &p->keys[i], e);
        if (r)
                unload(p);
        return r;
}

static enum err sign(void *ctx, const uint8_t digest[TURN_DIGEST_LEN], struct error *e)
{
        struct in_process *p = ctx;
        const struct key_sign how = {.scheme = p->rsa ? KEY_SCHEME_RSA_PKCS1 : KEY_SCHEME_ECDSA,
                                     .digest = KEY_DIGEST_SHA256};
        struct bytes signature = {0};
        enum err r = ksp_sign(p->keys[p->next++ % p->n], 0, &how, (struct view){digest, TURN_DIGEST_LEN},
                              &signature, e);

        bytes_done(&signature);
        return r;
}

int main(int argc, char **argv)
{
        struct in_process p = {.rsa = argc == 5 && strcmp(argv[2], "rsa") == 0};
        const struct signer signer = {&p, load, unload, sign};
        CLEANUP(close_p) int folder = -1;
        struct error e = {0};

        if (argc != 5 || (!p.rsa && strcmp(argv[2], "ec") != 0) || !parse_u64(argv[4], KEYS_MAX, &p.n) ||
            !p.n) {
                (void)fprintf(stderr, "Usage: %s TCTI rsa|ec FOLDER KEYS\n", argv[0]);
                return 2;
        }
        p.config.tcti = argv[1];
        p.folder = folder = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) {
                perror(argv[3]);
                return 1;
        }
        return make_keys(&p, &e) ? turns_fail(&e) : turns_serve(&signer);
}
