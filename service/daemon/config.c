#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "daemon/ini.h"

enum { CONFIG_MAX = 64 * 1024 };

static const struct {
        const char *key;
        size_t offset;
        const char *value; /* compiled default; NULL: derived */
} keys[] = {
        {"StateDirectory", offsetof(struct config, state), "/var/lib/scepter"},
        {"RuntimeDirectory", offsetof(struct config, runtime), "/run/scepter"},
        {"KeysSocket", offsetof(struct config, keys_socket), NULL},
        {"HostKey", offsetof(struct config, host_key), "/etc/scepter/host.key"},
        {"Tcti", offsetof(struct config, tcti), "auto"},
        {"Facts", offsetof(struct config, facts), "/etc/scepter/facts"},
        {"ProfilesDirectory", offsetof(struct config, profiles), "/etc/scepter/profiles.d"},
        {"ConsumersDirectory", offsetof(struct config, consumers), "/etc/scepter/consumers.d"},
        {"AppliedDirectory", offsetof(struct config, applied), "/var/lib/scepter-apply"},
};

void config_done(struct config *config)
{
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                free(*(char **)((char *)config + keys[i].offset));
        *config = (struct config){0};
}

static enum err set_text(char **text, const char *value, struct error *e)
{
        char *copy = strdup(value);

        if (!copy)
                return error_no_memory(e);
        free(*text);
        *text = copy;
        return ERR_OK;
}

struct reading {
        struct config *config;
        const char *path;
};

static enum err take_key(const struct reading *reading, const struct ini_line *line, struct error *e)
{
        const char *key = line->key, *value = line->value;

        if (strcmp(key, "DefaultKeyProtection") == 0) {
                if (!key_protection_from_name(value, &reading->config->protection) ||
                    reading->config->protection == KEY_PROTECTION_DEFAULT ||
                    reading->config->protection == KEY_PROTECTION_USER_VERIFIED)
                        return error_set(e, ERR_CONFIG,
                                         "%s, line %d: DefaultKeyProtection is tpm, tpm-preferred or "
                                         "software, not '%s'",
                                         reading->path, line->number, value);
                return ERR_OK;
        }
        if (strcmp(key, "Polkit") == 0) {
                reading->config->polkit = strcmp(value, "yes") == 0;
                if (reading->config->polkit || strcmp(value, "no") == 0)
                        return ERR_OK;
                return error_set(e, ERR_CONFIG, "%s, line %d: Polkit is yes or no, not '%s'", reading->path,
                                 line->number, value);
        }
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                if (strcmp(key, keys[i].key) == 0)
                        return set_text((char **)((char *)reading->config + keys[i].offset), value, e);
        return error_set(e, ERR_CONFIG, "%s, line %d: unknown key '%s'", reading->path, line->number, key);
}

static enum err take(void *ctx, const struct ini_line *line, struct error *e)
{
        const struct reading *reading = ctx;

        if (strcmp(line->section, "Service") != 0)
                return error_set(e, ERR_CONFIG, "%s, line %d: unknown section [%s]", reading->path,
                                 line->number, line->section);
        return take_key(reading, line, e);
}

static enum err read_file(const char *path, struct config *config, struct error *e)
{
        CLEANUP(bytes_done) struct bytes text = {0};
        struct reading reading = {config, path};
        enum err r = file_read(AT_FDCWD, path, CONFIG_MAX, &text, e);

        if (r == ERR_NOT_FOUND)
                return error_set(e, ERR_CONFIG, "There is no configuration file %s", path);
        return r ? r : ini_read(path, bytes_view(&text), take, &reading, e);
}

enum err config_read(const char *path, struct config *ret, struct error *e)
{
        CLEANUP(config_done)
        struct config config = {.protection = KEY_PROTECTION_TPM_PREFERRED, .polkit = true};
        enum err r = ERR_OK;

        ini_prepare();
        for (size_t i = 0; !r && i < N_ELEMENTS(keys); i++)
                if (keys[i].value)
                        r = set_text((char **)((char *)&config + keys[i].offset), keys[i].value, e);
        if (!r && path)
                r = read_file(path, &config, e);
        if (!r && !config.keys_socket && asprintf(&config.keys_socket, "%s/keys.sock", config.runtime) < 0) {
                config.keys_socket = NULL;
                r = error_no_memory(e);
        }
        if (r)
                return r;
        *ret = config;
        config = (struct config){0};
        return ERR_OK;
}

void config_print(const struct config *config, FILE *out)
{
        (void)fputs("[Service]\n", out);
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                (void)fprintf(out, "%s=%s\n", keys[i].key,
                              *(char *const *)((const char *)config + keys[i].offset));
        (void)fprintf(out, "DefaultKeyProtection=%s\nPolkit=%s\n", key_protection_name(config->protection),
                      config->polkit ? "yes" : "no");
}
