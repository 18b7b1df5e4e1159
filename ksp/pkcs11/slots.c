/* Slots and their tokens: one for the device, one for each user whose keys this process may use. A token is
 * there while the key service answers. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of root: users with keys. */
enum { SLOTS_MAX = 4096 };

static const char manufacturer[] = "Scepter";

void put_text(unsigned char *to, size_t size, const char *text)
{
        const size_t len = strlen(text);

        memset(to, ' ', size);
        memcpy(to, text, len < size ? len : size);
}

struct slot *slot_find(struct module *m, ck_slot_id_t id)
{
        for (size_t i = 0; i < m->n_slots; i++)
                if (m->slots[i].id == id)
                        return &m->slots[i];
        return NULL;
}

ck_slot_id_t slot_of(const struct channel_entry *entry)
{
        return entry->device ? DEVICE_SLOT : (ck_slot_id_t)entry->owner + 1;
}

bool slot_add(struct module *m, ck_slot_id_t id)
{
        struct slot *more;

        if (slot_find(m, id))
                return true;
        if (m->n_slots == SLOTS_MAX)
                return false;
        more = realloc(m->slots, (m->n_slots + 1) * sizeof *more);
        if (!more)
                return false;
        m->slots = more;
        m->slots[m->n_slots++] = (struct slot){.id = id};
        return true;
}

ck_rv_t slot_list(struct module *m, bool present, ck_slot_id_t *list, unsigned long *count)
{
        const unsigned long room = *count;
        ck_rv_t rv = CKR_OK;

        /* Not for the second call that fetches what the first has counted. */
        if (!list || !m->reachable)
                rv = objects_refresh(m);
        if (rv == CKR_HOST_MEMORY)
                return rv;
        *count = present && !m->reachable ? 0 : m->n_slots;
        if (!list)
                return CKR_OK;
        if (room < *count)
                return CKR_BUFFER_TOO_SMALL;
        for (size_t i = 0; i < *count; i++)
                list[i] = m->slots[i].id;
        return CKR_OK;
}

ck_rv_t slot_info(struct module *m, ck_slot_id_t id, struct ck_slot_info *ret)
{
        char description[64];

        if (!slot_find(m, id))
                return CKR_SLOT_ID_INVALID;
        if (!m->reachable)
                (void)objects_refresh(m);
        *ret = (struct ck_slot_info){.flags = CKF_REMOVABLE_DEVICE | (m->reachable ? CKF_TOKEN_PRESENT : 0)};
        if (id == DEVICE_SLOT)
                (void)snprintf(description, sizeof description, "Scepter: keys of this device");
        else
                (void)snprintf(description, sizeof description, "Scepter: keys of user %lu", id - 1);
        put_text(ret->slot_description, sizeof ret->slot_description, description);
        put_text(ret->manufacturer_id, sizeof ret->manufacturer_id, manufacturer);
        return CKR_OK;
}

static unsigned long sessions_of(const struct module *m, ck_slot_id_t slot, bool read_write)
{
        unsigned long n = 0;

        for (const struct session *s = m->sessions; s; s = s->next)
                n += s->slot == slot && (!read_write || s->read_write);
        return n;
}

ck_rv_t token_info(struct module *m, ck_slot_id_t id, struct ck_token_info *ret)
{
        char label[33], serial[17];

        if (!slot_find(m, id))
                return CKR_SLOT_ID_INVALID;
        if (!m->reachable && objects_refresh(m) != CKR_OK)
                return CKR_TOKEN_NOT_PRESENT;
        if (id == DEVICE_SLOT) {
                (void)snprintf(label, sizeof label, "Scepter");
                (void)snprintf(serial, sizeof serial, "device");
        } else {
                (void)snprintf(label, sizeof label, "Scepter uid %lu", id - 1);
                (void)snprintf(serial, sizeof serial, "uid-%lu", id - 1);
        }
        /* No CKF_LOGIN_REQUIRED: who may use a key, the service knows from the process that asks. Programs
         * that see it log in at the token first, and some then take that for the login of a key. NSS asks for
         * no key's PIN where CKF_USER_PIN_INITIALIZED is missing. */
        *ret = (struct ck_token_info){
                .flags = CKF_TOKEN_INITIALIZED | CKF_WRITE_PROTECTED |
                         (id == DEVICE_SLOT ? 0 : CKF_USER_PIN_INITIALIZED),
                .session_count = sessions_of(m, id, false),
                .rw_session_count = sessions_of(m, id, true),
                .max_session_count = CK_EFFECTIVELY_INFINITE,
                .max_rw_session_count = CK_EFFECTIVELY_INFINITE,
                .min_pin_len = KEY_PIN_MIN,
                .max_pin_len = KEY_PIN_MAX,
                .total_public_memory = CK_UNAVAILABLE_INFORMATION,
                .free_public_memory = CK_UNAVAILABLE_INFORMATION,
                .total_private_memory = CK_UNAVAILABLE_INFORMATION,
                .free_private_memory = CK_UNAVAILABLE_INFORMATION,
        };
        put_text(ret->label, sizeof ret->label, label);
        put_text(ret->serial_number, sizeof ret->serial_number, serial);
        put_text(ret->manufacturer_id, sizeof ret->manufacturer_id, manufacturer);
        put_text(ret->model, sizeof ret->model, "key service");
        put_text(ret->utc_time, sizeof ret->utc_time, "");
        return CKR_OK;
}
