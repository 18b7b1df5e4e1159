/* Steps at the end: the check of what was issued, the installation, and the failure. Threads of the pool. */
#include <openssl/pem.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "internal.h"
#include "policy/check.h"
#include "policy/renewal.h"
#include "scep-wire/ca-certs.h"
#include "store/old.h"
#include "tell.h"

/* The clock has run at least since this code was written; before that it cannot be believed. */
static const uint64_t code_written = 1763683200; /* 2025-11-21 */

static enum err remove_request(struct store *store, const char *id, uint64_t generation, struct error *e)
{
        static const char *const names[] = {"challenge", "request.der", "transport.pem"};
        CLEANUP(close_p) int fd = -1;
        enum err r = store_generation(store, id, generation, false, &fd, e);

        if (r == ERR_NOT_FOUND)
                return ERR_OK;
        for (size_t i = 0; !r && i < N_ELEMENTS(names); i++)
                r = file_drop(fd, names[i], e);
        return r ? r : dir_sync(fd, e);
}

enum err request_files_remove(struct enrollment *en, struct error *e)
{
        return remove_request(en->d->store, en->id, en->generation, e);
}

/* What an order had put down, its challenge, before the daemon was killed: the record never said so. */
static enum err remove_unaccepted(struct store *store, const char *id, uint64_t generation, struct error *e)
{
        CLEANUP(close_p) int fd = -1;

        if (store_generation(store, id, generation, false, &fd, NULL))
                return ERR_OK;
        return store_generation_remove(store, id, generation, e);
}

enum err enrollment_sweep(struct daemon *d, const char *id, const struct record *record, struct error *e)
{
        enum activity activity;

        if (!activity_from_name(record->activity, &activity) || activity_is_running(activity))
                return ERR_OK;
        if (!record->requested)
                return remove_unaccepted(d->store, id, record->current + 1, e);
        if (*record->transaction)
                return ERR_OK;
        return remove_request(d->store, id, record->requested, e);
}

/* Splits what came into our certificate, found by our public key, and the rest. */
static enum err sort_issued(struct enrollment *en, X509 **ret_cert, STACK_OF(X509) * *ret_chain,
                            struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = sk_X509_new_null();
        CLEANUP(x509_free_p) X509 *ours = NULL;

        if (!chain)
                return error_no_memory(e);
        for (size_t i = 0; i < en->n_issued; i++) {
                X509 *cert;
                enum err r = x509_parse(bytes_view(&en->issued[i]), &cert, e);

                if (r)
                        return r;
                if (!ours && EVP_PKEY_eq(X509_get0_pubkey(cert), ksp_key_public(en->key)) == 1) {
                        ours = cert;
                } else if (!sk_X509_push(chain, cert)) {
                        X509_free(cert);
                        return error_no_memory(e);
                }
        }
        for (int i = 0; i < sk_X509_num(en->choice.signers); i++) {
                X509 *cert = sk_X509_value(en->choice.signers, i);

                if (!sk_X509_push(chain, cert))
                        return error_no_memory(e);
                (void)X509_up_ref(cert);
        }
        if (!ours) {
                (void)error_set(
                        e, ERR_CERTIFICATE_REFUSED,
                        "The server issued a certificate for another key than the one that was requested");
                return error_remedy(e, ERR_CERTIFICATE_REFUSED,
                                    "The server or something in front of it mixed up two requests: have its "
                                    "administrator "
                                    "look up the transaction in its log.");
        }
        *ret_cert = STEAL(ours);
        *ret_chain = STEAL(chain);
        return ERR_OK;
}

static enum err describe_certificate(struct enrollment *en, X509 *cert, struct error *e)
{
        struct record *record = &en->record;
        CLEANUP(free_p) char *subject = NULL;
        CLEANUP(bn_free_p) BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
        CLEANUP(ossl_free_p) char *serial = number ? BN_bn2hex(number) : NULL;
        uint8_t digest[20];
        char thumbprint[41];
        int64_t not_before, not_after, renew_at;
        enum err r = certificate_dates(cert, &not_before, &not_after, e);

