/*
 * Who reads events as they happen: pipes into which the daemon writes lines, one for each reader, who sees
 * what his uid may see. Nobody waits for a reader: what does not fit into his pipe is not written, and when
 * there is room again he is told how many lines are missing. Memory per reader: the rest of one line, and
 * until he has joined the lines that came meanwhile. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "store/store.h"

enum {
        FOLLOWERS_MAX = 64,
        FOLLOWERS_USERS_MAX = 48,   /* of them for users; the rest is kept for root */
        FOLLOWERS_USER_MAX = 4,     /* of one user */
        FOLLOWERS_EARLY_MAX = 1000, /* lines kept for one who has not joined; what is more is missing */
};

struct followers;
struct follower;
struct sd_event;

struct follower_viewer {
        uid_t uid;
        bool root;               /* sees everything */
        const char *certificate; /* id: of this one alone; NULL: of all */
};

MUST_CHECK enum err followers_new(struct sd_event *event, struct followers **ret, struct error *e);
void followers_free(struct followers *followers); /* takes NULL; the readers see the end */

/*
 * *ret_fd: the reader's end, the caller's. ERR_LIMIT. A reader who closes his end is forgotten. Lines are
 * kept until followers_join(); *ret is valid as long as the reader's end is open.
 */
MUST_CHECK enum err followers_add(struct followers *followers, const struct follower_viewer *viewer,
                                  int *ret_fd, struct follower **ret, struct error *e);
/* How far the reader knows the lines of a certificate from its file. */
struct follower_mark {
        store_id certificate;
        uint64_t serial; /* of the last line that stood in it */
};
/* From here on he is written to, beginning with the lines that were kept and are beyond the marks. @marks:
 * sorted by certificate; of one without a mark he knows no line. */
void followers_join(struct follower *follower, const struct follower_mark *marks, size_t n);
unsigned followers_count(const struct followers *followers);
/* One line with its newline about a certificate of @owner (NO_OWNER: the device). @serial: grows. */
void followers_tell(struct followers *followers, const char *certificate, uid_t owner, uint64_t serial,
                    struct view line);
