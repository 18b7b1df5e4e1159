/*
 * What the TPM's maker put into NV: certificates of endorsement keys, and their issuers (TCG EK Credential
 * Profile §2.2.1.4, §2.2.1.5.2). Each index is read by its own, empty password. What is not there, or is not
 * for us to read, is none: many TPMs have their certificates elsewhere.
 */
#include "internal.h"

#include <openssl/err.h>
#include <string.h>

#include "base/ossl.h"

enum {
        CHAIN_FIRST = 0x01c00100,
        CHAIN_LAST = 0x01c001ff,
        CHUNK = 512, /* octets of one read, which every TPM takes */
        CHAIN_MAX = EVIDENCE_CERTS_MAX * EVIDENCE_CERT_MAX,
};

/* Behind what @to holds. */
static TSS2_RC read_chunks(struct tpm *tpm, ESYS_TR index, UINT16 size, uint8_t *to)
{
        for (UINT16 at = 0; at < size;) {
                const UINT16 wanted = size - at < CHUNK ? (UINT16)(size - at) : CHUNK;
                CLEANUP(esys_free_p) TPM2B_MAX_NV_BUFFER *data = NULL;
                TSS2_RC rc = Esys_NV_Read(tpm->esys, index, index, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                          ESYS_TR_NONE, wanted, at, &data);

                if (rc)
                        return rc;
                if (data->size != wanted)
                        return TPM2_RC_NV_RANGE;
                memcpy(to + at, data->buffer, wanted);
                at = (UINT16)(at + wanted);
        }
        return TSS2_RC_SUCCESS;
}

/* *ret: what the index holds; left alone where it is not there. */
static TSS2_RC read_index(struct tpm *tpm, TPM2_HANDLE handle, struct bytes *ret)
{
        CLEANUP(esys_free_p) TPM2B_NV_PUBLIC *public = NULL;
        uint8_t buffer[EVIDENCE_CERT_MAX];
        ESYS_TR index;
        TSS2_RC rc =
                Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &index);

        if (rc)
                return rc;
        rc = Esys_NV_ReadPublic(tpm->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL);
        if (!rc && public->nvPublic.dataSize > sizeof buffer)
                rc = TPM2_RC_NV_RANGE;
        if (!rc)
                rc = read_chunks(tpm, index, public->nvPublic.dataSize, buffer);
        if (!rc && bytes_copy(ret, buffer, public->nvPublic.dataSize, NULL))
                rc = TSS2_ESYS_RC_MEMORY;
        (void)Esys_TR_Close(tpm->esys, &index);
        return rc;
}

/* Certificates one behind the other, and then what the index is filled up with. */
static enum err split(struct view from, struct cert_list *ret, struct error *e)
{
        const uint8_t *p = from.data;

        while (p < from.data + from.len && ret->count < EVIDENCE_CERTS_MAX) {
                const uint8_t *start = p;
                CLEANUP(x509_free_p) X509 *cert = d2i_X509(NULL, &p, (long)(from.data + from.len - p));
                enum err r;

                if (!cert)
                        break;
                r = cert_list_add(ret, (struct view){start, (size_t)(p - start)}, e);
                if (r)
                        return r;
        }
        ERR_clear_error();
        return ERR_OK;
}

/* A transport that broke is a fault, and all else is an index that we do not get. */
static enum err passed_over(struct tpm *tpm, TSS2_RC rc, struct error *e)
{
        return tpm_cure(rc) == TPM_CURE_RECONNECT ? tpm_fault(tpm, rc, "read its certificates", e) : ERR_OK;
}

static enum err read_certificate(struct tpm *tpm, TPM2_HANDLE handle, struct cert_list *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes found = {0};
        TSS2_RC rc = read_index(tpm, handle, &found);

        if (rc)
                return passed_over(tpm, rc, e);
        return split(bytes_view(&found), ret, e);
}

/* A certificate may begin in one index and end in the next. */
static enum err read_chain(struct tpm *tpm, struct cert_list *ret, struct error *e)
{
        CLEANUP(free_p) uint8_t *all = malloc(CHAIN_MAX);
        size_t len = 0;

        if (!all)
                return error_no_memory(e);
        for (TPM2_HANDLE handle = CHAIN_FIRST; handle <= CHAIN_LAST; handle++) {
                CLEANUP(bytes_done) struct bytes found = {0};
                TSS2_RC rc = read_index(tpm, handle, &found);

                if (rc) {
                        enum err r = passed_over(tpm, rc, e);

                        if (r)
                                return r;
                        break;
                }
                if (found.len > CHAIN_MAX - len)
                        break;
                memcpy(all + len, found.data, found.len);
                len += found.len;
        }
        return split((struct view){all, len}, ret, e);
}

enum err tpm_endorsement(struct tpm *tpm, struct cert_list *ret, struct cert_list *ret_chain, struct error *e)
{
        /* RSA-2048 and P-256 by the low range's templates; by the high range's, these, P-384, RSA-3072 and
         * RSA-4096 */
        static const TPM2_HANDLE places[] = {0x01c00002, 0x01c0000a, 0x01c00012, 0x01c00014,
                                             0x01c00016, 0x01c0001c, 0x01c0001e};
        enum err r = ERR_OK;

        for (size_t i = 0; !r && i < N_ELEMENTS(places); i++)
                r = read_certificate(tpm, places[i], ret, e);
        return r ? r : read_chain(tpm, ret_chain, e);
}