        if (r)
                return r;
        if (!serial || X509_digest(cert, EVP_sha1(), digest, NULL) != 1)
                return ossl_error(e, ERR_FAILED, "The certificate could not be described");
        for (char *p = serial; *p; p++)
                if (*p >= 'A' && *p <= 'F')
                        *p = (char)(*p - 'A' + 'a');
        hex_encode((struct view){digest, sizeof digest}, thumbprint);
        r = x509_name_text(X509_get_subject_name(cert), &subject, e);
        if (r)
                return r;
        r = renewal_date(not_before, not_after, en->plan.threshold, en->d->device_id, en->id, &renew_at, e);
        record->not_before = (uint64_t)not_before;
        record->not_after = (uint64_t)not_after;
        record->renew_at = r ? 0 : (uint64_t)renew_at;
        if (!r)
                r = record_set_text(&record->subject, subject, e);
        if (!r)
                r = record_set_text(&record->serial, serial, e);
        return r ? r : record_set_text(&record->thumbprint, thumbprint, e);
}

/* What was kept aside for a person is of an earlier answer now, and may be of the same key. */
static enum err drop_refused(struct enrollment *en, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r = store_directory(en->d->store, STORE_CERTIFICATES, en->id, &fd, e);

        return r ? r : file_drop(fd, "refused.pem", e);
}

static enum err pem_add(BIO *bio, X509 *cert, struct error *e)
{
        return PEM_write_bio_X509(bio, cert) == 1
                       ? ERR_OK
                       : ossl_error(e, ERR_FAILED, "A certificate could not be encoded");
}

/* Issuers in order, from the certificate's own up to, not including, the anchor. */
static enum err write_chain(int fd, X509 *cert, STACK_OF(X509) * chain, X509 *anchor, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        CLEANUP(bytes_done) struct bytes pem = {0};
        X509 *at = cert;
        enum err r;

        if (!bio)
                return error_no_memory(e);
        for (int depth = 0; depth < 8; depth++) {
                X509 *issuer = NULL;

                for (int i = 0; i < sk_X509_num(chain); i++)
                        if (sk_X509_value(chain, i) != at &&
                            X509_check_issued(sk_X509_value(chain, i), at) == X509_V_OK)
                                issuer = sk_X509_value(chain, i);
                if (!issuer || X509_cmp(issuer, anchor) == 0)
                        break;
                r = pem_add(bio, issuer, e);
                if (r)
                        return r;
                at = issuer;
        }
        r = bio_bytes(bio, &pem, e);
        return r ? r : file_place(fd, "chain.pem", 0644, bytes_view(&pem), e);
}

static enum err write_certificate(int fd, X509 *cert, struct error *e)
{
        CLEANUP(bio_free_p) BIO *bio = BIO_new(BIO_s_mem());
        CLEANUP(bytes_done) struct bytes pem = {0};
        enum err r = bio ? pem_add(bio, cert, e) : error_no_memory(e);

        if (!r)
                r = bio_bytes(bio, &pem, e);
        return r ? r : file_place(fd, "cert.pem", 0644, bytes_view(&pem), e);
}

static void take(char **to, char **from)
{
        free(*to);
        *to = STEAL(*from);
}

/* Which of the two ways of a challenge the server took (methods.c). */
static void learn_direct(struct record *record)
{
        enum scep_method way = SCEP_AUTO;

        if (scep_method_from_name(record->method, &way) && way == SCEP_CHALLENGE_DIRECT)
                record->direct = true;
        else if (way == SCEP_CHALLENGE)
                record->direct = false;
}

/* The key of the request becomes that of the certificate. */
static enum err adopt(struct enrollment *en, struct error *e)
{
        struct record *record = &en->record;
        struct record fresh = {0};
        enum err r;

        take(&record->key_id, &record->next_key_id);
        take(&record->key_algorithm, &record->next_key_algorithm);
        take(&record->key_protection, &record->next_key_protection);
        take(&record->key_reason, &record->next_key_reason);
        take(&record->key_parent, &record->next_key_parent);
        take(&record->respondent, &record->request_url);
        strings_done(&record->key_attributes);
        record->key_attributes = record->next_key_attributes;
        record->next_key_attributes = (struct strings){0};
        record->current = en->generation;
        record->requested = 0;
        record->attempts = record->pending_since = record->polls = record->next_poll = 0;
        learn_direct(record);
        if (record->renewing)
                take(&record->renewed_by, &record->method);
        record->renewing = false;
        record->retry_at = record->refused = record->revoked_at = 0;
        r = record_new(&fresh, e);
        if (r)
                return r;
        /* What was handed over gets an empty text. */
        if (!record->method)
                take(&record->method, &fresh.method);
        take(&record->next_key_id, &fresh.next_key_id);
        take(&record->next_key_algorithm, &fresh.next_key_algorithm);
        take(&record->next_key_protection, &fresh.next_key_protection);
        take(&record->next_key_reason, &fresh.next_key_reason);
        take(&record->next_key_parent, &fresh.next_key_parent);
        take(&record->request_url, &fresh.request_url);
        take(&record->transaction, &fresh.transaction);
        take(&record->nonce, &fresh.nonce);
        /* and an attempt that failed before is over */
        take(&record->error_name, &fresh.error_name);
        take(&record->error_message, &fresh.error_message);
        take(&record->error_remedy, &fresh.error_remedy);
        take(&record->last_stage, &fresh.last_stage);
        record_done_p(&fresh);
        return ERR_OK;
}

