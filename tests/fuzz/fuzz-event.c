/*
 * An event whose texts a stranger wrote: the kind, then field and text of each value, with a 0 octet between
 * them. Both written forms are looked at as their readers will.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "events/line.h"
#include "fuzz.h"

enum { VALUES_MAX = 40 };

static void check_json(const struct event *event)
{
        CLEANUP(free_p) char *line = NULL;
        struct error e = {0};
        json_t *json;

        fuzz_promise(event_to_json(event, &line, &e) == ERR_OK, "an event can be written");
        fuzz_promise(!strchr(line, '\n') && strncmp(line, "{\"time\":", 8) == 0,
                     "it is a line that begins with its time");
        json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        fuzz_promise(json_is_object(json), "it is an object of JSON");
        json_decref(json);
}

static void check_entry(const struct event *event)
{
        CLEANUP(event_entry_done) struct event_entry entry = {.n = 0};
        struct error e = {0};

        fuzz_promise(event_to_entry(event, &entry, &e) == ERR_OK, "an event can be told to the journal");
        for (size_t i = 0; i < entry.n; i++)
                fuzz_promise(utf8_valid(str_view(entry.text[i])) && strchr(entry.text[i], '=') &&
                                     !strchr(entry.text[i], '\n'),
                             "each of its fields is a line with a name");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(free_p) char *text = malloc(size + 1);
        struct event_value values[VALUES_MAX];
        struct event event = {.time = RAND_MAX, .certificate = "c", .owner = 0, .values = values};
        char *p = text, *end;

        if (!text || size < 1)
                return 0;
        memcpy(text, data, size);
        text[size] = 0;
        end = text + size;
        event.kind = (enum event_kind)(data[0] % _EVENT_MAX);
        p++;
        event.name = p;
        p += strnlen(p, (size_t)(end - p));
        event.message = p < end ? p + 1 : "";
        p += p < end ? 1 + strnlen(p + 1, (size_t)(end - p - 1)) : 0;
        while (event.n < VALUES_MAX && end - p > 2) {
                struct event_value *value = &values[event.n++];

                p++;
                *value = (struct event_value){.field = (enum event_field)((uint8_t)*p % _EVENT_FIELD_MAX),
                                              .text = p + 1,
                                              .number = (uint8_t)p[1]};
                p += 1 + strnlen(p + 1, (size_t)(end - p - 1));
        }
        check_json(&event);
        check_entry(&event);
        return 0;
}
