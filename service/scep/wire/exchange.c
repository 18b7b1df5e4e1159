#include "scep-wire/exchange.h"

#include <string.h>
#include <strings.h>

static const struct {
        const char *ossl, *name;
        uint32_t cap;
} digests[_SCEP_DIGEST_MAX] = {
        [SCEP_SHA1] = {"SHA1", "SHA-1", SCEP_CAP_SHA1},
        [SCEP_SHA256] = {"SHA256", "SHA-256", SCEP_CAP_SHA256},
        [SCEP_SHA384] = {"SHA384", "SHA-384", SCEP_CAP_SHA384},
        [SCEP_SHA512] = {"SHA512", "SHA-512", SCEP_CAP_SHA512},
};

static const struct {
        const char *ossl, *name;
} ciphers[_SCEP_CIPHER_MAX] = {
        [SCEP_AES128] = {"AES-128-CBC", "AES-128"},
        [SCEP_DES3] = {"DES-EDE3-CBC", "3DES"},
        [SCEP_DES] = {"DES-CBC", "single DES"},
};

const char *scep_digest_ossl(enum scep_digest digest)
{
        return digests[digest].ossl;
}

const char *scep_digest_name(enum scep_digest digest)
{
        return digests[digest].name;
}

const char *scep_cipher_ossl(enum scep_cipher cipher)
{
        return ciphers[cipher].ossl;
}

const char *scep_cipher_name(enum scep_cipher cipher)
{
        return ciphers[cipher].name;
}

bool scep_digest_from_name(const char *name, enum scep_digest *ret)
{
        for (size_t i = 0; i < _SCEP_DIGEST_MAX; i++) {
                if (strcasecmp(name, digests[i].name) == 0 || strcasecmp(name, digests[i].ossl) == 0) {
                        *ret = (enum scep_digest)i;
                        return true;
                }
        }
        return false;
}

static const char *const methods[_SCEP_METHOD_MAX] = {[SCEP_AUTO] = "auto",
                                                      [SCEP_RENEWAL] = "renewal",
                                                      [SCEP_SIGNED_PKCSREQ] = "signed-pkcsreq",
                                                      [SCEP_CHALLENGE] = "challenge",
                                                      [SCEP_CHALLENGE_DIRECT] = "challenge-direct"};

const char *scep_method_name(enum scep_method method)
{
        return methods[method];
}

bool scep_method_from_name(const char *name, enum scep_method *ret)
{
        for (size_t i = 0; i < _SCEP_METHOD_MAX; i++) {
                if (strcmp(name, methods[i]) == 0) {
                        *ret = (enum scep_method)i;
                        return true;
                }
        }
        return false;
}

static enum err fix_digest(const struct exchange_plan *plan, uint32_t flags, enum scep_digest *ret,
                           struct error *e)
{
        const enum scep_digest order[] = {plan->digest, SCEP_SHA256, SCEP_SHA512, SCEP_SHA384, SCEP_SHA1};
        const uint32_t all = SCEP_CAP_SHA1 | SCEP_CAP_SHA256 | SCEP_CAP_SHA384 | SCEP_CAP_SHA512;

        /* A server that lists no digest is of the days when SHA-1 went without saying (RFC 8894 §3.5.2). */
        if (!(flags & all))
                flags |= SCEP_CAP_SHA1;
        for (size_t i = 0; i < N_ELEMENTS(order); i++) {
                if (!(flags & digests[order[i]].cap) || (order[i] == SCEP_SHA1 && !plan->allow_sha1))
                        continue;
                *ret = order[i];
                return ERR_OK;
        }
        (void)error_set(e, ERR_SERVER_ALGORITHM, "The server lists no digest but SHA-1");
        return error_remedy(e, ERR_SERVER_ALGORITHM,
                            "Have the server support SHA-256, or set AllowLegacy=sha1 in the profile.");
}

static enum err fix_cipher(const struct exchange_plan *plan, uint32_t flags, enum scep_cipher *ret,
                           struct error *e)
{
        if (flags & SCEP_CAP_AES) {
                *ret = SCEP_AES128;
                return ERR_OK;
        }
        if ((flags & SCEP_CAP_DES3) || !(flags & SCEP_CAP_DES)) {
                *ret = SCEP_DES3;
                return ERR_OK;
        }
        if (!plan->allow_des) {
                (void)error_set(e, ERR_SERVER_ALGORITHM, "The server lists no cipher but single DES");
                return error_remedy(
                        e, ERR_SERVER_ALGORITHM,
                        "Have the server support AES or 3DES, or set AllowLegacy=des in the profile.");
        }
        *ret = SCEP_DES;
        return ERR_OK;
}

static enum err fix_type(const struct exchange_plan *plan, uint32_t flags, struct exchange *x,
                         struct error *e)
{
        enum scep_method method = plan->method;

        if (!plan->has_certificate && (method == SCEP_RENEWAL || method == SCEP_SIGNED_PKCSREQ))
                return error_set(e, ERR_INVALID, "There is no certificate yet that could sign a renewal");
        if (method == SCEP_AUTO) {
                if (!plan->has_certificate)
                        method = SCEP_CHALLENGE;
                else
                        method = flags & SCEP_CAP_RENEWAL ? SCEP_RENEWAL : SCEP_SIGNED_PKCSREQ;
        }
        x->type = method == SCEP_RENEWAL ? SCEP_RENEWAL_REQ : SCEP_PKCS_REQ;
        x->with_challenge = method == SCEP_CHALLENGE || method == SCEP_CHALLENGE_DIRECT;
        x->signed_by_old = !x->with_challenge;
        x->direct = method == SCEP_CHALLENGE_DIRECT;
        return ERR_OK;
}

enum err exchange_fix(const struct exchange_plan *plan, const struct scep_caps *caps, struct exchange *ret,
                      struct error *e)
{
        struct exchange x = {.post = caps->flags & SCEP_CAP_POST};
        uint32_t missing = plan->require & ~caps->flags;
        enum err r;

        if (missing) {
                (void)error_set(e, ERR_SERVER_ALGORITHM,
                                "The server does not list '%s', which the profile requires; it lists '%s'",
                                caps_name(missing), caps->text);
                return error_remedy(
                        e, ERR_SERVER_ALGORITHM,
                        "Correct RequireCaps= in the profile; if the server has the word in its list, "
                        "something on the way changes the reply.");
        }
        r = fix_digest(plan, caps->flags, &x.digest, e);
        if (!r)
                r = fix_cipher(plan, caps->flags, &x.cipher, e);
        if (!r)
                r = fix_type(plan, caps->flags, &x, e);
        if (r)
                return r;
        *ret = x;
        return ERR_OK;
}
