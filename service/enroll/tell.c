#include "tell.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "events/events.h"
#include "policy/check.h"

enum { THUMBPRINT_TEXT = 2 * 20 + 1, FINGERPRINT_TEXT = 2 * 32 + 1 };

static void tell(struct enrollment *en, enum event_kind kind, const char *message,
                 const struct event_value *values, size_t n)
{
        const struct event event = {.kind = kind,
                                    .certificate = en->id,
                                    .name = en->record.name,
                                    .profile = en->record.profile,
                                    .owner = en->owner,
                                    .message = message,
                                    .values = values,
                                    .n = n};

        event_record(en->d->events, &event);
}

static const char *scope_of(const struct enrollment *en)
{
        return en->owner == NO_OWNER ? "device" : "user";
}

void tell_accepted(struct enrollment *en)
{
        const struct event_value values[] = {
                {EVENT_SCOPE, scope_of(en), 0},
                {EVENT_KEY_PROTECTION, key_protection_name((enum key_protection)en->plan.protection), 0}};

        tell(en, EVENT_PROFILE_ACCEPTED, "The request for a certificate was accepted", values,
             N_ELEMENTS(values));
}

void tell_adopted(struct enrollment *en)
{
        const struct event_value values[] = {{EVENT_SCOPE, scope_of(en), 0},
                                             {EVENT_THUMBPRINT, en->record.thumbprint, 0}};

        tell(en, EVENT_PROFILE_ADOPTED, "A profile asks for the certificate that is here already", values,
             N_ELEMENTS(values));
}

void tell_changed(struct enrollment *en)
{
        const struct event_value values[] = {{EVENT_SCOPE, scope_of(en), 0},
                                             {EVENT_THUMBPRINT, en->record.thumbprint, 0},
                                             {EVENT_RENEW_AT, NULL, en->record.renew_at}};

        tell(en, EVENT_PROFILE_CHANGED,
             "The profile was changed, and its certificate still is what it asks for", values,
             N_ELEMENTS(values));
}

/* false: the same was told already, or this cannot be known. */
static bool is_news(struct enrollment *en)
{
        CLEANUP(evp_md_ctx_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        uint8_t digest[sizeof en->told_server];

        /* The lengths keep the three apart: no body holds a NUL that ends the URL before it. */
        if (!ctx || EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) != 1 ||
            EVP_DigestUpdate(ctx, en->answered_url, strlen(en->answered_url) + 1) != 1 ||
            EVP_DigestUpdate(ctx, &en->caps_body.len, sizeof en->caps_body.len) != 1 ||
            EVP_DigestUpdate(ctx, en->caps_body.data, en->caps_body.len) != 1 ||
            EVP_DigestUpdate(ctx, en->certs_body.data, en->certs_body.len) != 1 ||
            EVP_DigestFinal_ex(ctx, digest, NULL) != 1 || memcmp(digest, en->told_server, sizeof digest) == 0)
                return false;
        memcpy(en->told_server, digest, sizeof digest);
        return true;
}

static char *fingerprints_of(const STACK_OF(X509) * certs)
{
        struct text text = TEXT(EVENT_VALUE_MAX);
        char *list = NULL;

        for (int i = 0; i < sk_X509_num(certs); i++) {
                uint8_t digest[32];
                char hex[FINGERPRINT_TEXT];

                if (X509_digest(sk_X509_value(certs, i), EVP_sha256(), digest, NULL) != 1)
                        continue;
                hex_encode((struct view){digest, sizeof digest}, hex);
                text_addf(&text, "%s%s", text.len ? " " : "", hex);
        }
        return text_finish(&text, &list, NULL) ? NULL : list;
}

void tell_server(struct enrollment *en, const struct scep_caps *caps, const STACK_OF(X509) * certs)
{
        CLEANUP(free_p) char *fingerprints = fingerprints_of(certs);
        const struct event_value of_caps[] = {{EVENT_URL, en->answered_url, 0},
                                              {EVENT_HTTP_STATUS, NULL, en->caps_status},
                                              {EVENT_CAPABILITIES, caps->text, 0}};
        const struct event_value of_certs[] = {{EVENT_URL, en->answered_url, 0},
                                               {EVENT_HTTP_STATUS, NULL, en->record.last_http_status},
                                               {EVENT_FINGERPRINTS, fingerprints, 0}};
        char message[128];

        if (!is_news(en))
                return;
        tell(en, EVENT_CA_CAPS,
             *caps->text ? "The server told its capabilities" : "The server tells no capabilities", of_caps,
             N_ELEMENTS(of_caps));
        (void)snprintf(message, sizeof message, "The server sent %d certificate%s of its CA",
                       sk_X509_num(certs), sk_X509_num(certs) == 1 ? "" : "s");
        tell(en, EVENT_CA_CERTS, message, of_certs, N_ELEMENTS(of_certs));
}

