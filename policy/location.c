#include "policy/location.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum err location_split(const char *text, struct location *ret, struct error *e)
{
        struct location l = {.copy = strdup(text)};
        char *state = NULL;

        if (!l.copy)
                return error_no_memory(e);
        for (char *p = strtok_r(l.copy, "/", &state); p; p = strtok_r(NULL, "/", &state)) {
                if (strcmp(p, ".") == 0 && l.count == 0)
                        continue;
                if (l.count == LOCATION_SEGMENTS_MAX) {
                        l.count = 0;
                        break;
                }
                l.segments[l.count++] = p;
        }
        if (l.count && (strcasecmp(l.segments[0], "User") == 0 || strcasecmp(l.segments[0], "Device") == 0)) {
                l.user = strcasecmp(l.segments[0], "User") == 0;
                l.count--;
                memmove(l.segments, l.segments + 1, l.count * sizeof l.segments[0]);
        }
        *ret = l;
        return ERR_OK;
}

void location_done(struct location *l)
{
        free(l->copy);
        *l = (struct location){0};
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void percent_decode(char *s)
{
        char *out = s;

        for (; *s; s++) {
                int high = s[0] == '%' ? hex_digit(s[1]) : -1;
                int low = high >= 0 ? hex_digit(s[2]) : -1;

                if (low >= 0 && (high || low)) {
                        *out++ = (char)(high << 4 | low);
                        s += 2;
                } else {
                        *out++ = *s;
                }
        }
        *out = 0;
}
