#include "urls.h"

#include <string.h>

/* @answered is @url, or what GetCACaps made of it with /pkiclient.exe. */
static bool leads_to(const char *url, const char *answered)
{
        const size_t n = strlen(url);

        return n && strncmp(url, answered, n) == 0;
}

/* Index in the plan of where the request went; the number of URLs: nowhere, or it was edited out. */
static size_t place_of_request(const struct enrollment *en)
{
        const struct strings *urls = &en->plan.urls;
        size_t best = urls->count;

        for (size_t i = 0; i < urls->count; i++)
                if (leads_to(urls->items[i], en->record.request_url) &&
                    (best == urls->count || strlen(urls->items[i]) > strlen(urls->items[best])))
                        best = i;
        return best;
}

static bool is_passed_over(const struct enrollment *en, size_t i)
{
        return en->passed_over & UINT64_C(1) << i;
}

void urls_to_ask(const struct enrollment *en, struct job_texts *ret)
{
        const struct strings *urls = &en->plan.urls;
        const size_t n = urls->count < JOB_URLS_MAX ? urls->count : JOB_URLS_MAX;
        const size_t place = *en->record.nonce ? place_of_request(en) : n;
        const bool first = place < n && !is_passed_over(en, place);

        *ret = (struct job_texts){0};
        if (first)
                ret->at[ret->n++] = urls->items[place];
        if (first && en->certificate->activity == ACTIVITY_PENDING)
                return;
        for (size_t i = 0; i < n; i++)
                if (!(first && i == place) && !is_passed_over(en, i))
                        ret->at[ret->n++] = urls->items[i];
}

bool urls_pass_over(struct enrollment *en)
{
        const size_t n = en->plan.urls.count < JOB_URLS_MAX ? en->plan.urls.count : JOB_URLS_MAX;
        const size_t place = place_of_request(en);
        bool left = false;

        if (place >= n)
                return false;
        for (size_t i = 0; i < n; i++)
                left = left || (i != place && !is_passed_over(en, i));
        if (left)
                en->passed_over |= UINT64_C(1) << place;
        return left;
}
