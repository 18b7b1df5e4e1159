#include "channel/frame.h"

#include <string.h>

#include "base/parse.h"
#include "channel/tls13.h"

static void put_u32(uint8_t *p, uint32_t v)
{
        for (int i = 0; i < 4; i++)
                p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void frame_header_encode(const struct frame_header *h, uint8_t ret[FRAME_HEADER])
{
        ret[0] = FRAME_VERSION;
        ret[1] = (uint8_t)h->type;
        ret[2] = ret[3] = 0;
        put_u32(ret + 4, h->id);
        put_u32(ret + 8, (uint32_t)h->len);
}

enum err frame_header_decode(const uint8_t in[FRAME_HEADER], size_t max, struct frame_header *ret,
                             struct error *e)
{
        static const enum frame_type types[] = {FRAME_OPEN,     FRAME_SIGN,     FRAME_DECRYPT, FRAME_DERIVE,
                                                FRAME_CLOSE,    FRAME_TLS_SIGN, FRAME_UNWRAP,  FRAME_LIST,
                                                FRAME_DESCRIBE, FRAME_VERIFY,   FRAME_ANSWER,  FRAME_ERROR,
                                                FRAME_JOB,      FRAME_RESULT};
        size_t len = get_u32(in + 8);

        if (in[0] != FRAME_VERSION)
                return error_set(e, ERR_PROTOCOL, "The key channel speaks version %d, the other side sent %u",
                                 FRAME_VERSION, in[0]);
        if (len > max)
                return error_set(e, ERR_PROTOCOL, "A frame of %zu octets is larger than %zu", len, max);
        for (size_t i = 0; i < N_ELEMENTS(types); i++) {
                if (in[1] == types[i] && in[2] == 0 && in[3] == 0) {
                        *ret = (struct frame_header){types[i], get_u32(in + 4), len};
                        return ERR_OK;
                }
        }
        return error_set(e, ERR_PROTOCOL, "A frame of the unknown type %u came over the key channel", in[1]);
}

/* An enum's value: 8 octets below @end. */
static enum err get_enum(struct view body, uint16_t tag, uint64_t end, unsigned *ret, struct error *e)
{
        uint64_t v;
        enum err r = fields_get_u64(body, tag, &v, e);

        if (r)
                return r;
        if (v >= end)
                return error_set(e, ERR_PROTOCOL, "A request has an unknown value in field %u", tag);
        *ret = (unsigned)v;
        return ERR_OK;
}

/* Which PIN is none at all, applications know before they ask. */
static enum err decode_pin(struct view body, struct key_request *request, struct error *e)
{
        if (fields_find(body, FRAME_TAG_PIN, &request->pin) && key_pin_check(request->pin, NULL))
                return error_set(e, ERR_PROTOCOL, "A request has what can be no PIN");
        return ERR_OK;
}

static enum err decode_data(struct view body, struct key_request *request, struct error *e)
{
        enum err r = fields_get_u64(body, FRAME_TAG_HANDLE, &request->handle, e);

        if (r)
                return r;
        if (!fields_find(body, FRAME_TAG_DATA, &request->data) || request->data.len > FRAME_DATA_MAX)
                return error_set(e, ERR_PROTOCOL, "A request has no data of at most %d octets",
                                 FRAME_DATA_MAX);
        return decode_pin(body, request, e);
}

static enum err decode_open(struct view body, struct key_request *request, struct error *e)
{
        struct view v;

        if (fields_find(body, FRAME_TAG_LABEL, &v)) {
                if (v.len == 0 || v.len > FRAME_LABEL_MAX || !utf8_valid(v))
                        return error_set(e, ERR_PROTOCOL, "The label of a key is malformed");
                memcpy(request->label, v.data, v.len);
                return ERR_OK;
        }
        if (!fields_find(body, FRAME_TAG_KEY_ID, &v) || v.len != KEY_ID_LEN)
                return error_set(e, ERR_PROTOCOL, "A request names no key");
        memcpy(request->key_id, v.data, v.len);
        return ERR_OK;
}

static enum err decode_describe(struct view body, struct key_request *request, struct error *e)
{
        struct view v;

        if (!fields_find(body, FRAME_TAG_KEY_ID, &v) || v.len != KEY_ID_LEN)
                return error_set(e, ERR_PROTOCOL, "A request names no key");
        memcpy(request->key_id, v.data, v.len);
        return fields_get_u64(body, FRAME_TAG_INDEX, &request->index, e);
}

static enum err decode_sign(struct view body, struct key_request *request, struct error *e)
{
        unsigned scheme = 0, digest = 0, mgf1 = 0;
        uint64_t salt = 0;
        enum err r = decode_data(body, request, e);

        if (!r)
                r = get_enum(body, FRAME_TAG_SCHEME, _KEY_SCHEME_MAX, &scheme, e);
        if (!r)
                r = get_enum(body, FRAME_TAG_DIGEST, _KEY_DIGEST_MAX, &digest, e);
        if (!r && scheme == KEY_SCHEME_RSA_PSS)
                r = get_enum(body, FRAME_TAG_MGF1, _KEY_DIGEST_MAX, &mgf1, e);
        if (!r && scheme == KEY_SCHEME_RSA_PSS)
                r = fields_get_u64(body, FRAME_TAG_SALT, &salt, e);
        if (r)
                return r;
        if (salt > KEY_MODULUS_MAX)
                return error_set(e, ERR_PROTOCOL, "A request has a salt of %llu octets",
                                 (unsigned long long)salt);
        request->sign = (struct key_sign){(enum key_scheme)scheme, (enum key_digest)digest,
                                          (enum key_digest)mgf1, (uint16_t)salt};
        return ERR_OK;
}

static enum err decode_decrypt(struct view body, struct key_request *request, struct error *e)
{
        unsigned padding = 0, digest = 0, mgf1 = 0;
        struct view label = {0};
        enum err r = decode_data(body, request, e);

        if (!r)
                r = get_enum(body, FRAME_TAG_PADDING, _KEY_PADDING_MAX, &padding, e);
        if (!r && padding == KEY_PADDING_RSA_OAEP)
                r = get_enum(body, FRAME_TAG_DIGEST, _KEY_DIGEST_MAX, &digest, e);
        if (!r && padding == KEY_PADDING_RSA_OAEP)
                r = get_enum(body, FRAME_TAG_MGF1, _KEY_DIGEST_MAX, &mgf1, e);
        if (r)
                return r;
        if (fields_find(body, FRAME_TAG_OAEP_LABEL, &label) && label.len > FRAME_LABEL_MAX)
                return error_set(e, ERR_PROTOCOL, "A request has an OAEP label over %d octets",
                                 FRAME_LABEL_MAX);
        request->decrypt = (struct key_decrypt){(enum key_padding)padding, (enum key_digest)digest,
                                                (enum key_digest)mgf1, label};
        return ERR_OK;
}

/* That the point lies on a curve, whoever has the key finds out. */
static enum err decode_derive(struct view body, struct key_request *request, struct error *e)
{
        enum err r = decode_data(body, request, e);

        if (!r && (request->data.len < 3 || request->data.len > KEY_POINT_MAX))
                return error_set(e, ERR_PROTOCOL, "A request has a point of %zu octets", request->data.len);
        return r;
}

static enum err decode_verify(struct view body, struct key_request *request, struct error *e)
{
        enum err r = fields_get_u64(body, FRAME_TAG_HANDLE, &request->handle, e);

        if (!r)
                r = decode_pin(body, request, e);
        if (!r && !request->pin.len)
                return error_set(e, ERR_PROTOCOL, "A request has no PIN to verify");
        return r;
}

static enum err decode_unwrap(struct view body, struct key_request *request, struct error *e)
{
        struct key_unwrap *how = &request->unwrap;
        unsigned prf = 0, kek = 0, iterations = 0;
        enum err r = decode_data(body, request, e);

        if (!r)
                r = get_enum(body, FRAME_TAG_DIGEST, _KEY_DIGEST_MAX, &prf, e);
        if (!r)
                r = get_enum(body, FRAME_TAG_KEK, _KEY_KEK_MAX, &kek, e);
        if (!r)
                r = get_enum(body, FRAME_TAG_ITERATIONS, KEY_ITERATIONS_MAX + 1, &iterations, e);
        if (r)
                return r;
        how->prf = (enum key_digest)prf;
        how->kek = (enum key_kek)kek;
        how->iterations = iterations;
        if (!fields_find(body, FRAME_TAG_SALT_OCTETS, &how->salt) ||
            !fields_find(body, FRAME_TAG_IV, &how->iv) || !key_unwrap_valid(how, request->data.len))
                return error_set(e, ERR_PROTOCOL, "A request is not one for a key wrapped by a password");
        return ERR_OK;
}

/* Nothing but a scheme of TLS 1.3 and what can be a transcript hash: what is signed, the daemon builds. */
static enum err decode_tls_sign(struct view body, struct key_request *request, struct error *e)
{
        struct tls13_input input;
        struct key_sign how;
        uint64_t scheme = 0;
        enum err r = decode_data(body, request, e);

        if (!r)
                r = fields_get_u64(body, FRAME_TAG_TLS_SCHEME, &scheme, e);
        if (r)
                return r;
        if (scheme > UINT16_MAX || !tls13_scheme_sign((uint16_t)scheme, &how) ||
            !tls13_input_make(request->data, &input))
                return error_set(e, ERR_PROTOCOL, "A request is not one for a TLS 1.3 CertificateVerify");
        request->tls_scheme = (uint16_t)scheme;
        return ERR_OK;
}

enum err key_request_decode(enum frame_type type, struct view body, struct key_request *ret, struct error *e)
{
        struct key_request request = {0};
        enum err r = ERR_PROTOCOL;

        if (!fields_valid(body))
                return error_set(e, ERR_PROTOCOL, "A frame's body is malformed");
        if (type == FRAME_OPEN)
                r = decode_open(body, &request, e);
        else if (type == FRAME_SIGN)
                r = decode_sign(body, &request, e);
        else if (type == FRAME_DECRYPT)
                r = decode_decrypt(body, &request, e);
        else if (type == FRAME_DERIVE)
                r = decode_derive(body, &request, e);
        else if (type == FRAME_VERIFY)
                r = decode_verify(body, &request, e);
        else if (type == FRAME_TLS_SIGN)
                r = decode_tls_sign(body, &request, e);
        else if (type == FRAME_UNWRAP)
                r = decode_unwrap(body, &request, e);
        else if (type == FRAME_CLOSE)
                r = fields_get_u64(body, FRAME_TAG_HANDLE, &request.handle, e);
        else if (type == FRAME_LIST)
                r = fields_get_u64(body, FRAME_TAG_INDEX, &request.index, e);
        else if (type == FRAME_DESCRIBE)
                r = decode_describe(body, &request, e);
        else
                (void)error_set(e, r, "A frame of type %d is no request for a key", (int)type);
        if (r == ERR_OK)
                *ret = request;
        return r;
}

enum err key_request_encode(enum frame_type type, const struct key_request *request, struct bytes *ret,
                            struct error *e)
{
        struct fields_writer w = FIELDS_WRITER(FRAME_KEYS_MAX, request->pin.len > 0);

        if (type == FRAME_OPEN && request->label[0])
                fields_put_str(&w, FRAME_TAG_LABEL, request->label);
        else if (type == FRAME_OPEN || type == FRAME_DESCRIBE)
                fields_put(&w, FRAME_TAG_KEY_ID, (struct view){request->key_id, KEY_ID_LEN});
        if (type == FRAME_LIST || type == FRAME_DESCRIBE)
                fields_put_u64(&w, FRAME_TAG_INDEX, request->index);
        else if (type != FRAME_OPEN)
                fields_put_u64(&w, FRAME_TAG_HANDLE, request->handle);
        if (request->pin.len)
                fields_put(&w, FRAME_TAG_PIN, request->pin);
        if (type == FRAME_SIGN) {
                fields_put_u64(&w, FRAME_TAG_SCHEME, request->sign.scheme);
                fields_put_u64(&w, FRAME_TAG_DIGEST, request->sign.digest);
                fields_put_u64(&w, FRAME_TAG_MGF1, request->sign.mgf1);
                fields_put_u64(&w, FRAME_TAG_SALT, request->sign.salt_len);
                fields_put(&w, FRAME_TAG_DATA, request->data);
        } else if (type == FRAME_DECRYPT) {
                fields_put_u64(&w, FRAME_TAG_PADDING, request->decrypt.padding);
                fields_put_u64(&w, FRAME_TAG_DIGEST, request->decrypt.digest);
                fields_put_u64(&w, FRAME_TAG_MGF1, request->decrypt.mgf1);
                if (request->decrypt.label.len)
                        fields_put(&w, FRAME_TAG_OAEP_LABEL, request->decrypt.label);
                fields_put(&w, FRAME_TAG_DATA, request->data);
        } else if (type == FRAME_DERIVE) {
                fields_put(&w, FRAME_TAG_DATA, request->data);
        } else if (type == FRAME_TLS_SIGN) {
                fields_put_u64(&w, FRAME_TAG_TLS_SCHEME, request->tls_scheme);
                fields_put(&w, FRAME_TAG_DATA, request->data);
        } else if (type == FRAME_UNWRAP) {
                fields_put(&w, FRAME_TAG_SALT_OCTETS, request->unwrap.salt);
                fields_put_u64(&w, FRAME_TAG_ITERATIONS, request->unwrap.iterations);
                fields_put_u64(&w, FRAME_TAG_DIGEST, request->unwrap.prf);
                fields_put_u64(&w, FRAME_TAG_KEK, request->unwrap.kek);
                fields_put(&w, FRAME_TAG_IV, request->unwrap.iv);
                fields_put(&w, FRAME_TAG_DATA, request->data);
        }
        return fields_finish(&w, ret, e);
}

enum err frame_error_encode(const struct error *from, struct bytes *ret, struct error *e)
{
        struct fields_writer w = FIELDS_WRITER(FRAME_KEYS_MAX, false);

        fields_put_str(&w, FRAME_TAG_CODE, err_name(from->code));
        fields_put_str(&w, FRAME_TAG_MESSAGE, from->message);
        fields_put_str(&w, FRAME_TAG_REMEDY, from->remedy);
        return fields_finish(&w, ret, e);
}

enum err frame_error_decode(struct view body, struct error *e)
{
        CLEANUP(free_p) char *name = NULL, *message = NULL, *remedy = NULL;
        enum err code;

        if (!fields_valid(body) || fields_get_str(body, FRAME_TAG_CODE, 64, &name, NULL) ||
            fields_get_str(body, FRAME_TAG_MESSAGE, ERROR_MESSAGE_MAX, &message, NULL) ||
            fields_get_str(body, FRAME_TAG_REMEDY, ERROR_REMEDY_MAX, &remedy, NULL))
                return error_set(e, ERR_PROTOCOL, "An error that came over the key channel is malformed");
        code = err_from_name(name);
        if (code == ERR_OK)
                code = ERR_PROTOCOL;
        (void)error_set(e, code, "%s", message);
        return error_remedy(e, code, "%s", remedy);
}
