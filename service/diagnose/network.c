/* From a probe of the server: name, connection, TLS, clock, and what answers at the URL. Pure. */
#include <openssl/x509_vfy.h>
#include <strings.h>

#include "findings.h"
#include "scep-wire/problem.h"

enum { SKEW_SECONDS = 300, SLOW_MS = 5000 };

static const char *said(const struct probe_answer *a)
{
        return a->message ? a->message : "no error";
}

static bool answered(const struct probe_answer *a)
{
        return a->asked && !a->name;
}

static bool is_https(const struct result_probed *p)
{
        return strncasecmp(p->url, "https:", 6) == 0;
}

/* true: there is a connection. */
static bool reach(struct findings *f, const struct result_probed *p)
{
        const struct probe_answer *a = &p->page;

        switch ((enum http_problem)a->problem) {
        case HTTP_NAME:
                findings_say(f, DIAGNOSE_DNS_FAILED, NULL, "%s", said(a));
                return false;
        case HTTP_DENIED:
                findings_say(f, DIAGNOSE_DNS_LOCAL, NULL, "%s", said(a));
                return false;
        case HTTP_PROXY:
                findings_say(f, DIAGNOSE_TCP_PROXY, a->remedy, "%s", said(a));
                return false;
        default:
                break;
        }
        findings_say(f, DIAGNOSE_DNS_OK, NULL, "%s: the name %s%s", p->url,
                     a->address ? "leads to " : "is known", a->address ? a->address : "");
        if (a->problem == HTTP_CONNECTION) {
                findings_say(f, DIAGNOSE_TCP_FAILED, NULL, "%s", said(a));
                return false;
        }
        if (a->problem == HTTP_TIMEOUT && !a->address) {
                findings_say(f, DIAGNOSE_TCP_TIMEOUT, NULL, "%s", said(a));
                return false;
        }
        findings_say(f, DIAGNOSE_TCP_OK, NULL, "There is a connection");
        return true;
}

static enum diagnose_code tls_fault(const struct probe_answer *a)
{
        if (a->problem == HTTP_TLS_NAME)
                return DIAGNOSE_TLS_NAME;
        if (a->problem == HTTP_TLS_CLIENT)
                return DIAGNOSE_TLS_CLIENT;
        switch (a->verify) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID:
                return DIAGNOSE_TLS_EXPIRED;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
                return DIAGNOSE_TLS_NAME;
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
                return DIAGNOSE_TLS_UNTRUSTED;
        default:
                return DIAGNOSE_TLS_FAILED;
        }
}

static bool is_tls(const struct probe_answer *a)
{
        return a->asked &&
               (a->problem == HTTP_TLS || a->problem == HTTP_TLS_NAME || a->problem == HTTP_TLS_CLIENT);
}

/* true: HTTP can be spoken. */
static bool secure(struct findings *f, const struct result_probed *p)
{
        const struct probe_answer *at[] = {&p->page, &p->caps, &p->certs};

        if (!is_https(p)) {
                findings_say(f, DIAGNOSE_TLS_NONE, NULL, "The URL is http");
                return true;
        }
        /* A server that asks for a certificate and takes none may refuse a browser for another reason. */
        for (size_t i = answered(&p->certs) ? N_ELEMENTS(at) : 0; i < N_ELEMENTS(at); i++) {
                if (is_tls(at[i])) {
                        findings_say(f, tls_fault(at[i]), at[i]->remedy, "%s", said(at[i]));
                        return false;
                }
        }
        findings_say(f, DIAGNOSE_TLS_OK, NULL, "The server's certificate is for its name and is trusted");
        return true;
}

static void clock_of(struct findings *f, const struct result_probed *p)
{
        const struct probe_answer *at[] = {&p->certs, &p->caps, &p->page};

        for (size_t i = 0; i < N_ELEMENTS(at); i++) {
                const long long offset = (long long)at[i]->http.date_offset;

                if (!at[i]->asked || !at[i]->http.has_date)
                        continue;
                findings_say(f,
                             offset > SKEW_SECONDS || offset < -SKEW_SECONDS ? DIAGNOSE_CLOCK_SKEW
                                                                             : DIAGNOSE_CLOCK_OK,
                             NULL, "The server's clock is %lld s %s this machine's",
                             offset < 0 ? -offset : offset, offset < 0 ? "behind" : "ahead of");
                return;
        }
        findings_say(f, DIAGNOSE_CLOCK_UNKNOWN, NULL, "No answer has a Date");
}

static enum diagnose_code status_fault(const struct probe_answer *a)
{
        const int64_t status = a->http.status;

        if (status == 401 || a->target)
                return DIAGNOSE_URL_LOGIN;
        switch (status) {
        case 404:
                return DIAGNOSE_URL_NOT_FOUND;
        case 414:
                return DIAGNOSE_URL_TOO_LONG;
        case 500:
                return DIAGNOSE_URL_SERVER_ERROR;
        case 502:
        case 504:
                return DIAGNOSE_URL_GATEWAY;
        case 503:
                return DIAGNOSE_URL_UNAVAILABLE;
        default:
                return DIAGNOSE_URL_STATUS;
        }
}

static void url_fault(struct findings *f, const char *operation, const struct probe_answer *a)
{
        enum diagnose_code code = DIAGNOSE_URL_STATUS;

        switch ((enum http_problem)a->problem) {
        case HTTP_STATUS:
                code = status_fault(a);
                findings_say(f, code, NULL, "%s: HTTP %lld%s%s", operation, (long long)a->http.status,
                             a->target ? " to " : "", a->target ? a->target : "");
                return;
        case HTTP_PAGE:
                code = DIAGNOSE_URL_PORTAL;
                break;
        case HTTP_CLOSED:
        case HTTP_BROKEN:
                code = DIAGNOSE_URL_CLOSED;
                break;
        case HTTP_TIMEOUT:
                code = DIAGNOSE_TCP_TIMEOUT;
                break;
        case HTTP_TOO_LARGE:
                code = DIAGNOSE_URL_PORTAL;
                break;
        default:
                break;
        }
        findings_say(f, code, NULL, "%s: %s", operation, said(a));
}

/* What a browser shows says whether the policy module stands before NDES. */
static void page_of(struct findings *f, const struct result_probed *p)
{
        if (p->page.http.status == 403)
                findings_say(f, DIAGNOSE_URL_MODULE, NULL,
                             "A browser gets 403, as with the policy module of Intune");
        else if (p->page.http.status == 200)
                findings_say(f, DIAGNOSE_URL_NO_MODULE, NULL, "A browser gets a page (200)");
        else
                findings_say(f, DIAGNOSE_URL_OK, NULL, "SCEP answers at %s", p->url);
}

bool findings_network(struct findings *f, const struct result_probed *p)
{
        const struct probe_answer *at[] = {&p->page, &p->caps, &p->certs};

        if (!reach(f, p) || !secure(f, p))
                return false;
        clock_of(f, p);
        if (answered(&p->certs))
                page_of(f, p);
        else if (p->certs.asked)
                url_fault(f, "GetCACert", &p->certs);
        else if (p->caps.asked)
                url_fault(f, "GetCACaps", &p->caps);
        else
                url_fault(f, "The URL", &p->page);
        for (size_t i = 0; i < N_ELEMENTS(at); i++) {
                if (at[i]->asked && !at[i]->name && at[i]->milliseconds > SLOW_MS) {
                        findings_say(f, DIAGNOSE_URL_SLOW, NULL, "An answer took %llu s",
                                     (unsigned long long)at[i]->milliseconds / 1000);
                        break;
                }
        }
        return answered(&p->certs) || answered(&p->caps);
}
