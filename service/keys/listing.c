/* What a peer may use: names, ids and certificates, for programs that look for a key (LIST, DESCRIBE). */
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "connection.h"
#include "listing.h"

/* A page is as long as a frame, and made of so many certificates at most, whether the peer may use them or
 * not: a turn of the loop has an end. */
enum { PAGE_LEN = 7 * 1024, PAGE_SCANNED = 2000 };

static void put_entry(struct fields_writer *w, const struct certificate *certificate)
{
        fields_put_str(w, FRAME_TAG_LABEL, certificate->name);
        if (certificate->owner != NO_OWNER)
                fields_put_u64(w, FRAME_TAG_OWNER, certificate->owner);
}

static enum err list_one(struct fields_writer *w, const struct certificate *certificate, struct error *e)
{
        struct fields_writer entry = FIELDS_WRITER(FRAME_KEYS_MAX, false);
        CLEANUP(bytes_done) struct bytes body = {0};
        enum err r;

        put_entry(&entry, certificate);
        fields_put(&entry, FRAME_TAG_KEY_ID, (struct view){certificate->key_id, KEY_ID_LEN});
        r = fields_finish(&entry, &body, e);
        if (!r)
                fields_put(w, FRAME_TAG_ENTRY, bytes_view(&body));
        return r;
}

enum err listing_list(struct connection *connection, const struct frame_header *h,
                      const struct key_request *request, struct error *e)
{
        const struct daemon *d = connection_daemon(connection);
        struct fields_writer w = FIELDS_WRITER(FRAME_KEYS_MAX, false);
        CLEANUP(bytes_done) struct bytes body = {0};
        const struct certificate *c = NULL;
        uint64_t order = request->index;
        enum err r = ERR_OK;

        for (unsigned n = 0; !r && n < PAGE_SCANNED && w.out.len < PAGE_LEN; n++) {
                c = model_next(d->model, order);
                if (!c)
                        break;
                order = c->order;
                if (c->current && connection_may(connection, c, FRAME_LIST, NULL) == ERR_OK)
                        r = list_one(&w, c, e);
        }
        fields_put_u64(&w, FRAME_TAG_NEXT, c ? order : 0);
        if (r)
                fields_writer_done(&w);
        else
                r = fields_finish(&w, &body, e);
        if (!r)
                connection_send(connection, FRAME_ANSWER, h->id, bytes_view(&body));
        return r;
}

void listing_put_certificate(const struct daemon *d, const struct certificate *certificate,
                             uint64_t generation, const char *file, uint64_t index, struct fields_writer *w)
{
        char name[64];
        CLEANUP(secret_done) struct secret pem = {0};
        CLEANUP(bio_free_p) BIO *bio = NULL;
        CLEANUP(x509_free_p) X509 *cert = NULL;
        CLEANUP(bytes_done) struct bytes der = {0};

        (void)snprintf(name, sizeof name, "generations/%llu/%s", (unsigned long long)generation, file);
        if (store_file_read(d->store, STORE_CERTIFICATES, certificate->id, name, &pem, NULL))
                return;
        bio = BIO_new_mem_buf(pem.data, (int)pem.len);
        for (uint64_t i = 0; bio && i <= index; i++) {
                X509_free(cert);
                cert = pem_certificate(bio);
                if (!cert)
                        return;
        }
        if (cert && x509_der(cert, &der, NULL) == ERR_OK)
                fields_put(w, FRAME_TAG_CERTIFICATE, bytes_view(&der));
}

/* A device's key has no PIN, so it is not looked at. What is wrong with a key, its use tells. */
static void put_wants_pin(struct fields_writer *w, const struct daemon *d, struct certificate *certificate,
                          uint64_t generation)
{
        CLEANUP(ksp_key_unref_p) struct ksp_key *key = NULL;

        if (certificate->owner != NO_OWNER &&
            model_any_key(d->model, d->ksp, certificate, generation, &key, NULL) == ERR_OK &&
            ksp_key_wants_pin(key))
                fields_put_u64(w, FRAME_TAG_WANTS_PIN, true);
}

enum err listing_describe(struct connection *connection, const struct frame_header *h,
                          const struct key_request *request, struct error *e)
{
        const struct daemon *d = connection_daemon(connection);
        struct fields_writer w = FIELDS_WRITER(FRAME_KEYS_MAX, false);
        CLEANUP(bytes_done) struct bytes body = {0};
        uint64_t generation = 0;
        struct certificate *c = model_find_key(d->model, request->key_id, &generation);
        enum err r = connection_may(connection, c, FRAME_DESCRIBE, e);

        if (r)
                return r;
        if (request->index == 0) {
                put_entry(&w, c);
                put_wants_pin(&w, d, c, generation);
                listing_put_certificate(d, c, generation, "cert.pem", 0, &w);
        } else {
                listing_put_certificate(d, c, generation, "chain.pem", request->index - 1, &w);
        }
        r = fields_finish(&w, &body, e);
        if (r)
                return r;
        if (!fields_find(bytes_view(&body), FRAME_TAG_CERTIFICATE, &(struct view){0}))
                return error_set(e, ERR_NOT_FOUND, "There is no such certificate of this key");
        connection_send(connection, FRAME_ANSWER, h->id, bytes_view(&body));
        return ERR_OK;
}
