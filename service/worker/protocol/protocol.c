/* The tables of jobs and results, and the four functions around them. */
#include "worker/protocol.h"

#include <stddef.h>
#include <string.h>

#include "worker/record.h"

enum { TAG_KIND = 1 };

#define FIELD(tag, shape, required, type, member, max)                                                       \
        {                                                                                                    \
                tag, shape, required, offsetof(struct type, member), max, #member                            \
        }

#define LINK_FIELDS(type)                                                                                    \
        FIELD(40, SHAPE_TEXT, false, type, link.proxy, JOB_URL_MAX),                                         \
                FIELD(41, SHAPE_BLOB, false, type, link.ca_bundle, JOB_BODY_MAX),                            \
                FIELD(42, SHAPE_NUMBER, true, type, link.connect_ms, JOB_TIMEOUT_MAX_MS),                    \
                FIELD(43, SHAPE_NUMBER, true, type, link.total_ms, JOB_TIMEOUT_MAX_MS),                      \
                FIELD(44, SHAPE_NUMBER, true, type, link.deny_local, 1),                                     \
                FIELD(45, SHAPE_BLOBS, false, type, link.client, JOB_CERT_MAX)

#define HTTP_FIELDS(type)                                                                                    \
        FIELD(50, SHAPE_SIGNED, true, type, http.status, 999),                                               \
                FIELD(51, SHAPE_NUMBER, true, type, http.has_date, 1),                                       \
                FIELD(52, SHAPE_SIGNED, true, type, http.date_offset, INT64_MAX / 2),                        \
                FIELD(53, SHAPE_NUMBER, true, type, http.retry_after, JOB_RETRY_AFTER_MAX)

static const struct field parse_fields[] = {
        FIELD(2, SHAPE_TEXT, true, job_parse, format, 16),
        FIELD(3, SHAPE_BLOB, true, job_parse, document, JOB_BODY_MAX),
        FIELD(4, SHAPE_TEXT, false, job_parse, origin, JOB_TEXT_MAX),
};

static const struct field discover_fields[] = {
        FIELD(2, SHAPE_TEXTS, true, job_discover, urls, JOB_URL_MAX),
        FIELD(3, SHAPE_TEXT, false, job_discover, identifier, JOB_TEXT_MAX),
        FIELD(4, SHAPE_NUMBER, true, job_discover, suffix, 2),
        FIELD(5, SHAPE_NUMBER, true, job_discover, want, DISCOVER_ALL),
        LINK_FIELDS(job_discover),
};

static const struct field exchange_fields[] = {
        FIELD(2, SHAPE_TEXT, true, job_exchange, url, JOB_URL_MAX),
        FIELD(3, SHAPE_NUMBER, true, job_exchange, post, 1),
        FIELD(4, SHAPE_NUMBER, true, job_exchange, type, 99),
        FIELD(5, SHAPE_BLOB, true, job_exchange, request, JOB_BODY_MAX),
        FIELD(6, SHAPE_TEXT, true, job_exchange, transaction, 128),
        FIELD(7, SHAPE_BLOB, true, job_exchange, nonce, 16),
        FIELD(8, SHAPE_BLOBS, true, job_exchange, signers, JOB_CERT_MAX),
        FIELD(9, SHAPE_BLOB, true, job_exchange, recipient, JOB_CERT_MAX),
        FIELD(10, SHAPE_NUMBER, true, job_exchange, allow, EXCHANGE_ALLOW_ALL),
        FIELD(11, SHAPE_NUMBER, true, job_exchange, ways, REPLY_BY_ALL),
        LINK_FIELDS(job_exchange),
};

static const struct field probe_fields[] = {
        FIELD(2, SHAPE_TEXT, true, job_probe, url, JOB_URL_MAX),
        FIELD(3, SHAPE_TEXT, false, job_probe, identifier, JOB_TEXT_MAX),
        FIELD(4, SHAPE_NUMBER, true, job_probe, with_suffix, 1),
        LINK_FIELDS(job_probe),
};

