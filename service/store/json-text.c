#include "json-text.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>

/* What jansson holds while it reads, and the way out of it. */
struct reading {
        jmp_buf out;
        void **blocks;
        size_t n, room;
};

/* jansson hands its allocator no context: the reading of this thread, or NULL. */
static _Thread_local struct reading *reading;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool has_room(struct reading *r)
{
        const size_t room = r->room ? 2 * r->room : 64;
        void **larger;

        if (r->n < r->room)
                return true;
        larger = reallocarray(r->blocks, room, sizeof *larger);
        if (!larger)
                return false;
        r->blocks = larger;
        r->room = room;
        return true;
}

static void *allocate(size_t size)
{
        void *p = !reading || has_room(reading) ? malloc(size) : NULL;

        if (!reading)
                return p;
        if (!p)
                longjmp(reading->out, 1);
        reading->blocks[reading->n++] = p;
        return p;
}

/* The youngest go first, mostly. */
static void release(void *p)
{
        for (size_t i = reading && p ? reading->n : 0; i > 0; i--) {
                if (reading->blocks[i - 1] != p)
                        continue;
                reading->blocks[i - 1] = reading->blocks[--reading->n];
                break;
        }
        free(p);
}

static void set_allocator(void)
{
        json_set_alloc_funcs(allocate, release);
}

/* false: there was no memory, and nothing is kept. */
static bool load(struct reading *r, struct view text, json_t **ret, json_error_t *ret_why)
{
        if (setjmp(r->out)) {
                while (r->n)
                        free(r->blocks[--r->n]);
                return false;
        }
        reading = r;
        *ret = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, ret_why);
        return true;
}

enum err json_text_read(struct view text, json_t **ret, struct error *e)
{
        struct reading r = {.n = 0};
        json_error_t why;
        json_t *root = NULL;
        bool loaded;

        (void)pthread_once(&once, set_allocator);
        loaded = load(&r, text, &root, &why);
        reading = NULL;
        free(r.blocks);
        if (!loaded)
                return error_no_memory(e);
        if (!root)
                return error_set(e, ERR_CONFIG, "This is not a JSON object (%s, line %d)", why.text,
                                 why.line);
        if (!json_is_object(root)) {
                json_decref(root);
                return error_set(e, ERR_CONFIG, "This is JSON, but no object");
        }
        *ret = root;
        return ERR_OK;
}
