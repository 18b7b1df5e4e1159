/* LocURIs: taken apart, found in the tree, and remembered by a key that does not depend on how they are
 * written. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "policy/nodes.h"

static enum err find(const char *text, char **ret_key, struct error *e)
{
        CLEANUP(location_done) struct location l = {0};
        CLEANUP(node_place_done) struct node_place place = {0};
        enum err r = location_split(text, &l, e);

        if (r)
                return r;
        fuzz_promise(l.count <= LOCATION_SEGMENTS_MAX,
                     "a location has no more segments than there is room for");
        r = node_find(&l, &place, e);
        if (r)
                return r;
        fuzz_promise(place.format != NULL, "a node has a format");
        fuzz_promise((place.kind == NODE_REFUSED) == (place.why != NULL),
                     "a refusal says why, and nothing else does");
        fuzz_promise((place.kind == NODE_REFUSED) == (place.key == NULL), "what is there has a key");
        fuzz_promise(place.kind == NODE_LIST || place.kind == NODE_REFUSED ||
                             (place.instance && *place.instance),
                     "what is below a list has a name");
        *ret_key = STEAL(place.key);
        return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(free_p) char *text = fuzz_text(data, size);
        CLEANUP(free_p) char *key = NULL, *again = NULL;
        struct error e = {0};
        enum err r = find(text, &key, &e);

        fuzz_whole(r, &e);
        if (r)
                return 0;
        /* case never matters; escapes do, and those letters in them are hexadecimal digits */
        for (char *p = text; *p; p++)
                *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
        fuzz_promise(find(text, &again, &e) == ERR_OK, "a node is found in lower case too");
        fuzz_promise(!key == !again && (!key || strcmp(key, again) == 0), "and is the same one");
        return 0;
}