static const struct field fetch_fields[] = {
        FIELD(2, SHAPE_TEXTS, true, job_fetch, urls, JOB_URL_MAX),
        LINK_FIELDS(job_fetch),
};

static const struct field parsed_fields[] = {
        FIELD(2, SHAPE_BLOB, true, result_parsed, commands, JOB_COMMANDS_MAX),
};

static const struct field discovered_fields[] = {
        FIELD(2, SHAPE_TEXT, true, result_discovered, url, JOB_URL_MAX),
        FIELD(3, SHAPE_BLOB, false, result_discovered, caps, JOB_BODY_MAX),
        FIELD(4, SHAPE_BLOB, false, result_discovered, certs, JOB_BODY_MAX),
        FIELD(5, SHAPE_SIGNED, true, result_discovered, caps_status, 999),
        FIELD(6, SHAPE_BLOB, false, result_discovered, next, JOB_BODY_MAX),
        FIELD(7, SHAPE_TEXT, false, result_discovered, next_name, 64),
        FIELD(8, SHAPE_TEXT, false, result_discovered, next_message, JOB_TEXT_MAX),
        FIELD(9, SHAPE_TEXT, false, result_discovered, next_remedy, JOB_TEXT_MAX),
        HTTP_FIELDS(result_discovered),
};

static const struct field exchanged_fields[] = {
        FIELD(2, SHAPE_NUMBER, true, result_exchanged, status, 3),
        FIELD(3, SHAPE_SIGNED, true, result_exchanged, fail, 4),
        FIELD(4, SHAPE_TEXT, false, result_exchanged, text, JOB_TEXT_MAX),
        FIELD(5, SHAPE_NUMBER, true, result_exchanged, has_hresult, 1),
        FIELD(6, SHAPE_NUMBER, true, result_exchanged, hresult, UINT32_MAX),
        FIELD(7, SHAPE_BLOBS, false, result_exchanged, certs, JOB_CERT_MAX),
        FIELD(8, SHAPE_NUMBER, true, result_exchanged, notes, 0xff),
        FIELD(9, SHAPE_BLOBS, false, result_exchanged, crls, JOB_FILE_MAX),
        HTTP_FIELDS(result_exchanged),
};

/* Fourteen tags from @base on. */
#define ANSWER_FIELDS(base, member)                                                                          \
        FIELD((base) + 0, SHAPE_NUMBER, true, result_probed, member.asked, 1),                               \
                FIELD((base) + 1, SHAPE_NUMBER, true, result_probed, member.problem, 31),                    \
                FIELD((base) + 2, SHAPE_SIGNED, true, result_probed, member.verify, 1000),                   \
                FIELD((base) + 3, SHAPE_TEXT, false, result_probed, member.address, 64),                     \
                FIELD((base) + 4, SHAPE_TEXT, false, result_probed, member.type, 128),                       \
                FIELD((base) + 5, SHAPE_TEXT, false, result_probed, member.target, 256),                     \
                FIELD((base) + 6, SHAPE_TEXT, false, result_probed, member.name, 64),                        \
                FIELD((base) + 7, SHAPE_TEXT, false, result_probed, member.message, JOB_TEXT_MAX),           \
                FIELD((base) + 8, SHAPE_TEXT, false, result_probed, member.remedy, JOB_TEXT_MAX),            \
                FIELD((base) + 9, SHAPE_NUMBER, true, result_probed, member.milliseconds, 3600 * 1000),      \
                FIELD((base) + 10, SHAPE_BLOB, false, result_probed, member.body, JOB_BODY_MAX),             \
                FIELD((base) + 11, SHAPE_SIGNED, true, result_probed, member.http.status, 999),              \
                FIELD((base) + 12, SHAPE_NUMBER, true, result_probed, member.http.has_date, 1),              \
                FIELD((base) + 13, SHAPE_SIGNED, true, result_probed, member.http.date_offset,               \
                      INT64_MAX / 2)