/* The generation that is replaced goes on for those that have loaded it. */
static enum err supersede(struct enrollment *en, struct error *e)
{
        struct record *record = &en->record;
        struct old_generation old = {.number = record->current,
                                     .replaced = clock_now(&en->d->clock),
                                     .not_after = record->not_after};
        size_t len;

        if (!record->current || record->current == en->generation ||
            !hex_decode(record->key_id, old.key_id, sizeof old.key_id, &len) || len != sizeof old.key_id)
                return ERR_OK;
        return old_generation_add(&record->old, &old, e);
}

/* Those that are over and that no program uses; what cannot be removed now is tried at the next renewal. */
static enum err clear_old(struct enrollment *en, struct error *e)
{
        struct record *record = &en->record;
        struct strings kept = {0};
        enum err r = ERR_OK;

        for (size_t i = 0; !r && i < record->old.count; i++) {
                const bool held = i < 64 && en->held & (UINT64_C(1) << i);
                struct old_generation old;

                if (!old_generation_read(record->old.items[i], &old))
                        continue;
                /* Where the last one was not applied, its consumers still have one before it. */
                if (!held &&
                    ((!record->apply_at && old_generation_is_over(&old, clock_now(&en->d->clock))) ||
                     record->old.count - i > OLD_MAX) &&
                    store_generation_remove(en->d->store, en->id, old.number, NULL) == ERR_OK)
                        continue;
                r = strings_add(&kept, record->old.items[i], e);
        }
        if (r) {
                strings_done(&kept);
                return r;
        }
        strings_done(&record->old);
        record->old = kept; /* the next write of the record takes it to the disk */
        return ERR_OK;
}

static enum err install(struct enrollment *en, X509 *cert, STACK_OF(X509) * chain, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r = record_move(en, LIFE_ISSUED, e);

        en->stage = "install";
        if (!r)
                r = store_generation(en->d->store, en->id, en->generation, false, &fd, e);
        if (!r)
                r = write_certificate(fd, cert, e);
        if (!r)
                r = write_chain(fd, cert, chain, en->choice.anchor, e);
        if (!r)
                r = dir_sync(fd, e);
        if (!r)
                r = store_commit(en->d->store, en->id, en->generation, e);
        en->committed = r == ERR_OK;
        if (!r)
                r = follow_settle(en, e);
        if (!r)
                r = supersede(en, e);
        if (!r)
                r = describe_certificate(en, cert, e);
        if (!r)
                r = adopt(en, e);
        /* It is durable: now the secrets of the request go, and only then the record says that all is done.
         */
        if (!r)
                r = request_files_remove(en, e);
        if (!r)
                r = drop_refused(en, e);
        if (!r)
                r = clear_old(en, e);
        return r ? r : record_installed(en, e);
}

enum err step_finish_install(struct enrollment *en, struct error *e)
{
        CLEANUP(x509_free_p) X509 *cert = NULL;
        enum err r = store_pem_read(en->d->store, STORE_CERTIFICATES, en->id, "current/cert.pem", &cert, e);

        en->committed = true;
        /* a state directory of a version that called this failed */
        if (!r && strcmp(en->record.activity, activity_name(ACTIVITY_REQUESTING)) == 0)
                r = record_move(en, LIFE_ISSUED, e);
        if (!r)
                r = follow_settle(en, e);
        if (!r)
                r = supersede(en, e);
        if (r)
                return r;
        r = describe_certificate(en, cert, e);
        if (!r)
                r = adopt(en, e);
        if (!r)
                r = request_files_remove(en, e);
        if (!r)
                r = drop_refused(en, e);
        if (!r)
                r = clear_old(en, e);
        if (!r)
                r = record_installed(en, e);
        if (!r)
                tell_installed(en);
        return r;
}