void tell_request(struct enrollment *en, const char *message)
{
        const struct record *record = &en->record;
        struct text text = TEXT(EVENT_VALUE_MAX);
        CLEANUP(free_p) char *usages = NULL;

        for (size_t i = 0; i < en->plan.extended_key_usage.count; i++)
                text_addf(&text, "%s%s", i ? " " : "", en->plan.extended_key_usage.items[i]);
        if (text_finish(&text, &usages, NULL))
                usages = NULL;
        tell(en, EVENT_REQUEST_GENERATED, message,
             (const struct event_value[]){{EVENT_URL, record->request_url, 0},
                                          {EVENT_EXCHANGE, record->exchange, 0},
                                          {EVENT_TRANSACTION, record->transaction, 0},
                                          {EVENT_KEY_PROTECTION, record->next_key_protection, 0},
                                          {EVENT_KEY_ALGORITHM, record->next_key_algorithm, 0},
                                          {EVENT_EXTENDED_KEY_USAGE, usages, 0}},
             6);
}

void tell_pending(struct enrollment *en)
{
        const struct record *record = &en->record;
        const struct event_value values[] = {{EVENT_URL, record->request_url, 0},
                                             {EVENT_TRANSACTION, record->transaction, 0},
                                             {EVENT_ATTEMPT, NULL, record->polls + 1},
                                             {EVENT_ATTEMPTS, NULL, en->plan.retry_count},
                                             {EVENT_NEXT_AT, NULL, record->next_poll}};

        if (record->polls == 0)
                tell(en, EVENT_PENDING, "The CA wants a person to approve the request", values,
                     N_ELEMENTS(values));
        else
                tell(en, EVENT_RETRY, "The request still waits for approval", values, N_ELEMENTS(values));
}

void tell_poll_failed(struct enrollment *en, const struct error *why)
{
        const struct record *record = &en->record;
        const struct event_value values[] = {{EVENT_URL, record->request_url, 0},
                                             {EVENT_TRANSACTION, record->transaction, 0},
                                             {EVENT_ATTEMPT, NULL, record->polls + 1},
                                             {EVENT_ATTEMPTS, NULL, en->plan.retry_count},
                                             {EVENT_NEXT_AT, NULL, record->next_poll},
                                             {EVENT_ERROR, err_name(why->code), 0},
                                             {EVENT_REMEDY, why->remedy, 0}};

        tell(en, EVENT_RETRY, why->message, values, N_ELEMENTS(values));
}

void tell_failed_over(struct enrollment *en, const struct error *why)
{
        const struct event_value values[] = {{EVENT_URL, en->record.request_url, 0},
                                             {EVENT_ERROR, err_name(why->code), 0},
                                             {EVENT_REMEDY, why->remedy, 0}};

        tell(en, EVENT_SERVER_SKIPPED, why->message, values, N_ELEMENTS(values));
}

struct shown {
        char thumbprint[THUMBPRINT_TEXT];
        uint64_t not_after;
};

static struct shown shown_of(X509 *cert)
{
        struct shown shown = {.thumbprint = ""};
        int64_t not_before, not_after;
        uint8_t digest[20];

        if (X509_digest(cert, EVP_sha1(), digest, NULL) == 1)
                hex_encode((struct view){digest, sizeof digest}, shown.thumbprint);
        if (certificate_dates(cert, &not_before, &not_after, NULL) == ERR_OK && not_after > 0)
                shown.not_after = (uint64_t)not_after;
        return shown;
}

void tell_issued(struct enrollment *en, X509 *cert)
{
        const struct shown shown = shown_of(cert);
        const struct event_value values[] = {{EVENT_URL, en->record.request_url, 0},
                                             {EVENT_THUMBPRINT, shown.thumbprint, 0},
                                             {EVENT_NOT_AFTER, NULL, shown.not_after}};

        tell(en, EVENT_CERT_ISSUED, "The CA issued a certificate", values, N_ELEMENTS(values));
}

void tell_refused(struct enrollment *en, X509 *cert, const struct error *why)
{
        const struct shown shown = shown_of(cert);
        const struct event_value values[] = {{EVENT_URL, en->record.request_url, 0},
                                             {EVENT_THUMBPRINT, shown.thumbprint, 0},
                                             {EVENT_NOT_AFTER, NULL, shown.not_after},
                                             {EVENT_ERROR, err_name(why->code), 0},
                                             {EVENT_REMEDY, why->remedy, 0}};

        tell(en, EVENT_CERT_REFUSED, "The issued certificate is kept aside and not installed", values,
             N_ELEMENTS(values));
}

