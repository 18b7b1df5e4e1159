/* The attestation key's file: PEM blocks, the first of which is a TPM key's like any other's file. */
#include <openssl/pem.h>
#include <string.h>

#include "base/file.h"
#include "base/ossl.h"
#include "internal.h"

enum { FILE_MAX = 16 * 1024 };
static const char creation_label[] = "TPM CREATION DATA", ticket_label[] = "TPM CREATION TICKET";

void tpm_attester_done(struct tpm_attester *attester)
{
        tpm_object_done(&attester->object);
        bytes_done(&attester->creation);
        bytes_done(&attester->ticket);
}

enum err tpm_attester_save(const struct tpm_attester *attester, int dirfd, const char *name, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        CLEANUP(bytes_done) struct bytes key = {0};
        CLEANUP(bytes_done) struct bytes all = {0};
        enum err r = tss2_pem_write(&attester->object, &key, e);

        if (r)
                return r;
        if (!bio || BIO_write(bio, key.data, (int)key.len) != (int)key.len ||
            PEM_write_bio(bio, creation_label, "", attester->creation.data, (long)attester->creation.len) <=
                    0 ||
            PEM_write_bio(bio, ticket_label, "", attester->ticket.data, (long)attester->ticket.len) <= 0)
                return ossl_error(e, ERR_FAILED, "The attestation key could not be encoded");
        r = bio_bytes(bio, &all, e);
        return r ? r : file_write(dirfd, name, 0600, bytes_view(&all), e);
}

/* The next block of the file, which has this label. */
static enum err read_block(BIO *bio, const char *label, struct bytes *ret, struct error *e)
{
        char *name = NULL, *header = NULL;
        uint8_t *data = NULL;
        long len;
        enum err r;

        if (PEM_read_bio(bio, &name, &header, &data, &len) != 1)
                return ossl_error(e, ERR_KEY_DAMAGED, "The file of the attestation key has no '%s'", label);
        if (strcmp(name, label) != 0)
                r = error_set(e, ERR_KEY_DAMAGED, "The file of the attestation key has no '%s'", label);
        else
                r = bytes_copy(ret, data, (size_t)len, e);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
        return r;
}

enum err tpm_attester_load(int dirfd, const char *name, struct tpm_attester *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes pem = {0};
        CLEANUP(bytes_done) struct bytes key = {0};
        CLEANUP(bio_free_p) BIO *bio = NULL;
        struct tpm_attester attester = {0};
        enum err r = file_read(dirfd, name, FILE_MAX, &pem, e);

        if (r)
                return r;
        bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        if (!bio)
                return error_no_memory(e);
        r = tss2_pem_read(bytes_view(&pem), &attester.object, e);
        if (!r)
                r = read_block(bio, "TSS2 PRIVATE KEY", &key, e);
        if (!r)
                r = read_block(bio, creation_label, &attester.creation, e);
        if (!r)
                r = read_block(bio, ticket_label, &attester.ticket, e);
        if (r) {
                tpm_attester_done(&attester);
                return r;
        }
        *ret = attester;
        return ERR_OK;
}
