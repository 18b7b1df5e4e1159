#include "cli/time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

void time_text(uint64_t t, char ret[TIME_TEXT])
{
        time_t when = (time_t)t;
        struct tm tm;

        if (t == 0 || when < 0 || !localtime_r(&when, &tm) ||
            strftime(ret, TIME_TEXT, "%Y-%m-%d %H:%M", &tm) == 0)
                strcpy(ret, "-");
}

void duration_text(uint64_t seconds, char ret[TIME_TEXT])
{
        static const struct {
                uint64_t seconds;
                const char *unit;
        } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
        size_t i = 0;
        uint64_t rest;
        int n;

        while (i + 1 < N_ELEMENTS(units) && seconds < units[i].seconds)
                i++;
        n = snprintf(ret, TIME_TEXT, "%llu %s", (unsigned long long)(seconds / units[i].seconds),
                     units[i].unit);
        rest = seconds % units[i].seconds;
        if (i + 1 == N_ELEMENTS(units) || rest < units[i + 1].seconds || n < 0)
                return;
        (void)snprintf(ret + n, TIME_TEXT - (size_t)n, " %llu %s",
                       (unsigned long long)(rest / units[i + 1].seconds), units[i + 1].unit);
}

void time_relative_text(uint64_t t, uint64_t now, char ret[TIME_TEXT])
{
        char duration[TIME_TEXT];

        if (t == 0) {
                strcpy(ret, "-");
                return;
        }
        if (t == now) {
                strcpy(ret, "now");
                return;
        }
        duration_text(t > now ? t - now : now - t, duration);
        (void)snprintf(ret, TIME_TEXT, t > now ? "in %.40s" : "%.40s ago", duration);
}
