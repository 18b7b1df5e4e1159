#include "attest/bundle.h"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/ossl.h"

/* One member: octets, or a list of certificates. */
struct row {
        const char *name;
        size_t offset;
        size_t max; /* 0: a list */
};

#define OCTETS(name, member, max)                                                                            \
        {                                                                                                    \
                name, offsetof(struct bundle, member), max                                                   \
        }
#define CERTS(name, member)                                                                                  \
        {                                                                                                    \
                name, offsetof(struct bundle, member), 0                                                     \
        }
static const struct row rows[] = {
        OCTETS("certificate", certificate, EVIDENCE_CERT_MAX),
        CERTS("chain", chain),
        OCTETS("nonce", nonce, BUNDLE_NONCE_MAX),
        OCTETS("public", evidence.public, EVIDENCE_PART_MAX),
        OCTETS("certifyInfo", evidence.certify, EVIDENCE_PART_MAX),
        OCTETS("certifySignature", evidence.signature, EVIDENCE_PART_MAX),
        OCTETS("attesterPublic", evidence.attester, EVIDENCE_PART_MAX),
        OCTETS("creationData", evidence.creation, EVIDENCE_PART_MAX),
        OCTETS("creationInfo", evidence.creation_certify, EVIDENCE_PART_MAX),
        OCTETS("creationSignature", evidence.creation_signature, EVIDENCE_PART_MAX),
        CERTS("endorsement", evidence.endorsement),
        CERTS("endorsementChain", evidence.endorsement_chain),
};

static void json_decref_p(json_t **json)
{
        json_decref(*json);
}

void bundle_done(struct bundle *bundle)
{
        bytes_done(&bundle->certificate);
        cert_list_done(&bundle->chain);
        bytes_done(&bundle->nonce);
        evidence_done(&bundle->evidence);
}

enum err bundle_add_pem(struct cert_list *list, struct view pem, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);

        if (!bio)
                return error_no_memory(e);
        for (;;) {
                CLEANUP(x509_free_p) X509 *cert = pem_certificate(bio);
                CLEANUP(bytes_done) struct bytes der = {0};
                enum err r;

                if (!cert)
                        break;
                r = x509_der(cert, &der, e);
                if (!r)
                        r = cert_list_add(list, bytes_view(&der), e);
                if (r)
                        return r;
        }
        if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                return ossl_error(e, ERR_CONFIG, "A certificate could not be read");
        ERR_clear_error();
        return ERR_OK;
}

/* A new reference; NULL: no memory. */
static json_t *base64(const struct bytes *octets)
{
        CLEANUP(free_p) char *text = malloc(octets->len / 3 * 4 + 5);

        if (!text)
                return NULL;
        EVP_EncodeBlock((uint8_t *)text, octets->data, (int)octets->len);
        return json_string(text);
}

static json_t *list_value(const struct cert_list *list)
{
        json_t *array = json_array();

        for (size_t i = 0; array && i < list->count; i++)
                if (json_array_append_new(array, base64(&list->items[i])) < 0)
                        json_decref(STEAL(array));
        return array;
}

static json_t *row_value(const struct row *row, const struct bundle *bundle)
{
        const void *at = (const char *)bundle + row->offset;

        return row->max ? base64(at) : list_value(at);
}

enum err bundle_write(const struct bundle *bundle, char **ret, struct error *e)
{
        CLEANUP(json_decref_p) json_t *root = json_object();
        CLEANUP(free_p) char *text = NULL;
        char *line;
        bool ok = root && json_object_set_new(root, "version", json_integer(BUNDLE_VERSION)) == 0;

        for (size_t i = 0; ok && i < N_ELEMENTS(rows); i++)
                ok = json_object_set_new(root, rows[i].name, row_value(&rows[i], bundle)) == 0;
        if (ok)
                text = json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
        if (!text || asprintf(&line, "%s\n", text) < 0)
                return error_no_memory(e);
        *ret = line;
        return ERR_OK;
}

