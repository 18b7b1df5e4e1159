#include "schedule.h"

#include <stdlib.h>
#include <systemd/sd-event.h>
#include <time.h>

/* In one turn of the loop, and the longest wait without another look at the clock. */
enum { AT_ONCE = 16, LOOK_SECONDS = 3600 };

/* How late a timer may be, in microseconds: what is due now is not gathered with other timers. */
enum { LATE_NOW = 1, LATE = 250000 };

struct schedule {
        const struct wall_clock *clock;
        sd_event_source *timer;
        void (*due)(void *ctx, void *of);
        void *ctx;
        struct schedule_entry **heap; /* the earliest first; children of i at 2i + 1 and 2i + 2 */
        size_t n, room;
};

static void place(struct schedule *schedule, size_t at, struct schedule_entry *entry)
{
        schedule->heap[at] = entry;
        entry->slot = at + 1;
}

static void rise(struct schedule *schedule, size_t at)
{
        struct schedule_entry *entry = schedule->heap[at];

        while (at > 0 && schedule->heap[(at - 1) / 2]->due > entry->due) {
                place(schedule, at, schedule->heap[(at - 1) / 2]);
                at = (at - 1) / 2;
        }
        place(schedule, at, entry);
}

static void sink(struct schedule *schedule, size_t at)
{
        struct schedule_entry *entry = schedule->heap[at];

        for (size_t child; (child = 2 * at + 1) < schedule->n; at = child) {
                if (child + 1 < schedule->n && schedule->heap[child + 1]->due < schedule->heap[child]->due)
                        child++;
                if (schedule->heap[child]->due >= entry->due)
                        break;
                place(schedule, at, schedule->heap[child]);
        }
        place(schedule, at, entry);
}

static void take_out(struct schedule *schedule, struct schedule_entry *entry)
{
        const size_t at = entry->slot - 1;
        struct schedule_entry *last = schedule->heap[--schedule->n];

        entry->slot = 0;
        entry->due = 0;
        if (last == entry)
                return;
        place(schedule, at, last);
        rise(schedule, at);
        sink(schedule, last->slot - 1);
}

static void arm(struct schedule *schedule)
{
        uint64_t now, wait, t = 0;

        if (!schedule->n) {
                (void)sd_event_source_set_enabled(schedule->timer, SD_EVENT_OFF);
                return;
        }
        now = clock_now(schedule->clock);
        wait = schedule->heap[0]->due > now ? schedule->heap[0]->due - now : 0;
        wait = (wait < LOOK_SECONDS ? wait : LOOK_SECONDS) * 1000000;
        (void)sd_event_now(sd_event_source_get_event(schedule->timer), CLOCK_BOOTTIME, &t);
        (void)sd_event_source_set_time_accuracy(schedule->timer, wait ? LATE : LATE_NOW);
        (void)sd_event_source_set_time(schedule->timer, t + wait);
        (void)sd_event_source_set_enabled(schedule->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
        struct schedule *schedule = ctx;
        const uint64_t now = clock_now(schedule->clock);

        (void)source;
        (void)usec;
        for (int i = 0; i < AT_ONCE && schedule->n && schedule->heap[0]->due <= now; i++) {
                struct schedule_entry *entry = schedule->heap[0];

                take_out(schedule, entry);
                schedule->due(schedule->ctx, entry->of);
        }
        arm(schedule);
        return 0;
}

enum err schedule_new(struct sd_event *event, const struct wall_clock *clock,
                      void (*due)(void *ctx, void *of), void *ctx, struct schedule **ret, struct error *e)
{
        struct schedule *schedule = calloc(1, sizeof *schedule);
        int failed;

        if (!schedule)
                return error_no_memory(e);
        *schedule = (struct schedule){.clock = clock, .due = due, .ctx = ctx};
        failed =
                sd_event_add_time(event, &schedule->timer, CLOCK_BOOTTIME, UINT64_MAX, 0, on_timer, schedule);
        if (failed < 0) {
                free(schedule);
                return errno_error(e, -failed, "The event loop took no timer");
        }
        (void)sd_event_source_set_enabled(schedule->timer, SD_EVENT_OFF);
        *ret = schedule;
        return ERR_OK;
}

void schedule_free(struct schedule *schedule)
{
        if (!schedule)
                return;
        (void)sd_event_source_disable_unref(schedule->timer);
        free(schedule->heap);
        free(schedule);
}

void schedule_drop(struct schedule *schedule, struct schedule_entry *entry)
{
        if (entry->slot)
                take_out(schedule, entry);
}

enum err schedule_set(struct schedule *schedule, struct schedule_entry *entry, uint64_t due, struct error *e)
{
        const uint64_t first = schedule->n ? schedule->heap[0]->due : 0;

        schedule_drop(schedule, entry);
        if (due) {
                if (schedule->n == schedule->room) {
                        const size_t room = schedule->room ? 2 * schedule->room : 64;
                        struct schedule_entry **heap = realloc(schedule->heap, room * sizeof(*heap));

                        if (!heap)
                                return error_no_memory(e);
                        schedule->heap = heap;
                        schedule->room = room;
                }
                entry->due = due;
                place(schedule, schedule->n++, entry);
                rise(schedule, schedule->n - 1);
        }
        if (!schedule->n || schedule->heap[0]->due != first)
                arm(schedule);
        return ERR_OK;
}

void schedule_recheck(struct schedule *schedule)
{
        arm(schedule);
}
