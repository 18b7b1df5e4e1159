#include "cli/args.h"

#include <string.h>

static const struct arg_option *find(const struct arg_option *options, size_t n, const char *name, size_t len)
{
        for (size_t i = 0; i < n; i++)
                if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
                        return &options[i];
        return NULL;
}

/* Takes the option at argv[*i], and its value, if that is a word of its own. */
static enum err take_option(const struct arg_option *options, size_t n, int argc, char **argv, int *i,
                            struct error *e)
{
        const char *word = argv[*i], *equals = strchr(word, '=');
        size_t len = equals ? (size_t)(equals - word) : strlen(word);
        const struct arg_option *o = find(options, n, word, len);

        if (!o)
                return error_set(e, ERR_INVALID, "There is no option %.*s", (int)len, word);
        if (o->later)
                return error_set(e, ERR_INVALID, "Option %s is not in this version", o->name);
        if (o->flag) {
                if (equals)
                        return error_set(e, ERR_INVALID, "Option %s takes no value", o->name);
                if (*o->flag)
                        return error_set(e, ERR_INVALID, "Option %s is given twice", o->name);
                *o->flag = true;
                return ERR_OK;
        }
        if (*o->value)
                return error_set(e, ERR_INVALID, "Option %s is given twice", o->name);
        if (!equals && *i + 1 == argc)
                return error_set(e, ERR_INVALID, "Option %s needs a value", o->name);
        *o->value = equals ? equals + 1 : argv[++*i];
        if (!**o->value)
                return error_set(e, ERR_INVALID, "Option %s needs a value", o->name);
        return ERR_OK;
}

enum err args_parse(int argc, char **argv, const struct arg_option *options, size_t n, size_t min, size_t max,
                    const char **ret, size_t *ret_n, struct error *e)
{
        bool options_end = false;
        size_t count = 0;

        for (int i = 0; i < argc; i++) {
                if (!options_end && strcmp(argv[i], "--") == 0) {
                        options_end = true;
                } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
                        enum err r = take_option(options, n, argc, argv, &i, e);

                        if (r)
                                return r;
                } else {
                        if (count == max)
                                return error_set(e, ERR_INVALID, "One argument too many: '%s'", argv[i]);
                        if (!argv[i][0])
                                return error_set(e, ERR_INVALID, "An argument is empty");
                        ret[count++] = argv[i];
                }
        }
        if (count < min)
                return error_set(e, ERR_INVALID, "An argument is missing");
        *ret_n = count;
        return ERR_OK;
}

int args_take_global(int argc, char **argv, struct global_flags *ret)
{
        const struct {
                const char *name;
                bool *flag;
        } flags[] = {{"--json", &ret->json},
                     {"--no-color", &ret->no_color},
                     {"--help", &ret->help},
                     {"--version", &ret->version}};
        int kept = 0;
        bool options_end = false;

        *ret = (struct global_flags){0};
        for (int i = 0; i < argc; i++) {
                bool taken = false;

                options_end = options_end || strcmp(argv[i], "--") == 0;
                for (size_t j = 0; !options_end && j < N_ELEMENTS(flags); j++) {
                        if (strcmp(argv[i], flags[j].name) == 0)
                                taken = *flags[j].flag = true;
                }
                if (!taken)
                        argv[kept++] = argv[i];
        }
        return kept;
}
