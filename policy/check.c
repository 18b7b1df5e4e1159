#include "policy/check.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "policy/general-name.h"
#include "policy/issuers.h"
#include "policy/values.h"

OSSL_CLEANUP(ASN1_BIT_STRING, bit_string_free, ASN1_BIT_STRING_free)

enum { CHAIN_MAX = 32, CHAIN_DEPTH = 8, TEXT_SHOWN = 160 };

static const char *const verdict_names[] = {"accepted", "kept", "wait", "refused"};

const char *check_verdict_name(enum check_verdict verdict)
{
        return verdict_names[verdict];
}

const char *check_class_name(enum check_verdict verdict)
{
        return verdict == CHECK_ACCEPTED ? "note" : verdict_names[verdict];
}

void check_result_done(struct check_result *r)
{
        for (size_t i = 0; i < r->n_deviations; i++)
                free(r->deviations[i].text);
        *r = (struct check_result){0};
}

/* Behind those that are as bad. Where there is no room, the last one goes: sixteen say enough. */
static void insert(struct check_result *r, enum check_verdict verdict, char *text)
{
        size_t at = r->n_deviations;

        while (at && r->deviations[at - 1].verdict < verdict)
                at--;
        if (at == CHECK_DEVIATIONS_MAX) {
                free(text);
                return;
        }
        if (r->n_deviations == CHECK_DEVIATIONS_MAX)
                free(r->deviations[--r->n_deviations].text);
        memmove(&r->deviations[at + 1], &r->deviations[at], (r->n_deviations - at) * sizeof r->deviations[0]);
        r->deviations[at] = (struct deviation){verdict, text};
        r->n_deviations++;
}

/* A sentence for people. It may hold a stranger's text: scrubbed and cut here. */
static enum err add_deviation(struct check_result *r, enum check_verdict verdict, const char *sentence)
{
        char text[512], *copy;

