/* Sessions. One for reading and writing is opened, too, where a program (ssh) asks for one without a need:
 * nothing can be written in either. */
#include "internal.h"

#include <stdlib.h>

ck_rv_t session_open(struct module *m, ck_slot_id_t slot, ck_flags_t flags, ck_session_handle_t *ret)
{
        struct session *s;

        if (!(flags & CKF_SERIAL_SESSION))
                return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
        if (!slot_find(m, slot))
                return CKR_SLOT_ID_INVALID;
        if (!m->reachable && objects_refresh(m) != CKR_OK)
                return CKR_TOKEN_NOT_PRESENT;
        s = calloc(1, sizeof *s);
        if (!s)
                return CKR_HOST_MEMORY;
        s->handle = ++m->last_session;
        s->slot = slot;
        s->read_write = flags & CKF_RW_SESSION;
        s->next = m->sessions;
        m->sessions = s;
        *ret = s->handle;
        return CKR_OK;
}

struct session *session_find(struct module *m, ck_session_handle_t handle)
{
        struct session *s = m->sessions;

        while (s && s->handle != handle)
                s = s->next;
        return s;
}

ck_rv_t session_info(struct module *m, const struct session *s, struct ck_session_info *ret)
{
        const struct slot *slot = slot_find(m, s->slot);
        const bool user = slot && slot->logged_in;

        *ret = (struct ck_session_info){.slot_id = s->slot, .flags = CKF_SERIAL_SESSION};
        if (s->read_write) {
                ret->flags |= CKF_RW_SESSION;
                ret->state = user ? CKS_RW_USER_FUNCTIONS : CKS_RW_PUBLIC_SESSION;
        } else {
                ret->state = user ? CKS_RO_USER_FUNCTIONS : CKS_RO_PUBLIC_SESSION;
        }
        return CKR_OK;
}

void session_close(struct module *m, struct session *s)
{
        struct slot *slot = slot_find(m, s->slot);
        bool last = true;

        for (struct session **p = &m->sessions; *p; p = &(*p)->next) {
                if (*p == s) {
                        *p = s->next;
                        break;
                }
        }
        for (const struct session *other = m->sessions; other; other = other->next)
                last &= other->slot != s->slot;
        if (last && slot)
                slot->logged_in = false;
        objects_end_session(m, s->handle);
        operation_end(&s->operation);
        free(s->found);
        free(s);
}

void sessions_close(struct module *m, ck_slot_id_t slot, bool all)
{
        struct session *next;

        for (struct session *s = m->sessions; s; s = next) {
                next = s->next;
                if (all || s->slot == slot)
                        session_close(m, s);
        }
}

static ck_rv_t login_for_operation(struct module *m, struct session *s, struct slot *slot, struct view pin)
{
        const ck_rv_t rv = operation_login(m, s, pin);

        if (rv == CKR_PIN_LOCKED && slot) /* §4.9 wants it */
                slot->logged_in = false;
        return rv;
}

/* Some programs log in wherever they are given a PIN; the token needs none, so any will do. That of a key is
 * given for each use, and GnuTLS gives it as the token's, since this wants no login. */
ck_rv_t session_login(struct module *m, struct session *s, ck_user_type_t user, struct view pin)
{
        struct slot *slot = slot_find(m, s->slot);

        if (user == CKU_CONTEXT_SPECIFIC || (user == CKU_USER && operation_waits(&s->operation)))
                return login_for_operation(m, s, slot, pin);
        if (user != CKU_USER)
                return CKR_USER_TYPE_INVALID;
        if (!slot)
                return CKR_DEVICE_REMOVED;
        if (slot->logged_in)
                return CKR_USER_ALREADY_LOGGED_IN;
        slot->logged_in = true;
        return CKR_OK;
}

ck_rv_t session_logout(struct module *m, const struct session *s)
{
        struct slot *slot = slot_find(m, s->slot);

        if (!slot || !slot->logged_in)
                return CKR_USER_NOT_LOGGED_IN;
        slot->logged_in = false;
        return CKR_OK;
}

void sessions_forget_pins(struct module *m)
{
        for (struct session *s = m->sessions; s; s = s->next)
                secret_done(&s->operation.pin);
}
