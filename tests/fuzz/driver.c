/*
 * Drives a fuzz target without libFuzzer: every file of the corpus as it is, then mutations of them. The
 * generator is fixed, so a failure comes back; the last input stands in the file that FUZZ_LAST names.
 *
 * usage: fuzz-TARGET [--mutations N] [--seconds N] FILE|FOLDER...
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fuzz.h"

enum { SEEDS_MAX = 256, SEED_SIZE_MAX = 1 << 20, ROOM = 512 };

struct seed {
        uint8_t *data;
        size_t len;
};

struct seeds {
        struct seed items[SEEDS_MAX];
        size_t count;
};

static void add_file(struct seeds *seeds, const char *path)
{
        FILE *f = fopen(path, "re");
        uint8_t *data = malloc(SEED_SIZE_MAX);
        size_t len;

        if (!f || !data || seeds->count == SEEDS_MAX) {
                (void)fprintf(stderr, "%s cannot be a seed\n", path);
                exit(2);
        }
        len = fread(data, 1, SEED_SIZE_MAX, f);
        (void)fclose(f);
        seeds->items[seeds->count++] = (struct seed){data, len};
}

static int visible(const struct dirent *entry)
{
        return entry->d_name[0] != '.';
}

static void add(struct seeds *seeds, const char *path)
{
        struct dirent **entries = NULL;
        struct stat st;
        int n;

        if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
                add_file(seeds, path);
                return;
        }
        n = scandir(path, &entries, visible, alphasort);
        for (int i = 0; i < n; i++) {
                char *file = NULL;

                if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
                        abort();
                add_file(seeds, file);
                free(file);
                free(entries[i]);
        }
        free(entries);
}

static uint32_t next(uint64_t *state) /* xorshift64* */
{
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return (uint32_t)((*state * UINT64_C(2685821657736338717)) >> 32);
}

static const char *const tokens[] = {
        "<",
        ">",
        "&",
        "&amp;",
        "&lt;",
        "\"",
        "\"\"",
        "=",
        "\n",
        "\n[",
        "]]>",
        "<!--",
        "<![CDATA[",
        "<!DOCTYPE a [",
        "&#0;",
        "&#x10FFFF;",
        "\xff",
        "\xc3\xbc",
        "{{",
        "}}",
        "{{DeviceName}}",
        "+",
        ",",
        ";",
        "|",
        "#",
        "#0401",
        "%2F",
        "%00",
        "<?x",
        "/>",
        "xmlns=\"\"",
        "99999999999999999999",
        "-1",
        "4294967296",
        "OID.",
        "2.5.4.3=",
        "CN=",
        "dns:",
        "dirname:",
        "other:1.2:",
        "guid:{",
        "::",
        "\\",
};

/* One to four changes: an octet, a piece cut out, a piece doubled, a token put in. *buffer has ROOM behind.
 */
static size_t mutate(uint64_t *state, uint8_t *buffer, size_t len)
{
        unsigned changes = 1 + next(state) % 4;

        for (unsigned i = 0; i < changes; i++) {
                size_t at = next(state) % (len + 1), n = 1 + next(state) % 32;
                const char *token = tokens[next(state) % N_ELEMENTS(tokens)];

                if (n > len - at)
                        n = len - at;
                switch (next(state) % 4) {
                case 0:
                        if (at < len)
                                buffer[at] = (uint8_t)next(state);
                        break;
                case 1:
                        memmove(buffer + at, buffer + at + n, len - at - n);
                        len -= n;
                        break;
                case 2:
                        memmove(buffer + at + n, buffer + at, len - at);
                        len += n;
                        break;
                default:
                        n = strlen(token);
                        memmove(buffer + at + n, buffer + at, len - at);
                        memcpy(buffer + at, token, n);
                        len += n;
                }
        }
        return len;
}

static void keep(const uint8_t *data, size_t len)
{
        const char *path = getenv("FUZZ_LAST");
        FILE *f = path ? fopen(path, "we") : NULL;

        if (!f)
                return;
        (void)fwrite(data, 1, len, f);
        (void)fclose(f);
}

/* In memory of exactly its size, so that reading one octet too many shows. */
static void run(const uint8_t *data, size_t len)
{
        uint8_t *copy = malloc(len ? len : 1);

        if (!copy)
                abort();
        memcpy(copy, data, len);
        keep(data, len);
        (void)LLVMFuzzerTestOneInput(copy, len);
        free(copy);
}

static double now(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
        static struct seeds seeds;
        unsigned long mutations = 0, done = 0;
        double end = now() + 1e9;
        uint64_t state = 0x5ce97e5;

        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--mutations") == 0 && i + 1 < argc)
                        mutations = strtoul(argv[++i], NULL, 10);
                else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
                        end = now() + strtod(argv[++i], NULL);
                else
                        add(&seeds, argv[i]);
        }
        if (seeds.count == 0) {
                (void)fprintf(stderr, "usage: %s [--mutations N] [--seconds N] FILE|FOLDER...\n", argv[0]);
                return 2;
        }
        for (size_t i = 0; i < seeds.count; i++)
                run(seeds.items[i].data, seeds.items[i].len);
        for (; done < mutations && now() < end; done++) {
                const struct seed *seed = &seeds.items[done % seeds.count];
                uint8_t *buffer = malloc(seed->len + ROOM);

                if (!buffer)
                        abort();
                memcpy(buffer, seed->data, seed->len);
                run(buffer, mutate(&state, buffer, seed->len));
                free(buffer);
        }
        (void)printf("%zu seeds, %lu mutations\n", seeds.count, done);
        for (size_t i = 0; i < seeds.count; i++)
                free(seeds.items[i].data);
        return 0;
}
