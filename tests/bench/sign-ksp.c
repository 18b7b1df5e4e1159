/*
 * ksp.h in process: a key made by ksp_create(), kept in FOLDER between the turns, used by ksp_sign().
 *
 *     bench-sign-ksp TCTI rsa|ec FOLDER
 */
#include "turns.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "ksp.h"

static const char key_file[] = "key.pem";

struct in_process {
        struct ksp_config config;
        bool rsa;
        int folder;
        struct ksp *ksp;
        struct ksp_key *key;
};

static enum err make_key(struct in_process *p, struct error *e)
{
        const struct ksp_spec spec = {.alg = p->rsa ? KEY_ALG_RSA_2048 : KEY_ALG_EC_P256,
                                      .protection = KEY_PROTECTION_TPM};
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;
        CLEANUP(free_p) char *reason = NULL;
        struct ksp *ksp;
        enum err r = ksp_open(&p->config, &ksp, e);

        if (r)
                return r;
        r = ksp_create(ksp, &spec, &key, &reason, e);
        if (!r)
                r = ksp_key_save(key, p->folder, key_file, e);
        ksp_key_unref(STEAL(key));
        ksp_close(ksp);
        return r;
}

static void unload(void *ctx)
{
        struct in_process *p = ctx;

        ksp_key_unref(STEAL(p->key));
        ksp_close(STEAL(p->ksp));
}

static enum err load(void *ctx, struct error *e)
{
        struct in_process *p = ctx;
        enum err r = ksp_open(&p->config, &p->ksp, e);

        if (r)
                return r;
        r = ksp_load(p->ksp, p->folder, key_file, &p->key, e);
        if (r)
                ksp_close(STEAL(p->ksp));
        return r;
}

static enum err sign(void *ctx, const uint8_t digest[TURN_DIGEST_LEN], struct error *e)
{
        const struct in_process *p = ctx;
        const struct key_sign how = {.scheme = p->rsa ? KEY_SCHEME_RSA_PKCS1 : KEY_SCHEME_ECDSA,
                                     .digest = KEY_DIGEST_SHA256};
        struct bytes signature = {0};
        enum err r = ksp_sign(p->key, 0, &how, (struct view){digest, TURN_DIGEST_LEN}, &signature, e);

        bytes_done(&signature);
        return r;
}

int main(int argc, char **argv)
{
        struct in_process p = {.rsa = argc == 4 && strcmp(argv[2], "rsa") == 0};
        const struct signer signer = {&p, load, unload, sign};
        CLEANUP(close_p) int folder = -1;
        struct error e = {0};

        if (argc != 4 || (!p.rsa && strcmp(argv[2], "ec") != 0)) {
                (void)fprintf(stderr, "Usage: %s TCTI rsa|ec FOLDER\n", argv[0]);
                return 2;
        }
        p.config.tcti = argv[1];
        p.folder = folder = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) {
                perror(argv[3]);
                return 1;
        }
        return make_key(&p, &e) ? turns_fail(&e) : turns_serve(&signer);
}
