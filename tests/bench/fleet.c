/*
 * Two years in the life of a fleet, with the dates and waits that the service has (policy/renewal.c). Each
 * machine is lived through by itself, since they meet nowhere but at the server, whose hours are counted.
 *
 *     bench-fleet DEVICES KIND LIFE [OUTAGE-DAY]
 *
 * KIND: always-on | laptop (office hours) | seldom (two hours a week). Certificates of LIFE days are given
 * out on one morning; a hundredth of the clocks is wrong by up to a hundredth of that. The server does not
 * answer for 24 hours from OUTAGE-DAY 00:00 on. Prints "hour N
 * REQUESTS" for each hour that had some, "window SECONDS" for the jitter of the first renewal, then
 * "renewals", "expired" certificates, those of them whose machine was on and "waited", and "latest" (the
 * least that was left of a certificate, in seconds).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/renewal.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 24 * HOUR, WEEK = 7 * DAY, DAYS = 730 };
enum { THRESHOLD = 20, RETRY_BASE = 5 * MINUTE }; /* the profile's defaults */
enum { NEVER_OUT = 2 * DAYS * DAY };
#define EPOCH UINT64_C(1800000000) /* 00:00 of a Monday, for all that is done with it here */

struct machine {
        uint64_t seed;
        char device[24];
        enum kind { ALWAYS_ON, LAPTOP, SELDOM } kind;
        int64_t clock;        /* how far it is ahead */
        uint64_t start, work; /* of its user's day, seconds */
        unsigned vacation;    /* the first day of his three weeks off, each year */
};

struct fleet {
        uint64_t life, outage;
        uint32_t hours[DAYS * 24];
        uint64_t renewals, expired, waited, least; /* waited: expired, though it could have asked */
};

