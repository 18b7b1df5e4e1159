/* Get: interior nodes name their children; values are what was written; states are those of the live
 * certificate. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "policy/hresult.h"
#include "transaction.h"

enum { LISTING_MAX = 64 * 1024, DATE_TEXT = 32 };

static void answer(struct transaction *t, size_t command, char *data, const char *format)
{
        struct command_result *result = &t->results[command];

        if (!data) {
                refuse(t, command, STATUS_COMMAND_FAILED, "Out of memory");
                return;
        }
        result->code = STATUS_OK;
        free(result->data);
        result->data = data;
        result->format = format;
}

static void answer_text(struct transaction *t, size_t command, struct text *text, const char *format)
{
        struct error e = {0};
        char *data = NULL;

        if (text_finish(text, &data, &e))
                refuse_error(t, command, &e);
        else
                answer(t, command, data, format);
}

/* Names of instances whose keys begin with the list's. */
static void get_list(struct transaction *t, size_t command, const struct node_place *place, uid_t owner)
{
        struct text names = TEXT(LISTING_MAX);

        if (place->children)
                text_add(&names, place->children);
        for (const struct instance *i = instances_first(t->d->instances); i; i = i->next)
                if (place->branch != BRANCH_NONE && i->stored.owner == owner &&
                    strncmp(i->stored.key, place->key, strlen(place->key)) == 0)
                        text_addf(&names, "%s%s", names.len ? "/" : "", i->stored.name);
        answer_text(t, command, &names, "node");
}

static bool has_child(const struct stored_instance *stored, const struct node_leaf *leaf)
{
        switch (leaf->kind) {
        case NODE_VALUE:
                return settings_get(&stored->values, node_leaf_name(leaf)) != NULL;
        case NODE_CERTIFICATE:
        case NODE_CERTIFICATE_FACT:
                return *stored->anchor;
        case NODE_INSTALL:
        case NODE_STATE:
        case NODE_ENROLL:
                return true;
        case NODE_LIST:
        case NODE_INSTANCE:
        case NODE_SECRET:
        case NODE_DOCUMENT:
        case NODE_REFUSED:
                break;
        }
        return false;
}

/* Children of an instance, or of its Install. */
static void get_children(struct transaction *t, size_t command, const struct node_place *place,
                         const struct stored_instance *stored)
{
        const char *prefix = place->kind == NODE_INSTALL ? "Install/" : "";
        struct text names = TEXT(LISTING_MAX);
        const struct node_leaf *leaf;

        for (size_t i = 0; (leaf = node_leaf_at(place->branch, i)); i++) {
                const char *name = leaf->path + strlen(prefix);

                if (!*leaf->path || strncmp(leaf->path, prefix, strlen(prefix)) != 0 || strchr(name, '/') ||
                    !has_child(stored, leaf))
                        continue;
                text_addf(&names, "%s%s", names.len ? "/" : "", name);
        }
        answer_text(t, command, &names, "node");
}

static void get_state(struct transaction *t, size_t command, const struct node_place *place,
                      const struct stored_instance *stored)
{
        struct certificate *certificate = instance_certificate(t->d, stored);
        const struct record *record = certificate ? model_details(t->d->model, certificate) : NULL;
        const uint64_t now = clock_now(&t->d->clock);
        struct text text = TEXT(4096);
        const char *value = "";

        if (strcmp(place->name, "Status") == 0) {
                /* 32: nothing is known of it, which is so before Enroll */
                text_addf(&text, "%d",
                          certificate ? (int)csp_status(certificate->activity,
                                                        certificate_health(certificate, now))
                                      : 32);
        } else if (strcmp(place->name, "ErrorCode") == 0) {
                text_addf(&text, "%d", (int)(int32_t)hresult_of_error(record ? record->error_name : ""));
        } else if (strcmp(place->name, "CertThumbprint") == 0) {
                if (record && record->not_after > now)
                        value = record->thumbprint;
                for (; *value; value++) {
                        char upper = (char)(*value >= 'a' && *value <= 'f' ? *value - 'a' + 'A' : *value);

                        text_add_n(&text, &upper, 1);
                }
        } else if (record) {
                text_add(&text, record->respondent);
        }
        answer_text(t, command, &text, place->format);
}

