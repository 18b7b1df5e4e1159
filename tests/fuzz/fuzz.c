#include "fuzz.h"

#include <openssl/ui.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

void fuzz_promise(bool kept, const char *promise)
{
        if (kept)
                return;
        (void)fprintf(stderr, "broken: %s\n", promise);
        abort();
}

void fuzz_whole(enum err r, const struct error *e)
{
        if (r == ERR_OK)
                return;
        fuzz_promise(e->code == r, "the error has the code that was returned");
        fuzz_promise(e->message[0] && e->remedy[0], "the error has a sentence and a remedy");
        fuzz_promise(!strchr(e->message, '\n'), "the sentence is one line");
        fuzz_promise(utf8_valid(str_view(e->message)) && utf8_valid(str_view(e->remedy)),
                     "the sentence is UTF-8");
}

static int prompt(UI *ui)
{
        (void)ui;
        fuzz_promise(false, "nobody is asked for a passphrase");
        return 0;
}

void fuzz_no_prompt(void)
{
        static UI_METHOD *method;

        if (method)
                return;
        method = UI_create_method("nobody");
        fuzz_promise(method && UI_method_set_opener(method, prompt) == 0, "prompts are seen");
        UI_set_default_method(method);
}

char *fuzz_text(const uint8_t *data, size_t size)
{
        char *text = malloc(size + 1);

        if (!text)
                abort();
        if (size)
                memcpy(text, data, size);
        text[size] = 0;
        return text;
}

static enum err value_of(void *ctx, enum fact fact, char **ret, struct error *e)
{
        static const char *const values[] = {"pc1",   "a,b", "c+OU=d",      "\"e\"",
                                             "#0401", "f=g", "\xc3\xbc\\,", "{{IMEI}}"};

        (void)ctx;
        *ret = strdup(values[(size_t)fact % N_ELEMENTS(values)]);
        return *ret ? ERR_OK : error_no_memory(e);
}

struct facts fuzz_facts(void)
{
        return (struct facts){NULL, value_of};
}
