/* What each command would change: checked and noted in drafts. */
#include <string.h>

#include "base/ossl.h"
#include "base/parse.h"
#include "policy/csp.h"
#include "policy/profile.h"
#include "transaction.h"

void refuse(struct transaction *t, size_t command, unsigned code, const char *reason)
{
        struct command_result *result = &t->results[command];

        result->code = code;
        free(result->reason);
        result->reason = reason ? strdup(reason) : NULL;
}

void refuse_error(struct transaction *t, size_t command, const struct error *e)
{
        static const struct {
                enum err code;
                enum status_code status;
        } codes[] = {
                {ERR_NOT_FOUND, STATUS_NOT_FOUND},      {ERR_UNSUPPORTED, STATUS_NOT_SUPPORTED},
                {ERR_DENIED, STATUS_PERMISSION_DENIED}, {ERR_DISK_FULL, STATUS_DEVICE_FULL},
                {ERR_TOO_LARGE, STATUS_TOO_LARGE},      {ERR_LIMIT, STATUS_DEVICE_FULL},
        };
        unsigned status = STATUS_COMMAND_FAILED;

        for (size_t i = 0; i < N_ELEMENTS(codes); i++)
                if (codes[i].code == e->code)
                        status = codes[i].status;
        refuse(t, command, status, e->message);
}

uid_t owner_at(const struct transaction *t, bool user)
{
        return user ? t->user : NO_OWNER;
}

bool place_of(struct transaction *t, size_t command, struct location *l, struct node_place *place)
{
        const struct command *c = &t->commands->items[command];
        struct error e = {0};
        enum err r;

        if (!*c->id) {
                refuse(t, command, STATUS_BAD_REQUEST, "The command has no CmdID");
                return false;
        }
        if (!*c->location) {
                refuse(t, command, STATUS_BAD_REQUEST, "The command names no node");
                return false;
        }
        r = location_split(c->location, l, &e);
        if (r == ERR_OK && l->user && t->user == NO_OWNER)
                r = error_set(&e, ERR_NOT_FOUND, "No user was named, so there is nothing below ./User");
        if (r) {
                refuse_error(t, command, &e);
                return false;
        }
        r = node_find(l, place, &e);
        if (r == ERR_NOT_FOUND) { /* most of a document is for other programs: the code says enough */
                refuse(t, command, STATUS_NOT_FOUND, NULL);
                return false;
        }
        if (r) {
                refuse_error(t, command, &e);
                return false;
        }
        if (place->kind == NODE_REFUSED)
                refuse(t, command, STATUS_NOT_SUPPORTED, place->why);
        return place->kind != NODE_REFUSED;
}

struct staging {
        struct transaction *t;
        size_t at;
        const struct command *command;
        const struct location *location;
        const struct node_place *place;
        uid_t owner;
        const struct stored_instance *seen; /* as it stands; NULL: nothing there */
        bool replace;
};

static bool no(const struct staging *s, unsigned code, const char *reason)
{
        refuse(s->t, s->at, code, reason);
        return false;
}

static bool no_error(const struct staging *s, const struct error *e)
{
        refuse_error(s->t, s->at, e);
        return false;
}

static bool yes(const struct staging *s, unsigned code)
{
        s->t->results[s->at].code = code;
        return true;
}

/* The value has the same text: said again, it is no failure that stops an Atomic. */
static bool already(const struct staging *s, bool same)
{
        refuse(s->t, s->at, STATUS_ALREADY_EXISTS,
               same ? NULL : "Another value stands there: Replace changes it");
        return same;
}

static const char *data_text(const struct command *c)
{
        return c->data.len ? (const char *)c->data.data : "";
}

static enum err set_value(struct settings *values, const char *name, const char *value, struct error *e)
{
        for (size_t i = 0; i < values->count; i++)
                if (strcmp(values->items[i].key, name) == 0)
                        return draft_text(&values->items[i].value, value, e);
        return settings_add(values, name, value, 0, e);
}

