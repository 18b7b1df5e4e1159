#include "afterwards.h"

#include <stdlib.h>

#include "model/model.h"

struct afterwards {
        void (*run)(void *ctx, const struct error *failure);
        void *ctx;
        struct afterwards *next;
};

enum err afterwards_run(struct certificate *certificate, void (*run)(void *ctx, const struct error *failure),
                        void *ctx, struct error *e)
{
        struct afterwards **end = &certificate->afterwards, *one = malloc(sizeof *one);

        if (!one)
                return error_no_memory(e);
        *one = (struct afterwards){run, ctx, NULL};
        while (*end)
                end = &(*end)->next;
        *end = one;
        return ERR_OK;
}

void afterwards_begin(struct afterwards *list, const struct error *failure)
{
        while (list) {
                struct afterwards *one = list;

                list = one->next;
                one->run(one->ctx, failure);
                free(one);
        }
}