void tell_installed(struct enrollment *en)
{
        const struct record *record = &en->record;
        const struct event_value values[] = {{EVENT_URL, record->respondent, 0},
                                             {EVENT_THUMBPRINT, record->thumbprint, 0},
                                             {EVENT_SERIAL, record->serial, 0},
                                             {EVENT_SUBJECT, record->subject, 0},
                                             {EVENT_NOT_AFTER, NULL, record->not_after},
                                             {EVENT_RENEW_AT, NULL, record->renew_at},
                                             {EVENT_KEY_PROTECTION, record->key_protection, 0}};

        tell(en, EVENT_CERT_INSTALLED, "The certificate was installed", values, N_ELEMENTS(values));
}

void tell_failed(struct enrollment *en, const struct error *why)
{
        const struct record *record = &en->record;
        /* Before the server is asked, what the record has of it is of another time. */
        const bool asked = strcmp(en->stage, "key") != 0 && strcmp(en->stage, "resume") != 0;
        const uint32_t hresult = asked ? (uint32_t)record->last_hresult : 0;
        struct event_value values[10] = {{EVENT_STAGE, en->stage, 0},
                                         {EVENT_ERROR, err_name(why->code), 0},
                                         {EVENT_REMEDY, why->remedy, 0},
                                         {EVENT_URL, asked ? record->last_url : "", 0},
                                         {EVENT_PKI_STATUS, asked ? record->last_pki_status : "", 0},
                                         {EVENT_FAIL_INFO, asked ? record->last_fail_info : "", 0}};
        char number[16];
        size_t n = 6;

        if (asked && record->last_http_status)
                values[n++] = (struct event_value){EVENT_HTTP_STATUS, NULL, record->last_http_status};
        if (hresult) {
                (void)snprintf(number, sizeof number, "0x%08x", (unsigned)hresult);
                values[n++] = (struct event_value){EVENT_HRESULT, number, 0};
                values[n++] = (struct event_value){EVENT_HRESULT_NAME, scep_hresult_name(hresult), 0};
        }
        if (record->retry_at)
                values[n++] = (struct event_value){EVENT_NEXT_AT, NULL, record->retry_at};
        tell(en, EVENT_ENROL_FAILED, why->message, values, n);
}

void tell_challenge_needed(struct enrollment *en, const struct error *why)
{
        const struct event_value values[] = {{EVENT_REMEDY, why->remedy, 0},
                                             {EVENT_NOT_AFTER, NULL, en->record.not_after}};

        tell(en, EVENT_CHALLENGE_NEEDED, why->message, values, en->record.current ? 2 : 1);
}

void tell_pin_needed(struct enrollment *en, const struct error *why)
{
        const struct event_value values[] = {{EVENT_REMEDY, why->remedy, 0},
                                             {EVENT_NEXT_AT, NULL, en->record.retry_at},
                                             {EVENT_NOT_AFTER, NULL, en->record.not_after}};

        tell(en, EVENT_PIN_NEEDED, why->message, values, en->record.current ? 3 : 2);
}

void tell_revoked(struct enrollment *en)
{
        const struct record *record = &en->record;
        const struct event_value values[] = {{EVENT_THUMBPRINT, record->thumbprint, 0},
                                             {EVENT_SERIAL, record->serial, 0},
                                             {EVENT_REVOKED_AT, NULL, record->revoked_at},
                                             {EVENT_REASON, en->revoked.reason, 0}};

        tell(en, EVENT_CERT_REVOKED,
             en->revoked.by_ca ? "A CA above the certificate was revoked" : "The CA revoked the certificate",
             values, N_ELEMENTS(values) - !*en->revoked.reason);
}

void tell_crl_refused(struct enrollment *en)
{
        const struct error *why = &en->revoked.refused;
        const struct event_value values[] = {{EVENT_URL, en->revoked.url, 0},
                                             {EVENT_THUMBPRINT, en->record.thumbprint, 0},
                                             {EVENT_ERROR, err_name(why->code), 0},
                                             {EVENT_REMEDY, why->remedy, 0}};

        tell(en, EVENT_CRL_REFUSED, why->message, values, N_ELEMENTS(values));
}

void tell_applied(struct enrollment *en)
{
        const struct event_value values[] = {{EVENT_THUMBPRINT, en->record.thumbprint, 0}};

        tell(en, EVENT_CERT_APPLIED, "The certificate's consumers have it", values, N_ELEMENTS(values));
}

void tell_not_applied(struct enrollment *en, const char *consumer, const struct error *why)
{
        const struct event_value values[] = {{EVENT_THUMBPRINT, en->record.thumbprint, 0},
                                             {EVENT_ERROR, err_name(why->code), 0},
                                             {EVENT_REMEDY, why->remedy, 0},
                                             {EVENT_NEXT_AT, NULL, en->record.apply_at},
                                             {EVENT_CONSUMER, consumer, 0}};

        tell(en, EVENT_APPLY_FAILED, why->message, values, N_ELEMENTS(values) - !consumer);
}