        (void)snprintf(text, sizeof text, "%s", sentence);
        utf8_scrub(text, sizeof text);
        for (char *p = text; *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        *p = ' ';
        copy = strdup(text);
        if (!copy)
                return ERR_NO_MEMORY;
        insert(r, verdict, copy);
        return ERR_OK;
}

static enum err note(struct check_result *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static enum err note(struct check_result *r, const char *fmt, ...)
{
        char text[512];
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        return add_deviation(r, CHECK_ACCEPTED, text);
}

/* The verdict becomes @verdict unless it is worse already. */
static void decide(struct check_result *r, enum check_verdict verdict, const char *text, struct error *e)
{
        (void)add_deviation(r, verdict, text);
        if (verdict <= r->verdict)
                return;
        r->verdict = verdict;
        if (verdict == CHECK_WAIT) {
                (void)error_set(e, ERR_PENDING, "The certificate cannot be judged yet: %s", text);
                (void)error_remedy(e, ERR_PENDING,
                                   "Set the clock of this machine; the check goes on by itself.");
                return;
        }
        (void)error_set(e, ERR_CERTIFICATE_REFUSED, "The CA issued a certificate that does not fit: %s",
                        text);
        if (verdict == CHECK_KEPT)
                (void)error_remedy(
                        e, ERR_CERTIFICATE_REFUSED,
                        "Correct the CA's template and enroll again; the certificate as it came is kept "
                        "in refused.pem, and 'scepter renew --accept' installs it.");
}

enum err certificate_dates(const X509 *cert, int64_t *ret_not_before, int64_t *ret_not_after, struct error *e)
{
        int64_t not_before = 0, not_after = 0;

        if (!asn1_time_seconds(X509_get0_notBefore(cert), &not_before) ||
            !asn1_time_seconds(X509_get0_notAfter(cert), &not_after))
                return ossl_error(e, ERR_REPLY, "A date in the certificate cannot be read");
        *ret_not_before = not_before;
        *ret_not_after = not_after;
        return ERR_OK;
}

static enum err check_key(const struct check_input *in, struct check_result *r, struct error *e)
{
        CLEANUP(ossl_free_p) unsigned char *der = NULL;
        int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(in->cert), &der);

        if (len <= 0)
                return ossl_error(e, ERR_REPLY, "The public key of the certificate cannot be read");
        if (!view_equal((struct view){der, (size_t)len}, in->spki))
                decide(r, CHECK_REFUSED, "it is for another public key than the one in the request", e);
        return ERR_OK;
}

static void format_date(int64_t t, char ret[32])
{
        struct tm tm;
        time_t seconds = (time_t)t;

        if (!gmtime_r(&seconds, &tm) || strftime(ret, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
                (void)snprintf(ret, 32, "%lld", (long long)t);
}

static void check_dates(const struct check_input *in, int64_t not_before, int64_t not_after,
                        struct check_result *r, struct error *e)
{
        static const int64_t unit_seconds[] = {86400, 30 * 86400, 365 * 86400};
        const struct validity *asked = &in->plan->validity;
        enum check_verdict verdict = in->clock_trusted ? CHECK_REFUSED : CHECK_WAIT;
        char text[160], date[32];

        if (not_before > in->now + CHECK_NOT_BEFORE_AHEAD) {
                format_date(not_before, date);
                (void)snprintf(text, sizeof text, "it becomes valid only at %s by this machine's clock",
                               date);
                decide(r, verdict, text, e);
        }
        if (not_after <= not_before) {
                decide(r, CHECK_REFUSED, "it ends before it begins", e);
        } else if (not_after <= in->now) {
                format_date(not_after, date);
                (void)snprintf(text, sizeof text, "it expired at %s by this machine's clock", date);
                decide(r, verdict, text, e);
        }
        if (asked->number &&
            not_after - not_before < (int64_t)asked->number * unit_seconds[asked->unit] * 98 / 100)
                (void)note(r, "It is valid for %lld days, less than the %u %s the profile asks for",
                           (long long)((not_after - not_before) / 86400), asked->number,
                           (const char *const[]){"days", "months", "years"}[asked->unit]);
}

/* The digest of each signature on the way: broken ones refuse, SHA-1 is told. The anchor's own signature
 * proves nothing and is not looked at. */
static void check_digests(const struct check_input *in, STACK_OF(X509) * path, struct check_result *r,
                          struct error *e)
{
        bool told = false;

        for (int i = 0; i < sk_X509_num(path); i++) {
                X509 *cert = sk_X509_value(path, i);
                int digest = NID_undef;

                if (X509_cmp(cert, in->anchor) == 0)
                        continue;
                if (X509_get_signature_info(cert, &digest, NULL, NULL, NULL) != 1)
                        continue;
                if (digest == NID_md5 || digest == NID_md4 || digest == NID_md2)
                        decide(r, CHECK_REFUSED, "its chain is signed with MD5", e);
                if (digest == NID_sha1 && !told)
                        (void)note(r, "A signature in its chain uses SHA-1");
                told = told || digest == NID_sha1;
        }
}

static enum err check_chain(const struct check_input *in, int64_t not_before, struct check_result *r,
                            struct error *e)
{
        CLEANUP(x509_store_free_p) X509_STORE *store = X509_STORE_new();
        CLEANUP(x509_store_ctx_free_p) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
        X509_VERIFY_PARAM *param;
        char text[256];
        int problem;

        if (!store || !ctx || X509_STORE_add_cert(store, in->anchor) != 1)
                return ossl_error(e, ERR_FAILED, "The chain of the certificate could not be checked");
        if (in->chain && sk_X509_num(in->chain) > CHAIN_MAX) {
                decide(r, CHECK_REFUSED, "it came with more than 32 certificates", e);
                return ERR_OK;
        }
        if (X509_STORE_CTX_init(ctx, store, in->cert, in->chain) != 1)
                return ossl_error(e, ERR_FAILED, "The chain of the certificate could not be checked");
        param = X509_STORE_CTX_get0_param(ctx);
        /* a clock a little behind the CA's must not refuse what was taken above; an untrusted one judges
         * nothing */
        if (in->clock_trusted)
                X509_VERIFY_PARAM_set_time(
                        param, (time_t)(not_before > in->now && not_before <= in->now + CHECK_NOT_BEFORE_AHEAD
                                                ? not_before
                                                : in->now));
        else /* without a time set: OpenSSL lets that one win over this flag */
                (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
        X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH);
        /* an anchor below a root is enough only where it is what was pinned */
        if (X509_self_signed(in->anchor, /* verify_signature= */ 0) != 1)
                (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
        if (X509_verify_cert(ctx) == 1) {
                check_digests(in, X509_STORE_CTX_get0_chain(ctx), r, e);
                return ERR_OK;
        }
        problem = X509_STORE_CTX_get_error(ctx);
        if (problem == X509_V_ERR_OUT_OF_MEM)
                return error_no_memory(e);
        ERR_clear_error();
        /* dates of the certificate itself have their own sentence already */
        if (X509_STORE_CTX_get_error_depth(ctx) == 0 && r->verdict == CHECK_REFUSED &&
            (problem == X509_V_ERR_CERT_HAS_EXPIRED || problem == X509_V_ERR_CERT_NOT_YET_VALID))
                return ERR_OK;
        (void)snprintf(text, sizeof text, "it does not chain to the root certificate of the profile (%s)",
                       X509_verify_cert_error_string(problem));
        decide(r, CHECK_REFUSED, text, e);
        return ERR_OK;
}

static enum err check_subject(const struct check_input *in, struct check_result *r, struct error *e)
{
        const unsigned char *p = in->plan->subject.data;
        CLEANUP(x509_name_free_p) X509_NAME *asked = d2i_X509_NAME(NULL, &p, (long)in->plan->subject.len);
        char got_text[TEXT_SHOWN], asked_text[TEXT_SHOWN];

        if (!asked)
                return ossl_error(e, ERR_FAILED, "The subject in the plan cannot be read");
        if (X509_NAME_cmp(asked, X509_get_subject_name(in->cert)) == 0)
                return ERR_OK;
        directory_name_text(X509_get_subject_name(in->cert), got_text, sizeof got_text);
        directory_name_text(asked, asked_text, sizeof asked_text);
        return note(r, "The CA changed the subject to '%s'; the profile asks for '%s'", got_text, asked_text);
}

static enum err check_issuer(const struct check_input *in, struct check_result *r)
{
        const X509_NAME *issuer = X509_get_issuer_name(in->cert);
        char text[TEXT_SHOWN];

        if (!in->plan->issuers || issuers_match(in->plan->issuers, issuer))
                return ERR_OK;
        directory_name_text(issuer, text, sizeof text);
        return note(r, "The issuer '%s' is none of those the profile names", text);
}

static bool names_contain(GENERAL_NAMES *names, GENERAL_NAME *name)
{
        for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++)
                if (general_name_same(sk_GENERAL_NAME_value(names, i), name))
                        return true;
        return false;
}

static enum err check_alternative_names(const struct check_input *in, struct check_result *r, struct error *e)
{
        const unsigned char *p = in->plan->san.data;
        CLEANUP(general_names_free_p) GENERAL_NAMES *asked = NULL, *got = NULL;
        char text[TEXT_SHOWN], sentence[256];

        if (in->plan->san.len) {
                asked = d2i_GENERAL_NAMES(NULL, &p, (long)in->plan->san.len);
                if (!asked)
                        return ossl_error(e, ERR_FAILED, "The alternative names in the plan cannot be read");
        }
        got = X509_get_ext_d2i(in->cert, NID_subject_alt_name, NULL, NULL);
        for (int i = 0; asked && i < sk_GENERAL_NAME_num(asked); i++) {
                if (names_contain(got, sk_GENERAL_NAME_value(asked, i)))
                        continue;
                general_name_text(sk_GENERAL_NAME_value(asked, i), text, sizeof text);
                (void)snprintf(sentence, sizeof sentence, "the alternative name %s is missing", text);
                decide(r, CHECK_KEPT, sentence, e);
        }
        for (int i = 0; got && i < sk_GENERAL_NAME_num(got); i++) {
                if (names_contain(asked, sk_GENERAL_NAME_value(got, i)))
                        continue;
                general_name_text(sk_GENERAL_NAME_value(got, i), text, sizeof text);
                (void)note(r, "The CA added the alternative name %s", text);
        }
        return ERR_OK;
}

static enum err check_extended_key_usage(const struct check_input *in, struct check_result *r,
                                         struct error *e)
{
        EXTENDED_KEY_USAGE *got = X509_get_ext_d2i(in->cert, NID_ext_key_usage, NULL, NULL);
        const struct strings *asked = &in->plan->extended_key_usage;
        CLEANUP(strings_done) struct strings have = {0};
        char oid[OID_TEXT_MAX + 1], sentence[256];
        enum err failed = ERR_OK;

        for (int i = 0; !failed && got && i < sk_ASN1_OBJECT_num(got) && have.count < STRINGS_MAX; i++)
                if (OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(got, i), /* no_name= */ 1) > 0)
                        failed = strings_add(&have, oid, e);
        EXTENDED_KEY_USAGE_free(got);
        if (failed)
                return failed;
        for (size_t i = 0; i < asked->count; i++) {
                if (strings_contain(&have, asked->items[i]))
                        continue;
                (void)snprintf(sentence, sizeof sentence, "the extended key usage %s is missing",
                               asked->items[i]);
                decide(r, CHECK_KEPT, sentence, e);
        }
        for (size_t i = 0; i < have.count; i++)
                if (!strings_contain(asked, have.items[i]))
                        (void)note(r, "The CA added the extended key usage %s", have.items[i]);
        return ERR_OK;
}

static void check_key_usage(const struct check_input *in, struct check_result *r)
{
        CLEANUP(bit_string_free_p)
        ASN1_BIT_STRING *got = X509_get_ext_d2i(in->cert, NID_key_usage, NULL, NULL);

        if (!got) /* no extension: no restriction */
                return;
        for (int i = 0; key_usage_names[i]; i++)
                if ((in->plan->key_usage & 1u << i) && !ASN1_BIT_STRING_get_bit(got, i))
                        (void)note(r, "The key usage %s is missing", key_usage_names[i]);
        if (ASN1_BIT_STRING_get_bit(got, 5))
                (void)note(r, "The certificate may sign certificates (keyCertSign)");
}

static enum err check_renewal(const struct check_input *in, int64_t not_after, struct check_result *r,
                              struct error *e)
{
        int64_t old_before = 0, old_after = 0;
        enum err failed;

        if (!in->previous)
                return ERR_OK;
        failed = certificate_dates(in->previous, &old_before, &old_after, e);
        if (failed)
                return failed;
        /* NDES answers a request it knows with the certificate it issued for it (facts: sscep#189) */
        if (ASN1_INTEGER_cmp(X509_get0_serialNumber(in->cert), X509_get0_serialNumber(in->previous)) == 0)
                decide(r, CHECK_REFUSED, "it is the old certificate once more (same serial number)", e);
        else if (not_after <= old_after)
                decide(r, CHECK_REFUSED, "it renews nothing: it does not end later than the old one", e);
        return ERR_OK;
}

enum err certificate_check(const struct check_input *in, struct check_result *ret, struct error *e)
{
        CLEANUP(check_result_done) struct check_result result = {.verdict = CHECK_ACCEPTED};
        int64_t not_before = 0, not_after = 0;
        enum err r = certificate_dates(in->cert, &not_before, &not_after, e);

        if (r == ERR_OK)
                r = check_key(in, &result, e);
        if (r)
                return r;
        check_dates(in, not_before, not_after, &result, e);
        r = check_chain(in, not_before, &result, e);
        if (r == ERR_OK)
                r = check_renewal(in, not_after, &result, e);
        if (r == ERR_OK)
                r = check_alternative_names(in, &result, e);
        if (r == ERR_OK)
                r = check_subject(in, &result, e);
        if (r == ERR_OK)
                r = check_issuer(in, &result);
        if (r == ERR_OK)
                r = check_extended_key_usage(in, &result, e);
        if (r)
                return r;
        check_key_usage(in, &result);
        ERR_clear_error();
        *ret = result;
        result = (struct check_result){0};
        return ERR_OK;
}
