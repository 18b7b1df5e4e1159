/* Shared by the files of service/store alone. */
#pragma once

#include "store.h"

enum { STORE_PATH_MAX = 160 };

struct store {
        int fd;
};

/* "certificates/<id>/<name>"; ERR_NOT_FOUND: @id is none. */
MUST_CHECK enum err store_path(char ret[STORE_PATH_MAX], enum store_kind kind, const char *id,
                               const char *name, struct error *e);
MUST_CHECK enum err store_ensure(struct store *store, enum store_kind kind, const char *id, struct error *e);
/* "anchors/device", "syncml/1000" */
void owner_directory(const char *kind, uint64_t owner, char ret[64]);
