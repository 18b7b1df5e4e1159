#include "base/fields.h"

#include <string.h>

#include "base/parse.h"
#include "base/secret.h"

enum { FIELD_HEADER = 6 };

static bool fields_reserve(struct fields_writer *w, size_t more)
{
        size_t size = w->size ? w->size : 256;
        uint8_t *data;

        if (w->failed)
                return false;
        if (more > w->max - w->out.len) {
                w->failed = ERR_TOO_LARGE;
                return false;
        }
        while (size < w->out.len + more + 1)
                size *= 2;
        if (size == w->size)
                return true;
        data = malloc(size);
        if (!data) {
                w->failed = ERR_NO_MEMORY;
                return false;
        }
        if (w->out.len)
                memcpy(data, w->out.data, w->out.len);
        if (w->secret)
                wipe(w->out.data, w->out.len);
        free(w->out.data);
        w->out.data = data;
        w->size = size;
        return true;
}

void fields_put(struct fields_writer *w, uint16_t tag, struct view v)
{
        uint8_t *p;

        if (v.len > UINT32_MAX || !fields_reserve(w, FIELD_HEADER + v.len)) {
                if (!w->failed)
                        w->failed = ERR_TOO_LARGE;
                return;
        }
        p = w->out.data + w->out.len;
        p[0] = (uint8_t)(tag >> 8);
        p[1] = (uint8_t)tag;
        for (int i = 0; i < 4; i++)
                p[2 + i] = (uint8_t)(v.len >> (24 - 8 * i));
        if (v.len)
                memcpy(p + FIELD_HEADER, v.data, v.len);
        w->out.len += FIELD_HEADER + v.len;
}

void fields_put_u64(struct fields_writer *w, uint16_t tag, uint64_t v)
{
        uint8_t octets[8];

        for (int i = 0; i < 8; i++)
                octets[i] = (uint8_t)(v >> (56 - 8 * i));
        fields_put(w, tag, (struct view){octets, sizeof octets});
}

void fields_put_str(struct fields_writer *w, uint16_t tag, const char *s)
{
        fields_put(w, tag, str_view(s));
}

enum err fields_finish(struct fields_writer *w, struct bytes *ret, struct error *e)
{
        enum err failed = w->failed;

        if (!failed && !fields_reserve(w, 0))
                failed = w->failed;
        if (failed) {
                size_t max = w->max;

                fields_writer_done(w);
                if (failed == ERR_NO_MEMORY)
                        return error_no_memory(e);
                return error_set(e, failed, "A message is larger than %zu octets", max);
        }
        w->out.data[w->out.len] = 0;
        *ret = w->out;
        *w = FIELDS_WRITER(w->max, w->secret);
        return ERR_OK;
}

void fields_writer_done(struct fields_writer *w)
{
        if (w->secret)
                wipe(w->out.data, w->out.len);
        free(w->out.data);
        *w = FIELDS_WRITER(w->max, w->secret);
}

bool fields_next(struct fields_reader *r, uint16_t *ret_tag, struct view *ret_value, bool *ret_bad)
{
        const uint8_t *p = r->left.data;
        size_t len;

        *ret_bad = false;
        if (r->left.len == 0)
                return false;
        if (r->left.len < FIELD_HEADER) {
                *ret_bad = true;
                return false;
        }
        len = (size_t)p[2] << 24 | (size_t)p[3] << 16 | (size_t)p[4] << 8 | p[5];
        if (len > r->left.len - FIELD_HEADER) {
                *ret_bad = true;
                return false;
        }
        *ret_tag = (uint16_t)(p[0] << 8 | p[1]);
        *ret_value = (struct view){p + FIELD_HEADER, len};
        r->left = (struct view){p + FIELD_HEADER + len, r->left.len - FIELD_HEADER - len};
        return true;
}

bool fields_valid(struct view in)
{
        struct fields_reader reader = {in};
        struct view value;
        uint16_t tag;
        bool bad;

        while (fields_next(&reader, &tag, &value, &bad))
                ;
        return !bad;
}

bool fields_find(struct view in, uint16_t tag, struct view *ret_value)
{
        struct fields_reader reader = {in};
        struct view value;
        uint16_t found;
        bool bad;

        while (fields_next(&reader, &found, &value, &bad)) {
                if (found == tag) {
                        *ret_value = value;
                        return true;
                }
        }
        return false;
}

enum err fields_get_u64(struct view in, uint16_t tag, uint64_t *ret, struct error *e)
{
        struct view v;

        if (!fields_find(in, tag, &v) || v.len != 8)
                return error_set(e, ERR_PROTOCOL, "A message lacks the number %u", tag);
        *ret = 0;
        for (int i = 0; i < 8; i++)
                *ret = *ret << 8 | v.data[i];
        return ERR_OK;
}

enum err fields_get_str(struct view in, uint16_t tag, size_t max, char **ret, struct error *e)
{
        struct view v;

        if (!fields_find(in, tag, &v) || v.len > max || !utf8_valid(v))
                return error_set(e, ERR_PROTOCOL, "A message lacks the text %u", tag);
        *ret = strndup((const char *)v.data, v.len);
        if (v.len == 0 && !*ret)
                *ret = strdup("");
        return *ret ? ERR_OK : error_no_memory(e);
}
