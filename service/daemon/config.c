#include "config.h"

#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

enum { CONFIG_MAX = 64 * 1024, LINE_MAX_OCTETS = 4096 };

static const struct {
        const char *key;
        size_t offset;
        const char *value; /* compiled default; NULL: derived */
} keys[] = {
        {"StateDirectory", offsetof(struct config, state), "/var/lib/scepter"},
        {"RuntimeDirectory", offsetof(struct config, runtime), "/run/scepter"},
        {"KeysSocket", offsetof(struct config, keys_socket), NULL},
        {"HostKey", offsetof(struct config, host_key), "/etc/scepter/host.key"},
        {"Tcti", offsetof(struct config, tcti), "device:/dev/tpmrm0"},
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
        const char *left; /* of the text */
        int line;
        struct error *e;
        enum err result;
};

/* fgets(3) for inih, which does not tell its handler the line. */
static char *next_line(char *buffer, int size, void *stream)
{
        struct reading *reading = stream;
        size_t len = strcspn(reading->left, "\n");

        len += reading->left[len] == '\n';
        if (len == 0 || reading->result)
                return NULL;
        reading->line++;
        if (len >= (size_t)size) {
                reading->result = error_set(reading->e, ERR_CONFIG, "%s, line %d is longer than %d octets",
                                            reading->path, reading->line, LINE_MAX_OCTETS);
                return NULL;
        }
        memcpy(buffer, reading->left, len);
        buffer[len] = 0;
        reading->left += len;
        return buffer;
}

static enum err take_key(struct reading *reading, const char *key, const char *value)
{
        if (strcmp(key, "DefaultKeyProtection") == 0) {
                if (!key_protection_from_name(value, &reading->config->protection) ||
                    reading->config->protection == KEY_PROTECTION_DEFAULT ||
                    reading->config->protection == KEY_PROTECTION_USER_VERIFIED)
                        return error_set(reading->e, ERR_CONFIG,
                                         "%s, line %d: DefaultKeyProtection is tpm, tpm-preferred or "
                                         "software, not '%s'",
                                         reading->path, reading->line, value);
                return ERR_OK;
        }
        for (size_t i = 0; i < N_ELEMENTS(keys); i++)
                if (strcmp(key, keys[i].key) == 0)
                        return set_text((char **)((char *)reading->config + keys[i].offset), value,
                                        reading->e);
        return error_set(reading->e, ERR_CONFIG, "%s, line %d: unknown key '%s'", reading->path,
                         reading->line, key);
}

static int handle(void *ctx, const char *section, const char *key, const char *value)
{
        struct reading *reading = ctx;

        if (strcmp(section, "Service") != 0)
                reading->result = error_set(reading->e, ERR_CONFIG, "%s, line %d: unknown section [%s]",
                                            reading->path, reading->line, section);
        else
                reading->result = take_key(reading, key, value);
        return reading->result == ERR_OK;
}

static enum err read_file(const char *path, struct config *config, struct error *e)
{
        CLEANUP(bytes_done) struct bytes text = {0};
        struct reading reading = {.config = config, .path = path, .e = e};
        enum err r = file_read(AT_FDCWD, path, CONFIG_MAX, &text, e);
        int line;

        if (r)
                return r;
        /* Debian's inih exports its compile-time choices; unchanged, it cuts lines at 200 octets and takes "
         * ;" for a comment. Nothing else in this process uses it. */
        ini_max_line = LINE_MAX_OCTETS;
        ini_allow_inline_comments = false;
        ini_allow_multiline = false;
        ini_stop_on_first_error = true;
        reading.left = (const char *)text.data;
        line = ini_parse_stream(next_line, &reading, handle, &reading);
        if (reading.result)
                return reading.result;
        if (line)
                return error_set(e, ERR_CONFIG, "%s, line %d is not 'Key=value'", path, line);
        return ERR_OK;
}

enum err config_read(const char *path, struct config *ret, struct error *e)
{
        CLEANUP(config_done) struct config config = {.protection = KEY_PROTECTION_TPM_PREFERRED};
        enum err r = ERR_OK;

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
