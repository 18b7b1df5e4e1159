#include "policy/consumer.h"

#include <stdint.h>
#include <string.h>

#include "base/parse.h"

enum { TIMEOUT_DEFAULT = 45, TIMEOUT_MIN = 5, TIMEOUT_MAX = 300, MODE_DEFAULT = 0644 };

static enum err set_text(char **text, const char *key, const char *value, struct error *e)
{
        if (*text)
                return error_set(e, ERR_CONFIG, "%s was set before and takes one value", key);
        if (!*value)
                return error_set(e, ERR_CONFIG, "%s has no value", key);
        *text = strdup(value);
        return *text ? ERR_OK : error_no_memory(e);
}

static enum err set_bool(bool *ret, const char *key, const char *value, struct error *e)
{
        if (!parse_bool(value, ret))
                return error_set(e, ERR_CONFIG, "%s is yes or no, not '%.64s'", key, value);
        return ERR_OK;
}

/* Where a file goes: a path that means one place, however it is read. */
static enum err check_path(const char *key, const char *value, struct error *e)
{
        const size_t len = strlen(value);

        if (*value != '/' || len >= CONSUMER_PATH_MAX || value[len - 1] == '/' || strstr(value, "//") ||
            strstr(value, "/./") || strstr(value, "/../") || strcmp(value + len - 2, "/.") == 0 ||
            (len > 2 && strcmp(value + len - 3, "/..") == 0))
                return error_set(e, ERR_CONFIG, "%s takes the absolute path of a file, not '%.128s'", key,
                                 value);
        return ERR_OK;
}

/* What systemd takes as a unit's name (systemd.unit(5)), of a type that can be started. */
static bool is_unit(const char *name)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\@-";
        static const char *const types[] = {".service", ".socket", ".target", ".path", ".timer"};
        const char *dot = strrchr(name, '.');

        if (!dot || dot == name || strlen(name) > 255 || name[strspn(name, letters)])
                return false;
        for (size_t i = 0; i < N_ELEMENTS(types); i++)
                if (strcmp(dot, types[i]) == 0)
                        return true;
        return false;
}

static enum err add_units(struct strings *units, const char *key, const char *value, struct error *e)
{
        enum err r = strings_add_words(units, value, e);

        if (r)
                return r;
        for (size_t i = 0; i < units->count; i++)
                if (!is_unit(units->items[i]))
                        return error_set(e, ERR_CONFIG, "%s: '%.128s' is no name of a unit (nginx.service)",
                                         key, units->items[i]);
        if (units->count == 0 || units->count > CONSUMER_UNITS_MAX)
                return error_set(e, ERR_CONFIG, "%s takes 1 to %d units", key, CONSUMER_UNITS_MAX);
        return ERR_OK;
}

/* Nothing that is set-uid or executable, and nothing that others can write. */
static enum err set_mode(struct consumer *c, const char *value, struct error *e)
{
        uint32_t mode = 0;
        size_t n = 0;

        while (value[n] >= '0' && value[n] <= '7' && n < 5)
                mode = mode * 8 + (uint32_t)(value[n++] - '0');
        if (value[n] || n < 3 || n > 4 || (mode & ~UINT32_C(0664)) || !(mode & 0400))
                return error_set(e, ERR_CONFIG,
                                 "Mode is octal and gives reading, and writing to owner or group alone "
                                 "(0640), not '%.16s'",
                                 value);
        c->mode = mode;
        return ERR_OK;
}

static enum err set_timeout(struct consumer *c, const char *value, struct error *e)
{
        if (!parse_u64(value, TIMEOUT_MAX, &c->connection_timeout) || c->connection_timeout < TIMEOUT_MIN)
                return error_set(e, ERR_CONFIG, "Timeout is a number of seconds from %d to %d, not '%.32s'",
                                 TIMEOUT_MIN, TIMEOUT_MAX, value);
        return ERR_OK;
}

static const char *const file_names[_CONSUMER_FILE_MAX] = {
        [CONSUMER_CERTIFICATE] = "Certificate",
        [CONSUMER_CHAIN] = "Chain",
        [CONSUMER_FULL_CHAIN] = "FullChain",
        [CONSUMER_ANCHOR] = "Anchor",
        [CONSUMER_KEY] = "Key",
        [CONSUMER_KEY_URI] = "KeyUri",
};

static const char *const verb_names[_UNIT_VERB_MAX] = {
        [UNIT_RELOAD] = "Reload", [UNIT_RESTART] = "Restart", [UNIT_START] = "Start"};

const char *consumer_file_name(enum consumer_file file)
{
        return file_names[file];
}

static enum err unknown(const char *section, const char *key, struct error *e)
{
        return error_set(e, ERR_CONFIG, "section [%.64s] has no key '%.64s'", section, key);
}

static enum err take_follow(struct consumer *c, const char *key, const char *value, struct error *e)
{
        if (strcmp(key, "Profile") == 0)
                return set_text(&c->profile, key, value, e);
        return unknown("Consumer", key, e);
}

static enum err take_file(struct consumer *c, const char *key, const char *value, struct error *e)
{
        if (strcmp(key, "Owner") == 0)
                return set_text(&c->owner, key, value, e);
        if (strcmp(key, "Group") == 0)
                return set_text(&c->group, key, value, e);
        if (strcmp(key, "Mode") == 0)
                return set_mode(c, value, e);
        for (int i = 0; i < _CONSUMER_FILE_MAX; i++) {
                enum err r;

                if (strcmp(key, file_names[i]) != 0)
                        continue;
                r = check_path(key, value, e);
                return r ? r : set_text(&c->path[i], key, value, e);
        }
        return unknown("Files", key, e);
}

