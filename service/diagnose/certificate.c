/* What this machine has of it: the challenge, the last request, the certificate, whether it is revoked. */
#include "internal.h"

#include <string.h>

#include "policy/command.h"
#include "revocation/fetch.h"

static void look_at_challenge(struct diagnosis *x, uint64_t now)
{
        CLEANUP(secret_done) struct secret challenge = {0};
        CLEANUP(close_p) int fd = -1;
        uint64_t since = 0;

        if (*x->profile && store_file_read(x->d->store, STORE_PROFILES, x->profile, "challenge", &challenge,
                                           NULL) == ERR_OK) {
                since = store_file_time(x->d->store, STORE_PROFILES, x->profile, "challenge");
        } else if (x->have_record && x->record.requested &&
                   store_generation(x->d->store, x->certificate, x->record.requested, false, &fd, NULL) ==
                           ERR_OK &&
                   file_read_secret(fd, "challenge", COMMAND_CHALLENGE_MAX, &challenge, NULL) == ERR_OK) {
                since = x->record.activity_since;
        }
        if (challenge.len || !x->have_record || !x->record.current) /* renewals need none */
                findings_challenge(&x->findings, &x->plan, secret_view(&challenge), since, now);
}

static void run_stored(struct diagnosis *x)
{
        const uint64_t now = clock_now(&x->d->clock);

        if (!x->have_plan)
                return;
        look_at_challenge(x, now);
        /* nothing was requested: an empty one says so */
        if (!x->have_record && record_new(&x->record, NULL))
                return;
        findings_request(&x->findings, &x->record);
        findings_certificate(&x->findings, x->d->store, x->d->ksp, x->certificate, &x->record, now, &x->path);
}

static void run_applied(struct diagnosis *x)
{
        if (x->have_record)
                findings_applied(&x->findings, &x->d->config, x->d->own_uid, x->certificate, &x->record);
}

/* Last: nothing is read or asked any more. */
static void finish(struct diagnosis *x)
{
        const struct certificate *certificate = model_find(x->d->model, x->certificate);
        struct key_users users;

        if (certificate && certificate->current) {
                key_server_users(x->d->keys, certificate, &users);
                findings_consumers(&x->findings, &users);
        }
        if (x->have_plan)
                findings_renewal(&x->findings, &x->record, clock_now(&x->d->clock));
        diagnosis_end(x, NULL);
}

/* Whether it is revoked, and each that issued it below the anchor: nobody above the anchor could say so. */

static void next_crl(struct diagnosis *x);

static struct crl_subject subject_at(const struct diagnosis *x)
{
        return (struct crl_subject){sk_X509_value(x->path, x->at_cert), x->at_cert > 0};
}

static void run_crl(struct diagnosis *x)
{
        const struct crl_subject of = subject_at(x);
        struct crl_answer answer;
        struct error e = {0};

        if (crl_set_check(&x->crls, of.cert, sk_X509_value(x->path, x->at_cert + 1),
                          (int64_t)clock_now(&x->d->clock), &answer, &e))
                findings_crl_unreachable(&x->findings, &of, &e);
        else
                findings_crl(&x->findings, &of, x->crl_from, &answer);
}

static void after_crl(struct diagnosis *x)
{
        crl_set_done(&x->crls);
        free(STEAL(x->crl_from));
        x->at_cert++;
        next_crl(x);
}

static void unreachable(struct diagnosis *x, const struct error *why)
{
        const struct crl_subject of = subject_at(x);

        findings_crl_unreachable(&x->findings, &of, why);
        diagnosis_flush(x);
        after_crl(x);
}

/* @way: before the URL. */
static void judge(struct diagnosis *x, const struct view *crls, size_t n, const char *way, const char *url)
{
        struct text from = TEXT(JOB_URL_MAX + 64);
        struct error e = {0};
        enum err r;

        text_addf(&from, "%s%s", way, url);
        r = text_finish(&from, &x->crl_from, &e);
        for (size_t i = 0; !r && i < n; i++)
                r = crl_set_add(&x->crls, crls[i], &e);
        if (r)
                unreachable(x, &e);
        else
                diagnosis_in_thread(x, run_crl, after_crl);
}

static void on_fetched(void *ctx, const struct result *result, const struct error *failure)
{
        struct diagnosis *x = ctx;

        x->job = NULL;
        if (failure)
                unreachable(x, failure);
        else
                judge(x, &result->of.fetched.body, 1, "", result->of.fetched.url);
}

static void on_asked(void *ctx, const struct crl_asked *asked, const struct error *failure)
{
        const bool is_answer = failure && (asked->refused || failure->code == ERR_NOT_FOUND);
        struct diagnosis *x = ctx;
        const struct crl_subject of = subject_at(x);

        x->ask = NULL;
        if (!failure) {
                judge(x, asked->crls->at, asked->crls->n, "GetCRL at ", asked->url);
                return;
        }
        if (!is_answer) {
                unreachable(x, failure);
                return;
        }
        findings_crl_unnamed(&x->findings, &of, x->crl_elsewhere, asked->refused ? failure : NULL);
        diagnosis_flush(x);
        after_crl(x);
}

/* true: a worker fetches it, or the server is asked for it. That speaks for the CA that issues, and not for
 * those above. */
static bool fetch_crl(struct diagnosis *x)
{
        const struct crl_subject of = subject_at(x);
        const struct crl_fetch what = {of.cert, &x->link, &x->plan, x->owner};
        struct error e = {0};
        enum err r = crl_fetch_start(x->d, &what, on_fetched, x, &x->job, &x->crl_elsewhere, &e);
        const bool unnamed = r == ERR_NOT_FOUND;

        if (unnamed && !of.is_ca)
                r = crl_ask_start(x->d, x->certificate, x->owner, on_asked, x, &x->ask, &e);
        if (r && unnamed && of.is_ca && x->crl_elsewhere)
                findings_crl_unnamed(&x->findings, &of, true, NULL);
        else if (r && !(unnamed && of.is_ca))
                findings_crl_unreachable(&x->findings, &of, &e);
        return !r;
}

static void next_crl(struct diagnosis *x)
{
        for (; x->at_cert + 1 < sk_X509_num(x->path); x->at_cert++)
                if (fetch_crl(x))
                        return;
        diagnosis_in_thread(x, run_applied, finish);
}

void diagnosis_certificate(struct diagnosis *x)
{
        diagnosis_in_thread(x, run_stored, next_crl);
}