static const struct field probed_fields[] = {
        FIELD(2, SHAPE_TEXT, true, result_probed, url, JOB_URL_MAX),
        ANSWER_FIELDS(100, page),
        ANSWER_FIELDS(120, caps),
        ANSWER_FIELDS(140, certs),
};

static const struct field fetched_fields[] = {
        FIELD(2, SHAPE_TEXT, true, result_fetched, url, JOB_URL_MAX),
        FIELD(3, SHAPE_BLOB, true, result_fetched, body, JOB_FILE_MAX),
        HTTP_FIELDS(result_fetched),
};

static const struct field failed_fields[] = {
        FIELD(2, SHAPE_TEXT, true, result_failed, name, 64),
        FIELD(3, SHAPE_TEXT, true, result_failed, message, JOB_TEXT_MAX),
        FIELD(4, SHAPE_TEXT, true, result_failed, remedy, JOB_TEXT_MAX),
        HTTP_FIELDS(result_failed),
};

struct table {
        const char *name;
        const struct field *fields;
        size_t n;
        bool secret;
};

static const struct table jobs[_JOB_KIND_MAX] = {
        [JOB_PARSE] = {"parse", parse_fields, N_ELEMENTS(parse_fields), true},
        [JOB_DISCOVER] = {"discover", discover_fields, N_ELEMENTS(discover_fields), false},
        [JOB_EXCHANGE] = {"exchange", exchange_fields, N_ELEMENTS(exchange_fields), false},
        [JOB_PROBE] = {"probe", probe_fields, N_ELEMENTS(probe_fields), false},
        [JOB_FETCH] = {"fetch", fetch_fields, N_ELEMENTS(fetch_fields), false},
};

static const struct table results[_RESULT_KIND_MAX] = {
        [RESULT_PARSED] = {"parsed", parsed_fields, N_ELEMENTS(parsed_fields), true},
        [RESULT_DISCOVERED] = {"discovered", discovered_fields, N_ELEMENTS(discovered_fields), false},
        [RESULT_EXCHANGED] = {"exchanged", exchanged_fields, N_ELEMENTS(exchanged_fields), false},
        [RESULT_FAILED] = {"failed", failed_fields, N_ELEMENTS(failed_fields), false},
        [RESULT_PROBED] = {"probed", probed_fields, N_ELEMENTS(probed_fields), false},
        [RESULT_FETCHED] = {"fetched", fetched_fields, N_ELEMENTS(fetched_fields), false},
};

const char *job_kind_name(enum job_kind kind)
{
        return kind > 0 && kind < _JOB_KIND_MAX ? jobs[kind].name : "unknown";
}

static enum err encode(const struct table *table, uint64_t kind, const void *at, struct bytes *ret,
                       struct error *e)
{
        struct fields_writer w = FIELDS_WRITER(JOB_RECORD_MAX, table->secret);
        enum err r = job_record_check(table->fields, table->n, at, e);

        if (r)
                return r;
        fields_put_u64(&w, TAG_KIND, kind);
        job_record_put(&w, table->fields, table->n, at);
        return fields_finish(&w, ret, e);
}

/* The kind stands first. */
static enum err kind_of(struct view record, uint64_t max, uint64_t *ret, struct error *e)
{
        struct view value;

        if (record.len > JOB_RECORD_MAX || !fields_valid(record) || record.len < 2 || record.data[0] != 0 ||
            record.data[1] != TAG_KIND)
                return error_set(e, ERR_PROTOCOL, "A worker's record is malformed");
        if (!fields_find(record, TAG_KIND, &value) || fields_get_u64(record, TAG_KIND, ret, NULL) ||
            *ret == 0 || *ret >= max)
                return error_set(e, ERR_PROTOCOL, "A worker's record is of an unknown kind");
        return ERR_OK;
}

/* What stands behind the kind, which stands first: a second one is then an unknown field. */
static struct view behind_kind(struct view record)
{
        enum { KIND_FIELD = 2 + 4 + 8 };

        return (struct view){record.data + KIND_FIELD, record.len - KIND_FIELD};
}

