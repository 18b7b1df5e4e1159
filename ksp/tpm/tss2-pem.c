/* TSS2 PRIVATE KEY, the ASN.1 of draft-bottomley-tpm2-keys, as far as tpm2-openssl 1.1 reads it. */
#include <openssl/asn1t.h>
#include <openssl/pem.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>

#include "tpm.h"

#include "base/ossl.h"

struct tss2_key {
        ASN1_OBJECT *type;
        ASN1_BOOLEAN empty_auth;
        ASN1_INTEGER *parent;
        ASN1_OCTET_STRING *public, *private;
};
typedef struct tss2_key TSS2_KEY;

ASN1_SEQUENCE(TSS2_KEY) =
        {
                ASN1_SIMPLE(TSS2_KEY, type, ASN1_OBJECT),
                ASN1_EXP_OPT(TSS2_KEY, empty_auth, ASN1_BOOLEAN, 0),
                ASN1_SIMPLE(TSS2_KEY, parent, ASN1_INTEGER),
                ASN1_SIMPLE(TSS2_KEY, public, ASN1_OCTET_STRING),
                ASN1_SIMPLE(TSS2_KEY, private, ASN1_OCTET_STRING),
} static_ASN1_SEQUENCE_END(TSS2_KEY)

                static const char label[] = "TSS2 PRIVATE KEY";
static const char loadable[] = "2.23.133.10.1.3";

static void tss2_key_free_p(TSS2_KEY **key)
{
        ASN1_item_free((ASN1_VALUE *)*key, ASN1_ITEM_rptr(TSS2_KEY));
}

enum err tss2_pem_write(const struct tpm_object *object, struct bytes *ret, struct error *e)
{
        CLEANUP(tss2_key_free_p) TSS2_KEY *key = (TSS2_KEY *)ASN1_item_new(ASN1_ITEM_rptr(TSS2_KEY));
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        CLEANUP(ossl_free_p) uint8_t *der = NULL;
        int len;

        if (!key || !bio)
                return error_no_memory(e);
        ASN1_OBJECT_free(key->type);
        key->type = OBJ_txt2obj(loadable, 1);
        /* written always: tpm2-openssl reads an absent one as TRUE, the draft as FALSE */
        key->empty_auth = object->wants_pin ? 0 : 0xff;
        if (!key->type || !ASN1_INTEGER_set_uint64(key->parent, object->parent) ||
            !ASN1_OCTET_STRING_set(key->public, object->public.data, (int)object->public.len) ||
            !ASN1_OCTET_STRING_set(key->private, object->private.data, (int)object->private.len))
                return error_no_memory(e);
        len = ASN1_item_i2d((ASN1_VALUE *)key, &der, ASN1_ITEM_rptr(TSS2_KEY));
        if (len < 0 || PEM_write_bio(bio, label, "", der, len) <= 0)
                return ossl_error(e, ERR_FAILED, "A TPM key could not be encoded");
        return bio_bytes(bio, ret, e);
}

enum err tss2_der_read(struct view der, struct tpm_object *ret, struct error *e)
{
        const uint8_t *p = der.data;
        CLEANUP(tss2_key_free_p)
        TSS2_KEY *key = (TSS2_KEY *)ASN1_item_d2i(NULL, &p, (long)der.len, ASN1_ITEM_rptr(TSS2_KEY));
        struct tpm_object object = {0};
        char type[64];
        uint64_t parent;
        enum err r;

        if (!key || p != der.data + der.len)
                return ossl_error(e, ERR_KEY_DAMAGED, "A TPM key file is not of a form this version reads");
        if (OBJ_obj2txt(type, sizeof type, key->type, 1) < 0 || strcmp(type, loadable) != 0)
                return error_set(e, ERR_KEY_NOT_SUPPORTED,
                                 "A TPM key file is of the type %s, not a loadable key", type);
        if (!ASN1_INTEGER_get_uint64(&parent, key->parent) ||
            (parent != TPM2_RH_OWNER && parent >> 24 != TPM2_HT_PERSISTENT))
                return error_set(e, ERR_KEY_DAMAGED, "A TPM key file names a parent that is no storage key");
        object.parent = (uint32_t)parent;
        object.wants_pin = key->empty_auth == 0; /* absent is -1, and never written by us */
        r = bytes_copy(&object.public, ASN1_STRING_get0_data(key->public),
                       (size_t)ASN1_STRING_length(key->public), e);
        if (!r)
                r = bytes_copy(&object.private, ASN1_STRING_get0_data(key->private),
                               (size_t)ASN1_STRING_length(key->private), e);
        if (r) {
                tpm_object_done(&object);
                return r;
        }
        *ret = object;
        return ERR_OK;
}

enum err tss2_pem_read(struct view pem, struct tpm_object *ret, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        char *name = NULL, *header = NULL;
        uint8_t *der = NULL;
        long len;
        enum err r;

        if (!bio)
                return error_no_memory(e);
        if (PEM_read_bio(bio, &name, &header, &der, &len) != 1)
                return ossl_error(e, ERR_KEY_DAMAGED, "A key file is not PEM");
        if (strcmp(name, label) != 0)
                r = error_set(e, ERR_KEY_DAMAGED, "A key file holds '%s', not a TPM key", name);
        else
                r = tss2_der_read((struct view){der, (size_t)len}, ret, e);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
        return r;
}
