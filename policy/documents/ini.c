/* The native profile: inih splits lines and sections, the table of policy/profile.c knows the rest. */
#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "documents/readers.h"
#include "policy/profile.h"

struct reading {
        struct view left;
        unsigned line; /* of the line handed out last */
        struct settings settings;
        struct error *e;
        enum err failed; /* the first failure; *e holds it */
};

/*
 * Debian's inih makes its compile-time choices variables. Its own ones would hurt a profile: lines are cut at
 * 200 octets, " ;" begins a comment (and ends a subject whose RDNs are separated so), and an indented line
 * continues the one before it.
 */
static void configure_inih(void)
{
        ini_max_line = DOCUMENT_LINE_MAX + 3; /* \r, \n and NUL */
        ini_use_stack = true;
        ini_allow_multiline = false;
        ini_allow_inline_comments = false;
        ini_allow_no_value = false;
        ini_allow_bom = true;
        ini_stop_on_first_error = true;
}

/* fgets(3) for inih. A line that would not fit whole ends the reading with an error, where inih would cut it.
 */
static char *next_line(char *buffer, int size, void *stream)
{
        struct reading *r = stream;
        const uint8_t *end = r->left.len ? memchr(r->left.data, '\n', r->left.len) : NULL;
        size_t len = end ? (size_t)(end - r->left.data) + 1 : r->left.len;

        if (len == 0 || r->failed)
                return NULL;
        r->line++;
        if (len > (size_t)size - 1 || len > DOCUMENT_LINE_MAX) {
                r->failed = error_set(r->e, ERR_TOO_LARGE, "Line %u is longer than %d octets", r->line,
                                      DOCUMENT_LINE_MAX);
                return NULL;
        }
        memcpy(buffer, r->left.data, len);
        buffer[len] = 0;
        r->left = (struct view){r->left.data + len, r->left.len - len};
        return buffer;
}

static bool section_known(const char *section)
{
        static const char *const sections[] = {"Profile", "Server", "Key", "Subject", "Renewal"};

        for (size_t i = 0; i < N_ELEMENTS(sections); i++)
                if (strcmp(sections[i], section) == 0)
                        return true;
        return false;
}

/* Settings that people look for and that are somebody else's work: "has no setting" would be true, and no
 * help. Without regard to case and section. */
static const struct {
        const char *name, *why, *remedy;
} elsewhere[] = {
        {"TrustStore", "does not put its root into the system's trust store",
         "Take the line out; a consumer (consumers.d) is what hands a root to the system."},
        {"InstallRoot", "does not put its root into the system's trust store",
         "Take the line out; a consumer (consumers.d) is what hands a root to the system."},
        {"SystemTrust", "does not put its root into the system's trust store",
         "Take the line out; a consumer (consumers.d) is what hands a root to the system."},
};

static enum err unknown(const struct reading *r, const char *section, const char *name)
{
        for (size_t i = 0; i < N_ELEMENTS(elsewhere); i++)
                if (strcasecmp(elsewhere[i].name, name) == 0) {
                        (void)error_set(r->e, ERR_UNSUPPORTED, "Line %u: %s: a profile %s", r->line, name,
                                        elsewhere[i].why);
                        return error_remedy(r->e, ERR_UNSUPPORTED, "%s", elsewhere[i].remedy);
                }
        return error_set(r->e, ERR_PROFILE, "Line %u: section [%s] has no setting '%.64s'", r->line, section,
                         name);
}

static enum err take(struct reading *r, const char *section, const char *name, const char *value)
{
        char key[SETTING_KEY_MAX + 1];
        bool repeatable = false;
        enum err failed;

        if (!*section)
                return error_set(r->e, ERR_PROFILE, "Line %u: '%.64s' stands before the first [section]",
                                 r->line, name);
        if (!section_known(section))
                return error_set(r->e, ERR_PROFILE,
                                 "Line %u: there is no section [%.64s]; it must be [Profile], [Server], "
                                 "[Key], [Subject] or [Renewal]",
                                 r->line, section);
        if ((size_t)snprintf(key, sizeof key, "%s.%s", section, name) >= sizeof key ||
            !profile_key_known(key, &repeatable))
                return unknown(r, section, name);
        if (!repeatable && settings_get(&r->settings, key))
                return error_set(r->e, ERR_PROFILE, "%s (line %u): it was set before and takes one value",
                                 key, r->line);
        failed = profile_check_setting(key, value, r->line, r->e);
        return failed ? failed : settings_add(&r->settings, key, value, r->line, r->e);
}

/* inih's handler: 0 stops. */
static int handle(void *user, const char *section, const char *name, const char *value)
{
        struct reading *r = user;

        if (!r->failed)
                r->failed = take(r, section, name, value);
        return r->failed == ERR_OK;
}

static void reading_done(struct reading *r)
{
        settings_done(&r->settings);
}

enum err ini_read(struct view doc, struct commands *ret, struct error *e)
{
        CLEANUP(reading_done) struct reading reading = {.left = doc, .e = e};
        CLEANUP(command_done) struct command command = {.verb = VERB_ADD, .kind = COMMAND_ENROLL};
        struct profile checked = {0};
        int line;
        enum err r;

        configure_inih();
        line = ini_parse_stream(next_line, &reading, handle, &reading);
        if (reading.failed)
                return reading.failed;
        if (line < 0)
                return error_no_memory(e);
        if (line > 0)
                return error_set(e, ERR_PROFILE, "Line %d is neither a [section] nor a 'Key=value'", line);
        r = profile_from_settings(&reading.settings, /* have_anchor= */ false, &checked, e);
        if (r)
                return r;
        command.user = checked.type == PROFILE_USER;
        profile_done(&checked);
        command.settings = reading.settings;
        reading.settings = (struct settings){0};
        command.name = strdup(command_verb_name(VERB_ADD));
        return command.name ? commands_add(ret, &command, e) : error_no_memory(e);
}