static bool stage_value(const struct staging *s)
{
        const char *text = data_text(s->command), *before;
        struct settings one = {0};
        struct error e = {0};
        struct draft *draft;
        enum err r;

        if (!s->command->has_data)
                return no(s, STATUS_INCOMPLETE, "The command carries no data");
        before = s->seen ? settings_get(&s->seen->values, s->place->name) : NULL;
        if (!before && s->replace)
                return no(s, STATUS_NOT_FOUND, "There is no such value to replace");
        if (before && !s->replace)
                return already(s, strcmp(before, text) == 0);
        r = settings_add(&one, s->place->name, text, 0, &e); /* its bounds, and one line of UTF-8 */
        settings_done(&one);
        if (!r)
                r = csp_check_value(s->place->branch, s->place->name, text, &e);
        if (!r)
                r = draft_touch(s->t, s->place, s->owner, s->at, &draft, &e);
        if (!r)
                r = set_value(&draft->next.values, s->place->name, text, &e);
        return r ? no_error(s, &e) : yes(s, STATUS_OK);
}

static bool stage_challenge(const struct staging *s)
{
        struct error e = {0};
        struct draft *draft;
        enum err r;

        if (!s->command->data.len)
                return no(s, STATUS_INCOMPLETE, "The command carries no challenge");
        if (s->command->data.len > COMMAND_CHALLENGE_MAX)
                return no(s, STATUS_TOO_LARGE, "The challenge is too long");
        for (size_t i = 0; i < s->command->data.len; i++)
                if (s->command->data.data[i] < ' ' || s->command->data.data[i] >= 0x7f)
                        return no(s, STATUS_COMMAND_FAILED, "The challenge holds other than printable ASCII");
        r = draft_touch(s->t, s->place, s->owner, s->at, &draft, &e);
        if (r)
                return no_error(s, &e);
        if (draft->has_challenge && !s->replace)
                return no(s, STATUS_ALREADY_EXISTS, "A challenge stands there: Replace changes it");
        /* Whoever delivers the next one cannot know whether the last one is gone, as it is once it was used.
         */
        if (!draft->has_challenge && s->replace && !s->seen)
                return no(s, STATUS_NOT_FOUND, "There is no challenge to replace");
        secret_done(&draft->challenge);
        r = secret_copy(&draft->challenge, secret_view(&s->command->data), &e);
        draft->has_challenge = !r;
        return r ? no_error(s, &e) : yes(s, STATUS_OK);
}

/* Add of an interior node: the empty instance. */
static bool stage_interior(const struct staging *s)
{
        struct error e = {0};
        struct draft *draft;
        enum err r;

        if (s->seen)
                return already(s, true);
        r = draft_touch(s->t, s->place, s->owner, s->at, &draft, &e);
        return r ? no_error(s, &e) : yes(s, STATUS_OK);
}

static bool hash_fits(const struct node_place *place, X509 *cert)
{
        CLEANUP(free_p) char *name = strdup(place->instance);
        uint8_t digest[20], named[20];
        size_t len = 0;

        if (!name || X509_digest(cert, EVP_sha1(), digest, NULL) != 1)
                return false;
        percent_decode(name);
        return hex_decode(name, named, sizeof named, &len) && len == sizeof named &&
               memcmp(named, digest, sizeof digest) == 0;
}

static bool stage_root(const struct staging *s)
{
        CLEANUP(x509_free_p) X509 *cert = NULL;
        char digest_text[2 * 32 + 1];
        struct error e = {0};
        struct draft *draft;
        uint8_t digest[32];
        enum err r;

        if (s->command->kind != COMMAND_ROOT)
                return no(s, STATUS_INCOMPLETE, "The command carries no certificate");
        r = x509_parse(bytes_view(&s->command->certificate), &cert, &e);
        if (r)
                return no_error(s, &e);
        if (X509_digest(cert, EVP_sha256(), digest, NULL) != 1)
                return no(s, STATUS_COMMAND_FAILED, "The certificate could not be hashed");
        hex_encode((struct view){digest, sizeof digest}, digest_text);
        if (s->replace && (!s->seen || !*s->seen->anchor))
                return no(s, STATUS_NOT_FOUND, "There is no certificate to replace");
        if (s->place->by_hash && !hash_fits(s->place, cert))
                return no(s, STATUS_BAD_REQUEST,
                          "The node's name is not the SHA-1 of the certificate that was sent");
        if (!s->replace && s->seen && *s->seen->anchor)
                return already(s, strcmp(s->seen->anchor, digest_text) == 0);
        r = draft_touch(s->t, s->place, s->owner, s->at, &draft, &e);
        if (!r)
                r = draft_text(&draft->next.anchor, digest_text, &e);
        if (r)
                return no_error(s, &e);
        X509_free(draft->root);
        draft->root = STEAL(cert);
        return yes(s, STATUS_OK);
}

