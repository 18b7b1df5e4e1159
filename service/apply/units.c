#include "apply/units.h"

#include <string.h>
#include <time.h>

#include "bus-client/client.h"

#define SYSTEMD         "org.freedesktop.systemd1"
#define SYSTEMD_PATH    "/org/freedesktop/systemd1"
#define SYSTEMD_MANAGER "org.freedesktop.systemd1.Manager"

/* As long as a unit may take by systemd's own default to start, and a bit. */
enum { JOB_SECONDS = 120 };

static enum err call(struct bus_client *bus, const char *method, const char *unit, char **ret_job,
                     struct error *e)
{
        CLEANUP(bus_reader_free_p) struct bus_reader *answer = NULL;
        struct bus_writer *w = bus_client_begin_at(SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, method);
        const char *job;
        enum err r;

        bus_write_string(w, unit);
        bus_write_string(w, "replace");
        r = bus_client_call(bus, w, &answer, NULL, e);
        if (!r)
                r = bus_read_path(answer, "job", &job, e);
        if (r)
                return r;
        *ret_job = strdup(job);
        return *ret_job ? ERR_OK : error_no_memory(e);
}

/* JobRemoved(u id, o job, s unit, s result) of this job. */
static bool is_end_of(const struct bus_signal *signal, const char *job, char ret_result[64])
{
        const char *path, *unit, *result;
        uint32_t id;

        if (!signal->args || strcmp(signal->member, "JobRemoved") != 0 ||
            strcmp(signal->interface, SYSTEMD_MANAGER) != 0 || bus_read_u32(signal->args, "id", &id, NULL) ||
            bus_read_path(signal->args, "job", &path, NULL) ||
            bus_read_string(signal->args, "unit", &unit, NULL) ||
            bus_read_string(signal->args, "result", &result, NULL) || strcmp(path, job) != 0)
                return false;
        (void)snprintf(ret_result, 64, "%s", result);
        return true;
}

static uint64_t seconds(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec;
}

static enum err wait_for(struct bus_client *bus, const char *job, const char *unit, struct error *e)
{
        const uint64_t end = seconds() + JOB_SECONDS;
        char result[64];

        for (uint64_t now = seconds(); now < end; now = seconds()) {
                struct bus_signal signal = {0};
                enum err r = bus_client_next(bus, (int)(end - now) * 1000, &signal, e);
                bool over = !r && is_end_of(&signal, job, result);

                bus_signal_done(&signal);
                if (r)
                        return r;
                if (!over)
                        continue;
                if (strcmp(result, "done") == 0 || strcmp(result, "skipped") == 0)
                        return ERR_OK;
                (void)error_set(e, ERR_CONSUMER, "systemd says '%s' of the unit %s", result, unit);
                return error_remedy(e, ERR_CONSUMER, "See why: systemctl status %s; journalctl -u %s.", unit,
                                    unit);
        }
        (void)error_set(e, ERR_CONSUMER, "The unit %s is not through after %d seconds", unit, JOB_SECONDS);
        return error_remedy(e, ERR_CONSUMER, "See what it does: systemctl status %s.", unit);
}

enum err unit_do(struct bus_client *bus, enum unit_verb verb, const char *unit, struct error *e)
{
        /* What does not run need not take up anything: it reads its files when it starts. */
        static const char *const methods[_UNIT_VERB_MAX] = {[UNIT_RELOAD] = "ReloadOrTryRestartUnit",
                                                            [UNIT_RESTART] = "TryRestartUnit",
                                                            [UNIT_START] = "StartUnit"};
        CLEANUP(free_p) char *job = NULL;
        struct error why = {0};
        enum err r = bus_client_match(bus,
                                      "type='signal',sender='" SYSTEMD "',path='" SYSTEMD_PATH
                                      "',interface='" SYSTEMD_MANAGER "',member='JobRemoved'",
                                      e);

        if (r)
                return r;
        /* Asked for by whoever wants to hear of jobs; twice is refused and no matter. */
        r = bus_client_call(bus, bus_client_begin_at(SYSTEMD, SYSTEMD_PATH, SYSTEMD_MANAGER, "Subscribe"),
                            NULL, NULL, NULL);
        r = call(bus, methods[verb], unit, &job, &why);
        if (r == ERR_NO_MEMORY)
                return error_copy(e, &why);
        if (r) {
                (void)error_set(e, ERR_CONSUMER, "The unit %s: %s", unit, why.message);
                return error_remedy(e, ERR_CONSUMER, "Check the unit's name, and see: systemctl status %s.",
                                    unit);
        }
        return wait_for(bus, job, unit, e);
}
