/* A request over the key channel: one octet, the type, and the body. What is taken comes out of it again. */
#include <stdlib.h>
#include <string.h>

#include "channel/frame.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        CLEANUP(bytes_done) struct bytes body = {0};
        struct key_request request, again;
        struct frame_header h;
        struct error e = {0};
        enum frame_type type;
        enum err r;

        if (size >= FRAME_HEADER)
                fuzz_whole(frame_header_decode(data, FRAME_KEYS_MAX, &h, &e), &e);
        if (size == 0)
                return 0;
        type = (enum frame_type)data[0];
        e = (struct error){0};
        r = key_request_decode(type, (struct view){data + 1, size - 1}, &request, &e);
        fuzz_whole(r, &e);
        if (r)
                return 0;
        if (type == FRAME_UNWRAP)
                fuzz_promise(key_unwrap_valid(&request.unwrap, request.data.len),
                             "an unwrap is within its bounds");
        fuzz_promise(!request.pin.len || key_pin_check(request.pin, NULL) == ERR_OK, "a PIN can be one");
        fuzz_promise(key_request_encode(type, &request, &body, &e) == ERR_OK &&
                             key_request_decode(type, bytes_view(&body), &again, &e) == ERR_OK,
                     "what was taken is taken again");
        fuzz_promise(view_equal(request.data, again.data) && view_equal(request.pin, again.pin) &&
                             request.handle == again.handle && request.index == again.index &&
                             request.unwrap.iterations == again.unwrap.iterations &&
                             strcmp(request.label, again.label) == 0,
                     "and is the same");
        return 0;
}
