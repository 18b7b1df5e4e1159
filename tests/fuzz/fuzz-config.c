/*
 * The files of 'Key=value' lines that root and the management agent write. The first octet says which: 'S'
 * scepter.conf, 'F' facts, 'C' a consumer, 'O' what the applier did (JSON).
 */
#include <stdlib.h>
#include <string.h>

#include "apply/consumers.h"
#include "apply/outcome.h"
#include "base/parse.h"
#include "daemon/config.h"
#include "daemon/ini.h"
#include "facts/internal.h"
#include "fuzz-file.h"
#include "fuzz.h"

static char *printed(const struct config *config)
{
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        fuzz_promise(out != NULL, "there is memory");
        config_print(config, out);
        (void)fclose(out);
        return text;
}

static void service(const uint8_t *data, size_t size)
{
        CLEANUP(config_done) struct config config = {0};
        CLEANUP(config_done) struct config again = {0};
        CLEANUP(free_p) char *first = NULL;
        CLEANUP(free_p) char *second = NULL;
        struct error e = {0};
        enum err r = config_read(fuzz_file("scepter.conf", data, size), &config, &e);

        fuzz_whole(r, &e);
        if (r)
                return;
        first = printed(&config);
        r = config_read(fuzz_file("scepter.conf", (const uint8_t *)first, strlen(first)), &again, &e);
        fuzz_promise(r == ERR_OK, "what was printed is a file");
        second = printed(&again);
        fuzz_promise(strcmp(first, second) == 0, "that means the same");
}

static void facts(const uint8_t *data, size_t size)
{
        struct facts_file file;

        facts_file_read(fuzz_file("facts", data, size), geteuid(), &file);
        fuzz_whole(file.result, &file.why);
        for (size_t i = 0; i < file.unknown.count; i++) {
                fuzz_promise(utf8_valid(str_view(file.unknown.items[i])), "what is unknown is told in UTF-8");
                for (const char *p = file.unknown.items[i]; *p; p++)
                        fuzz_promise((unsigned char)*p >= ' ', "and on one line");
        }
        for (size_t i = 0; i < file.values.count; i++)
                fuzz_promise(facts_file_knows(file.values.items[i].key), "what is taken is known");
        facts_file_done(&file);
}

static void consumer(const uint8_t *data, size_t size)
{
        CLEANUP(consumers_done) struct consumers list = {0};
        struct error e = {0};
        enum err r;

        (void)fuzz_file("a.consumer", data, size);
        r = consumers_read(fuzz_directory(), geteuid(), &list, &e);
        fuzz_whole(r, &e);
        fuzz_promise(r || list.count == 1, "there is one");
        if (r)
                return;
        fuzz_whole(list.items[0].failure.code, &list.items[0].failure);
        fuzz_promise(list.items[0].failure.code == ERR_OK || list.items[0].profile ||
                             consumer_follows(&list.items[0], "any"),
                     "what is wrong is heard of");
}

static void outcome(const uint8_t *data, size_t size)
{
        static const char id[] = "0123456789abcdef0123456789abcdef";
        CLEANUP(outcome_done) struct outcome outcome = {0};
        struct error e = {0};
        enum err r;

        (void)fuzz_file("0123456789abcdef0123456789abcdef.json", data, size);
        r = outcome_read(fuzz_directory(), id, &outcome, &e);
        fuzz_whole(r, &e);
        fuzz_promise(r || outcome.name, "it is of a certificate");
        (void)outcome_failed(&outcome);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static void (*const kinds[])(const uint8_t *data, size_t size) = {
                ['S'] = service, ['F'] = facts, ['C'] = consumer, ['O'] = outcome};

        ini_prepare();
        if (size && data[0] < N_ELEMENTS(kinds) && kinds[data[0]])
                kinds[data[0]](data + 1, size - 1);
        return 0;
}
