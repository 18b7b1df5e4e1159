#include "line.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

static void json_decref_p(json_t **json)
{
        json_decref(*json);
}

static const char *clean(const char *text, char ret[EVENT_VALUE_MAX])
{
        (void)snprintf(ret, EVENT_VALUE_MAX, "%s", text ? text : "");
        line_scrub(ret, EVENT_VALUE_MAX);
        return ret;
}

static bool is_told(const struct event_value *value)
{
        return event_field_shape(value->field) == EVENT_NUMBER || (value->text && *value->text);
}

uint64_t event_told(const struct event *event)
{
        uint64_t bits = 0;

        for (size_t i = 0; i < event->n; i++)
                if (is_told(&event->values[i]))
                        bits |= UINT64_C(1) << event->values[i].field;
        return bits;
}

unsigned event_number(const struct event *event)
{
        const char *stage = NULL;

        for (size_t i = 0; i < event->n; i++)
                if (event->values[i].field == EVENT_STAGE)
                        stage = event->values[i].text;
        return event_windows(event->kind, stage);
}

/* A new reference; NULL: no memory. */
static json_t *list_of(const char *words)
{
        json_t *list = json_array();

        while (list && *words) {
                size_t len = strcspn(words, " ");

                if (len && json_array_append_new(list, json_stringn(words, len)) < 0) {
                        json_decref(list);
                        return NULL;
                }
                words += len;
                words += *words == ' ';
        }
        return list;
}

static json_t *json_of(const struct event_value *value)
{
        char text[EVENT_VALUE_MAX];

        switch (event_field_shape(value->field)) {
        case EVENT_NUMBER:
                return json_integer((json_int_t)value->number);
        case EVENT_LIST:
                return list_of(clean(value->text, text));
        case EVENT_TEXT:
                break;
        }
        return json_string(clean(value->text, text));
}

static bool put_text(json_t *object, const char *key, const char *value)
{
        char text[EVENT_VALUE_MAX];

        return !value || !*value || json_object_set_new(object, key, json_string(clean(value, text))) == 0;
}

enum err event_to_json(const struct event *event, char **ret, struct error *e)
{
        const unsigned windows = event_number(event);
        CLEANUP(json_decref_p)
        json_t *line = json_pack("{sIss}", "time", (json_int_t)event->time, "event", event_name(event->kind));
        char *text = NULL;
        bool ok = line && (!windows || json_object_set_new(line, "windows", json_integer(windows)) == 0) &&
                  put_text(line, "certificate", event->certificate) && put_text(line, "name", event->name) &&
                  put_text(line, "profile", event->profile) && put_text(line, "message", event->message);

        for (size_t i = 0; ok && i < event->n; i++)
                if (is_told(&event->values[i]))
                        ok = json_object_set_new(line, event_field_name(event->values[i].field),
                                                 json_of(&event->values[i])) == 0;
        if (ok)
                text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);
        if (!text)
                return error_no_memory(e);
        *ret = text;
        return ERR_OK;
}

void event_entry_done(struct event_entry *entry)
{
        for (size_t i = 0; i < entry->n; i++)
                free(entry->text[i]);
        entry->n = 0;
}

static bool add(struct event_entry *entry, const char *field, const char *value)
{
        char text[EVENT_VALUE_MAX];

        if (!value || !*value)
                return true;
        if (asprintf(&entry->text[entry->n], "%s=%s", field, clean(value, text)) < 0)
                return false;
        entry->n++;
        return true;
}

static bool add_number(struct event_entry *entry, const char *field, uint64_t number)
{
        char text[24];

        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
        return add(entry, field, text);
}

enum err event_to_entry(const struct event *event, struct event_entry *ret, struct error *e)
{
        CLEANUP(event_entry_done) struct event_entry entry = {.n = 0};
        const unsigned windows = event_number(event);
        bool ok = add(&entry, "MESSAGE_ID", event_message_id(event->kind)) &&
                  add(&entry, "SCEPTER_EVENT", event_name(event->kind)) &&
                  (!windows || add_number(&entry, "SCEPTER_WINDOWS", windows)) &&
                  add(&entry, "SCEPTER_CERTIFICATE", event->certificate) &&
                  add(&entry, "SCEPTER_NAME", event->name) && add(&entry, "SCEPTER_PROFILE", event->profile);

        for (size_t i = 0; ok && i < event->n && i < _EVENT_FIELD_MAX; i++) {
                const struct event_value *value = &event->values[i];
                const char *field = event_field_journal(value->field);

                ok = event_field_shape(value->field) == EVENT_NUMBER
                             ? add_number(&entry, field, value->number)
                             : add(&entry, field, value->text);
        }
        if (!ok)
                return error_no_memory(e);
        *ret = entry;
        entry.n = 0;
        return ERR_OK;
}