/* A version says what content it is; without one the content does. */
static bool same_profile(struct daemon *d, const struct profile_entry *entry, const struct settings *settings)
{
        CLEANUP(stored_profile_done) struct stored_profile stored = {0};
        CLEANUP(profile_done) struct profile profile = {0};
        CLEANUP(settings_done) struct settings canonical = {0};
        const char *version, *old;

        if (store_profile_read(d->store, entry->id, &stored, NULL) ||
            profile_from_settings(settings, true, &profile, NULL) ||
            profile_to_settings(&profile, false, &canonical, NULL))
                return false;
        version = settings_get(&canonical, "Document.Version");
        old = settings_get(&stored.settings, "Document.Version");
        if (version && old)
                return strcmp(version, old) == 0;
        if (canonical.count != stored.settings.count)
                return false;
        for (size_t i = 0; i < canonical.count; i++)
                if (strcmp(canonical.items[i].key, stored.settings.items[i].key) != 0 ||
                    strcmp(canonical.items[i].value, stored.settings.items[i].value) != 0)
                        return false;
        return true;
}

/* A request runs, or a certificate is installed and nothing has failed since. */
static bool settled(const struct certificate *c)
{
        return c && (activity_is_running(c->activity) || c->activity == ACTIVITY_PENDING ||
                     (c->current && activity_is_at_rest(c->activity)));
}

/* @ret_same: the profile is there already, and what it asks for is done or under way. */
static const struct profile_entry *profile_at(const struct staging *s, const struct settings *settings,
                                              bool *ret_same)
{
        const struct draft *draft = draft_find(s->t, s->place->key, s->owner);
        const struct profile_entry *entry =
                s->seen && !(draft && draft->removes) ? instance_profile(s->t->d, s->seen) : NULL;

        *ret_same = entry && same_profile(s->t->d, entry, settings) &&
                    settled(instance_certificate(s->t->d, s->seen));
        return entry;
}

static enum err deliver(const struct staging *s, const struct settings *settings, const struct strings *notes,
                        struct error *e)
{
        struct draft *draft;
        enum err r = draft_touch(s->t, s->place, s->owner, s->at, &draft, e);

        for (size_t i = 0; !r && i < settings->count; i++) {
                if (i == 0)
                        settings_done(&draft->settings);
                r = settings_add(&draft->settings, settings->items[i].key, settings->items[i].value, 0, e);
        }
        if (!r) /* the version in it may be another */
                r = draft_text(&draft->next.name, s->place->instance, e);
        if (r)
                return r;
        strings_done(&draft->notes);
        r = strings_copy(&draft->notes, notes, e);
        draft->delivers = !r;
        draft->delivered_by = s->at;
        return r;
}

static bool stage_document(const struct staging *s)
{
        struct error e = {0};
        struct draft *draft;
        bool same = false;
        enum err r;

        if (s->command->kind != COMMAND_ENROLL)
                return no(s, STATUS_INCOMPLETE, "The command carries no CertificateRequest");
        if (!profile_at(s, &s->command->settings, &same) && s->replace)
                return no(s, STATUS_NOT_FOUND, "There is no enrollment to replace");
        if (same)
                return s->replace ? yes(s, STATUS_OK) : already(s, true);
        r = deliver(s, &s->command->settings, &s->command->notes, &e);
        if (!r)
                r = draft_touch(s->t, s->place, s->owner, s->at, &draft, &e);
        if (!r && s->command->challenge.len) {
                secret_done(&draft->challenge);
                r = secret_copy(&draft->challenge, secret_view(&s->command->challenge), &e);
        }
        return r ? no_error(s, &e) : yes(s, STATUS_ACCEPTED);
}