/* splitmix64 */
static uint64_t draw(uint64_t *seed)
{
        uint64_t z = (*seed += 0x9e3779b97f4a7c15u);

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

/* The same for a machine and a day however often it is asked. */
static uint64_t of_day(const struct machine *m, uint64_t day, uint64_t what)
{
        uint64_t seed = m->seed ^ (day * 0x100000001b3u) ^ (what << 56);

        return draw(&seed);
}

/* When it is on, that day; false: it is not. */
static bool hours_of(const struct machine *m, uint64_t day, uint64_t *ret_on, uint64_t *ret_off)
{
        const bool weekend = day % 7 >= 5;

        if (m->kind == SELDOM) {
                *ret_on = day * DAY + m->start;
                *ret_off = *ret_on + 2 * HOUR;
                return day % 7 == m->seed % 7;
        }
        if ((day % 365) >= m->vacation && (day % 365) < m->vacation + 21)
                return false;
        if (of_day(m, day, 1) % 100 < (weekend ? 95 : 5)) /* ill, travelling; at work on a Sunday */
                return false;
        *ret_on = day * DAY + m->start + of_day(m, day, 2) % (30 * MINUTE);
        *ret_off = *ret_on + m->work + of_day(m, day, 3) % HOUR;
        return true;
}

/* The first moment from @t on at which it is on. */
static uint64_t next_on(const struct machine *m, uint64_t t)
{
        if (m->kind == ALWAYS_ON)
                return t;
        for (uint64_t day = t / DAY;; day++) {
                uint64_t on, off;

                if (hours_of(m, day, &on, &off) && t < off)
                        return t > on ? t : on;
        }
}

static void make(struct machine *m, uint64_t number, enum kind kind, uint64_t life)
{
        const uint64_t wrong = life / 100;
        uint64_t seed = number * 4 + kind;

        *m = (struct machine){.seed = draw(&seed), .kind = kind};
        (void)snprintf(m->device, sizeof m->device, "%016" PRIx64, draw(&seed));
        if (draw(&seed) % 100 == 0)
                m->clock = (int64_t)(draw(&seed) % (2 * wrong)) - (int64_t)wrong;
        m->start = 7 * HOUR + draw(&seed) % (3 * HOUR);
        m->work = 8 * HOUR + draw(&seed) % (2 * HOUR);
        m->vacation = (unsigned)(draw(&seed) % (365 - 21));
}

/* Times are those of the simulation, from 0; the machine's own clock is ahead of them by m->clock. */
static void live(struct fleet *fleet, const struct machine *m)
{
        uint64_t random = m->seed, attempts = 0, due = 0, date = 0, t = 0;
        uint64_t issued = 9 * HOUR + draw(&random) % HOUR;

        for (bool renewed = true, waited = false;;) {
                struct error e = {0};
                uint64_t here, wait, end = EPOCH + issued + fleet->life;
                int64_t at;

                if (renewed) {
                        if (renewal_date((int64_t)(EPOCH + issued), (int64_t)end, THRESHOLD, m->device,
                                         "wifi", &at, &e))
                                abort();
                        date = (uint64_t)at;
                        due = date;
                        attempts = 0;
                        waited = false;
                        t = date - EPOCH - (uint64_t)m->clock;
                        renewed = false;
                }
                t = next_on(m, t);
                if (t >= (uint64_t)DAYS * DAY)
                        return;
                here = EPOCH + t + (uint64_t)m->clock;
                wait = attempts ? 0 : late_wait(date, due, end, here, draw(&random));
                if (wait) {
                        due = here + wait;
                        t += wait;
                        waited = true;
                        continue;
                }
                fleet->hours[t / HOUR]++;
                if (t >= fleet->outage && t < fleet->outage + DAY) {
                        wait = retry_wait(++attempts, RETRY_BASE, end, here, draw(&random));
                        due = here + wait;
                        t += wait;
                        continue;
                }
                fleet->renewals++;
                if (t > issued + fleet->life) {
                        fleet->expired++;
                        fleet->waited += waited;
                } else if (issued + fleet->life - t < fleet->least) {
                        fleet->least = issued + fleet->life - t;
                }
                issued = t;
                renewed = true;
        }
}

static bool kind_of(const char *name, enum kind *ret)
{
        static const char *const names[] = {
                [ALWAYS_ON] = "always-on", [LAPTOP] = "laptop", [SELDOM] = "seldom"};

        for (size_t i = 0; i < N_ELEMENTS(names); i++)
                if (strcmp(names[i], name) == 0) {
                        *ret = (enum kind)i;
                        return true;
                }
        return false;
}

int main(int argc, char **argv)
{
        struct fleet *fleet = calloc(1, sizeof *fleet);
        const uint64_t devices = argc > 3 ? strtoull(argv[1], NULL, 10) : 0;
        enum kind kind = ALWAYS_ON;

        if (!fleet || !devices || !kind_of(argv[2], &kind)) {
                (void)fprintf(stderr,
                              "usage: bench-fleet DEVICES always-on|laptop|seldom LIFE [OUTAGE-DAY]\n");
                free(fleet);
                return 2;
        }
        fleet->life = fleet->least = strtoull(argv[3], NULL, 10) * DAY;
        fleet->outage = argc > 4 ? strtoull(argv[4], NULL, 10) * DAY : NEVER_OUT;
        for (uint64_t i = 0; i < devices; i++) {
                struct machine m;

                make(&m, i, kind, fleet->life);
                live(fleet, &m);
        }
        for (size_t i = 0; i < N_ELEMENTS(fleet->hours); i++)
                if (fleet->hours[i])
                        (void)printf("hour %zu %" PRIu32 "\n", i, fleet->hours[i]);
        (void)printf("window %" PRIu64 "\nrenewals %" PRIu64 "\nexpired %" PRIu64 "\nwaited %" PRIu64
                     "\nlatest %" PRIu64 "\n",
                     fleet->life / 100 * THRESHOLD / 4, fleet->renewals, fleet->expired, fleet->waited,
                     fleet->least);
        free(fleet);
        return 0;
}
