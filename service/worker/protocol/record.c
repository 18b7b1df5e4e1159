#include "worker/record.h"

#include <string.h>

#include "base/parse.h"

static enum err bad(const struct field *f, const char *what, struct error *e)
{
        return error_set(e, ERR_PROTOCOL, "A worker's record %s its field '%s'", what, f->name);
}

/* UTF-8 without NUL or control characters, but for the ones prose needs. */
static bool text_ok(struct view v, uint64_t max)
{
        if (v.len == 0 || v.len > max || !utf8_valid(v))
                return false;
        for (size_t i = 0; i < v.len; i++)
                if (v.data[i] < ' ' || v.data[i] == 0x7f)
                        return false;
        return true;
}

static bool signed_ok(int64_t v, uint64_t max)
{
        return v >= -(int64_t)max && v <= (int64_t)max;
}

enum err job_record_check(const struct field *fields, size_t n, const void *at, struct error *e)
{
        for (const struct field *f = fields; f < fields + n; f++) {
                const void *p = (const uint8_t *)at + f->offset;
                const struct job_texts *texts = p;
                const struct job_blobs *blobs = p;
                const char *text;
                bool ok = true, there = true;

                switch (f->shape) {
                case SHAPE_TEXT:
                        text = *(const char *const *)p;
                        there = text != NULL;
                        ok = !there || text_ok(str_view(text), f->max);
                        break;
                case SHAPE_NUMBER:
                        ok = *(const uint64_t *)p <= f->max;
                        break;
                case SHAPE_SIGNED:
                        ok = signed_ok(*(const int64_t *)p, f->max);
                        break;
                case SHAPE_BLOB:
                        there = ((const struct view *)p)->len > 0;
                        ok = ((const struct view *)p)->len <= f->max;
                        break;
                case SHAPE_TEXTS:
                        there = texts->n > 0;
                        ok = texts->n <= JOB_URLS_MAX;
                        for (size_t i = 0; ok && i < texts->n; i++)
                                ok = text_ok(str_view(texts->at[i]), f->max);
                        break;
                case SHAPE_BLOBS:
                        there = blobs->n > 0;
                        ok = blobs->n <= JOB_CERTS_MAX;
                        for (size_t i = 0; ok && i < blobs->n; i++)
                                ok = blobs->at[i].len > 0 && blobs->at[i].len <= f->max;
                        break;
                }
                if (!ok)
                        return bad(f, "is out of bounds in", e);
                if (!there && f->required)
                        return bad(f, "lacks", e);
        }
        return ERR_OK;
}

static void put_text(struct fields_writer *w, uint16_t tag, const char *text)
{
        fields_put(w, tag, (struct view){(const uint8_t *)text, strlen(text) + 1});
}

void job_record_put(struct fields_writer *w, const struct field *fields, size_t n, const void *at)
{
        for (const struct field *f = fields; f < fields + n; f++) {
                const void *p = (const uint8_t *)at + f->offset;
                const struct job_texts *texts = p;
                const struct job_blobs *blobs = p;

                switch (f->shape) {
                case SHAPE_TEXT:
                        if (*(const char *const *)p)
                                put_text(w, f->tag, *(const char *const *)p);
                        break;
                case SHAPE_NUMBER:
                        fields_put_u64(w, f->tag, *(const uint64_t *)p);
                        break;
                case SHAPE_SIGNED:
                        fields_put_u64(w, f->tag, (uint64_t) * (const int64_t *)p);
                        break;
                case SHAPE_BLOB:
                        if (((const struct view *)p)->len)
                                fields_put(w, f->tag, *(const struct view *)p);
                        break;
                case SHAPE_TEXTS:
                        for (size_t i = 0; i < texts->n; i++)
                                put_text(w, f->tag, texts->at[i]);
                        break;
                case SHAPE_BLOBS:
                        for (size_t i = 0; i < blobs->n; i++)
                                fields_put(w, f->tag, blobs->at[i]);
                        break;
                }
        }
}

/* Octets that end in their only NUL; false: anything else. */
static bool take_text(struct view v, uint64_t max, const char **ret)
{
        if (v.len == 0 || v.data[v.len - 1] != 0 || !text_ok((struct view){v.data, v.len - 1}, max))
                return false;
        *ret = (const char *)v.data;
        return true;
}

static bool take_number(struct view v, uint64_t *ret)
{
        *ret = 0;
        for (size_t i = 0; i < v.len && v.len == 8; i++)
                *ret = *ret << 8 | v.data[i];
        return v.len == 8;
}

/* One value into its place. @seen: it was there already. */
static enum err take(const struct field *f, struct view v, bool seen, void *p, struct error *e)
{
        struct job_texts *texts = p;
        struct job_blobs *blobs = p;
        uint64_t number;
        bool ok = false;

        if (seen && f->shape != SHAPE_TEXTS && f->shape != SHAPE_BLOBS)
                return bad(f, "repeats", e);
        switch (f->shape) {
        case SHAPE_TEXT:
                ok = take_text(v, f->max, p);
                break;
        case SHAPE_NUMBER:
                ok = take_number(v, p) && *(uint64_t *)p <= f->max;
                break;
        case SHAPE_SIGNED:
                ok = take_number(v, &number) && signed_ok((int64_t)number, f->max);
                if (ok)
                        *(int64_t *)p = (int64_t)number;
                break;
        case SHAPE_BLOB:
                ok = v.len > 0 && v.len <= f->max;
                *(struct view *)p = v;
                break;
        case SHAPE_TEXTS:
                ok = texts->n < JOB_URLS_MAX && take_text(v, f->max, &texts->at[texts->n]);
                texts->n += ok;
                break;
        case SHAPE_BLOBS:
                ok = blobs->n < JOB_CERTS_MAX && v.len > 0 && v.len <= f->max;
                if (ok)
                        blobs->at[blobs->n++] = v;
                break;
        }
        return ok ? ERR_OK : bad(f, "is out of bounds in", e);
}

enum err job_record_get(const struct field *fields, size_t n, struct view in, void *at, struct error *e)
{
        struct fields_reader reader = {in};
        uint64_t seen = 0;
        struct view value;
        uint16_t tag;
        bool malformed;

        while (fields_next(&reader, &tag, &value, &malformed)) {
                size_t i = 0;
                enum err r;

                while (i < n && fields[i].tag != tag)
                        i++;
                if (i == n)
                        return error_set(e, ERR_PROTOCOL, "A worker's record has an unknown field %u", tag);
                r = take(&fields[i], value, seen >> i & 1, (uint8_t *)at + fields[i].offset, e);
                if (r)
                        return r;
                seen |= (uint64_t)1 << i;
        }
        if (malformed)
                return error_set(e, ERR_PROTOCOL, "A worker's record is malformed");
        for (size_t i = 0; i < n; i++) {
                bool always = fields[i].shape == SHAPE_NUMBER || fields[i].shape == SHAPE_SIGNED;

                if ((fields[i].required || always) && !(seen >> i & 1))
                        return bad(&fields[i], "lacks", e);
        }
        return ERR_OK;
}