/* "refused: sentence" */
static enum err add_deviation(struct enrollment *en, enum check_verdict verdict, const char *text,
                              struct error *e)
{
        CLEANUP(free_p) char *line = NULL;

        if (asprintf(&line, "%s: %s", check_class_name(verdict), text) < 0) {
                line = NULL;
                return error_no_memory(e);
        }
        return strings_add(&en->record.deviations, line, e);
}

static enum err keep_deviations(struct enrollment *en, const struct check_result *result, struct error *e)
{
        enum err r = ERR_OK;

        strings_done(&en->record.deviations);
        for (size_t i = 0; !r && i < result->n_deviations; i++)
                r = add_deviation(en, result->deviations[i].verdict, result->deviations[i].text, e);
        for (unsigned bit = 1; !r && bit <= SCEP_NOTES_ALL; bit <<= 1)
                if ((en->reply_notes & bit) && en->record.deviations.count < STRINGS_MAX)
                        r = add_deviation(en, CHECK_ACCEPTED, scep_note_text((enum scep_note)bit), e);
        return r;
}

/* The verdict, and what differs into the record. @ret_why: why it is not simply installed. */
static enum err judge(struct enrollment *en, X509 *cert, STACK_OF(X509) * chain, enum check_verdict *ret,
                      struct error *ret_why, struct error *e)
{
        CLEANUP(check_result_done) struct check_result result = {0};
        CLEANUP(bytes_done) struct bytes spki = {0};
        CLEANUP(x509_free_p) X509 *previous = NULL;
        struct check_input input = {.plan = &en->plan, .anchor = en->choice.anchor};
        enum err r = spki_der(ksp_key_public(en->key), &spki, e);

        if (r)
                return r;
        if (en->record.renewing) {
                r = store_pem_read(en->d->store, STORE_CERTIFICATES, en->id, "current/cert.pem", &previous,
                                   e);
                if (r)
                        return r;
                input.previous = previous;
        }
        input.cert = cert;
        input.chain = chain;
        input.spki = bytes_view(&spki);
        input.now = (int64_t)clock_now(&en->d->clock);
        input.clock_trusted = (uint64_t)input.now >= code_written;
        r = certificate_check(&input, &result, ret_why);
        if (r)
                return error_copy(e, ret_why);
        *ret = result.verdict;
        return keep_deviations(en, &result, e);
}

/* Aside, with its issuers beside its key: accept.c finds them there. */
static enum err keep_refused(struct enrollment *en, X509 *cert, STACK_OF(X509) * chain, struct error *e)
{
        CLEANUP(close_p) int fd = -1;
        enum err r = store_generation(en->d->store, en->id, en->generation, false, &fd, e);

        if (!r)
                r = write_chain(fd, cert, chain, en->choice.anchor, e);
        if (!r)
                r = dir_sync(fd, e);
        return r ? r : store_pem_write(en->d->store, STORE_CERTIFICATES, en->id, "refused.pem", cert, e);
}

enum err step_install(struct enrollment *en, struct error *e)
{
        CLEANUP(x509_stack_free_p) STACK_OF(X509) *chain = NULL;
        CLEANUP(x509_free_p) X509 *cert = NULL;
        enum check_verdict verdict = CHECK_REFUSED;
        struct error why = {0};
        enum err r = sort_issued(en, &cert, &chain, e);

        if (r)
                return r;
        tell_issued(en, cert);
        r = judge(en, cert, chain, &verdict, &why, e);
        if (r)
                return r;
        if (verdict == CHECK_ACCEPTED) {
                r = install(en, cert, chain, e);
                if (!r)
                        tell_installed(en);
                return r;
        }
        if (verdict == CHECK_KEPT) {
                r = keep_refused(en, cert, chain, e);
                if (r)
                        return r;
                tell_refused(en, cert, &why);
        }
        return error_copy(e, &why);
}

enum err install_accepted(struct enrollment *en, X509 *cert, STACK_OF(X509) * chain, struct error *e)
{
        enum check_verdict verdict = CHECK_REFUSED;
        struct error why = {0};
        enum err r = judge(en, cert, chain, &verdict, &why, e);

