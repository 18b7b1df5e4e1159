#include "daemon/check.h"

#include "apply/consumers.h"
#include "placed/read.h"

static void tell(FILE *out, const struct error *e)
{
        (void)fprintf(out, "%s\n  %s\n", e->message, e->remedy);
}

static unsigned check_consumers(const char *path, uid_t own, FILE *out)
{
        CLEANUP(consumers_done) struct consumers consumers = {0};
        struct error e = {0};
        unsigned wrong = 0;

        if (consumers_read(path, own, &consumers, &e)) {
                tell(out, &e);
                return 1;
        }
        for (size_t i = 0; i < consumers.count; i++) {
                if (consumers.items[i].failure.code == ERR_OK)
                        continue;
                tell(out, &consumers.items[i].failure);
                wrong++;
        }
        return wrong;
}

static unsigned check_profiles(const char *path, uid_t own, FILE *out)
{
        CLEANUP(placed_files_done) struct placed_files files = {0};
        struct error e = {0};
        unsigned wrong = 0;

        if (placed_read(path, own, &files, &e)) {
                tell(out, &e);
                return 1;
        }
        for (size_t i = 0; i < files.count; i++) {
                if (files.items[i].failure.code == ERR_OK)
                        continue;
                tell(out, &files.items[i].failure);
                wrong++;
        }
        return wrong;
}

enum err config_check(const struct config *config, uid_t own, FILE *out, struct error *e)
{
        const unsigned wrong =
                check_profiles(config->profiles, own, out) + check_consumers(config->consumers, own, out);

        return wrong ? error_set(e, ERR_CONFIG, "%u of the files cannot be used", wrong) : ERR_OK;
}
