/*
 * Documents of strangers: SyncML messages of a management service, and native INI profiles. This is the only
 * code that parses them; it runs in the parse worker, which has no network and no state. Nothing is fetched,
 * nothing outside the octets is looked at.
 */
#pragma once

#include "policy/command.h"

enum { DOCUMENT_MAX = 1024 * 1024, DOCUMENT_DEPTH_MAX = 32, DOCUMENT_LINE_MAX = 8192 };

/*
 * The commands of @doc. DOCUMENT_AUTO: '<' begins SyncML, anything else is INI. An INI file is one Add of a
 * profile. Its settings were checked here, with the lines they stand on; the receiver checks them again.
 * ERR_TOO_LARGE over the bounds (1 MiB, 256 commands, 32 levels of elements, 8 KiB a line of INI);
 * ERR_DOCUMENT for SyncML that is malformed, redacted or incomplete, with line or element path; ERR_PROFILE
 * for settings that do not fit; ERR_UNSUPPORTED for what a later version brings. Not thread-safe: inih's
 * settings are global to the process.
 */
MUST_CHECK enum err document_read(enum document_format format, struct view doc, struct commands *ret,
                                  struct error *e);
