#include "channel/tls13.h"

#include <string.h>

static const char context[] = "TLS 1.3, client CertificateVerify";
_Static_assert(TLS13_CONTEXT == 64 + sizeof context, "the context string ends in its NUL");

static bool is_transcript(size_t len)
{
        return len == key_digest_len(KEY_DIGEST_SHA256) || len == key_digest_len(KEY_DIGEST_SHA384);
}

bool tls13_input_make(struct view transcript, struct tls13_input *ret)
{
        if (!is_transcript(transcript.len))
                return false;
        memset(ret->octets, ' ', 64);
        memcpy(ret->octets + 64, context, sizeof context);
        memcpy(ret->octets + TLS13_CONTEXT, transcript.data, transcript.len);
        ret->len = TLS13_CONTEXT + transcript.len;
        return true;
}

bool tls13_input_transcript(struct view input, struct view *ret)
{
        struct tls13_input made;
        struct view transcript;

        if (input.len <= TLS13_CONTEXT)
                return false;
        transcript = (struct view){input.data + TLS13_CONTEXT, input.len - TLS13_CONTEXT};
        if (!tls13_input_make(transcript, &made) || memcmp(made.octets, input.data, TLS13_CONTEXT) != 0)
                return false;
        *ret = transcript;
        return true;
}

static const struct {
        uint16_t scheme;
        enum key_scheme kind;
        enum key_digest digest;
} schemes[] = {
        {0x0403, KEY_SCHEME_ECDSA, KEY_DIGEST_SHA256},   {0x0503, KEY_SCHEME_ECDSA, KEY_DIGEST_SHA384},
        {0x0804, KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA256}, {0x0805, KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA384},
        {0x0806, KEY_SCHEME_RSA_PSS, KEY_DIGEST_SHA512},
};

bool tls13_scheme_of(const struct key_sign *how, uint16_t *ret)
{
        if (how->scheme == KEY_SCHEME_RSA_PSS &&
            (how->mgf1 != how->digest || how->salt_len != key_digest_len(how->digest)))
                return false;
        for (size_t i = 0; i < N_ELEMENTS(schemes); i++) {
                if (schemes[i].kind == how->scheme && schemes[i].digest == how->digest) {
                        *ret = schemes[i].scheme;
                        return true;
                }
        }
        return false;
}

bool tls13_scheme_sign(uint16_t scheme, struct key_sign *ret)
{
        for (size_t i = 0; i < N_ELEMENTS(schemes); i++) {
                if (schemes[i].scheme != scheme)
                        continue;
                *ret = (struct key_sign){.scheme = schemes[i].kind, .digest = schemes[i].digest};
                if (ret->scheme == KEY_SCHEME_RSA_PSS) {
                        ret->mgf1 = ret->digest;
                        ret->salt_len = (uint16_t)key_digest_len(ret->digest);
                }
                return true;
        }
        return false;
}
