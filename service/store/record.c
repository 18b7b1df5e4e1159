#include "record.h"

#include <jansson.h>
#include <string.h>

#include "json.h"

#define ROW(type, member)                                                                                    \
        {                                                                                                    \
#member, type, offsetof(struct record, member)                                               \
        }

static const struct json_row rows[] = {
        ROW(JSON_ROW_TEXT, name),
        ROW(JSON_ROW_TEXT, profile),
        ROW(JSON_ROW_NUMBER, owner),
        ROW(JSON_ROW_TEXT, owner_name),
        ROW(JSON_ROW_PAIRS, plan),
        ROW(JSON_ROW_STRINGS, new_names),
        ROW(JSON_ROW_TEXT, activity),
        ROW(JSON_ROW_NUMBER, activity_since),
        ROW(JSON_ROW_NUMBER, current),
        ROW(JSON_ROW_NUMBER, requested),
        ROW(JSON_ROW_NUMBER, not_before),
        ROW(JSON_ROW_NUMBER, not_after),
        ROW(JSON_ROW_NUMBER, renew_at),
        ROW(JSON_ROW_NUMBER, revoked_at),
        ROW(JSON_ROW_NUMBER, crl_refused),
        ROW(JSON_ROW_TEXT, subject),
        ROW(JSON_ROW_TEXT, serial),
        ROW(JSON_ROW_TEXT, thumbprint),
        ROW(JSON_ROW_TEXT, key_id),
        ROW(JSON_ROW_TEXT, key_algorithm),
        ROW(JSON_ROW_TEXT, key_protection),
        ROW(JSON_ROW_TEXT, key_reason),
        ROW(JSON_ROW_TEXT, key_parent),
        ROW(JSON_ROW_STRINGS, key_attributes),
        ROW(JSON_ROW_STRINGS, deviations),
        ROW(JSON_ROW_TEXT, respondent),
        ROW(JSON_ROW_STRINGS, old),
        ROW(JSON_ROW_TEXT, transaction),
        ROW(JSON_ROW_TEXT, nonce),
        ROW(JSON_ROW_TEXT, request_url),
        ROW(JSON_ROW_BOOL, request_post),
        ROW(JSON_ROW_TEXT, exchange),
        ROW(JSON_ROW_TEXT, next_key_id),
        ROW(JSON_ROW_TEXT, next_key_algorithm),
        ROW(JSON_ROW_TEXT, next_key_protection),
        ROW(JSON_ROW_TEXT, next_key_reason),
        ROW(JSON_ROW_TEXT, next_key_parent),
        ROW(JSON_ROW_STRINGS, next_key_attributes),
        ROW(JSON_ROW_NUMBER, pending_since),
        ROW(JSON_ROW_NUMBER, polls),
        ROW(JSON_ROW_NUMBER, next_poll),
        ROW(JSON_ROW_BOOL, renewing),
        ROW(JSON_ROW_TEXT, method),
        ROW(JSON_ROW_NUMBER, refused),
        ROW(JSON_ROW_TEXT, error_name),
        ROW(JSON_ROW_TEXT, error_message),
        ROW(JSON_ROW_TEXT, error_remedy),
        ROW(JSON_ROW_NUMBER, attempts),
        ROW(JSON_ROW_NUMBER, status),
        ROW(JSON_ROW_NUMBER, retry_at),
        ROW(JSON_ROW_NUMBER, apply_at),
        ROW(JSON_ROW_NUMBER, apply_attempts),
        ROW(JSON_ROW_TEXT, apply_error),
        ROW(JSON_ROW_TEXT, apply_message),
        ROW(JSON_ROW_TEXT, apply_remedy),
        ROW(JSON_ROW_TEXT, renewed_by),
        ROW(JSON_ROW_BOOL, direct),
        ROW(JSON_ROW_TEXT, last_url),
        ROW(JSON_ROW_NUMBER, last_time),
        ROW(JSON_ROW_NUMBER, last_http_status),
        ROW(JSON_ROW_NUMBER, last_hresult),
        ROW(JSON_ROW_TEXT, last_pki_status),
        ROW(JSON_ROW_TEXT, last_fail_info),
        ROW(JSON_ROW_TEXT, last_stage),
};

enum err record_set_text(char **text, const char *value, struct error *e)
{
        char *copy = strdup(value);

        if (!copy)
                return error_no_memory(e);
        free(*text);
        *text = copy;
        return ERR_OK;
}

enum err record_new(struct record *ret, struct error *e)
{
        struct record record = {0};
        enum err r = json_rows_settle(rows, N_ELEMENTS(rows), &record, e);

        if (r) {
                record_done_p(&record);
                return r;
        }
        *ret = record;
        return ERR_OK;
}

void record_done_p(struct record *record)
{
        json_rows_done(rows, N_ELEMENTS(rows), record);
}

enum err record_to_json(const struct record *record, char **ret, struct error *e)
{
        return json_rows_write(rows, N_ELEMENTS(rows), RECORD_VERSION, record, ret, e);
}

enum err record_from_json(struct view json, struct record *ret, struct error *e)
{
        struct record record = {0};
        enum err r = json_rows_read(rows, N_ELEMENTS(rows), RECORD_VERSION, json, &record, e);

        if (r) {
                record_done_p(&record);
                return error_context(e, r, "record.json");
        }
        *ret = record;
        return ERR_OK;
}