static bool stage_enroll(const struct staging *s)
{
        CLEANUP(settings_done) struct settings settings = {0};
        CLEANUP(strings_done) struct strings notes = {0};
        CLEANUP(free_p) char *id = strdup(s->place->instance);
        struct error e = {0};
        struct draft *draft;
        bool same = false;
        enum err r;

        if (!s->seen)
                return no(s, STATUS_NOT_FOUND, "There is no such enrollment");
        r = id ? draft_touch(s->t, s->place, s->owner, s->at, &draft, &e) : error_no_memory(&e);
        if (r)
                return no_error(s, &e);
        percent_decode(id);
        /* the challenge is gone once a request was accepted */
        if (csp_check_required(&draft->next.values, draft->has_challenge || *draft->next.profile, &e))
                return no(s, STATUS_INCOMPLETE, e.message);
        r = csp_settings(s->place->branch, &draft->next.values, id, s->location->user, &settings, &notes, &e);
        if (r)
                return no_error(s, &e);
        (void)profile_at(s, &settings, &same);
        if (same) /* a second Exec starts no second request */
                return yes(s, STATUS_OK);
        r = deliver(s, &settings, &notes, &e);
        return r ? no_error(s, &e) : yes(s, STATUS_ACCEPTED);
}

static bool stage_delete(const struct staging *s)
{
        struct error e = {0};
        struct draft *draft;
        enum err r;

        if (!s->seen)
                return no(s, STATUS_NOT_FOUND, "There is nothing to delete");
        r = draft_touch(s->t, s->place, s->owner, s->at, &draft, &e);
        if (r)
                return no_error(s, &e);
        draft->removes = draft->original != NULL;
        draft->removed_by = s->at;
        draft->gone = true;
        draft->delivers = false;
        draft->has_challenge = false;
        secret_done(&draft->challenge);
        X509_free(STEAL(draft->root));
        return yes(s, STATUS_OK);
}

static unsigned access_of(enum command_verb verb)
{
        switch (verb) {
        case VERB_ADD:
                return NODE_ADD;
        case VERB_REPLACE:
                return NODE_REPLACE;
        case VERB_EXEC:
                return NODE_EXEC;
        case VERB_DELETE:
                return NODE_DELETE;
        default: /* a Get changes nothing; no other verb names a node */
                return 0;
        }
}

static bool stage_at(const struct staging *s)
{
        if (s->command->verb == VERB_DELETE)
                return stage_delete(s);
        if (!node_format_fits(s->place, s->command->format))
                return no(s, STATUS_UNSUPPORTED_FORMAT, "The node takes data of another format");
        switch (s->place->kind) {
        case NODE_VALUE:
                return stage_value(s);
        case NODE_SECRET:
                return stage_challenge(s);
        case NODE_INSTANCE:
        case NODE_INSTALL:
                return stage_interior(s);
        case NODE_CERTIFICATE:
                return stage_root(s);
        case NODE_DOCUMENT:
                return stage_document(s);
        case NODE_ENROLL:
                return stage_enroll(s);
        case NODE_LIST:
        case NODE_STATE:
        case NODE_CERTIFICATE_FACT:
        case NODE_REFUSED:
                break;
        }
        return no(s, STATUS_NOT_ALLOWED, NULL);
}

bool transaction_stage(struct transaction *t, size_t command)
{
        CLEANUP(location_done) struct location location = {0};
        CLEANUP(node_place_done) struct node_place place = {0};
        const struct command *c = &t->commands->items[command];
        struct staging s = {.t = t,
                            .at = command,
                            .command = c,
                            .location = &location,
                            .place = &place,
                            .replace = c->verb == VERB_REPLACE};

        if (!place_of(t, command, &location, &place))
                return false;
        if (!(place.access & access_of(c->verb)))
                return no(&s, STATUS_NOT_ALLOWED, "The node does not take this command");
        if (c->kind == COMMAND_WRONG) {
                refuse_error(t, command, c->problem);
                return false;
        }
        s.owner = owner_at(t, location.user);
        if (place.instance)
                s.seen = transaction_see(t, &place, location.user);
        return stage_at(&s);
}