static enum err take_units(struct consumer *c, const char *key, const char *value, struct error *e)
{
        for (int i = 0; i < _UNIT_VERB_MAX; i++)
                if (strcmp(key, verb_names[i]) == 0)
                        return add_units(&c->units[i], key, value, e);
        return unknown("Units", key, e);
}

static enum err take_trust(struct consumer *c, const char *key, const char *value, struct error *e)
{
        if (strcmp(key, "Anchor") == 0)
                return set_bool(&c->trust, key, value, e);
        return unknown("TrustStore", key, e);
}

static enum err set_private_key(struct consumer *c, const char *value, struct error *e)
{
        c->connection_pkcs11 = strcmp(value, "pkcs11") == 0;
        if (c->connection_pkcs11 || strcmp(value, "keep") == 0)
                return ERR_OK;
        return error_set(e, ERR_CONFIG, "PrivateKey= is keep or pkcs11, not '%s'", value);
}

static enum err take_network(struct consumer *c, const char *key, const char *value, struct error *e)
{
        if (strcmp(key, "Connection") == 0)
                return set_text(&c->connection, key, value, e);
        if (strcmp(key, "Update") == 0)
                return set_bool(&c->connection_update, key, value, e);
        if (strcmp(key, "PrivateKey") == 0)
                return set_private_key(c, value, e);
        if (strcmp(key, "Timeout") == 0)
                return set_timeout(c, value, e);
        return unknown("NetworkManager", key, e);
}

enum err consumer_take(struct consumer *consumer, const char *section, const char *key, const char *value,
                       struct error *e)
{
        static const struct {
                const char *name;
                enum err (*take)(struct consumer *c, const char *key, const char *value, struct error *e);
        } sections[] = {
                {"Consumer", take_follow},
                {"Files", take_file},
                {"Units", take_units},
                {"TrustStore", take_trust},
                {"NetworkManager", take_network},
        };

        if (!utf8_valid(str_view(value)))
                return error_set(e, ERR_CONFIG, "the value is no UTF-8");
        for (size_t i = 0; i < N_ELEMENTS(sections); i++)
                if (strcmp(section, sections[i].name) == 0)
                        return sections[i].take(consumer, key, value, e);
        if (!*section)
                return error_set(e, ERR_CONFIG, "'%.64s' stands before the first [section]", key);
        return error_set(e, ERR_CONFIG,
                         "there is no section [%.64s]; it is [Consumer], [Files], [Units], [TrustStore] or "
                         "[NetworkManager]",
                         section);
}

static bool writes_files(const struct consumer *c)
{
        for (int i = 0; i < _CONSUMER_FILE_MAX; i++)
                if (c->path[i])
                        return true;
        return false;
}

static enum err check_distinct(const struct consumer *c, struct error *e)
{
        for (int i = 0; i < _CONSUMER_FILE_MAX; i++)
                for (int j = i + 1; j < _CONSUMER_FILE_MAX; j++)
                        if (c->path[i] && c->path[j] && strcmp(c->path[i], c->path[j]) == 0)
                                return error_set(e, ERR_CONFIG, "%s and %s name the same file", file_names[i],
                                                 file_names[j]);
        return ERR_OK;
}

enum err consumer_check(const struct consumer *c, struct error *e)
{
        const bool files = writes_files(c);
        bool units = false;

        for (int i = 0; i < _UNIT_VERB_MAX; i++)
                units = units || c->units[i].count;
        if (!c->profile)
                return error_set(e, ERR_CONFIG, "[Consumer] has no Profile=");
        if (!files && !units && !c->trust && !c->connection)
                return error_set(e, ERR_CONFIG,
                                 "nothing is to be done: it has neither files nor units, "
                                 "trust store or connection");
        if (!files && (c->owner || c->group))
                return error_set(e, ERR_CONFIG, "[Files] names no file");
        if (!c->connection && c->connection_update)
                return error_set(e, ERR_CONFIG, "[NetworkManager] has no Connection=");
        if (c->connection_update && !c->path[CONSUMER_CERTIFICATE] && !c->path[CONSUMER_FULL_CHAIN] &&
            !c->path[CONSUMER_ANCHOR] && !c->path[CONSUMER_KEY])
                return error_set(e, ERR_CONFIG,
                                 "Update=yes, but [Files] names nothing a connection could use");
        if (c->connection_pkcs11 && !c->connection_update)
                return error_set(e, ERR_CONFIG,
                                 "PrivateKey=pkcs11 needs Update=yes: each renewal has another key");
        if (c->connection_pkcs11 && c->path[CONSUMER_KEY])
                return error_set(e, ERR_CONFIG,
                                 "A connection has one private key: Key= or PrivateKey=pkcs11");
        return check_distinct(c, e);
}

enum err consumer_init(struct consumer *ret, const char *name, struct error *e)
{
        *ret = (struct consumer){
                .name = strdup(name), .mode = MODE_DEFAULT, .connection_timeout = TIMEOUT_DEFAULT};
        return ret->name ? ERR_OK : error_no_memory(e);
}

void consumer_done(struct consumer *c)
{
        free(c->name);
        free(c->profile);
        for (int i = 0; i < _CONSUMER_FILE_MAX; i++)
                free(c->path[i]);
        free(c->owner);
        free(c->group);
        for (int i = 0; i < _UNIT_VERB_MAX; i++)
                strings_done(&c->units[i]);
        free(c->connection);
        *c = (struct consumer){0};
}

bool consumer_follows(const struct consumer *c, const char *name)
{
        return c->profile ? strcmp(c->profile, name) == 0 : c->failure.code != ERR_OK;
}
