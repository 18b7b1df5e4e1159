#include "apply/outcome.h"

#include <fcntl.h>
#include <string.h>

#include "base/parse.h"
#include "store/json-text.h"

static void decref_p(json_t **json)
{
        json_decref(*json);
}

static void path_of(const char *directory, const char *id, char ret[PATH_MAX])
{
        (void)snprintf(ret, PATH_MAX, "%s/%s.json", directory, id);
}

static enum err copy(char **ret, const char *text, struct error *e)
{
        free(*ret);
        *ret = strdup(text);
        return *ret ? ERR_OK : error_no_memory(e);
}

static enum err read_item(const json_t *item, struct outcome *outcome, struct error *e)
{
        const char *consumer, *stamp, *error, *message, *remedy;
        struct applied *to;
        json_int_t at;
        json_t *files, *file;
        int trust;
        size_t i;
        enum err r;

        if (json_unpack((json_t *)(uintptr_t)item, "{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:o}", "consumer",
                        &consumer, "stamp", &stamp, "error", &error, "message", &message, "remedy", &remedy,
                        "at", &at, "trust", &trust, "files", &files) < 0)
                return error_set(e, ERR_CONFIG, "A line of it lacks something");
        to = outcome_add(outcome, consumer);
        if (!to)
                return error_no_memory(e);
        to->trust = trust;
        to->at = (uint64_t)at;
        r = copy(&to->stamp, stamp, e);
        if (!r)
                r = copy(&to->error, error, e);
        if (!r)
                r = copy(&to->message, message, e);
        if (!r)
                r = copy(&to->remedy, remedy, e);
        json_array_foreach(files, i, file)
        {
                if (!r)
                        r = json_is_string(file) ? strings_add(&to->files, json_string_value(file), e)
                                                 : error_set(e, ERR_CONFIG, "A file of it is no text");
        }
        return r;
}

static enum err parse(struct view text, struct outcome *ret, struct error *e)
{
        CLEANUP(outcome_done) struct outcome outcome = {0};
        CLEANUP(decref_p) json_t *root = NULL;
        const char *name;
        json_int_t generation, version;
        json_t *items, *item;
        size_t i;
        enum err r = json_text_read(text, &root, e);

        if (r)
                return r;
        if (json_unpack(root, "{s:I, s:s, s:I, s:o}", "version", &version, "name", &name, "generation",
                        &generation, "consumers", &items) < 0)
                return error_set(e, ERR_CONFIG, "It is not what scepter-apply writes");
        if (version != OUTCOME_VERSION)
                return error_set(e, ERR_CONFIG, "Its version %lld is not one this version reads",
                                 (long long)version);
        if (json_array_size(items) > 1024)
                return error_set(e, ERR_CONFIG, "It holds too many consumers");
        outcome.generation = (uint64_t)generation;
        r = copy(&outcome.name, name, e);
        json_array_foreach(items, i, item)
        {
                if (!r)
                        r = read_item(item, &outcome, e);
        }
        if (r)
                return r;
        *ret = outcome;
        outcome = (struct outcome){0};
        return ERR_OK;
}

enum err outcome_read(const char *directory, const char *id, struct outcome *ret, struct error *e)
{
        CLEANUP(bytes_done) struct bytes text = {0};
        char path[PATH_MAX];
        enum err r;

        path_of(directory, id, path);
        r = file_read(AT_FDCWD, path, OUTCOME_MAX, &text, e);
        if (r)
                return r;
        r = parse(bytes_view(&text), ret, e);
        return r ? error_context(e, r, "%s", path) : ERR_OK;
}

static json_t *item_json(const struct applied *from)
{
        json_t *files = json_array();

        for (size_t i = 0; files && i < from->files.count; i++)
                if (json_array_append_new(files, json_string(from->files.items[i])) < 0) {
                        json_decref(files);
                        return NULL;
                }
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:o}", "consumer", from->consumer, "stamp",
                         from->stamp, "error", from->error, "message", from->message, "remedy", from->remedy,
                         "at", (json_int_t)from->at, "trust", from->trust, "files", files);
}

enum err outcome_write(const char *directory, const char *id, const struct outcome *outcome, struct error *e)
{
        CLEANUP(decref_p) json_t *root = NULL;
        CLEANUP(free_p) char *text = NULL;
        CLEANUP(free_p) char *line = NULL;
        json_t *items = json_array();
        char path[PATH_MAX];

        for (size_t i = 0; items && i < outcome->count; i++)
                if (json_array_append_new(items, item_json(&outcome->items[i])) < 0) {
                        json_decref(items);
                        return error_no_memory(e);
                }
        root = json_pack("{s:i, s:s, s:I, s:o}", "version", OUTCOME_VERSION, "name", outcome->name,
                         "generation", (json_int_t)outcome->generation, "consumers", items);
        text = root ? json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
        if (!text || asprintf(&line, "%s\n", text) < 0) {
                line = NULL;
                return error_no_memory(e);
        }
        path_of(directory, id, path);
        return file_write(AT_FDCWD, path, 0644, str_view(line), e);
}

enum err outcome_remove(const char *directory, const char *id, struct error *e)
{
        char path[PATH_MAX];

        path_of(directory, id, path);
        return file_remove(AT_FDCWD, path, e);
}

size_t outcome_list(const char *directory, char (*ret)[33], size_t max)
{
        CLEANUP(closedir_p) DIR *dir = opendir(directory);
        const struct dirent *entry;
        size_t n = 0;

        while (dir && n < max && (entry = readdir(dir))) {
                (void)snprintf(ret[n], sizeof ret[n], "%.32s", entry->d_name);
                if (is_lower_hex(ret[n], 32) && strcmp(entry->d_name + 32, ".json") == 0)
                        n++;
        }
        return n;
}

bool outcome_exists(const char *directory, const char *id)
{
        char path[PATH_MAX];

        path_of(directory, id, path);
        return access(path, F_OK) == 0;
}

static void applied_done(struct applied *applied)
{
        free(applied->consumer);
        free(applied->stamp);
        strings_done(&applied->files);
        free(applied->error);
        free(applied->message);
        free(applied->remedy);
}

void outcome_done(struct outcome *outcome)
{
        for (size_t i = 0; i < outcome->count; i++)
                applied_done(&outcome->items[i]);
        free(outcome->items);
        free(outcome->name);
        *outcome = (struct outcome){0};
}

struct applied *outcome_add(struct outcome *outcome, const char *consumer)
{
        struct applied *larger = realloc(outcome->items, (outcome->count + 1) * sizeof *larger);
        struct applied *applied;

        if (!larger)
                return NULL;
        outcome->items = larger;
        applied = &larger[outcome->count];
        *applied = (struct applied){.consumer = strdup(consumer),
                                    .stamp = strdup(""),
                                    .error = strdup(""),
                                    .message = strdup(""),
                                    .remedy = strdup("")};
        if (!applied->consumer || !applied->stamp || !applied->error || !applied->message ||
            !applied->remedy) {
                applied_done(applied);
                return NULL;
        }
        outcome->count++;
        return applied;
}

const struct applied *outcome_find(const struct outcome *outcome, const char *consumer)
{
        for (size_t i = 0; i < outcome->count; i++)
                if (strcmp(outcome->items[i].consumer, consumer) == 0)
                        return &outcome->items[i];
        return NULL;
}

const struct applied *outcome_failed(const struct outcome *outcome)
{
        for (size_t i = 0; i < outcome->count; i++)
                if (*outcome->items[i].error)
                        return &outcome->items[i];
        return NULL;
}
