/*
 * The a{sv} at the end of every method, against a table of what the method knows. An unknown key is refused
 * by its name (ERR_UNKNOWN_OPTION); a key given twice, or with a value of another type, is ERR_INVALID.
 *
 *      const char *user = NULL;
 *      CLEANUP(close_p) int challenge = -1;
 *      const struct bus_option options[] = {
 *              BUS_OPTION_AS_STRING(BUS_OPTION_USER, user),
 *              BUS_OPTION_AS_FD(BUS_OPTION_CHALLENGE, challenge),
 *      };
 *      r = bus_options_read(reader, options, N_ELEMENTS(options), e);
 */
#pragma once

#include "bus/read.h"

/* a{sh}: texts borrowed from the message, descriptors owned. Start from BUS_FILES_NONE. */
struct bus_files {
        size_t n;
        struct {
                const char *value;
                int fd;
        } file[BUS_FILES_MAX];
};

#define BUS_FILES_NONE ((struct bus_files){.n = 0})
/* The descriptor under @value, still owned by @files; -1: there is none. */
int bus_files_find(const struct bus_files *files, const char *value);
void bus_files_done(struct bus_files *files);

enum bus_option_kind {
        BUS_KIND_STRING, /* s: const char *, borrowed from the message */
        BUS_KIND_PATH,   /* o: const char *, borrowed from the message */
        BUS_KIND_BOOL,   /* b: bool */
        BUS_KIND_U32,    /* u: uint32_t */
        BUS_KIND_U64,    /* t: uint64_t */
        BUS_KIND_FD,     /* h: int, the caller's; must start as -1 */
        BUS_KIND_FILES,  /* a{sh}: struct bus_files */
        _BUS_KIND_MAX
};

struct bus_option {
        const char *key;
        enum bus_option_kind kind;
        void *value; /* left as it is where the key is absent */
};

#define BUS_OPTION_AS_(key, kind, type, variable)                                                            \
        {                                                                                                    \
                (key), (kind), (1 ? &(variable) : (type *)NULL)                                              \
        }
#define BUS_OPTION_AS_STRING(key, variable) BUS_OPTION_AS_(key, BUS_KIND_STRING, const char *, variable)
#define BUS_OPTION_AS_PATH(key, variable)   BUS_OPTION_AS_(key, BUS_KIND_PATH, const char *, variable)
#define BUS_OPTION_AS_BOOL(key, variable)   BUS_OPTION_AS_(key, BUS_KIND_BOOL, bool, variable)
#define BUS_OPTION_AS_U32(key, variable)    BUS_OPTION_AS_(key, BUS_KIND_U32, uint32_t, variable)
#define BUS_OPTION_AS_U64(key, variable)    BUS_OPTION_AS_(key, BUS_KIND_U64, uint64_t, variable)
#define BUS_OPTION_AS_FD(key, variable)     BUS_OPTION_AS_(key, BUS_KIND_FD, int, variable)
#define BUS_OPTION_AS_FILES(key, variable)  BUS_OPTION_AS_(key, BUS_KIND_FILES, struct bus_files, variable)

/*
 * Reads the dictionary that stands next. After a failure the caller still owns what was read: descriptors
 * that were already taken are closed by the owners' own clean-up. A method without options passes NULL and 0.
 * At most 32.
 */
MUST_CHECK enum err bus_options_read(struct bus_reader *r, const struct bus_option *options, size_t n,
                                     struct error *e);
