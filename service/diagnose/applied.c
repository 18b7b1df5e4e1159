/* What root's consumers were given, and whether it is still so. Reads the disk, as far as the daemon may. */
#include <string.h>

#include "apply/consumers.h"
#include "apply/files.h"
#include "apply/outcome.h"
#include "daemon/config.h"
#include "findings.h"

enum { NAMES_MAX = 512 };

/* The first of its files that is not as it was written; false: none. */
static bool say_changed(struct findings *f, const char *id, const struct applied *applied)
{
        for (size_t i = 0; i < applied->files.count; i++) {
                const char *line = applied->files.items[i], *path = strchr(line, ' ');
                char digest[65], remedy[160];
                enum file_look look;

                if (!path)
                        continue;
                (void)snprintf(digest, sizeof digest, "%.64s", line);
                look = file_look_at(path + 1, digest);
                if (look == FILE_SAME || look == FILE_HIDDEN)
                        continue;
                (void)snprintf(remedy, sizeof remedy,
                               "Have it written again: systemctl start scepter-apply@%s.", id);
                findings_say(f, DIAGNOSE_CONSUMERS_CHANGED, remedy, "Consumer '%s': %s %s", applied->consumer,
                             path + 1, look == FILE_MISSING ? "is not there" : "is another than was written");
                return true;
        }
        return false;
}

/* true: it has everything, as far as can be seen. */
static bool look_at(struct findings *f, const char *id, const struct consumer *consumer,
                    const struct outcome *outcome, const struct record *record)
{
        const struct applied *applied = outcome_find(outcome, consumer->name);

        if (consumer->failure.code != ERR_OK) {
                findings_say(f, DIAGNOSE_CONSUMERS_WRONG, consumer->failure.remedy, "%s",
                             consumer->failure.message);
                return false;
        }
        if (applied && *applied->error) {
                findings_say(f, DIAGNOSE_CONSUMERS_FAILED, applied->remedy, "Consumer '%s': %s",
                             consumer->name, applied->message);
                return false;
        }
        if (!applied || outcome->generation != record->current) {
                findings_say(f, DIAGNOSE_CONSUMERS_PENDING, NULL,
                             "Consumer '%s' was not given the certificate yet", consumer->name);
                return false;
        }
        return !say_changed(f, id, applied);
}

void findings_applied(struct findings *f, const struct config *config, uid_t own, const char *id,
                      const struct record *record)
{
        CLEANUP(consumers_done) struct consumers consumers = {0};
        CLEANUP(outcome_done) struct outcome outcome = {0};
        struct text names = TEXT(NAMES_MAX);
        CLEANUP(free_p) char *text = NULL;
        struct error e = {0};

        if (!record->current || (uid_t)record->owner != NO_OWNER)
                return;
        if (consumers_read(config->consumers, own, &consumers, &e)) {
                findings_say(f, DIAGNOSE_CONSUMERS_WRONG, e.remedy, "%s", e.message);
                return;
        }
        if (outcome_read(config->applied, id, &outcome, NULL))
                outcome = (struct outcome){0};
        for (size_t i = 0; i < consumers.count; i++)
                if (consumer_follows(&consumers.items[i], record->name) &&
                    look_at(f, id, &consumers.items[i], &outcome, record))
                        text_addf(&names, "%s%s", names.len ? ", " : "", consumers.items[i].name);
        if (names.len && text_finish(&names, &text, NULL) == ERR_OK)
                findings_say(f, DIAGNOSE_CONSUMERS_APPLIED, NULL, "Applied: %s", text);
        text_done(&names);
}