void tell_renewal_due(struct enrollment *en)
{
        const struct record *record = &en->record;
        const struct event_value values[] = {{EVENT_THRESHOLD, NULL, en->plan.threshold},
                                             {EVENT_RENEW_AT, NULL, record->renew_at},
                                             {EVENT_NOT_AFTER, NULL, record->not_after}};

        tell(en, EVENT_RENEW_DUE, "The renewal begins", values, N_ELEMENTS(values));
}

static char *names_text(const struct strings *names)
{
        struct text text = TEXT(EVENT_VALUE_MAX);
        char *all = NULL;

        for (size_t i = 0; i < names->count; i++)
                text_addf(&text, "%s%s", i ? "; " : "", names->items[i]);
        return text_finish(&text, &all, NULL) ? NULL : all;
}

void tell_names_differ(struct enrollment *en, const struct strings *before)
{
        CLEANUP(free_p) char *names = names_text(before);
        CLEANUP(free_p) char *new_names = names_text(&en->record.new_names);
        char remedy[160];
        const struct event_value values[] = {
                {EVENT_NAMES, names, 0}, {EVENT_NEW_NAMES, new_names, 0}, {EVENT_REMEDY, remedy, 0}};

        (void)snprintf(remedy, sizeof remedy, "If the new names are right: scepter renew --accept %s",
                       en->record.name);
        tell(en, EVENT_NAMES_DIFFER, "The profile gives other names now; the renewal keeps those it has",
             values, N_ELEMENTS(values));
}

void tell_method_refused(struct enrollment *en, const struct error *why)
{
        const struct record *record = &en->record;
        struct event_value values[5] = {{EVENT_URL, record->last_url, 0},
                                        {EVENT_METHOD, record->method, 0},
                                        {EVENT_ERROR, err_name(why->code), 0},
                                        {EVENT_FAIL_INFO, record->last_fail_info, 0}};
        size_t n = 4;

        if (record->last_http_status)
                values[n++] = (struct event_value){EVENT_HTTP_STATUS, NULL, record->last_http_status};
        tell(en, EVENT_RENEW_REFUSED,
             record->renewing ? "The server refused this way to renew; another one is tried"
                              : "The server refused this way to ask; another one is tried",
             values, n);
}

void tell_cancelled(struct enrollment *en)
{
        const struct event_value values[] = {{EVENT_STAGE, en->stage, 0}};

        tell(en, EVENT_ENROL_CANCELLED, "The request was cancelled", values, N_ELEMENTS(values));
}

static const char *fingerprint_of(X509 *cert, char ret[FINGERPRINT_TEXT])
{
        uint8_t digest[32];

        *ret = '\0';
        if (X509_digest(cert, EVP_sha256(), digest, NULL) == 1)
                hex_encode((struct view){digest, sizeof digest}, ret);
        return ret;
}

void tell_next_ca(struct enrollment *en)
{
        char now[FINGERPRINT_TEXT], next[FINGERPRINT_TEXT];
        const struct event_value values[] = {{EVENT_URL, en->found.url, 0},
                                             {EVENT_ANCHOR, fingerprint_of(en->found.anchor, now), 0},
                                             {EVENT_NEXT_ANCHOR, fingerprint_of(en->found.next, next), 0}};

        tell(en, EVENT_CA_NEXT, "The CA announced the one that comes after it", values, N_ELEMENTS(values));
}

void tell_next_ca_refused(struct enrollment *en)
{
        const struct error *why = &en->found.refused;
        char now[FINGERPRINT_TEXT];
        const struct event_value values[] = {{EVENT_URL, en->found.url, 0},
                                             {EVENT_ANCHOR, fingerprint_of(en->found.anchor, now), 0},
                                             {EVENT_ERROR, err_name(why->code), 0},
                                             {EVENT_REMEDY, why->remedy, 0}};

        tell(en, EVENT_CA_NEXT_REFUSED, why->message, values, N_ELEMENTS(values));
}

void tell_followed(struct enrollment *en, X509 *from, X509 *to)
{
        char old[FINGERPRINT_TEXT], now[FINGERPRINT_TEXT];
        const struct event_value values[] = {{EVENT_ANCHOR, fingerprint_of(from, old), 0},
                                             {EVENT_NEXT_ANCHOR, fingerprint_of(to, now), 0}};

        tell(en, EVENT_CA_FOLLOWED, "The certificate comes from the next CA, and its anchor is another one",
             values, N_ELEMENTS(values));
}