        if (!r && verdict != CHECK_ACCEPTED && verdict != CHECK_KEPT)
                r = error_copy(e, &why);
        if (!r)
                r = record_move(en, LIFE_RENEW, e);
        if (!r)
                r = install(en, cert, chain, e);
        if (!r)
                tell_installed(en);
        return r;
}

/* What may come to its end by then, but not before; 0: the TPM does not tell, or it has ended. */
static uint64_t lockout_end(const struct enrollment *en, uint64_t now)
{
        enum { SPREAD = 30, AT_MOST = RENEWAL_RETRY_MAX };
        struct ksp_tpm tpm;

        ksp_tpm(en->d->ksp, &tpm);
        if (!tpm.lockout_seconds)
                return 0;
        return now + (tpm.lockout_seconds < AT_MOST - SPREAD ? tpm.lockout_seconds : AT_MOST - SPREAD) +
               random_number() % SPREAD;
}

/* When it is tried again by itself; 0: only when somebody asks. */
static uint64_t retry_date(const struct enrollment *en, const struct error *why, bool final)
{
        /* What time alone does not mend. */
        static const enum err lasting[] = {ERR_UNSUPPORTED, ERR_INVALID, ERR_KEY_NOT_SUPPORTED, ERR_DENIED};
        const struct record *record = &en->record;
        const uint64_t now = clock_now(&en->d->clock);
        const bool challenge = strcmp(record->method, scep_method_name(SCEP_CHALLENGE)) == 0 ||
                               strcmp(record->method, scep_method_name(SCEP_CHALLENGE_DIRECT)) == 0;
        uint64_t wait;

        for (size_t i = 0; i < N_ELEMENTS(lasting); i++)
                if (why->code == lasting[i])
                        return 0;
        /* Another attempt is how its owner is reminded. */
        if (pin_is_why(en, why))
                return now + remind_wait(usable_until(record), now);
        /* Whether the server has come to accept another way is worth a question now and then. */
        if (why->code == ERR_CHALLENGE_NEEDED &&
            (!record->renewing || en->plan.method == RENEWAL_CHALLENGE) && !challenge_comes_by_itself(en))
                return 0;
        /* A refused challenge is no challenge any more; a refused certificate may come right next time. */
        if (final && (!record->renewing || challenge))
                return 0;
        if (why->code == ERR_TPM_LOCKED_OUT) {
                const uint64_t end = lockout_end(en, now);

                if (end)
                        return end;
        }
        wait = retry_wait(record->attempts, (uint64_t)en->plan.retry_delay * 60, usable_until(record), now,
                          random_number());
        return now + longer_wait(wait, en->retry_after, usable_until(record), now);
}

enum err step_fail(struct enrollment *en, const struct error *why, bool final, struct error *e)
{
        struct record *record = &en->record;
        /* Without its key a request is nothing any more. */
        const bool over = final || en->key_lost || (record->renewing && why->code == ERR_CHALLENGE_NEEDED);
        enum err r = record_set_text(&record->error_name, err_name(why->code), e);

        if (!r)
                r = record_set_text(&record->error_message, why->message, e);
        if (!r)
                r = record_set_text(&record->error_remedy, why->remedy, e);
        if (!r)
                r = record_set_text(&record->last_stage, en->stage, e);
        record->attempts++;
        record->retry_at = retry_date(en, why, final);
        /* What comes next is another request: every way is open again, and the transaction is a new one. */
        if (!r && over)
                r = request_forget(en, e);
        if (!r && over)
                r = record_set_text(&record->method, "", e);
        if (over)
                record->refused = 0;
        if (!r && !over && en->reopens)
                r = method_reopen(en, e);
        if (!r)
                r = record_move(en,
                                why->code == ERR_CHALLENGE_NEEDED ? LIFE_NEEDS_CHALLENGE
                                : pin_is_why(en, why)             ? LIFE_NEEDS_USER
                                                                  : LIFE_FAIL,
                                e);
        if (!r && over)
                r = request_files_remove(en, e);
        if (!r && en->key_lost)
                r = key_put_aside(en, e);
        if (why->code == ERR_CHALLENGE_NEEDED)
                tell_challenge_needed(en, why);
        else if (why->code == ERR_PIN_NEEDED && pin_is_why(en, why))
                tell_pin_needed(en, why);
        else
                tell_failed(en, why);
        return r;
}
