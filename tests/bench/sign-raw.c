/*
 * The yardstick: ESYS alone. A key of its own under a primary of its own, a password session, one Esys_Sign
 * (RSASSA or ECDSA with SHA-256) a signature.
 *
 *     bench-sign-raw TCTI rsa|ec
 */
#include "turns.h"

#include <stdio.h>
#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

struct raw {
        TSS2_TCTI_CONTEXT *tcti;
        ESYS_CONTEXT *esys;
        bool rsa;
        TPM2B_PUBLIC *public;
        TPM2B_PRIVATE *private;
        ESYS_TR key;
};

static enum err failed(struct error *e, TSS2_RC rc, const char *what)
{
        return error_set(e, ERR_TPM_FAILED, "raw ESYS: %s: %s", what, Tss2_RC_Decode(rc));
}

static TSS2_RC create_primary(struct raw *raw, ESYS_TR *ret)
{
        const TPM2B_PUBLIC template = {
                .publicArea = {.type = TPM2_ALG_ECC,
                               .nameAlg = TPM2_ALG_SHA256,
                               .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                                   TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                                   TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
                                                   TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
                               .parameters.eccDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
                                                                      .keyBits = {.aes = 128},
                                                                      .mode = {.aes = TPM2_ALG_CFB}},
                                                        .scheme = {.scheme = TPM2_ALG_NULL},
                                                        .curveID = TPM2_ECC_NIST_P256,
                                                        .kdf = {.scheme = TPM2_ALG_NULL}}}};
        const TPM2B_SENSITIVE_CREATE sensitive = {0};
        const TPM2B_DATA outside = {0};
        const TPML_PCR_SELECTION pcrs = {0};

        return Esys_CreatePrimary(raw->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                  &sensitive, &template, &outside, &pcrs, ret, NULL, NULL, NULL, NULL);
}

static TSS2_RC create_key(struct raw *raw, ESYS_TR primary)
{
        const TPM2B_SENSITIVE_CREATE sensitive = {0};
        const TPM2B_DATA outside = {0};
        const TPML_PCR_SELECTION pcrs = {0};
        TPM2B_PUBLIC template = {
                .publicArea = {.type = raw->rsa ? TPM2_ALG_RSA : TPM2_ALG_ECC,
                               .nameAlg = TPM2_ALG_SHA256,
                               .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                                   TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                                   TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
                                                   TPMA_OBJECT_SIGN_ENCRYPT}};

        if (raw->rsa)
                template.publicArea.parameters.rsaDetail =
                        (TPMS_RSA_PARMS){.symmetric = {.algorithm = TPM2_ALG_NULL},
                                         .scheme = {.scheme = TPM2_ALG_NULL},
                                         .keyBits = 2048};
        else
                template.publicArea.parameters.eccDetail =
                        (TPMS_ECC_PARMS){.symmetric = {.algorithm = TPM2_ALG_NULL},
                                         .scheme = {.scheme = TPM2_ALG_NULL},
                                         .curveID = TPM2_ECC_NIST_P256,
                                         .kdf = {.scheme = TPM2_ALG_NULL}};
        return Esys_Create(raw->esys, primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive,
                           &template, &outside, &pcrs, &raw->private, &raw->public, NULL, NULL, NULL);
}

static enum err make_key(struct raw *raw, struct error *e)
{
        ESYS_TR primary;
        TSS2_RC rc = create_primary(raw, &primary);

        if (rc)
                return failed(e, rc, "CreatePrimary");
        rc = create_key(raw, primary);
        (void)Esys_FlushContext(raw->esys, primary);
        return rc ? failed(e, rc, "Create") : ERR_OK;
}

static enum err load(void *ctx, struct error *e)
{
        struct raw *raw = ctx;
        ESYS_TR primary;
        TSS2_RC rc = create_primary(raw, &primary);

        if (rc)
                return failed(e, rc, "CreatePrimary");
        rc = Esys_Load(raw->esys, primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, raw->private,
                       raw->public, &raw->key);
        (void)Esys_FlushContext(raw->esys, primary);
        return rc ? failed(e, rc, "Load") : ERR_OK;
}

static void unload(void *ctx)
{
        struct raw *raw = ctx;

        (void)Esys_FlushContext(raw->esys, raw->key);
}

static enum err sign(void *ctx, const uint8_t digest[TURN_DIGEST_LEN], struct error *e)
{
        struct raw *raw = ctx;
        const TPMT_SIG_SCHEME scheme = {.scheme = raw->rsa ? TPM2_ALG_RSASSA : TPM2_ALG_ECDSA,
                                        .details.any.hashAlg = TPM2_ALG_SHA256};
        const TPMT_TK_HASHCHECK ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
        TPM2B_DIGEST hash = {.size = TURN_DIGEST_LEN};
        TPMT_SIGNATURE *signature;
        TSS2_RC rc;

        memcpy(hash.buffer, digest, TURN_DIGEST_LEN);
        rc = Esys_Sign(raw->esys, raw->key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &hash, &scheme,
                       &ticket, &signature);
        if (rc)
                return failed(e, rc, "Sign");
        Esys_Free(signature);
        return ERR_OK;
}

int main(int argc, char **argv)
{
        struct raw raw = {.rsa = argc == 3 && strcmp(argv[2], "rsa") == 0};
        const struct signer signer = {&raw, load, unload, sign};
        struct error e = {0};
        TSS2_RC rc;
        int status;

        if (argc != 3 || (!raw.rsa && strcmp(argv[2], "ec") != 0)) {
                (void)fprintf(stderr, "Usage: %s TCTI rsa|ec\n", argv[0]);
                return 2;
        }
        rc = Tss2_TctiLdr_Initialize(argv[1], &raw.tcti);
        if (!rc)
                rc = Esys_Initialize(&raw.esys, raw.tcti, NULL);
        if (rc) {
                (void)failed(&e, rc, "Initialize");
                return turns_fail(&e);
        }
        status = make_key(&raw, &e) ? turns_fail(&e) : turns_serve(&signer);
        Esys_Free(raw.public);
        Esys_Free(raw.private);
        Esys_Finalize(&raw.esys);
        Tss2_TctiLdr_Finalize(&raw.tcti);
        return status;
}
