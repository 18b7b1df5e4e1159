/* Steps that build what is sent. Threads of the pool; they wait for the TPM here. */
#include <openssl/cms.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "internal.h"
#include "local-key.h"
#include "scep-build/message.h"
#include "scep-build/request.h"
#include "scep-build/signer.h"
#include "tell.h"

/* Our bits are numbered as RFC 5280 does; OpenSSL has bit 0 of the BIT STRING as 0x80. */
static uint32_t request_key_usage(unsigned bits)
{
        uint32_t usage = 0;

        for (unsigned n = 0; n < 8; n++)
                if (bits & 1u << n)
                        usage |= 0x80u >> n;
        return usage;
}

static const char *const validity_units[] = {
        [VALIDITY_DAYS] = "Days", [VALIDITY_MONTHS] = "Months", [VALIDITY_YEARS] = "Years"};

static enum err build_request(struct enrollment *en, struct secret *ret, struct error *e)
{
        const struct plan *plan = &en->plan;
        CLEANUP(evp_pkey_free_p) EVP_PKEY *key = NULL;
        struct request_spec spec = {
                .subject = bytes_view(&plan->subject),
                .san = bytes_view(&plan->san),
                .key_usage = 0,
                .eku = (const char *const *)plan->extended_key_usage.items,
                .n_eku = plan->extended_key_usage.count,
                .validity_unit = plan->validity.number ? validity_units[plan->validity.unit] : NULL,
                .validity_number = plan->validity.number,
                .template_name = plan->template_name,
                .challenge = en->exchange.with_challenge ? secret_view(&en->challenge) : (struct view){0},
                .digest = scep_digest_ossl(en->exchange.digest),
        };
        enum err r = local_key(en->d->libctx, en->key, tpm_uid(en), secret_view(&en->pin), &en->key_failure,
                               &key, e);

        if (r)
                return r;
        spec.key = key;
        spec.key_usage = request_key_usage(plan->key_usage);
        return request_build(&spec, ret, e);
}

static enum err build_message(struct enrollment *en, struct view data, EVP_PKEY *key, enum scep_type type,
                              struct error *e)
{
        const struct message_spec spec = {.type = type,
                                          .data = data,
                                          .recipient = en->choice.recipient,
                                          .cipher = en->exchange.cipher,
                                          .signer = en->signer,
                                          .key = key,
                                          .digest = en->exchange.digest,
                                          .transaction = en->record.transaction};
        enum err r;

        bytes_done(&en->message);
        r = message_build(&spec, en->nonce, &en->message, e);
        if (!r)
                en->type = type;
        return r;
}

/* The signer of a message that we made ourselves. */
static enum err signer_of(const struct bytes *message, X509 **ret, struct error *e)
{
        const uint8_t *p = message->data;
        CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)message->len);
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *certs = cms ? CMS_get1_certs(cms) : NULL;
        enum err r = ERR_OK;

        if (sk_X509_num(certs) != 1)
                r = ossl_error(e, ERR_CONFIG, "The stored request is damaged");
        else
                *ret = sk_X509_shift(certs);
        CMS_ContentInfo_free(cms);
        return r;
}

/* A request that was stored before the daemon stopped is sent again, the same bytes under the same
 * transaction. */
static enum err take_stored(struct enrollment *en, int fd, bool *ret_found, struct error *e)
{
        size_t len;
        enum err r;

        *ret_found = false;
        if (!hex_decode(en->record.nonce, en->nonce, sizeof en->nonce, &len) || len != sizeof en->nonce)
                return ERR_OK;
        r = file_read(fd, "request.der", MESSAGE_MAX, &en->message, e);
        if (r == ERR_NOT_FOUND)
                return ERR_OK;
        if (!r)
                r = signer_of(&en->message, &en->signer, e);
        en->type = en->exchange.type;
        *ret_found = r == ERR_OK;
        return r;
}

static enum err store_request(struct enrollment *en, int fd, struct error *e)
{
        char nonce[2 * SCEP_NONCE_LEN + 1];
        enum err r;

        /* The record first: a request.der always has its nonce. So that of another way, which was refused,
         * must be gone before. */
        r = file_remove(fd, "request.der", e);
        hex_encode((struct view){en->nonce, sizeof en->nonce}, nonce);
        if (!r)
                r = record_set_text(&en->record.nonce, nonce, e);
        if (!r)
                r = store_record_write(en->d->store, en->id, &en->record, e);
        return r ? r : file_write(fd, "request.der", 0600, bytes_view(&en->message), e);
}

static unsigned signer_life(const struct enrollment *en)
{
        uint64_t life = en->plan.pending_limit + 24 * 3600;

        return life > SIGNER_LIFE_MAX ? SIGNER_LIFE_MAX : (unsigned)life;
}

/* A key that did not do its part is why: what libcrypto makes of it names neither the TPM nor a remedy. */
static enum err told_by_key(const struct enrollment *en, enum err r, struct error *e)
{
        return r && en->key_failure.code ? error_copy(e, &en->key_failure) : r;
}

static enum err build(struct enrollment *en, struct error *e)
{
        CLEANUP(secret_done) struct secret request = {0};
        CLEANUP(evp_pkey_free_p) EVP_PKEY *key = NULL;
        CLEANUP(close_p) int fd = -1;
        bool found;
        enum err r = store_generation(en->d->store, en->id, en->generation, false, &fd, e);

        if (!r)
                r = take_stored(en, fd, &found, e);
        if (!r && found)
                tell_request(en, "The stored certificate request is sent again");
        if (r || found)
                return r;
        r = build_request(en, &request, e);
        if (!r)
                r = local_key(en->d->libctx, request_key(en), tpm_uid(en), request_pin(en), &en->key_failure,
                              &key, e);
        if (!r && en->exchange.signed_by_old && X509_up_ref(en->old_cert) == 1)
                en->signer = en->old_cert;
        else if (!r)
                r = signer_build(bytes_view(&en->plan.subject), key, scep_digest_ossl(en->exchange.digest),
                                 (time_t)clock_now(&en->d->clock), signer_life(en), &en->signer, e);
        if (!r)
                r = build_message(en, secret_view(&request), key, en->exchange.type, e);
        if (!r)
                r = store_request(en, fd, e);
        if (!r)
                tell_request(en, "The certificate request was made");
        return r;
}

enum err step_build(struct enrollment *en, struct error *e)
{
        en->key_failure = (struct error){0};
        return told_by_key(en, build(en, e), e);
}

static enum err poll(struct enrollment *en, struct error *e)
{
        CLEANUP(bytes_done) struct bytes data = {0};
        CLEANUP(evp_pkey_free_p) EVP_PKEY *key = NULL;
        enum err r = ERR_OK;

        if (!en->signer) {
                CLEANUP(bytes_done) struct bytes stored = {0};
                CLEANUP(close_p) int fd = -1;

                r = store_generation(en->d->store, en->id, en->generation, false, &fd, e);
                if (!r)
                        r = file_read(fd, "request.der", MESSAGE_MAX, &stored, e);
                if (!r)
                        r = signer_of(&stored, &en->signer, e);
        }
        if (!r)
                r = poll_data_build(en->choice.issuer, bytes_view(&en->plan.subject), &data, e);
        if (!r)
                r = local_key(en->d->libctx, request_key(en), tpm_uid(en), request_pin(en), &en->key_failure,
                              &key, e);
        return r ? r : build_message(en, bytes_view(&data), key, SCEP_CERT_POLL, e);
}

enum err step_poll(struct enrollment *en, struct error *e)
{
        en->key_failure = (struct error){0};
        return told_by_key(en, poll(en, e), e);
}