enum err job_encode(const struct job *job, struct bytes *ret, struct error *e)
{
        if (job->kind <= 0 || job->kind >= _JOB_KIND_MAX)
                return error_set(e, ERR_PROTOCOL, "There is no job of kind %d", (int)job->kind);
        return encode(&jobs[job->kind], job->kind, &job->of, ret, e);
}

enum err job_decode(struct view record, struct job *ret, struct error *e)
{
        struct job job = {0};
        uint64_t kind = 0;
        enum err r = kind_of(record, _JOB_KIND_MAX, &kind, e);

        if (r)
                return r;
        job.kind = (enum job_kind)kind;
        r = job_record_get(jobs[kind].fields, jobs[kind].n, behind_kind(record), &job.of, e);
        if (!r && job.kind == JOB_EXCHANGE && job.of.exchange.nonce.len != 16)
                return error_set(e, ERR_PROTOCOL, "A worker's job has a nonce of %zu octets",
                                 job.of.exchange.nonce.len);
        if (!r && job.kind == JOB_EXCHANGE && job.of.exchange.ways == 0)
                return error_set(e, ERR_PROTOCOL, "A worker's job names no way for the reply");
        if (!r && job.kind == JOB_DISCOVER && job.of.discover.want == 0)
                return error_set(e, ERR_PROTOCOL, "A worker's job wants nothing");
        if (r)
                return r;
        *ret = job;
        return ERR_OK;
}

enum err result_encode(const struct result *result, struct bytes *ret, struct error *e)
{
        if (result->kind <= 0 || result->kind >= _RESULT_KIND_MAX)
                return error_set(e, ERR_PROTOCOL, "There is no result of kind %d", (int)result->kind);
        return encode(&results[result->kind], result->kind, &result->of, ret, e);
}

/* A status that does not exist, a SUCCESS without and a refusal with certificates or CRLs are lies of the
 * worker, and so are both at once. */
static enum err check_exchanged(const struct result_exchanged *x, struct error *e)
{
        bool success = x->status == 0;

        if (x->status == 1 || success != (x->certs.n + x->crls.n > 0) || (x->certs.n && x->crls.n) ||
            x->fail < -1)
                return error_set(e, ERR_PROTOCOL, "A worker's result contradicts itself");
        return ERR_OK;
}

enum err result_decode(struct view record, enum job_kind job, struct result *ret, struct error *e)
{
        static const enum result_kind answers[_JOB_KIND_MAX] = {
                [JOB_PARSE] = RESULT_PARSED,       [JOB_DISCOVER] = RESULT_DISCOVERED,
                [JOB_EXCHANGE] = RESULT_EXCHANGED, [JOB_PROBE] = RESULT_PROBED,
                [JOB_FETCH] = RESULT_FETCHED,
        };
        struct result result = {0};
        uint64_t kind = 0;
        enum err r = kind_of(record, _RESULT_KIND_MAX, &kind, e);

        if (r)
                return r;
        result.kind = (enum result_kind)kind;
        if (result.kind != RESULT_FAILED && result.kind != answers[job])
                return error_set(e, ERR_PROTOCOL, "A worker answered the job '%s' with the result '%s'",
                                 job_kind_name(job), results[kind].name);
        r = job_record_get(results[kind].fields, results[kind].n, behind_kind(record), &result.of, e);
        if (!r && result.kind == RESULT_EXCHANGED)
                r = check_exchanged(&result.of.exchanged, e);
        if (r)
                return r;
        *ret = result;
        return ERR_OK;
}

enum err result_error(const struct result_failed *failed, struct error *e)
{
        enum err code = err_from_name(failed->name);

        if (code == ERR_OK)
                code = ERR_FAILED;
        (void)error_set(e, code, "%s", failed->message);
        return error_remedy(e, code, "%s", failed->remedy);
}

void result_from_error(const struct error *e, struct result_failed *ret)
{
        ret->name = err_name(e->code ? e->code : ERR_FAILED);
        ret->message = e->message[0] ? e->message : "The worker failed";
        ret->remedy = e->remedy[0] ? e->remedy : err_default_remedy(ERR_FAILED);
}
