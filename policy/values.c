#include "policy/values.h"

#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "policy/name.h"
#include "policy/san.h"

const char *const profile_type_names[] = {"device", "user", NULL};
const char *const protection_names[] = {"tpm", "tpm-preferred", "software", "user-verified", NULL};
const char *const algorithm_names[] = {"rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384", NULL};
const char *const hash_names[] = {"sha-1", "sha-256", "sha-384", "sha-512", NULL};
const char *const renewal_method_names[] = {"auto", "renewal", "signed-pkcsreq", "challenge", NULL};
const char *const after_expiry_names[] = {"renew", "enroll", "stop", NULL};
const char *const suffix_names[] = {"auto", "yes", "no", NULL};
const char *const key_usage_names[] = {"digitalSignature", "nonRepudiation", "keyEncipherment",
                                       "dataEncipherment", "keyAgreement",   NULL};
const char *const legacy_names[] = {"des", "sha1", NULL};
const char *const origin_names[] = {"ini", "syncml", "csp", NULL};
/* RFC 8894 §3.5.2 */
const char *const capability_names[] = {"AES",   "DES3",    "GetNextCACert", "POSTPKIOperation", "Renewal",
                                        "SHA-1", "SHA-256", "SHA-512",       "SCEPStandard",     "Update",
                                        NULL};
const char *const challenge_kind_names[] = {"none", "ask", "file", "credential", "socket", NULL};

static bool only(const char *value, const char *also)
{
        for (const char *p = value; *p; p++) {
                bool alnum = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');

                if (!alnum && !strchr(also, *p))
                        return false;
        }
        return true;
}

/* "host", "host:port", "[v6]:port" of @len characters. */
static bool authority_ok(const char *text, size_t len)
{
        char host[256];
        char *end;
        uint64_t port;

        if (len == 0 || len >= sizeof host)
                return false;
        memcpy(host, text, len);
        host[len] = 0;
        if (host[0] == '[') {
                end = strchr(host, ']');
                if (!end || end == host + 1 || (end[1] && end[1] != ':'))
                        return false;
                *end++ = 0;
                if (strspn(host + 1, "0123456789abcdefABCDEF:.") != strlen(host + 1))
                        return false;
        } else {
                end = host + strcspn(host, ":");
        }
        if (*end == ':') {
                *end++ = 0;
                if (!parse_u64(end, 65535, &port) || port == 0)
                        return false;
        }
        return host[0] == '[' || (host[0] && only(host, ".-_"));
}

static const char *http_wrong(const char *value)
{
        const char *rest;
        size_t len;

        if (strncasecmp(value, "http://", 7) == 0)
                rest = value + 7;
        else if (strncasecmp(value, "https://", 8) == 0)
                rest = value + 8;
        else
                return "must begin with http:// or https://";
        len = strcspn(rest, "/?#");
        if (memchr(rest, '@', len))
                return "must not hold a user name or password";
        if (!authority_ok(rest, len))
                return "names no valid host and port";
        for (const char *p = rest + len; *p; p++)
                if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || strchr("\"<>\\^`{|}#", *p))
                        return "holds characters that must be percent-encoded";
        return NULL;
}

const char *url_wrong(const char *value)
{
        return http_wrong(value);
}

const char *proxy_wrong(const char *value)
{
        const char *wrong;

        if (strcmp(value, "none") == 0)
                return NULL;
        wrong = http_wrong(value);
        if (wrong)
                return wrong;
        value = strstr(value, "//") + 2;
        value += strcspn(value, "/?");
        return *value && strcmp(value, "/") != 0 ? "must be a host and a port without a path" : NULL;
}

const char *thumbprint_wrong(const char *value)
{
        uint8_t octets[32];
        size_t len = 0;

        if (!hex_decode(value, octets, sizeof octets, &len) || (len != 20 && len != 32))
                return "must be the SHA-1 (40 hex digits) or SHA-256 (64) of the root certificate";
        return NULL;
}

const char *path_wrong(const char *value)
{
        return strlen(value) > 1000 ? "is longer than 1000 octets" : NULL;
}

const char *challenge_wrong(const char *value)
{
        static const char credential[] = "credential:scepter.challenge.";

        if (strcmp(value, "ask") == 0)
                return NULL;
        if (strncmp(value, "file:", 5) == 0 && value[5])
                return NULL;
        if (strncmp(value, "socket:", 7) == 0 && value[7])
                return NULL;
        if (strncmp(value, "credential:", 11) == 0) {
                size_t n = sizeof credential - 1;

                if (strncmp(value, credential, n) != 0 || !value[n] || !only(value + n, "._-@"))
                        return "must name a credential scepter.challenge.SOMETHING";
                return NULL;
        }
        return "must be ask, file:PATH, credential:NAME or socket:PATH; a challenge itself does not belong "
               "here";
}

const char *group_wrong(const char *value)
{
        return strlen(value) > 64 || value[0] == '-' || !only(value, "._-$") ? "is no name of a group" : NULL;
}

const char *oid_wrong(const char *value)
{
        return oid_valid(value) ? NULL : "must be an object identifier like 1.3.6.1.5.5.7.3.2";
}

const char *subject_wrong(const char *value)
{
        CLEANUP(name_done) struct name name = {0};

        /* profile_from_settings() asks again for the position: here is no room for it. */
        return name_parse(value, &name, NULL) ? "is no valid subject" : NULL;
}

const char *alternative_name_wrong(const char *value)
{
        return san_entry_known(value)
                       ? NULL
                       : "must begin with dns: email: upn: uri: ip: dirname: rid: guid: or other:OID:";
}

const char *template_wrong(const char *value)
{
        /* in UTF-8, a character beyond the BMP begins with four bits set; the request has no room for it */
        for (const char *p = value; *p; p++)
                if ((unsigned char)*p >= 0xf0)
                        return "holds characters beyond the basic plane of Unicode";
        return NULL;
}
