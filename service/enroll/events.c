#include "events.h"

#include <jansson.h>
#include <systemd/sd-journal.h>

#include "daemon/log.h"

void event_record(struct store *store, const struct wall_clock *clock, const char *id,
                  const char *certificate, unsigned number, const char *event, const char *message,
                  const struct event_field *fields)
{
        json_t *line = json_pack("{sIsIssssss}", "time", (json_int_t)clock_now(clock), "event",
                                 (json_int_t)number, "what", event, "certificate", id, "name", certificate);
        CLEANUP(free_p) char *text = NULL;
        struct error e = {0};

        if (line && json_object_set_new(line, "message", json_string(message)) == 0) {
                for (; fields && fields->name; fields++)
                        if (fields->value && *fields->value)
                                (void)json_object_set_new(line, fields->name, json_string(fields->value));
                text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);
        }
        json_decref(line);
        if (text && store_event_add(store, id, text, &e))
                log_line(LOG_WARNING, "An event of certificate '%s' could not be written, ignoring: %s",
                         certificate, e.message);
        log_line(number == 32 ? LOG_WARNING : LOG_NOTICE, "Certificate '%s': %s", certificate, message);
}
