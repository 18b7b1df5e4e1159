#include "old.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

bool old_generation_read(const char *line, struct old_generation *ret)
{
        char number[24], id[41], replaced[24], not_after[24], more;
        struct old_generation old;
        size_t len;

        if (sscanf(line, "%23s %40s %23s %23s%c", number, id, replaced, not_after, &more) != 4 ||
            !parse_u64(number, UINT64_MAX, &old.number) || !parse_u64(replaced, UINT64_MAX, &old.replaced) ||
            !parse_u64(not_after, UINT64_MAX, &old.not_after) ||
            !hex_decode(id, old.key_id, sizeof old.key_id, &len) || len != sizeof old.key_id || !old.number)
                return false;
        *ret = old;
        return true;
}

enum err old_generation_add(struct strings *lines, const struct old_generation *old, struct error *e)
{
        char id[2 * sizeof old->key_id + 1], line[128];

        hex_encode((struct view){old->key_id, sizeof old->key_id}, id);
        (void)snprintf(line, sizeof line, "%llu %s %llu %llu", (unsigned long long)old->number, id,
                       (unsigned long long)old->replaced, (unsigned long long)old->not_after);
        return strings_add(lines, line, e);
}

bool old_generation_is_over(const struct old_generation *old, uint64_t now)
{
        return now > old->not_after || now >= old->replaced + OLD_KEPT_SECONDS;
}
