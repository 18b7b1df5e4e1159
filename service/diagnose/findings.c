#include "findings.h"

#include <stdio.h>
#include <time.h>

#include "base/parse.h"

void findings_say(struct findings *f, enum diagnose_code code, const char *remedy, const char *fmt, ...)
{
        const struct diagnose_row *row = diagnose_row(code);
        char observed[1024];
        va_list ap;

        va_start(ap, fmt);
        (void)vsnprintf(observed, sizeof observed, fmt, ap);
        va_end(ap);
        line_scrub(observed, sizeof observed);
        f->faults += row->result == RESULT_FAULT;
        f->found(f->ctx, row, observed, remedy && *remedy ? remedy : row->remedy);
}

void finding_date(uint64_t at, char ret[FINDING_DATE])
{
        const time_t t = (time_t)at;
        struct tm tm;

        if (!gmtime_r(&t, &tm) || strftime(ret, FINDING_DATE, "%Y-%m-%d %H:%M UTC", &tm) == 0)
                (void)snprintf(ret, FINDING_DATE, "%llu", (unsigned long long)at);
}
