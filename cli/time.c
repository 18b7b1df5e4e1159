#include "cli/time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"

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

static bool read_ago(const char *text, uint64_t now, uint64_t *ret)
{
        static const struct {
                char unit;
                uint64_t seconds;
        } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
        const size_t len = strlen(text);
        char digits[16];
        uint64_t number;

        if (len < 2 || len > sizeof digits)
                return false;
        memcpy(digits, text, len - 1);
        digits[len - 1] = 0;
        for (size_t i = 0; i < N_ELEMENTS(units); i++) {
                if (text[len - 1] != units[i].unit || !parse_u64(digits, now / units[i].seconds, &number))
                        continue;
                *ret = now - number * units[i].seconds;
                return true;
        }
        return false;
}

/* Digits where @form has a 0, elsewhere the same characters. */
static bool has_form(const char *text, const char *form)
{
        size_t i = 0;

        for (; form[i]; i++)
                if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
                        return false;
        return text[i] == 0;
}

bool time_read(const char *text, uint64_t now, uint64_t *ret)
{
        static const char *const forms[] = {"0000-00-00", "0000-00-00 00:00", "0000-00-00 00:00:00",
                                            "0000-00-00T00:00", "0000-00-00T00:00:00"};
        struct tm tm = {.tm_isdst = -1}, given;
        bool formed = false;
        char between;
        time_t when;

        if (*text == '@')
                return parse_u64(text + 1, INT64_MAX, ret);
        for (size_t i = 0; i < N_ELEMENTS(forms); i++)
                formed = formed || has_form(text, forms[i]);
        if (!formed)
                return read_ago(text, now, ret);
        (void)sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &between,
                     &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        given = tm;
        when = mktime(&tm);
        /* mktime() makes 1 March of 30 February; the hour may move with summer time. */
        if (when < 0 || tm.tm_mon != given.tm_mon || tm.tm_mday != given.tm_mday || given.tm_hour > 23 ||
            given.tm_min != tm.tm_min || tm.tm_sec != given.tm_sec)
                return false;
        *ret = (uint64_t)when;
        return true;
}