/* OpenSSL takes blanks and forgives the bits behind the end; what it takes is right if it is written the
 * same. */
static enum err read_octets(const json_t *value, const char *name, size_t max, struct bytes *ret,
                            struct error *e)
{
        const char *text = json_string_value(value);
        const size_t len = json_string_length(value);
        CLEANUP(bytes_done) struct bytes octets = {0};
        CLEANUP(json_decref_p) json_t *again = NULL;
        size_t pad;

        if (!text || len % 4)
                return error_set(e, ERR_EVIDENCE, "The member '%s' of the bundle is not base64", name);
        if (len / 4 * 3 > max + 2)
                return error_set(e, ERR_EVIDENCE, "The member '%s' of the bundle holds more than %zu octets",
                                 name, max);
        pad = (size_t)(len && text[len - 1] == '=') + (size_t)(len && text[len - 2] == '=');
        octets.data = malloc(len / 4 * 3 + 1);
        if (!octets.data)
                return error_no_memory(e);
        if (EVP_DecodeBlock(octets.data, (const uint8_t *)text, (int)len) != (int)(len / 4 * 3))
                return error_set(e, ERR_EVIDENCE, "The member '%s' of the bundle is not base64", name);
        octets.len = len / 4 * 3 - pad;
        again = base64(&octets);
        if (!again)
                return error_no_memory(e);
        if (strcmp(json_string_value(again), text) != 0)
                return error_set(e, ERR_EVIDENCE, "The member '%s' of the bundle is not base64", name);
        if (octets.len > max)
                return error_set(e, ERR_EVIDENCE, "The member '%s' of the bundle holds more than %zu octets",
                                 name, max);
        return bytes_copy(ret, octets.data, octets.len, e);
}

static enum err read_list(const json_t *value, const char *name, struct cert_list *ret, struct error *e)
{
        if (!json_is_array(value) || json_array_size(value) > EVIDENCE_CERTS_MAX)
                return error_set(e, ERR_EVIDENCE,
                                 "The member '%s' of the bundle is not a list of at most %d certificates",
                                 name, EVIDENCE_CERTS_MAX);
        for (size_t i = 0; i < json_array_size(value); i++) {
                enum err r =
                        read_octets(json_array_get(value, i), name, EVIDENCE_CERT_MAX, &ret->items[i], e);

                if (r)
                        return r;
                ret->count++;
        }
        return ERR_OK;
}

static enum err read_row(const struct row *row, const json_t *root, struct bundle *ret, struct error *e)
{
        const json_t *value = json_object_get(root, row->name);
        void *at = (char *)ret + row->offset;

        if (!value)
                return error_set(e, ERR_EVIDENCE, "The bundle has no member '%s'", row->name);
        return row->max ? read_octets(value, row->name, row->max, at, e) : read_list(value, row->name, at, e);
}

enum err bundle_read(struct view text, struct bundle *ret, struct error *e)
{
        json_error_t why;
        CLEANUP(json_decref_p) json_t *root = NULL;
        json_int_t version;

        if (text.len > BUNDLE_MAX)
                return error_set(e, ERR_EVIDENCE, "The bundle is larger than %d octets", BUNDLE_MAX);
        root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(root))
                return error_set(e, ERR_EVIDENCE, "This is no bundle: it is not a JSON object (line %d)",
                                 root ? 1 : why.line);
        version = json_integer_value(json_object_get(root, "version"));
        if (version != BUNDLE_VERSION)
                return error_set(e, ERR_EVIDENCE, "The bundle's version is not one this version reads (%d)",
                                 BUNDLE_VERSION);
        for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
                enum err r = read_row(&rows[i], root, ret, e);

                if (r)
                        return r;
        }
        if (json_object_size(root) != 1 + N_ELEMENTS(rows))
                return error_set(e, ERR_EVIDENCE, "The bundle has members that its version does not know");
        return ERR_OK;
}
