/*
 * The parse worker's answer, which a stranger's document may have taken over. 'W' and the octets of the
 * stream; or 'E' and edits of a stream made here (offset of two octets, what to do, a value), so that the
 * corpus outlives a change of the format.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "policy/command.h"

static void must(enum err r)
{
        fuzz_promise(r == ERR_OK, "the sample can be made");
}

static struct bytes sample(void)
{
        CLEANUP(commands_done) struct commands c = {.format = DOCUMENT_SYNCML};
        struct command get = {.verb = VERB_GET, .location = strdup("./Vendor/MSFT/x"), .id = strdup("1")};
        struct command enroll = {.verb = VERB_ADD, .kind = COMMAND_ENROLL, .id = strdup("2")};
        struct bytes wire = {0};

        must(secret_copy(&get.data, str_view("data"), NULL));
        must(settings_add(&enroll.settings, "Subject.Name", "CN=a", 3, NULL));
        must(settings_add(&enroll.settings, "Server.Url", "https://a/", 0, NULL));
        must(secret_copy(&enroll.challenge, str_view("secret"), NULL));
        must(strings_add(&enroll.notes, "a note", NULL));
        must(commands_settle(&c, NULL));
        must(commands_add(&c, &get, NULL));
        must(commands_add(&c, &enroll, NULL));
        must(commands_encode(&c, &wire, NULL));
        return wire;
}

static void edit(struct bytes *wire, const uint8_t *edits, size_t size)
{
        for (; size >= 4 && wire->len; edits += 4, size -= 4) {
                size_t at = (size_t)(edits[0] << 8 | edits[1]) % wire->len;

                switch (edits[2] % 4) {
                case 0:
                        wire->data[at] = edits[3];
                        break;
                case 1:
                        wire->data[at] ^= edits[3];
                        break;
                case 2:
                        wire->len = at;
                        break;
                default: /* a piece over another one */
                        memmove(wire->data + at, wire->data + edits[3] % wire->len,
                                wire->len - (at > edits[3] % wire->len ? at : edits[3] % wire->len));
                }
        }
}

static void decode(struct view wire, bool untouched)
{
        CLEANUP(commands_done) struct commands c = {0}, again = {0};
        struct bytes first = {0}, second = {0};
        struct error e = {0};
        enum err r = commands_decode(wire, &c, &e);

        fuzz_whole(r, &e);
        fuzz_promise(!r || !untouched, "the sample is received");
        if (r)
                return;
        fuzz_promise(c.format != DOCUMENT_AUTO && c.count <= COMMANDS_MAX, "bounds are kept");
        fuzz_promise(commands_encode(&c, &first, &e) == ERR_OK, "what was received can be sent");
        fuzz_promise(commands_decode(bytes_view(&first), &again, &e) == ERR_OK, "and received again");
        fuzz_promise(commands_encode(&again, &second, &e) == ERR_OK, "and sent again");
        fuzz_promise(view_equal(bytes_view(&first), bytes_view(&second)), "and stays the same");
        bytes_done(&first);
        bytes_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size && data[0] == 'W') {
                decode((struct view){data + 1, size - 1}, false);
        } else if (size) {
                CLEANUP(bytes_done) struct bytes wire = sample();

                edit(&wire, data + 1, size - 1);
                decode(bytes_view(&wire), size == 1);
        }
        return 0;
}