static bool format_date(const ASN1_TIME *time, char ret[DATE_TEXT])
{
        struct tm tm;

        return ASN1_TIME_to_tm(time, &tm) == 1 && strftime(ret, DATE_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0;
}

static void get_name(struct transaction *t, size_t command, const X509_NAME *name)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        CLEANUP(bytes_done) struct bytes text = {0};
        struct error e = {0};

        if (!bio ||
            X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0 ||
            bio_bytes(bio, &text, &e)) {
                refuse(t, command, STATUS_COMMAND_FAILED, "The name cannot be shown");
                return;
        }
        utf8_scrub((char *)text.data, text.len + 1);
        answer(t, command, strdup((const char *)text.data), "chr");
}

/* Base64 in one line, as it has to be sent. */
static void get_encoded(struct transaction *t, size_t command, X509 *cert)
{
        CLEANUP(bytes_done) struct bytes der = {0};
        struct error e = {0};
        char *text;

        if (x509_der(cert, &der, &e)) {
                refuse_error(t, command, &e);
                return;
        }
        text = malloc(der.len / 3 * 4 + 8);
        if (text)
                (void)EVP_EncodeBlock((unsigned char *)text, der.data, (int)der.len);
        answer(t, command, text, "b64");
}

static void get_certificate(struct transaction *t, size_t command, const struct node_place *place,
                            const struct stored_instance *stored)
{
        CLEANUP(x509_free_p) X509 *cert = NULL;
        char date[DATE_TEXT];
        struct error e = {0};
        bool from = strcmp(place->name, "ValidFrom") == 0;

        if (store_anchor_read(t->d->store, (uid_t)stored->owner, stored->anchor, &cert, &e)) {
                refuse_error(t, command, &e);
        } else if (place->kind == NODE_CERTIFICATE) {
                get_encoded(t, command, cert);
        } else if (strcmp(place->name, "IssuedBy") == 0) {
                get_name(t, command, X509_get_issuer_name(cert));
        } else if (strcmp(place->name, "IssuedTo") == 0) {
                get_name(t, command, X509_get_subject_name(cert));
        } else if (from || strcmp(place->name, "ValidTo") == 0) {
                if (format_date(from ? X509_get0_notBefore(cert) : X509_get0_notAfter(cert), date))
                        answer(t, command, strdup(date), "chr");
                else
                        refuse(t, command, STATUS_COMMAND_FAILED, "A date of the certificate cannot be read");
        } else { /* TemplateName: a root is made from none */
                answer(t, command, strdup(""), "chr");
        }
}

static void get_value(struct transaction *t, size_t command, const struct node_place *place,
                      const struct stored_instance *stored)
{
        const char *value = settings_get(&stored->values, place->name);

        if (value)
                answer(t, command, strdup(value), place->format);
        else
                refuse(t, command, STATUS_NOT_FOUND, "No such value was written");
}

void transaction_get(struct transaction *t, size_t command)
{
        CLEANUP(location_done) struct location location = {0};
        CLEANUP(node_place_done) struct node_place place = {0};
        const struct stored_instance *stored;

        if (!place_of(t, command, &location, &place))
                return;
        if (!(place.access & NODE_GET)) {
                refuse(t, command, STATUS_NOT_ALLOWED, "The node cannot be read");
                return;
        }
        if (place.kind == NODE_LIST) {
                get_list(t, command, &place, owner_at(t, location.user));
                return;
        }
        stored = transaction_see(t, &place, location.user);
        if (!stored) {
                refuse(t, command, STATUS_NOT_FOUND, "There is no such instance");
                return;
        }
        if (place.kind == NODE_VALUE)
                get_value(t, command, &place, stored);
        else if (place.kind == NODE_STATE)
                get_state(t, command, &place, stored);
        else if (place.kind == NODE_CERTIFICATE || place.kind == NODE_CERTIFICATE_FACT)
                get_certificate(t, command, &place, stored);
        else
                get_children(t, command, &place, stored);
}
